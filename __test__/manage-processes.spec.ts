// Several real processes start and end sessions at once: limits are exact, and random operations leave what a model in memory says.
// To run more: MANAGE_OPERATIONS=10000 npx vitest run manage-processes. The name of the test has the seed, for MANAGE_SEED.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NewSession } from '../index.js'
import { SECRET } from './support/bridges.js'
import { mintCookie } from './support/cookies.mjs'
import { useDatabase } from './support/database.js'
import { startProcess } from './support/processes.js'
import { claimsOf, createUser } from './support/tenants.mjs'

const OPERATIONS = Number(process.env.MANAGE_OPERATIONS ?? 1000)
const SEED = Number(process.env.MANAGE_SEED ?? Date.now() % 2 ** 31)
const FULL = 'ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS'
const PROCESSES = 4

const database = useDatabase()
let processes: Awaited<ReturnType<typeof startProcess>>[]
beforeAll(async () => {
  const options = { secret: SECRET, databaseUrl: database.url, secureCookie: false, updateAge: 0, maxConnections: 6 }
  processes = await Promise.all(Array.from({ length: PROCESSES }, () => startProcess(options)))
})
afterAll(() => Promise.all((processes ?? []).map((each) => each.stop())))

type User = Awaited<ReturnType<typeof createUser>>
const ownerOf = ({ tenant, user_id }: User) => ({ tenant, userId: user_id })
const nth = (index: number) => processes[index % PROCESSES] as (typeof processes)[number]
/** The code that each call rejects with; `undefined` where it resolves. */
const codesOf = async (calls: Promise<unknown>[]) =>
  (await Promise.allSettled(calls)).map((call) => (call.status === 'rejected' ? call.reason.code : undefined))

describe('100 sign-ins of one user at once', () => {
  const MAX = 5
  async function signInAtOnce(whenFull: NewSession['whenFull'], before: number) {
    const user = await createUser(database.client)
    const create = (index: number, more: Partial<NewSession> = {}) =>
      nth(index).call('createSession', { ...ownerOf(user), ...more })
    for (let index = 0; index < before; index++) await create(index)
    const calls = Array.from({ length: 100 }, (_, index) => create(index, { maxSessions: MAX, whenFull }))
    const codes = await codesOf(calls)
    const { rows } = await database.client.query(
      `SELECT count(*) FILTER (WHERE revoked_at IS NULL)::int AS live,
         count(*) FILTER (WHERE revoked_reason = 'max_sessions' AND revoked_at IS NOT NULL)::int AS ended,
         count(*)::int AS all FROM sessions WHERE tenant = $1`,
      [user.tenant],
    )
    return {
      ...rows[0],
      refused: codes.filter((code) => code === FULL).length,
      failed: codes.filter((code) => code && code !== FULL),
    }
  }

  test.each([0, 3, 7])('revoke-oldest leaves the limit, after %i sessions', async (before) => {
    const all = 100 + before
    expect(await signInAtOnce('revoke-oldest', before)).toEqual({
      live: MAX,
      ended: all - MAX,
      all,
      refused: 0,
      failed: [],
    })
  })

  test.each([0, 3, 7])('refuse starts none beyond it, after %i sessions', async (before) => {
    const all = Math.max(MAX, before)
    expect(await signInAtOnce('refuse', before)).toEqual({
      live: all,
      ended: 0,
      all,
      refused: 100 + before - all,
      failed: [],
    })
  })
})

/** Mulberry32. */
function random(seed: number) {
  let state = seed
  return (below: number) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

interface Session {
  id: string
  cookie: string
  /** Grows with each activity. */
  active: number
  isLive: boolean
  reason: string | null
}

/**
 * Users of a few tenants. In a round, what is done to one user is done one after the other, or at once where the outcome is the
 * same in any order; different users, and different tenants, are at work at the same time. Each call goes to any process.
 */
class Model {
  readonly pick = random(SEED)
  readonly tenants: { tenant: string; users: Person[] }[] = []
  operations = 0
  activity = 0
  deleted = 0

  any<T>(list: T[]): T {
    return list[this.pick(list.length)] as T
  }

  /** Any process. */
  process() {
    this.operations++
    return nth(this.pick(PROCESSES))
  }
}

class Person {
  readonly sessions = new Map<string, Session>()
  constructor(
    readonly model: Model,
    readonly user: User,
  ) {}

  get owner() {
    return ownerOf(this.user)
  }
  /** The live ones, the latest activity first. */
  get live() {
    return [...this.sessions.values()].filter(({ isLive }) => isLive).sort((one, other) => other.active - one.active)
  }
  /** An id of a session that there is, that was, or that never was. */
  anyId() {
    return this.model.pick(10) === 0
      ? randomUUID()
      : (this.model.any([...this.sessions.keys(), randomUUID()]) as string)
  }
  end(session: Session | undefined, reason: string | null) {
    if (!session?.isLive) return 0
    Object.assign(session, { isLive: false, reason })
    return 1
  }

  async add(id: string) {
    const claims = claimsOf(this.user, { session_id: id, login_method: 'x' })
    const cookie = await mintCookie(claims, { secret: SECRET })
    this.sessions.set(id, { id, cookie, active: ++this.model.activity, isLive: true, reason: null })
  }

  /** One after the other. */
  readonly steps: Record<string, () => Promise<void>> = {
    create: async () => {
      const { sessionId } = await this.model.process().call('createSession', this.owner)
      await this.add(sessionId)
    },
    refuse: async () => {
      const maxSessions = 1 + this.model.pick(5)
      const isFull = this.live.length >= maxSessions
      const call = this.model.process().call('createSession', { ...this.owner, maxSessions, whenFull: 'refuse' })
      if (isFull) await expect(call).rejects.toMatchObject({ code: FULL })
      else await this.add((await call).sessionId)
    },
    revokeOldest: async () => {
      const maxSessions = 1 + this.model.pick(5)
      const { sessionId } = await this.model.process().call('createSession', { ...this.owner, maxSessions })
      for (const session of this.live.slice(maxSessions - 1)) this.end(session, 'max_sessions')
      await this.add(sessionId)
    },
    list: async () => {
      const current = this.anyId()
      const listed = await this.model.process().call('listSessions', { ...this.owner, current })
      expect(listed.map(({ sessionId, current }) => [sessionId, current])).toEqual(
        this.live.map(({ id }) => [id, id === current ? true : undefined]),
      )
    },
    revoke: async () => {
      const sessionId = this.anyId()
      const who = this.model.pick(4) === 0 ? { tenant: this.owner.tenant, anyUser: true as const } : this.owner
      const ended = await this.model.process().call('revokeSession', { ...who, sessionId, reason: 'one' })
      expect(ended).toBe(this.end(this.sessions.get(sessionId), 'one') === 1)
    },
    revokeOfAnother: async () => {
      const sessionId = this.anyId()
      const call = this.model.process().call('revokeSession', { ...this.owner, userId: randomUUID(), sessionId })
      expect(await call).toBe(false)
    },
    revokeOthers: async () => {
      const sessionId = this.anyId()
      const ended = await this.model
        .process()
        .call('revokeOtherSessions', { ...this.owner, sessionId, reason: 'others' })
      const others = this.live.filter(({ id }) => id !== sessionId)
      expect(ended).toBe(others.reduce((sum, session) => sum + this.end(session, 'others'), 0))
    },
    revokeAll: async () => {
      const ended = await this.model.process().call('revokeSessions', this.owner)
      expect(ended).toBe(this.live.reduce((sum, session) => sum + this.end(session, null), 0))
    },
    roll: async () => {
      const session = this.sessions.get(this.anyId())
      if (!session) return
      const { session: found, setCookie } = await this.model.process().call('refreshSession', session.cookie)
      expect(found.session_id).toBe(session.isLive ? session.id : undefined)
      // The row was slid if the cookie was issued anew; one that has ended is deleted.
      if (session.isLive) expect(setCookie.some((line) => !line.includes('Max-Age=0'))).toBe(true)
      if (session.isLive) session.active = ++this.model.activity
    },
    expire: async () => {
      const session = this.sessions.get(this.anyId())
      if (!session?.isLive) return
      await database.client.query(
        `UPDATE sessions SET expires_at = clock_timestamp() WHERE tenant = $1 AND session_id = $2`,
        [this.owner.tenant, session.id],
      )
      session.isLive = false
    },
  }

  /** At once, in any order. */
  readonly bursts: Record<string, () => Promise<void>> = {
    creates: async () => {
      const calls = Array.from({ length: 5 }, () => this.model.process().call('createSession', this.owner))
      for (const { sessionId } of await Promise.all(calls)) await this.add(sessionId)
      await this.learnOrder()
    },
    refuses: async () => {
      const maxSessions = 1 + this.model.pick(6)
      const options = { ...this.owner, maxSessions, whenFull: 'refuse' as const }
      const calls = Array.from({ length: 6 }, () => this.model.process().call('createSession', options))
      const started = (await Promise.allSettled(calls)).flatMap((call) => {
        if (call.status === 'fulfilled') return [call.value.sessionId]
        expect(call.reason).toMatchObject({ code: FULL })
        return []
      })
      expect(started).toHaveLength(Math.min(6, Math.max(0, maxSessions - this.live.length)))
      for (const id of started) await this.add(id)
      await this.learnOrder()
    },
    revokeOldests: async () => {
      const maxSessions = 1 + this.model.pick(6)
      const before = this.live
      const calls = Array.from({ length: 6 }, () =>
        this.model.process().call('createSession', { ...this.owner, maxSessions }),
      )
      for (const { sessionId } of await Promise.all(calls)) await this.add(sessionId)
      const left = Math.min(maxSessions, before.length + 6)
      const live = await this.learnOrder()
      expect(live).toHaveLength(left)
      for (const session of this.live) if (!live.includes(session.id)) this.end(session, 'max_sessions')
      // Of those before, the ones that were active last are left.
      const kept = before.filter(({ isLive }) => isLive)
      expect(kept).toEqual(before.slice(0, kept.length))
    },
    revokesOfOne: async () => {
      const sessionId = this.anyId()
      const calls = Array.from({ length: 4 }, () =>
        this.model.process().call('revokeSession', { ...this.owner, sessionId, reason: 'one' }),
      )
      const ended = (await Promise.all(calls)).filter(Boolean).length
      expect(ended).toBe(this.end(this.sessions.get(sessionId), 'one'))
    },
    revokesOfAll: async () => {
      const calls = Array.from({ length: 4 }, () =>
        this.model.process().call('revokeSessions', { ...this.owner, reason: 'all' }),
      )
      const ended = (await Promise.all(calls)).reduce((sum, each) => sum + each, 0)
      expect(ended).toBe(this.live.reduce((sum, session) => sum + this.end(session, 'all'), 0))
    },
    rollsAndRevoke: async () => {
      const session = this.sessions.get(this.anyId())
      if (!session) return
      const rolls = Array.from({ length: 3 }, () => this.model.process().call('refreshSession', session.cookie))
      const ended = await this.model
        .process()
        .call('revokeSession', { ...this.owner, sessionId: session.id, reason: 'one' })
      expect(ended).toBe(this.end(session, 'one') === 1)
      await Promise.all(rolls)
      const after = await this.model.process().call('refreshSession', session.cookie)
      expect(after.session).toEqual({})
    },
  }

  /** The order of what was done at once, from the rows: the ids of the live ones. */
  async learnOrder() {
    const { rows } = await database.client.query(
      `SELECT session_id FROM sessions WHERE tenant = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > now()
       ORDER BY last_activity_at, session_id DESC`,
      [this.owner.tenant, this.owner.userId],
    )
    const ids: string[] = rows.map(({ session_id }) => session_id)
    for (const id of ids) Object.assign(this.sessions.get(id) ?? {}, { active: ++this.model.activity })
    return ids
  }
}

test(`${OPERATIONS} random operations leave what the model says; seed ${SEED}`, {
  timeout: 60_000 + OPERATIONS * 30,
}, async () => {
  const model = new Model()
  await database.client.query('DELETE FROM sessions')
  for (let count = 0; count < 3; count++) {
    const first = await createUser(database.client)
    const others = [1, 2].map(() => createUser(database.client, { tenant: first.tenant }))
    const users = [first, ...(await Promise.all(others))].map((user) => new Person(model, user))
    model.tenants.push({ tenant: first.tenant, users })
  }
  const people = () => model.tenants.flatMap(({ users }) => users)
  const tenants = model.tenants.map(({ tenant }) => tenant)
  /** As PostgreSQL has them, to the microsecond. */
  const rowsOf = async (columns: string, values: unknown[] = []) =>
    (
      await database.client.query(`SELECT ${columns} FROM sessions WHERE tenant = ANY ($1) ORDER BY session_id`, [
        tenants,
        ...values,
      ])
    ).rows

  while (model.operations < OPERATIONS) {
    const before: Date = (await database.client.query(`SELECT date_trunc('milliseconds', now()) AS now`)).rows[0].now
    const old = await rowsOf('session_id, coalesce(revoked_at < $2, false) OR expires_at < $2 AS is_over', [before])
    const over = new Set(old.filter(({ is_over }) => is_over).map(({ session_id }) => session_id))
    const units = model.tenants.flatMap(({ tenant, users }) => {
      if (model.pick(8) === 0) {
        return [
          async () => {
            const ended = await model.process().call('revokeTenantSessions', { tenant, reason: 'incident' })
            const all = users.flatMap((user) => user.live.map((session) => user.end(session, 'incident')))
            expect(ended).toBe(all.length)
          },
        ]
      }
      return users.map((user) => async () => {
        for (let left = 2 + model.pick(5); left > 0; left--) await model.any(Object.values(user.steps))()
        if (model.pick(3) === 0) await model.any(Object.values(user.bursts))()
      })
    })
    const deletes = model.pick(3) === 0
    const deletion = async () => {
      // What ends in this round ended after `before`.
      const deleted = await model.process().call('deleteEndedSessions', { before })
      expect(deleted).toBe(over.size)
      model.deleted += deleted
    }
    await Promise.all([...units.map((unit) => unit()), ...(deletes ? [deletion()] : [])])
    if (deletes) for (const { sessions } of people()) for (const id of over) sessions.delete(id)

    const rows = await rowsOf(
      'session_id, user_id, revoked_at IS NULL AND expires_at > now() AS is_live, revoked_reason',
    )
    const expected = people().flatMap(({ owner, sessions }) =>
      [...sessions.values()].map(({ id, isLive, reason }) => ({
        ...{ session_id: id, user_id: owner.userId, is_live: isLive, revoked_reason: reason },
      })),
    )
    expect(rows).toEqual(expected.sort((one, other) => (one.session_id < other.session_id ? -1 : 1)))
    for (const { live, owner } of people()) {
      const listed = await nth(model.pick(PROCESSES)).call('listSessions', owner)
      expect(listed.map(({ sessionId }) => sessionId)).toEqual(live.map(({ id }) => id))
    }
  }
  expect(people().flatMap(({ sessions }) => [...sessions]).length).toBeGreaterThan(0)
  if (OPERATIONS >= 1000) expect(model.deleted).toBeGreaterThan(0)
})
