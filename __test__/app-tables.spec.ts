// The app whose session object this package documents, with tables as its migrations make them: a view of the users gives
// what plan, add-ons and subscription are now.

import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AuthSession } from '../index.js'
import { SECRET, useBridges } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'

const TABLES = `
  CREATE TABLE tenants (
    tenant uuid PRIMARY KEY, slug text NOT NULL UNIQUE, plan text NOT NULL DEFAULT 'solo', product_code text,
    trial_end timestamptz, solo_pro_trial_end timestamptz
  );
  CREATE TABLE contacts (tenant uuid, contact_id uuid, client_id uuid NOT NULL, PRIMARY KEY (tenant, contact_id));
  CREATE TABLE users (
    tenant uuid REFERENCES tenants, user_id uuid DEFAULT gen_random_uuid(), username text NOT NULL, email text NOT NULL,
    first_name text, last_name text, image text, user_type text NOT NULL DEFAULT 'internal', contact_id uuid,
    is_inactive boolean NOT NULL DEFAULT false, PRIMARY KEY (tenant, user_id)
  );
  CREATE TABLE sessions (
    tenant uuid NOT NULL, session_id uuid NOT NULL DEFAULT gen_random_uuid(), user_id uuid NOT NULL, token text UNIQUE,
    ip_address text, user_agent text, device_fingerprint text, device_name text, device_type text, location_data jsonb,
    login_method text, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    last_activity_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz NOT NULL, revoked_at timestamptz,
    revoked_reason text, PRIMARY KEY (tenant, session_id), FOREIGN KEY (tenant, user_id) REFERENCES users
  );
  CREATE TABLE tenant_addons (tenant uuid REFERENCES tenants, addon text, expires_at timestamptz, PRIMARY KEY (tenant, addon));
  CREATE TABLE subscriptions (
    subscription_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant uuid NOT NULL REFERENCES tenants, status text NOT NULL,
    premium_trial_end timestamptz, premium_trial_confirmed boolean, premium_trial_effective_date date,
    created_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE INDEX ON subscriptions (tenant);`

/** Of several subscriptions the one that gives most counts; an inactive user is not shown. */
const VIEW = `
  CREATE VIEW session_users AS
  SELECT u.tenant, u.user_id, u.user_type, u.email, u.username, u.image, concat_ws(' ', u.first_name, u.last_name) AS name,
    u.contact_id AS "contactId", c.client_id AS "clientId", t.slug AS "tenantSlug", t.plan, t.product_code,
    t.trial_end, t.solo_pro_trial_end, s.status AS subscription_status, s.premium_trial_end,
    s.premium_trial_confirmed, s.premium_trial_effective_date,
    ARRAY(
      SELECT a.addon FROM tenant_addons a
      WHERE a.tenant = u.tenant AND (a.expires_at IS NULL OR a.expires_at > now()) ORDER BY a.addon
    ) AS addons
  FROM users u
  JOIN tenants t ON t.tenant = u.tenant
  LEFT JOIN contacts c ON c.tenant = u.tenant AND c.contact_id = u.contact_id
  LEFT JOIN LATERAL (
    SELECT * FROM subscriptions s WHERE s.tenant = u.tenant
    ORDER BY array_position(ARRAY['active', 'trialing', 'past_due', 'unpaid'], s.status), s.created_at DESC LIMIT 1
  ) s ON true
  WHERE NOT u.is_inactive;`

const FRESH = [
  ...['email', 'name', 'username', 'image', 'tenantSlug', 'plan', 'clientId', 'contactId', 'addons', 'trial_end'],
  ...['solo_pro_trial_end', 'premium_trial_end', 'premium_trial_effective_date', 'premium_trial_confirmed'],
  ...['subscription_status', 'product_code'],
]

const database = useDatabase((client) => client.query(TABLES + VIEW))
const open = useBridges()
const run = (sql: string, ...values: unknown[]) => database.client.query(sql, values)
const first = async (sql: string, ...values: unknown[]) => (await run(`${sql} RETURNING *`, ...values)).rows[0]

let tenant: string
let user: { user_id: string }
let session: { session_id: string }
let cookie: string

beforeAll(() => run(`INSERT INTO tenants (tenant, slug) VALUES ($1, 'other')`, randomUUID()))
beforeEach(async () => {
  tenant = randomUUID()
  await run(`INSERT INTO tenants (tenant, slug) VALUES ($1, $2)`, tenant, `acme-${tenant}`)
  user = await first(
    `INSERT INTO users (tenant, username, email, first_name) VALUES ($1, 'ada', 'ada@acme.example', 'Ada')`,
    tenant,
  )
  session = await first(
    `INSERT INTO sessions (tenant, user_id, login_method, expires_at) VALUES ($1, $2, 'credentials', now() + interval '30 days')`,
    tenant,
    user.user_id,
  )
  // What the app's jwt callback wrote at the sign-in, weeks ago.
  const claims = {
    ...{ sub: user.user_id, id: user.user_id, tenant, user_type: 'internal', session_id: session.session_id },
    ...{ login_method: 'credentials', proToken: 'of the edition', plan: 'pro', addons: ['old'], trial_end: null },
    ...{ email: 'old@acme.example', name: 'Old Name', product_code: 'old', subscription_status: 'active' },
  }
  cookie = await mintCookie(claims, { secret: SECRET })
})

const connect = () =>
  open(database.url, {
    ...{ tables: { users: 'session_users' }, extraClaims: ['product_code', 'effectiveTier'], freshClaims: FRESH },
  })

describe('every field is current in the call after the change', () => {
  test.each<[string, string, Partial<AuthSession['user']> & { product_code?: string }, unknown[]?]>([
    [
      'e-mail',
      `UPDATE users SET email = 'countess@acme.example' WHERE user_id = $1`,
      { email: 'countess@acme.example' },
    ],
    ['name', `UPDATE users SET last_name = 'Lovelace' WHERE user_id = $1`, { name: 'Ada Lovelace' }],
    ['user name', `UPDATE users SET username = 'lovelace' WHERE user_id = $1`, { username: 'lovelace' }],
    ['image', `UPDATE users SET image = '/ada.png' WHERE user_id = $1`, { image: '/ada.png' }],
    [
      'slug',
      `UPDATE tenants SET slug = 'new-' || slug WHERE tenant = $2`,
      { tenantSlug: expect.stringMatching(/^new-acme-/) },
    ],
    ['plan', `UPDATE tenants SET plan = 'premium' WHERE tenant = $2`, { plan: 'premium' }],
    ['product code', `UPDATE tenants SET product_code = 'algadesk' WHERE tenant = $2`, { product_code: 'algadesk' }],
    [
      'an add-on, and one that has expired',
      `INSERT INTO tenant_addons VALUES ($2, 'teams', NULL), ($2, 'billing', now() + interval '1 day'), ($2, 'gone', now())`,
      { addons: ['billing', 'teams'] },
    ],
    [
      'trials',
      `UPDATE tenants SET trial_end = '2027-01-02 03:04:05Z', solo_pro_trial_end = '2027-02-03Z' WHERE tenant = $2`,
      { trial_end: '2027-01-02T03:04:05.000Z', solo_pro_trial_end: '2027-02-03T00:00:00.000Z' },
    ],
    [
      'the best of several subscriptions',
      `INSERT INTO subscriptions (tenant, status, created_at) VALUES ($2, 'unpaid', now()), ($2, 'trialing', now() - interval '1 year')`,
      { subscription_status: 'trialing' },
    ],
    [
      'a premium trial',
      `INSERT INTO subscriptions (tenant, status, premium_trial_end, premium_trial_confirmed, premium_trial_effective_date)
       VALUES ($2, 'past_due', '2027-01-02Z', true, '2027-01-03')`,
      {
        ...{ subscription_status: 'past_due', premium_trial_end: '2027-01-02T00:00:00.000Z' },
        ...{ premium_trial_confirmed: true, premium_trial_effective_date: '2027-01-03' },
      },
    ],
  ])('%s', async (_, change, expected) => {
    const bridge = connect()
    const before = {
      ...{ id: user.user_id, email: 'ada@acme.example', name: 'Ada', username: 'ada', proToken: 'of the edition' },
      ...{ tenantSlug: `acme-${tenant}`, plan: 'solo', tenant, user_type: 'internal', addons: [], trial_end: null },
      ...{ solo_pro_trial_end: null, premium_trial_end: null, premium_trial_effective_date: null },
      ...{ premium_trial_confirmed: false, subscription_status: null },
    }
    expect((await bridge.getSession(cookie)).user).toEqual(before)
    await run(change.replaceAll('$1', `'${user.user_id}'`).replaceAll('$2', `'${tenant}'`))
    expect((await bridge.getSession(cookie)).user).toEqual({ ...before, ...expected })
    expect(JSON.parse(await bridge.getSessionJson(cookie)).user).toEqual({ ...before, ...expected })
  })

  test('the contact and the client of a portal user', async () => {
    const [contact, client] = [randomUUID(), randomUUID()]
    const bridge = connect()
    expect((await bridge.getSession(cookie)).user).not.toHaveProperty('contactId')
    await run('INSERT INTO contacts VALUES ($1, $2, $3)', tenant, contact, client)
    await run('UPDATE users SET contact_id = $2 WHERE user_id = $1', user.user_id, contact)
    expect((await bridge.getSession(cookie)).user).toMatchObject({ contactId: contact, clientId: client })
  })
})

test.each([
  ['an inactive user', 'UPDATE users SET is_inactive = true WHERE user_id = $1', 'user-gone'],
  ['a user of another type', `UPDATE users SET user_type = 'client' WHERE user_id = $1`, 'user-type-changed'],
  ['a revoked session', 'UPDATE sessions SET revoked_at = now() WHERE user_id = $1', 'session-revoked'],
  ['an expired session', 'UPDATE sessions SET expires_at = now() WHERE user_id = $1', 'session-expired'],
])('%s is out with the next call', async (_, change, reason) => {
  const bridge = connect()
  expect(await bridge.getSession(cookie)).toHaveProperty('session_id', session.session_id)
  await run(change, user.user_id)
  expect(await bridge.getSession(cookie)).toEqual({})
  expect(await bridge.explainSession(cookie)).toMatchObject({ reason })
})
