// The session object with the options that change it: which fields there are, whatever the token claims.

import Ajv from 'ajv'
import addFormats from 'ajv-formats'
import fc from 'fast-check'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { AuthBridge, type AuthBridgeOptions } from '../index.js'
import documented from './session.schema.json' with { type: 'json' }
import { SECRET } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { type ShapeOptions, sessionSchema } from './support/session-schema.js'
import { claimsOf, createSession, createTables, createUser } from './support/tenants.mjs'

/** Without tenants: views of the other tables. */
const SINGLE_TENANT = { multiTenant: false, tables: { sessions: 'single.sessions', users: 'single.users' } }

const database = useDatabase(async (client) => {
  await createTables(client)
  await client.query(`
    CREATE SCHEMA single;
    CREATE VIEW single.users AS SELECT user_id, user_type FROM public.users;
    CREATE VIEW single.sessions AS
      SELECT session_id, user_id, revoked_at, expires_at, revoked_reason FROM public.sessions`)
})
const ajv = addFormats(new Ajv({ strict: true, allowUnionTypes: true }))

let user: Awaited<ReturnType<typeof createUser>>
let session: Awaited<ReturnType<typeof createSession>>
beforeAll(async () => {
  user = await createUser(database.client)
  session = await createSession(database.client, user)
})

/** The claims that a token must have with these options. */
function required({ multiTenant, userCheck = 'type' }: ShapeOptions) {
  const { session_id, id, tenant, user_type } = claimsOf(user, session)
  return {
    session_id,
    id,
    ...(multiTenant === false ? {} : { tenant }),
    ...(userCheck === 'type' ? { user_type } : {}),
  }
}

function makeBridge(options: AuthBridgeOptions) {
  const tables = options.multiTenant === false ? SINGLE_TENANT : {}
  return new AuthBridge({ secret: SECRET, databaseUrl: database.url, maxConnections: 1, ...options, ...tables })
}

test.each<[string, AuthBridgeOptions]>([
  ['no options', {}],
  ['no tenants', { multiTenant: false }],
  ['expires', { expires: true }],
  ['claims of the app', { extraClaims: ['role', 'limits'] }],
  ['all', { multiTenant: false, userCheck: 'none', expires: true, extraClaims: ['limits', 'role'] }],
])('%s: every field at once, in the order of the documentation', async (_, options) => {
  const bridge = makeBridge(options)
  onTestFinished(() => bridge.close())
  const schema = sessionSchema(options).oneOf[1]?.properties
  const user = Object.fromEntries(Object.keys(schema?.user.properties ?? {}).map((name) => [name, 'value']))
  const claims = { ...user, clientId: session.session_id, contactId: session.session_id, login_method: 'saml' }
  const token = { ...claims, limits: { seats: 3 }, role: null, unknown: 1, user_type: 'internal', ...required(options) }
  const cookie = await mintCookie(token, { secret: SECRET })
  const [body, explanation] = await Promise.all([bridge.getSession(cookie), bridge.explainSession(cookie)])
  expect(Object.keys(body)).toEqual(Object.keys(schema ?? {}))
  expect(Object.keys(body.user ?? {})).toEqual(Object.keys(user))
  expect(body.user).toMatchObject(options.extraClaims ? { limits: { seats: 3 }, role: null } : {})
  const { tokenExpiresAt = null } = 'session' in explanation ? explanation.session : {}
  expect(body).toMatchObject(options.expires ? { expires: new Date(tokenExpiresAt ?? '').toISOString() } : {})
})

describe('for random claims and options', () => {
  const NAMES = ['product_code', 'limits', 'role', 'rôle', 'a "quoted" \\ name', '😀', 'hasOwnProperty']
  const options: fc.Arbitrary<ShapeOptions> = fc.record(
    {
      multiTenant: fc.boolean(),
      userCheck: fc.constantFrom('type', 'exists', 'none'),
      expires: fc.boolean(),
      extraClaims: fc.shuffledSubarray(NAMES, { minLength: 1 }),
    },
    { requiredKeys: [] },
  )

  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.uuid(), fc.constantFrom('client', 'active'))
  const value = fc.oneof(fc.jsonValue(), text, fc.array(text), fc.constant(null))
  const [, { properties }] = documented.oneOf as [unknown, { properties: { user: { properties: object } } }]
  const known = [...Object.keys(properties.user.properties), ...Object.keys(properties), 'picture', 'sub', ...NAMES]
  const claims = fc.record(Object.fromEntries(known.map((name) => [name, value])), { requiredKeys: [] })
  const foreign = fc.dictionary(fc.string({ unit: 'binary' }), value, { noNullPrototype: true })
  const token = fc
    .tuple(foreign, claims)
    .map(([foreign, claims]): Record<string, unknown> => ({ ...foreign, ...claims }))

  test('a session is valid by the schema of the options, and its text is that of the object', async () => {
    await fc.assert(
      fc.asyncProperty(options, fc.array(token, { minLength: 1, maxLength: 10 }), async (options, tokens) => {
        const bridge = makeBridge(options)
        const validate = ajv.compile(sessionSchema(options))

        async function check(token: Record<string, unknown>) {
          const claims = { ...token, nbf: undefined, ...required(options) }
          const cookie = await mintCookie(claims, { secret: SECRET })
          const [body, text] = await Promise.all([bridge.getSession(cookie), bridge.getSessionJson(cookie)])
          expect(body.session_id).toBe(session.session_id)
          expect(validate(body), ajv.errorsText(validate.errors)).toBe(true)
          expect(text).toBe(JSON.stringify(body))
          for (const name of options.extraClaims ?? []) {
            const value = body.user?.[name as keyof typeof body.user]
            expect(JSON.stringify(value)).toBe(JSON.stringify(claims[name as keyof typeof claims]))
          }
        }

        await Promise.all(tokens.map(check)).finally(() => bridge.close())
      }),
      { numRuns: 100 },
    )
  })
})
