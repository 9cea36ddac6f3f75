import Ajv from 'ajv'
import addFormats from 'ajv-formats'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AuthBridge } from '../index.js'
import schema from './session.schema.json' with { type: 'json' }
import { SECRET } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const UUID = '6f1c2f3e-58a1-4a5e-9d0e-0b7c8d9e0f1a'

const database = useDatabase()
let bridge: AuthBridge
let required: Record<string, unknown>

beforeAll(async () => {
  bridge = new AuthBridge({ secret: SECRET, databaseUrl: database.url })
  const user = await createUser(database.client)
  const session = await createSession(database.client, user)
  const { email, login_method, ...rest } = claimsOf(user, session)
  required = rest
})
afterAll(() => bridge.close())

const read = async (claims: Record<string, unknown>) =>
  bridge.getSession(await mintCookie({ ...required, ...claims }, { secret: SECRET }))

/** A claim, and the field that it gives: its value, or `ABSENT`. */
type Row = [claim: unknown, field: unknown]
const ABSENT = undefined
const NOT_STRINGS: unknown[] = [1, true, {}, [], ['a']]

const text = (fallback: unknown): Row[] => [
  ['value', 'value'],
  ['', ''],
  ['cut in the middle of 😀: \ud83d', 'cut in the middle of 😀: \ud83d'],
  ['Grüße, "quoted" \\ \u0000 \u2028 😀', 'Grüße, "quoted" \\ \u0000 \u2028 😀'],
  [undefined, fallback],
  [null, fallback],
  ...NOT_STRINGS.map((claim): Row => [claim, fallback]),
]
const uuid: Row[] = [
  [UUID, UUID],
  [UUID.toUpperCase(), UUID.toUpperCase()],
  [undefined, ABSENT],
  [null, ABSENT],
  ['', ABSENT],
  ['client', ABSENT],
  [`{${UUID}}`, ABSENT],
  [`urn:uuid:${UUID}`, ABSENT],
  [UUID.replaceAll('-', ''), ABSENT],
  ...NOT_STRINGS.map((claim): Row => [claim, ABSENT]),
]

const FIELDS: Record<string, Row[]> = {
  email: text(''),
  name: text(''),
  username: text(''),
  image: text(ABSENT),
  proToken: text(ABSENT),
  tenantSlug: text(ABSENT),
  plan: text(ABSENT),
  clientId: uuid,
  contactId: uuid,
  addons: [
    [
      ['a', '\ud83d'],
      ['a', '\ud83d'],
    ],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    [[], []],
    [undefined, []],
    [null, []],
    ['a', []],
    [{ 0: 'a' }, []],
    [['a', 1], []],
    [['a', null], []],
  ],
  trial_end: text(null),
  solo_pro_trial_end: text(null),
  premium_trial_end: text(null),
  premium_trial_effective_date: text(null),
  premium_trial_confirmed: [
    [true, true],
    [false, false],
    [undefined, false],
    [null, false],
    ['true', false],
    [1, false],
    [[true], false],
  ],
  subscription_status: [
    ['active', 'active'],
    ['trialing', 'trialing'],
    ['past_due', 'past_due'],
    ['unpaid', 'unpaid'],
    ['canceled', null],
    ['Active', null],
    ['', null],
    [undefined, null],
    [null, null],
    [{ active: null }, null],
    [1, null],
  ],
}

describe.each(Object.entries(FIELDS))('user.%s', (name, rows) => {
  test.each(rows)('claim %j gives %j', async (claim, field) => {
    const { user } = await read({ [name]: claim })
    expect(user).toBeDefined()
    expect(Object.hasOwn(user as object, name)).toBe(field !== ABSENT)
    expect(user?.[name as keyof typeof user]).toEqual(field)
  })
})

describe('login_method', () => {
  test.each(text(ABSENT))('claim %j gives %j', async (claim, field) => {
    const session = await read({ login_method: claim })
    expect(session.session_id).toBe(required.session_id)
    expect(Object.hasOwn(session, 'login_method')).toBe(field !== ABSENT)
    expect(session.login_method).toEqual(field)
  })
})

describe('without the claims that the query needs there is no session', () => {
  const useless = [undefined, null, '', 'x', 1, true, {}, [], [UUID], UUID.replaceAll('-', ''), `{${UUID}}`, 'Client']
  const rows = ['session_id', 'tenant', 'user_type'].flatMap((name) => useless.map((claim) => [name, claim] as const))
  test.each(rows)('%s: claim %j', async (name, claim) => {
    expect(await read({ [name]: claim })).toEqual({})
  })
})

test.each(['client', 'internal'] as const)('user.user_type: %s', async (user_type) => {
  const user = await createUser(database.client, { user_type })
  const { user: found } = await read(claimsOf(user, await createSession(database.client, user)))
  expect(found?.user_type).toBe(user_type)
})

describe('fallbacks', () => {
  test.each([
    ['image before picture', { image: 'i', picture: 'p' }, 'i'],
    ['picture', { picture: 'p' }, 'p'],
    ['picture for a null image', { image: null, picture: 'p' }, 'p'],
    ['picture for an image of the wrong type', { image: 1, picture: 'p' }, 'p'],
    ['neither', { image: 1, picture: 2 }, ABSENT],
  ])('user.image: %s', async (_, claims, image) => {
    expect((await read(claims)).user?.image).toBe(image)
  })

  test.each([
    ['id before sub', { sub: UUID }, true],
    ['sub for an absent id', { id: undefined }, true],
    ['sub for a null id', { id: null }, true],
    ['neither', { id: undefined, sub: undefined }, false],
    ["sub is another user's", { id: null, sub: UUID }, false],
  ])('user.id: %s', async (_, claims, authenticated) => {
    const { user } = await read(claims)
    expect(user?.id).toBe(authenticated ? required.id : undefined)
  })
})

test('every field at once, in the order of the documentation', async () => {
  const everything = Object.fromEntries(Object.entries(FIELDS).map(([name, rows]) => [name, rows[0]?.[0]]))
  const session = await read({ ...everything, login_method: 'google', picture: 'p', role: 'admin', __proto__x: 1 })
  const [, documented] = schema.oneOf
  expect(Object.keys(session)).toEqual(Object.keys(documented?.properties ?? {}))
  expect(Object.keys(session.user ?? {})).toEqual(Object.keys(documented?.properties?.user.properties ?? {}))
})

describe('for random claims', () => {
  const ajv = addFormats(new Ajv({ strict: true, allowUnionTypes: true }))
  const validate = ajv.compile(schema)

  const utf16 = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) })
  const value = fc.oneof(
    fc.jsonValue(),
    fc.string({ unit: 'binary' }),
    utf16,
    fc.uuid(),
    fc.constantFrom('active', null),
  )
  const named = (names: string[]) =>
    fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] })
  const documented = named([...Object.keys(FIELDS), 'login_method', 'picture'])
  const any = fc.dictionary(fc.oneof(fc.string({ unit: 'binary' }), utf16), value, { noNullPrototype: true })

  test('a session is valid by the schema, and has no other fields', async () => {
    await fc.assert(
      fc.asyncProperty(any, documented, async (foreign, claims) => {
        const session = await read({ ...foreign, ...claims, nbf: undefined, ...required })
        expect(session.session_id).toBe(required.session_id)
        expect(validate(session), ajv.errorsText(validate.errors)).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test('the claims that the query needs may be anything: the result is a session or {}', async () => {
    const essential = named(['id', 'sub', 'tenant', 'session_id', 'user_type', 'nbf'])
    await fc.assert(
      fc.asyncProperty(essential, documented, async (essential, claims) => {
        const session = await read({ ...claims, ...essential })
        expect(validate(session), ajv.errorsText(validate.errors)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})
