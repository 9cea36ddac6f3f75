// In a distributed database each query must be for one tenant, so that it is routed to one shard. This test simulates shards
// with tables that are partitioned by the tenant: the plan of each query uses one partition of each table.

import { expect, test } from 'vitest'
import { AuthBridge } from '../index.js'
import { SECRET } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { inOneBatch, useDatabase } from './support/database.js'
import { claimsOf, createSession, createUser } from './support/tenants.mjs'

const database = useDatabase()

async function partition() {
  for (const table of ['sessions', 'users']) {
    await database.client.query(`ALTER TABLE ${table} RENAME TO whole`)
    await database.client.query(`CREATE TABLE ${table} (LIKE whole INCLUDING ALL) PARTITION BY HASH (tenant)`)
    for (let shard = 0; shard < 8; shard++) {
      const values = `FOR VALUES WITH (MODULUS 8, REMAINDER ${shard})`
      await database.client.query(`CREATE TABLE ${table}_${shard} PARTITION OF ${table} ${values}`)
    }
    await database.client.query('DROP TABLE whole')
  }
}

test('each query is for one tenant and uses one shard; all calls succeed', async () => {
  await partition()
  const people = []
  for (let count = 0; count < 20; count++) {
    const user = await createUser(database.client)
    for (let device = 0; device < 3; device++) {
      const session = await createSession(database.client, user)
      people.push({ session, cookie: await mintCookie(claimsOf(user, session), { secret: SECRET }) })
    }
  }
  const bridge = new AuthBridge({ secret: SECRET, databaseUrl: database.url, sharded: true, maxConnections: 1 })

  /** Of our only connection. */
  async function lastQuery(): Promise<string> {
    const { rows } = await database.client.query(
      `SELECT query FROM pg_stat_activity WHERE application_name = 'authjs-bridge' AND datname = current_database()`,
    )
    expect(rows).toHaveLength(1)
    return rows[0].query
  }

  /** The tables whose partitions the plan of the last statement uses, once per partition. */
  async function shardsOfLastQuery(tenant: string, ...ids: [string, string]) {
    const query = await lastQuery()
    expect(query).toMatch(/WHERE s\.tenant OPERATOR\(pg_catalog\.=\) \$1( AND |$)/m)
    expect(query).toContain('ON u.tenant OPERATOR(pg_catalog.=) s.tenant AND ')
    const name = `statement_${ids[0].length}`
    await database.client.query(
      `PREPARE ${name} (uuid, ${ids[0].startsWith('{') ? 'uuid[], uuid[]' : 'uuid, uuid'}) AS ${query}`,
    )
    const plan = await database.client.query(`EXPLAIN EXECUTE ${name}('${[tenant, ...ids].join("', '")}')`)
    const text = plan.rows.map((row) => row['QUERY PLAN']).join('\n')
    return [...new Set(text.match(/\b(sessions|users)_\d\b/g))].map((partition) => partition.slice(0, -2)).sort()
  }
  const oneOfEach = ['sessions', 'users']

  const { session, cookie } = people[0]
  expect((await bridge.getSession(cookie)).session_id).toBe(session.session_id)
  expect(await shardsOfLastQuery(session.tenant, session.session_id, session.user_id)).toEqual(oneOfEach)

  // A batch for one tenant, then one for all tenants.
  const ofOneTenant = people.slice(0, 3)
  const cookiesOf = (sessions: { cookie: string }[]) => [cookie, ...sessions.map((person) => person.cookie)]
  const read = (header: string) => bridge.getSession(header)
  await inOneBatch(database.client, cookiesOf(ofOneTenant), read)
  expect(await shardsOfLastQuery(session.tenant, `{${session.session_id}}`, `{${session.user_id}}`)).toEqual(oneOfEach)

  const bodies = await inOneBatch(database.client, cookiesOf(people), read)
  expect(bodies.map((body) => body.session_id)).toEqual(
    [people[0], ...people].map((person) => person.session.session_id),
  )
  expect(bridge.stats().batches.max).toBe(people.length)

  // A session with another tenant in its token is unknown, also in a batch.
  const [first, other] = [people[0].session, people[5].session]
  const crossed = claimsOf({ ...first, tenant: other.tenant, user_type: 'internal', email: '' }, first)
  const forged = await mintCookie(crossed, { secret: SECRET })
  const answers = await Promise.all(
    [cookie, forged, people[5].cookie, forged].map((header) => bridge.getSession(header)),
  )
  expect(answers.map((body) => body.session_id)).toEqual([first.session_id, undefined, other.session_id, undefined])
  await bridge.close()
})
