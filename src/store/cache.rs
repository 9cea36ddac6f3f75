//! What the store said of sessions, kept for a while so that calls need not ask again.
//!
//! The promise: a call that starts `max_staleness` after a revocation was committed never gets that session. So an answer counts
//! from when its query was sent, and what was asked before a session was forgotten is not kept.
#![forbid(unsafe_code)]

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use quick_cache::unsync::Cache;
use quick_cache::{Lifecycle, UnitWeighter};
use serde::Serialize;

use super::{Identity, Liveness, Lookup, Scope, SessionKey, SessionRecord, Slide, UserRow, Verdict};
use crate::redacted::redacted;
use crate::schema::{Id, IdTypes};

/// Keys fall into so many groups, of which each knows when one of its sessions was forgotten last.
const GROUPS: usize = 256;

/// A point in time by both clocks of the machine: the monotonic one stands still while the machine sleeps, the other one can be
/// set.
#[derive(Clone, Copy)]
pub struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// The longer time of both clocks; `None` if the wall clock was set back.
    fn since(self, earlier: Self) -> Option<Duration> {
        let wall = self.wall.duration_since(earlier.wall).ok()?;
        Some(wall.max(self.monotonic.saturating_duration_since(earlier.monotonic)))
    }
}

/// The live and the revoked sessions that the store told of.
pub struct SessionCache {
    max_staleness: Duration,
    hasher: RandomState,
    kept: Mutex<Kept>,
}

redacted!(SessionCache);

struct Kept {
    sessions: Cache<SessionKey, KeptSession, UnitWeighter, RandomState, CountEvictions>,
    /// How often sessions were forgotten so far.
    forgettings: u64,
    /// The number of the forgetting that was the last for each group of keys.
    last_of_group: [u64; GROUPS],
    hits: u64,
    misses: u64,
    invalidations: u64,
    evictions: u64,
}

struct KeptSession {
    user_id: Id,
    record: SessionRecord,
    asked_at: Moment,
    /// From then on.
    lifetime: Duration,
}

/// A query that is about to be sent.
pub struct Asked {
    at: Moment,
    /// How often sessions had been forgotten by then.
    forgettings: u64,
}

/// Serialises to `cache` of `BridgeStats` in `index.d.ts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheStatus {
    pub size: usize,
    pub hits: u64,
    pub misses: u64,
    pub evictions: u64,
    pub invalidations: u64,
}

impl SessionCache {
    /// Keeps at most `max_sessions`.
    pub fn new(max_staleness: Duration, max_sessions: usize) -> Self {
        let capacity = max_sessions as u64;
        let hasher = RandomState::new();
        let sessions = Cache::with(max_sessions, capacity, UnitWeighter, hasher.clone(), CountEvictions);
        let (forgettings, last_of_group) = (0, [0; GROUPS]);
        let (hits, misses, invalidations, evictions) = (0, 0, 0, 0);
        let kept = Kept { sessions, forgettings, last_of_group, hits, misses, invalidations, evictions };
        Self { max_staleness, hasher, kept: Mutex::new(kept) }
    }

    /// The verdict about a session, if what was said of it still counts.
    pub fn verdict(&self, identity: &Identity, now: Moment) -> Option<Verdict> {
        let mut kept = self.kept();
        let verdict = kept.verdict(identity, now);
        if verdict.is_some() {
            kept.hits += 1;
        } else {
            kept.misses += 1;
        }
        verdict
    }

    /// The same with how long ago it was asked for. This doesn't count.
    pub fn peek(&self, identity: &Identity, now: Moment) -> Option<(Verdict, Duration)> {
        let kept = self.kept();
        let verdict = kept.verdict(identity, now)?;
        let session = kept.sessions.peek(&identity.lookup.key)?;
        Some((verdict, now.since(session.asked_at)?))
    }

    /// To be called before a query is sent whose answer is to be kept.
    pub fn ask(&self, now: Moment) -> Asked {
        Asked { at: now, forgettings: self.kept().forgettings }
    }

    /// Keeps what the store said of a session, if that may be: only of a session that is live or revoked.
    pub fn keep(&self, asked: &Asked, lookup: &Lookup, record: &SessionRecord) {
        let lifetime = lifetime(record).min(self.max_staleness);
        if lifetime.is_zero() {
            return;
        }
        let group = self.group(&lookup.key);
        let mut kept = self.kept();
        let is_newer = |session: &KeptSession| session.asked_at.monotonic > asked.at.monotonic;
        if kept.last_of_group[group] > asked.forgettings || kept.sessions.peek(&lookup.key).is_some_and(is_newer) {
            return;
        }
        let session = KeptSession {
            user_id: lookup.user_id.clone(),
            record: SessionRecord { slide: Slide::NotAsked, ..record.clone() },
            asked_at: asked.at,
            lifetime,
        };
        let mut evicted = 0;
        kept.sessions.insert_with_lifecycle(lookup.key.clone(), session, &mut evicted);
        kept.evictions += evicted;
    }

    /// Forgets the sessions that a write is about. What was asked before is not kept. `types` are those of the columns.
    pub fn forget(&self, scope: &Scope, types: &IdTypes) {
        let mut kept = self.kept();
        kept.forgettings += 1;
        let number = kept.forgettings;
        let before = kept.sessions.len();
        match Forgotten::of(scope, types) {
            Forgotten::Nothing => {}
            Forgotten::One(key) => {
                kept.last_of_group[self.group(&key)] = number;
                kept.sessions.remove(&key);
            }
            Forgotten::User { tenant, user_id } => {
                kept.last_of_group = [number; GROUPS];
                kept.sessions.retain(|key, session| key.tenant != tenant || session.user_id != user_id);
            }
            Forgotten::Tenant(tenant) => {
                kept.last_of_group = [number; GROUPS];
                kept.sessions.retain(|key, _| key.tenant.as_ref() != Some(&tenant));
            }
            Forgotten::All => {
                kept.last_of_group = [number; GROUPS];
                kept.sessions.clear();
            }
        }
        kept.invalidations += (before - kept.sessions.len()) as u64;
    }

    pub fn status(&self) -> CacheStatus {
        let kept = self.kept();
        let Kept { hits, misses, evictions, invalidations, .. } = *kept;
        CacheStatus { size: kept.sessions.len(), hits, misses, evictions, invalidations }
    }

    fn group(&self, key: &SessionKey) -> usize {
        self.hasher.hash_one(key) as usize % GROUPS
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A poisoned lock is harmless here: what is kept is as it was before the panic, or was replaced as a whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn verdict(&self, identity: &Identity, now: Moment) -> Option<Verdict> {
        let session = self.sessions.get(&identity.lookup.key)?;
        if session.user_id != identity.lookup.user_id || now.since(session.asked_at)? >= session.lifetime {
            return None;
        }
        let liveness = Liveness::of(Some(&session.record), identity.user_type);
        let is_kept = matches!(liveness, Liveness::Live | Liveness::Revoked);
        let record = Some(session.record.clone());
        is_kept.then_some(Verdict { place: 0, liveness, record, judged: Vec::new() })
    }
}

/// For how long an answer may be kept at most, by the row itself. What a session has left is told by the database: its clock may
/// differ from that of this machine.
fn lifetime(record: &SessionRecord) -> Duration {
    let SessionRecord { is_of_user, revoked, expired, too_old, ref user, ref slide, ends_in, .. } = *record;
    if revoked {
        return Duration::MAX;
    }
    if expired || too_old || !is_of_user || *user == UserRow::Missing {
        return Duration::ZERO;
    }
    let seconds = if let Slide::Done(seconds) = *slide { Some(seconds) } else { ends_in };
    seconds.map_or(Duration::MAX, |seconds| {
        let seconds = if seconds.is_nan() { 0.0 } else { seconds.max(0.0) };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    })
}

/// The sessions of a [`Scope`], by ids as the columns have them.
enum Forgotten {
    /// The columns can't hold the ids, so there are no such sessions.
    Nothing,
    One(SessionKey),
    User {
        tenant: Option<Id>,
        user_id: Id,
    },
    Tenant(Id),
    /// Where a session can be named in several ways, or it is not known.
    All,
}

impl Forgotten {
    fn of(scope: &Scope, types: &IdTypes) -> Self {
        if !types.are_exact() {
            return Self::All;
        }
        let forgotten = match scope {
            Scope::One { key, .. } => key.fit(types).map(Self::One),
            Scope::User { owner, .. } => {
                owner.fit(types).map(|owner| Self::User { tenant: owner.tenant, user_id: owner.user_id })
            }
            Scope::Tenant(tenant) => types.fit_tenant(Some(tenant)).flatten().map(Self::Tenant),
        };
        forgotten.unwrap_or(Self::Nothing)
    }
}

/// Counts the sessions for which there was no room.
#[derive(Clone)]
struct CountEvictions;

impl Lifecycle<SessionKey, KeptSession> for CountEvictions {
    type RequestState = u64;

    fn on_evict(&self, evicted: &mut u64, _: SessionKey, _: KeptSession) {
        *evicted += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::fake::{identity, live_record, lookup, mark};
    use super::super::{Owner, UserType};
    use super::*;
    use crate::schema::IdType;

    const STALENESS: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);
    const UUIDS: IdTypes = IdTypes { tenant: Some(IdType::Uuid), session_id: IdType::Uuid, user_id: IdType::Uuid };

    fn cache() -> SessionCache {
        SessionCache::new(STALENESS, 100)
    }

    /// So long after the beginning of a test, by both clocks.
    fn at(time: Duration) -> Moment {
        static START: std::sync::OnceLock<Moment> = std::sync::OnceLock::new();
        let start = START.get_or_init(Moment::now);
        Moment { monotonic: start.monotonic + time, wall: start.wall + time }
    }

    fn keep(cache: &SessionCache, session: u128, record: &SessionRecord) {
        cache.keep(&cache.ask(at(Duration::ZERO)), &lookup(session, 1), record);
    }

    fn liveness(cache: &SessionCache, session: u128, time: Duration) -> Option<Liveness> {
        cache.verdict(&identity(session, 1), at(time)).map(|verdict| verdict.liveness)
    }

    fn one(session: u128) -> Scope {
        Scope::One { key: lookup(session, 1).key, user_id: None }
    }

    fn user(user: u128) -> Scope {
        let Lookup { key, user_id } = lookup(0, user);
        Scope::User { owner: Owner { tenant: key.tenant, user_id }, kept: None }
    }

    fn tenant() -> Scope {
        Scope::Tenant(lookup(0, 0).key.tenant.expect("has one"))
    }

    #[test]
    fn only_live_and_revoked_sessions_are_kept_and_no_longer_than_they_last() {
        let live = live_record();
        let ends_in = |seconds| SessionRecord { ends_in: Some(seconds), ..live_record() };
        let slid = |seconds| SessionRecord { slide: Slide::Done(seconds), ..ends_in(0.5) };
        let revoked = SessionRecord { revoked: true, ends_in: Some(-5.0), ..live_record() };
        let (yes, no) = (Some(Liveness::Live), None);
        for (case, record, at_once, after_20_seconds) in [
            ("live, without end", live.clone(), yes, yes),
            ("live for longer", ends_in(31.0), yes, yes),
            ("live for 20 s", ends_in(20.0), yes, no),
            ("live for infinity", ends_in(f64::INFINITY), yes, yes),
            ("live for ever after all", ends_in(1e300), yes, yes),
            ("with an end that is no number", ends_in(f64::NAN), no, no),
            ("ends now", ends_in(0.0), no, no),
            ("has ended", ends_in(-1.0), no, no),
            ("slid for 25 s", slid(25.0), yes, yes),
            ("slid for 10 s", slid(10.0), yes, no),
            ("slide refused", SessionRecord { slide: Slide::Held, ..ends_in(21.0) }, yes, yes),
            ("revoked", revoked.clone(), Some(Liveness::Revoked), Some(Liveness::Revoked)),
            ("expired", SessionRecord { expired: true, ..live.clone() }, no, no),
            ("too old", SessionRecord { too_old: true, ..live.clone() }, no, no),
            ("of another user", SessionRecord { is_of_user: false, ..live.clone() }, no, no),
            ("user gone", SessionRecord { user: UserRow::Missing, ..live.clone() }, no, no),
            ("user of another type", SessionRecord { user: UserRow::OfType("client".into()), ..live }, no, no),
        ] {
            let cache = cache();
            keep(&cache, 1, &record);
            assert_eq!(liveness(&cache, 1, Duration::ZERO), at_once, "{case}");
            assert_eq!(liveness(&cache, 1, 20 * SECOND), after_20_seconds, "{case}");
            assert_eq!(liveness(&cache, 1, STALENESS), None, "{case}");
        }
    }

    #[test]
    fn an_answer_counts_for_the_session_and_user_that_were_asked_for() {
        let cache = cache();
        keep(&cache, 1, &SessionRecord { fresh: Some(mark(7)), ..live_record() });
        let client = Some(UserType::Client);
        let now = at(Duration::ZERO);
        let kept = cache.verdict(&identity(1, 1), now).expect("is kept").record.expect("has a record");
        assert!(kept.fresh == Some(mark(7)));
        assert!(cache.verdict(&identity(2, 1), now).is_none(), "another session");
        assert!(cache.verdict(&identity(1, 2), now).is_none(), "another user");
        assert!(cache.verdict(&Identity { user_type: client, ..identity(1, 1) }, now).is_none(), "another type");
        assert_eq!(cache.status(), CacheStatus { size: 1, hits: 1, misses: 3, ..CacheStatus::default() });
    }

    /// While the machine sleeps the monotonic clock stands still.
    #[test]
    fn an_answer_is_as_old_as_either_clock_says() {
        let cache = cache();
        keep(&cache, 1, &live_record());
        let moment =
            |monotonic: Duration, wall: Duration| Moment { monotonic: at(monotonic).monotonic, wall: at(wall).wall };
        let (short, long) = (STALENESS - Duration::from_millis(1), STALENESS);
        for (case, now, is_kept) in [
            ("both", moment(short, short), true),
            ("frozen", moment(short, long), false),
            ("the wall clock is slow", moment(long, short), false),
            ("just asked", moment(Duration::ZERO, Duration::ZERO), true),
        ] {
            assert_eq!(cache.verdict(&identity(1, 1), now).is_some(), is_kept, "{case}");
        }
        let back = Moment { wall: at(Duration::ZERO).wall - SECOND, ..at(SECOND) };
        assert!(cache.verdict(&identity(1, 1), back).is_none(), "the wall clock was set back");
        let (_, age) = cache.peek(&identity(1, 1), moment(SECOND, 2 * SECOND)).expect("is kept");
        assert_eq!(age, 2 * SECOND);
    }

    #[test]
    fn what_is_forgotten_is_gone_and_what_was_asked_before_is_not_kept() {
        let loose = IdTypes { session_id: IdType::LooseText, ..UUIDS };
        let unknown = IdTypes::unknown(true);
        let other = Scope::Tenant(lookup(0, 0).user_id);
        for (case, scope, types, forgotten) in [
            ("one", one(1), UUIDS, [true, false]),
            ("one, where others can be the same", one(1), loose, [true, true]),
            ("one, before the types are known", one(1), unknown, [true, true]),
            ("a user", user(1), UUIDS, [true, false]),
            ("a tenant", tenant(), UUIDS, [true, true]),
            ("another tenant", other, UUIDS, [false, false]),
        ] {
            let cache = cache();
            let both = [identity(1, 1), identity(2, 2)];
            let keep_both = |asked: &Asked| {
                both.iter().for_each(|identity| cache.keep(asked, &identity.lookup, &live_record()));
            };
            let kept = || both.each_ref().map(|identity| cache.verdict(identity, at(Duration::ZERO)).is_some());
            let before = cache.ask(at(Duration::ZERO));
            keep_both(&before);
            assert_eq!(kept(), [true, true], "{case}");
            cache.forget(&scope, &types);
            assert_eq!(kept(), forgotten.map(|gone| !gone), "{case}");
            let count = forgotten.iter().filter(|gone| **gone).count() as u64;
            assert_eq!(cache.status().invalidations, count, "{case}");
            keep_both(&before);
            assert!(!kept()[0] || !forgotten[0], "{case}: asked before");
            keep_both(&cache.ask(at(Duration::ZERO)));
            assert_eq!(kept(), [true, true], "{case}: asked afterwards");
        }
    }

    #[test]
    fn an_older_answer_that_comes_later_replaces_no_newer_one() {
        let cache = cache();
        let older = cache.ask(at(Duration::ZERO));
        let newer = cache.ask(at(SECOND));
        cache.keep(&newer, &lookup(1, 1), &SessionRecord { revoked: true, ..live_record() });
        cache.keep(&older, &lookup(1, 1), &live_record());
        assert_eq!(liveness(&cache, 1, SECOND), Some(Liveness::Revoked));
    }

    #[test]
    fn memory_is_bounded() {
        let cache = SessionCache::new(STALENESS, 10);
        (0..1000).for_each(|session| keep(&cache, session, &live_record()));
        let CacheStatus { size, evictions, .. } = cache.status();
        assert!((1..=10).contains(&size), "{size}");
        assert_eq!(size as u64 + evictions, 1000);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A query is sent, which sees the table as it is.
        Send(u128),
        /// The answer of one that was sent arrives.
        Arrive(usize),
        /// Another process ends the session.
        RevokeElsewhere(u128),
        /// This process does: the table, then the cache.
        Revoke(u128),
        RevokeUser,
        Wait(u64),
        Read(u128),
    }

    fn step() -> impl Strategy<Value = Step> {
        let session = 1..4_u128;
        prop_oneof![
            4 => session.clone().prop_map(Step::Send),
            4 => (0..8_usize).prop_map(Step::Arrive),
            1 => session.clone().prop_map(Step::RevokeElsewhere),
            1 => session.clone().prop_map(Step::Revoke),
            1 => Just(Step::RevokeUser),
            2 => (1..20_u64).prop_map(Step::Wait),
            6 => session.prop_map(Step::Read),
        ]
    }

    proptest! {
        /// The promise of `maxStaleness`, whatever overtakes what.
        #[test]
        fn no_read_gets_a_session_that_ended_before(steps in prop::collection::vec(step(), 1..120)) {
            let cache = cache();
            let mut now = Duration::ZERO;
            // When each session was revoked, and whether this process did it.
            let mut revoked: [Option<(Duration, bool)>; 4] = [None; 4];
            let mut in_flight: Vec<(Arc<Asked>, u128, bool)> = Vec::new();
            for step in steps {
                match step {
                    Step::Send(session) => {
                        in_flight.push((Arc::new(cache.ask(at(now))), session, revoked[session as usize].is_some()));
                    }
                    Step::Arrive(place) if place < in_flight.len() => {
                        let (asked, session, is_revoked) = in_flight.remove(place);
                        let record = SessionRecord { revoked: is_revoked, ..live_record() };
                        cache.keep(&asked, &lookup(session, 1), &record);
                    }
                    Step::Arrive(_) => {}
                    Step::RevokeElsewhere(session) => {
                        revoked[session as usize].get_or_insert((now, false));
                    }
                    Step::Revoke(session) => {
                        revoked[session as usize].get_or_insert((now, true)).1 = true;
                        cache.forget(&one(session), &UUIDS);
                    }
                    Step::RevokeUser => {
                        revoked.iter_mut().for_each(|revoked| revoked.get_or_insert((now, true)).1 = true);
                        cache.forget(&user(1), &UUIDS);
                    }
                    Step::Wait(seconds) => now += seconds as u32 * SECOND,
                    Step::Read(session) => {
                        if liveness(&cache, session, now) == Some(Liveness::Live) {
                            let ended = revoked[session as usize];
                            let may_be_live = ended.is_none_or(|(since, by_us)| !by_us && now < since + STALENESS);
                            prop_assert!(may_be_live, "{ended:?} at {now:?}");
                        }
                    }
                }
            }
        }
    }
}
