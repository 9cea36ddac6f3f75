//! What the store said of sessions, kept for a while so that calls need not ask again.
//!
//! The promise: a call that starts `max_staleness` after a revocation was committed never gets that session. So an answer counts
//! from when its query was sent, and what was asked before a session was forgotten is not kept.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use quick_cache::unsync::Cache;
use quick_cache::{Lifecycle, UnitWeighter};
use serde::Serialize;

use super::{Identity, Liveness, Lookup, Scope, SessionKey, SessionRecord, Slide, UserRow, Verdict};
use crate::redacted::redacted;
use crate::schema::{Id, IdTypes};

/// Ids fall into so many groups, of which each knows when one of them was forgotten last. So to forget takes no search.
const GROUPS: usize = 16_384;

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
    kept: Mutex<Kept>,
}

redacted!(SessionCache);

struct Kept {
    sessions: Cache<SessionKey, KeptSession, UnitWeighter, RandomState, CountEvictions>,
    /// What the columns of ids hold, as far as it is known. All ids here are of these types, also while the store has to find out
    /// anew.
    types: Option<IdTypes>,
    forgotten: Forgotten,
    /// What is asked before is not kept, since a write may still be done.
    doubtful_until: Option<Instant>,
    status: CacheStatus,
}

struct KeptSession {
    user_id: Id,
    record: SessionRecord,
    asked: Asked,
    /// For how long it counts, from when it was asked.
    lifetime: Duration,
}

/// A query that is about to be sent.
#[derive(Clone, Copy)]
pub struct Asked {
    at: Moment,
    /// How often sessions had been forgotten by then, as far as the server knows for sure.
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
    /// Keeps at most `max_sessions`. Of what is forgotten, the server that is asked may not know for so long as `lag`.
    pub fn new(max_staleness: Duration, max_sessions: usize, lag: Duration) -> Self {
        let hasher = RandomState::new();
        let kept = Kept {
            sessions: Cache::with(max_sessions, max_sessions as u64, UnitWeighter, hasher.clone(), CountEvictions),
            types: None,
            forgotten: Forgotten::new(hasher, lag),
            doubtful_until: None,
            status: CacheStatus::default(),
        };
        Self { max_staleness, kept: Mutex::new(kept) }
    }

    /// The verdict about a session, if what was said of it still counts, and is enough for the caller.
    pub fn verdict(
        &self,
        identity: &Identity,
        now: Moment,
        is_enough: impl FnOnce(&Verdict) -> bool,
    ) -> Option<Verdict> {
        let mut kept = self.kept();
        let verdict = kept.take_verdict(identity, now).filter(is_enough);
        if verdict.is_some() {
            kept.status.hits += 1;
        } else {
            kept.status.misses += 1;
        }
        verdict
    }

    /// The same with how long ago it was asked for. This doesn't count.
    pub fn peek(&self, identity: &Identity, now: Moment) -> Option<(Verdict, Duration)> {
        let kept = self.kept();
        let (session, lookup) = kept.find(&identity.lookup)?;
        if kept.forgotten.has(&lookup.key, &lookup.user_id, session.asked) {
            return None;
        }
        Some((kept.judge(session, identity, now)?, now.since(session.asked.at)?))
    }

    /// To be called before a query is sent whose answer is to be kept.
    pub fn ask(&self, now: Moment) -> Asked {
        Asked { at: now, forgettings: self.kept().forgotten.known_at(now.monotonic) }
    }

    /// Keeps what the store said of a session, if that may be: only of a session that is live or revoked. `record` is `None` if there
    /// is no such session. `types` are those of the columns.
    pub fn keep(&self, asked: Asked, lookup: &Lookup, record: Option<&SessionRecord>, types: &IdTypes) {
        let mut kept = self.kept();
        // While the types are not known, a session could be kept under an id by which it is not forgotten.
        if !types.are_known() {
            return;
        }
        if kept.types.replace(*types).is_some_and(|before| before != *types) {
            kept.sessions.clear();
            // What was forgotten is noted by ids of the former types.
            kept.forgotten.all();
        }
        let Some(lookup) = lookup.fit(types) else { return };
        let before = kept.sessions.peek(&lookup.key);
        if before.is_some_and(|session| session.asked.at.monotonic > asked.at.monotonic) {
            return;
        }
        let is_of_user = before.map(|session| session.user_id == lookup.user_id);
        let lifetime = record.map_or(Duration::ZERO, lifetime).min(self.max_staleness);
        let Some(record) = record.filter(|_| !lifetime.is_zero()) else {
            // It says that the session is not live, or of another user.
            if is_of_user == Some(true) {
                kept.sessions.remove(&lookup.key);
            }
            return;
        };
        let is_doubtful = kept.doubtful_until.is_some_and(|end| asked.at.monotonic < end);
        if is_doubtful || kept.forgotten.has(&lookup.key, &lookup.user_id, asked) {
            return;
        }
        let record = SessionRecord { slide: Slide::NotAsked, ..record.clone() };
        let session = KeptSession { user_id: lookup.user_id, record, asked, lifetime };
        let mut evicted = 0;
        kept.sessions.insert_with_lifecycle(lookup.key, session, &mut evicted);
        // The one that is replaced counts as evicted there.
        kept.status.evictions += evicted.saturating_sub(u64::from(is_of_user.is_some()));
    }

    /// Forgets the sessions that a write is about; what was asked before is not kept. Where a session can be named in several ways,
    /// all are forgotten, unless the write `ended` none. `is_exact` says whether that can't be where they were written.
    pub fn forget(&self, scope: &Scope, is_exact: bool, ended: bool) {
        let mut kept = self.kept();
        let types = kept.types;
        // Before the first answer nothing is kept, but something may be asked.
        let exact = types.filter(|types| is_exact && types.are_exact());
        let Some(types) = exact else {
            if ended || types.is_none() {
                kept.forgotten.all();
            }
            return;
        };
        // Of what no column can hold there is nothing.
        kept.forget_one(scope, types, |_| {});
    }

    /// Forgets what a notification names as its table does. That need not be as the columns have it that are compared here.
    pub fn forget_named(&self, scope: &Scope) {
        let mut kept = self.kept();
        match kept.types.filter(IdTypes::are_exact) {
            Some(types) => kept.forget_one(scope, types, Forgotten::all),
            None => kept.forgotten.all(),
        }
    }

    /// Forgets all sessions; what was asked before is not kept.
    pub fn forget_all(&self) {
        self.kept().forgotten.all();
    }

    /// Keeps nothing that is asked before then: a write whose answer was lost may still be done until then.
    pub fn doubt_until(&self, end: Instant) {
        let mut kept = self.kept();
        kept.doubtful_until = kept.doubtful_until.max(Some(end));
    }

    pub fn status(&self) -> CacheStatus {
        let kept = self.kept();
        CacheStatus { size: kept.sessions.len(), ..kept.status }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A poisoned lock is harmless here: what is kept is as it was before the panic, or was replaced as a whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn find<'l>(&self, lookup: &'l Lookup) -> Option<(&KeptSession, Cow<'l, Lookup>)> {
        let types = self.types?;
        let lookup = match lookup.is_typed(&types) {
            true => Cow::Borrowed(lookup),
            false => Cow::Owned(lookup.fit(&types)?),
        };
        let session = self.sessions.get(&lookup.key).filter(|session| session.user_id == lookup.user_id)?;
        Some((session, lookup))
    }

    /// `unfit` is called if the column can't hold the id.
    fn forget_one(&mut self, scope: &Scope, types: IdTypes, unfit: impl FnOnce(&mut Forgotten)) {
        let (kind, column, id) = match scope {
            Scope::One { key, .. } => (Kind::Session, Some(types.session_id), &key.session_id),
            Scope::User { owner, .. } => (Kind::User, Some(types.user_id), &owner.user_id),
            Scope::Tenant(tenant) => (Kind::Tenant, types.tenant, tenant),
        };
        match column.map(|column| column.fit(id)) {
            Some(Some(id)) => self.forgotten.one(kind, &id),
            Some(None) => unfit(&mut self.forgotten),
            None => self.forgotten.all(),
        }
    }

    fn judge(&self, session: &KeptSession, identity: &Identity, now: Moment) -> Option<Verdict> {
        if now.since(session.asked.at)? >= session.lifetime {
            return None;
        }
        let liveness = Liveness::of(Some(&session.record), identity.user_type);
        let is_kept = matches!(liveness, Liveness::Live | Liveness::Revoked);
        let record = Some(session.record.clone());
        is_kept.then_some(Verdict { place: 0, liveness, record, judged: Vec::new() })
    }

    fn take_verdict(&mut self, identity: &Identity, now: Moment) -> Option<Verdict> {
        let (session, lookup) = self.find(&identity.lookup)?;
        if !self.forgotten.has(&lookup.key, &lookup.user_id, session.asked) {
            return self.judge(session, identity, now);
        }
        self.sessions.remove(&lookup.key);
        self.status.invalidations += 1;
        None
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
    let slid = if let Slide::Done(seconds) = *slide { Some(seconds) } else { None };
    let left = ends_in.into_iter().chain(slid).map(|seconds| {
        let seconds = if seconds.is_nan() { 0.0 } else { seconds.max(0.0) };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    });
    left.min().unwrap_or(Duration::MAX)
}

/// When what was forgotten. Ids of one group are forgotten together, and ids alone count: to forget too much is harmless.
struct Forgotten {
    hasher: RandomState,
    /// How often something was forgotten so far.
    count: u64,
    /// For all, and for each group: the number of the last time.
    all: u64,
    groups: Box<[u64]>,
    lag: Duration,
    /// What the server may not know yet: the count, and when it was noticed.
    recent: VecDeque<(Instant, u64)>,
    known: u64,
}

#[derive(Clone, Copy, Hash)]
enum Kind {
    Session,
    User,
    Tenant,
}

impl Forgotten {
    fn new(hasher: RandomState, lag: Duration) -> Self {
        let groups = vec![0; GROUPS].into();
        Self { hasher, count: 0, all: 0, groups, lag, recent: VecDeque::new(), known: 0 }
    }

    /// How much of what was forgotten a server knows that is asked now.
    fn known_at(&mut self, now: Instant) -> u64 {
        if self.lag.is_zero() {
            return self.count;
        }
        if self.recent.back().map_or(self.known, |(_, count)| *count) < self.count {
            self.recent.push_back((now, self.count));
        }
        while let Some((noticed, count)) = self.recent.front().copied()
            && now.saturating_duration_since(noticed) >= self.lag
        {
            self.recent.pop_front();
            self.known = count;
        }
        self.known
    }

    /// Whether what was asked then is forgotten.
    fn has(&self, key: &SessionKey, user_id: &Id, Asked { forgettings, .. }: Asked) -> bool {
        let is_later = |kind, id| self.groups[self.group(kind, id)] > forgettings;
        // Mostly nothing was forgotten meanwhile.
        self.count > forgettings
            && (self.all > forgettings
                || is_later(Kind::Session, &key.session_id)
                || is_later(Kind::User, user_id)
                || key.tenant.as_ref().is_some_and(|tenant| is_later(Kind::Tenant, tenant)))
    }

    fn one(&mut self, kind: Kind, id: &Id) {
        self.count += 1;
        self.groups[self.group(kind, id)] = self.count;
    }

    fn all(&mut self) {
        self.count += 1;
        self.all = self.count;
    }

    fn group(&self, kind: Kind, id: &Id) -> usize {
        self.hasher.hash_one((kind, id)) as usize % GROUPS
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
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::super::fake::{identity, live_record, lookup, mark};
    use super::super::{Owner, UserType};
    use super::*;
    use crate::schema::IdType;

    const STALENESS: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);
    const UUIDS: IdTypes = IdTypes { tenant: Some(IdType::Uuid), session_id: IdType::Uuid, user_id: IdType::Uuid };

    /// One in which the ids of the tests fall into different groups.
    fn cache() -> SessionCache {
        let are_apart = |cache: &SessionCache| {
            let Kept { forgotten, .. } = &*cache.kept();
            let groups = |kind| (0..4).map(move |id| forgotten.group(kind, &lookup(id, id).user_id));
            let all: HashSet<_> = [Kind::Session, Kind::User, Kind::Tenant].into_iter().flat_map(groups).collect();
            all.len() == 12
        };
        std::iter::repeat_with(|| SessionCache::new(STALENESS, 100, Duration::ZERO))
            .find(are_apart)
            .expect("is soon found")
    }

    /// So long after the beginning of a test, by both clocks.
    fn at(time: Duration) -> Moment {
        static START: std::sync::OnceLock<Moment> = std::sync::OnceLock::new();
        let start = START.get_or_init(Moment::now);
        Moment { monotonic: start.monotonic + time, wall: start.wall + time }
    }

    fn keep_at(cache: &SessionCache, time: Duration, session: u128, record: &SessionRecord) {
        cache.keep(cache.ask(at(time)), &lookup(session, 1), Some(record), &UUIDS);
    }

    fn keep(cache: &SessionCache, session: u128, record: &SessionRecord) {
        keep_at(cache, Duration::ZERO, session, record);
    }

    fn verdict(cache: &SessionCache, identity: &Identity, now: Moment) -> Option<Verdict> {
        cache.verdict(identity, now, |_| true)
    }

    fn liveness(cache: &SessionCache, session: u128, time: Duration) -> Option<Liveness> {
        verdict(cache, &identity(session, 1), at(time)).map(|verdict| verdict.liveness)
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

    /// The same ids as texts, as they are before the types of the columns are known.
    fn as_texts(Lookup { key, user_id }: &Lookup) -> Lookup {
        let text = |id: &Id| Id::Text((&*id.text()).into());
        let key = SessionKey { tenant: key.tenant.as_ref().map(text), session_id: text(&key.session_id) };
        Lookup { key, user_id: text(user_id) }
    }

    #[test]
    fn only_live_and_revoked_sessions_are_kept_and_no_longer_than_they_last() {
        let live = live_record();
        let ends_in = |seconds| SessionRecord { ends_in: Some(seconds), ..live_record() };
        let slid = |seconds| SessionRecord { slide: Slide::Done(seconds), ..ends_in(25.0) };
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
            ("slid for longer", slid(100.0), yes, yes),
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
        let kept = verdict(&cache, &identity(1, 1), now).expect("is kept").record.expect("has a record");
        assert!(kept.fresh == Some(mark(7)));
        assert!(verdict(&cache, &identity(2, 1), now).is_none(), "another session");
        assert!(verdict(&cache, &identity(1, 2), now).is_none(), "another user");
        assert!(verdict(&cache, &Identity { user_type: client, ..identity(1, 1) }, now).is_none(), "another type");
        assert!(cache.verdict(&identity(1, 1), now, |_| false).is_none(), "not enough for the caller");
        assert_eq!(cache.status(), CacheStatus { size: 1, hits: 1, misses: 4, ..CacheStatus::default() });
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
            assert_eq!(verdict(&cache, &identity(1, 1), now).is_some(), is_kept, "{case}");
        }
        let back = Moment { wall: at(Duration::ZERO).wall - SECOND, ..at(SECOND) };
        assert!(verdict(&cache, &identity(1, 1), back).is_none(), "the wall clock was set back");
        let (_, age) = cache.peek(&identity(1, 1), moment(SECOND, 2 * SECOND)).expect("is kept");
        assert_eq!(age, 2 * SECOND);
    }

    #[test]
    fn what_is_forgotten_is_gone_and_what_was_asked_before_is_not_kept() {
        let loose = IdTypes { session_id: IdType::LooseText, ..UUIDS };
        let lone = IdTypes { tenant: None, ..UUIDS };
        let other = Scope::Tenant(lookup(0, 0).user_id);
        let no_id = Scope::User { owner: Owner { tenant: None, user_id: Id::Text("no UUID".into()) }, kept: None };
        let without_tenant = |scope: Scope| match scope {
            Scope::One { key, user_id } => Scope::One { key: SessionKey { tenant: None, ..key }, user_id },
            Scope::User { owner, kept } => Scope::User { owner: Owner { tenant: None, ..owner }, kept },
            Scope::Tenant(_) => unreachable!("has one"),
        };
        for (case, scope, types, is_exact, ended, forgotten) in [
            ("one", one(1), UUIDS, true, true, [true, false]),
            ("one, though none was live", one(1), UUIDS, true, false, [true, false]),
            ("one, where others can be the same", one(1), loose, true, true, [true, true]),
            ("one, where others could be the same when it was written", one(1), UUIDS, false, true, [true, true]),
            ("none, where others can be the same", one(1), loose, true, false, [false, false]),
            ("one, by a bridge without tenants", without_tenant(one(1)), UUIDS, true, true, [true, false]),
            ("a user", user(1), UUIDS, true, true, [true, false]),
            ("a user, by a bridge without tenants", without_tenant(user(1)), UUIDS, true, true, [true, false]),
            ("a user who can't exist", no_id, UUIDS, true, true, [false, false]),
            ("a tenant", tenant(), UUIDS, true, true, [true, true]),
            ("a tenant, where there are none", tenant(), lone, true, true, [true, true]),
            ("another tenant", other, UUIDS, true, true, [false, false]),
        ] {
            let cache = cache();
            let both = [identity(1, 1), identity(2, 2)].map(|mut identity| {
                identity.lookup.key.tenant = identity.lookup.key.tenant.filter(|_| types.tenant.is_some());
                identity.lookup = identity.lookup.fit(&types).expect("fits");
                identity
            });
            let keep_both = |asked: Asked| {
                both.iter().for_each(|identity| cache.keep(asked, &identity.lookup, Some(&live_record()), &types));
            };
            let kept = || both.each_ref().map(|identity| verdict(&cache, identity, at(Duration::ZERO)).is_some());
            let before = cache.ask(at(Duration::ZERO));
            keep_both(before);
            assert_eq!(kept(), [true, true], "{case}");
            cache.forget(&scope, is_exact, ended);
            assert_eq!(kept(), forgotten.map(|gone| !gone), "{case}");
            let count = forgotten.iter().filter(|gone| **gone).count() as u64;
            assert_eq!(cache.status().invalidations, count, "{case}");
            keep_both(before);
            assert_eq!(kept(), forgotten.map(|gone| !gone), "{case}: asked before");
            keep_both(cache.ask(at(Duration::ZERO)));
            assert_eq!(kept(), [true, true], "{case}: asked afterwards");
        }
    }

    /// The types of the columns are looked up anew from time to time; meanwhile they are not known, and ids are texts.
    #[test]
    fn a_session_is_kept_and_forgotten_under_one_id_whether_the_types_are_known_or_not() {
        let unknown = IdTypes::unknown(true);
        let cache = cache();
        let texts = Identity { lookup: as_texts(&lookup(1, 1)), ..identity(1, 1) };
        let now = at(Duration::ZERO);
        cache.keep(cache.ask(now), &texts.lookup, Some(&live_record()), &unknown);
        assert_eq!(cache.status().size, 0, "not while the types are unknown");
        cache.keep(cache.ask(now), &texts.lookup, Some(&live_record()), &UUIDS);
        for identity in [&texts, &identity(1, 1)] {
            assert!(verdict(&cache, identity, now).is_some());
        }
        cache.forget(&Scope::One { key: texts.lookup.key.clone(), user_id: None }, true, true);
        for identity in [&texts, &identity(1, 1)] {
            assert!(verdict(&cache, identity, now).is_none());
        }
        keep(&cache, 1, &live_record());
        let text = IdTypes { session_id: IdType::Text, ..UUIDS };
        let before = cache.ask(now);
        for asked in [before, before] {
            cache.keep(asked, &lookup(2, 1), Some(&live_record()), &text);
            assert_eq!(liveness(&cache, 2, Duration::ZERO), None, "asked before the column had another type");
        }
        cache.keep(cache.ask(now), &lookup(2, 1), Some(&live_record()), &text);
        assert_eq!(liveness(&cache, 1, Duration::ZERO), None, "the column has another type now");
        assert_eq!(liveness(&cache, 2, Duration::ZERO), Some(Liveness::Live));
    }

    #[test]
    fn a_newer_answer_replaces_an_older_one_and_never_the_other_way_round() {
        let revoked = SessionRecord { revoked: true, ..live_record() };
        let expired = SessionRecord { expired: true, ..live_record() };
        let of_another = SessionRecord { is_of_user: false, ..live_record() };
        let (live, none) = (Some(Liveness::Live), None);
        for (case, newer, user, expected) in [
            ("revoked", Some(&revoked), 1, Some(Liveness::Revoked)),
            ("expired", Some(&expired), 1, none),
            ("gone", None, 1, none),
            ("another user asked", Some(&of_another), 2, live),
            ("another user asked, and it is gone", None, 2, live),
        ] {
            let cache = cache();
            let older = cache.ask(at(Duration::ZERO));
            keep(&cache, 1, &live_record());
            let newest = cache.ask(at(SECOND));
            cache.keep(newest, &lookup(1, user), newer, &UUIDS);
            assert_eq!(liveness(&cache, 1, SECOND), expected, "{case}");
            if expected == Some(Liveness::Revoked) {
                cache.keep(older, &lookup(1, 1), Some(&live_record()), &UUIDS);
                assert_eq!(liveness(&cache, 1, SECOND), expected, "{case}: an older one that comes later");
            }
        }
    }

    #[test]
    fn while_a_write_may_still_be_done_nothing_is_kept() {
        let cache = cache();
        cache.doubt_until(at(10 * SECOND).monotonic);
        cache.doubt_until(at(5 * SECOND).monotonic);
        for (seconds, is_kept) in [(0, false), (9, false), (10, true)] {
            let time = seconds * SECOND;
            keep_at(&cache, time, 1, &live_record());
            assert_eq!(liveness(&cache, 1, time).is_some(), is_kept, "{seconds}");
        }
    }

    #[test]
    fn what_a_notification_names_is_forgotten_or_all_if_the_name_does_not_fit() {
        let text = |text: &str| Id::Text(text.into());
        let session = |session_id| Scope::One { key: SessionKey { tenant: None, session_id }, user_id: None };
        let first = || lookup(1, 1).key.session_id;
        for (case, scope, expected) in [
            ("as a text", session(text(&first().text())), [false, true]),
            ("in upper case", session(text(&first().text().to_uppercase())), [false, true]),
            ("another one", session(lookup(3, 1).key.session_id), [true, true]),
            ("without hyphens", session(text(&first().text().replace('-', ""))), [false, false]),
            ("the user", user(1), [false, false]),
            (
                "a user of another type",
                Scope::User { owner: Owner { tenant: None, user_id: text("bob") }, kept: None },
                [false, false],
            ),
        ] {
            let cache = cache();
            [1, 2].into_iter().for_each(|session| keep(&cache, session, &live_record()));
            cache.forget_named(&scope);
            let kept = [1, 2].map(|session| liveness(&cache, session, Duration::ZERO).is_some());
            assert_eq!(kept, expected, "{case}");
        }
        let cache = cache();
        let asked = cache.ask(at(Duration::ZERO));
        cache.forget_named(&one(3));
        cache.keep(asked, &lookup(1, 1), Some(&live_record()), &UUIDS);
        assert_eq!(liveness(&cache, 1, Duration::ZERO), None, "before the types are known");
    }

    #[test]
    fn what_a_server_says_that_may_not_know_of_the_end_is_not_kept() {
        let cache = SessionCache::new(STALENESS, 100, SECOND);
        let half = SECOND / 2;
        cache.forget_all();
        for (time, is_kept) in [(Duration::ZERO, false), (half, false), (SECOND, true)] {
            keep_at(&cache, time, 1, &live_record());
            assert_eq!(liveness(&cache, 1, time).is_some(), is_kept, "{time:?}");
        }
        keep_at(&cache, SECOND, 2, &live_record());
        cache.forget_all();
        assert_eq!(liveness(&cache, 1, SECOND), None);
        keep_at(&cache, SECOND + half, 1, &live_record());
        cache.forget_all();
        // Each forgetting counts from when it was noticed.
        for (half_seconds, is_kept) in [(4, false), (5, false), (6, true)] {
            let time = half_seconds * half;
            keep_at(&cache, time, 1, &live_record());
            assert_eq!(liveness(&cache, 1, time).is_some(), is_kept, "{time:?}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let cache = SessionCache::new(STALENESS, 10, Duration::ZERO);
        (0..1000).for_each(|session| keep(&cache, session, &live_record()));
        let CacheStatus { size, evictions, .. } = cache.status();
        assert!((1..=10).contains(&size), "{size}");
        assert_eq!(size as u64 + evictions, 1000);
        let cache = SessionCache::new(STALENESS, 10, Duration::ZERO);
        (0..10).for_each(|_| keep(&cache, 1, &live_record()));
        assert_eq!(cache.status(), CacheStatus { size: 1, ..CacheStatus::default() }, "kept anew");
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A query is sent, which sees the table as it is.
        Send(u128),
        /// The answer of one that was sent arrives. Perhaps the types of the columns are just not known.
        Arrive(usize, bool),
        /// Somebody ends the session.
        Commit(u128),
        /// This process is told that it has, so all its caches forget it.
        Forget(u128),
        ForgetUser,
        ForgetAll,
        Wait(u64),
        /// By ids as the columns have them, or as texts.
        Read(u128, bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        let session = 1..4_u128;
        prop_oneof![
            4 => session.clone().prop_map(Step::Send),
            4 => (0..8_usize, prop::bool::weighted(0.8)).prop_map(|(place, known)| Step::Arrive(place, known)),
            2 => session.clone().prop_map(Step::Commit),
            1 => session.clone().prop_map(Step::Forget),
            1 => Just(Step::ForgetUser),
            1 => Just(Step::ForgetAll),
            2 => (1..20_u64).prop_map(Step::Wait),
            6 => (session, any::<bool>()).prop_map(|(session, typed)| Step::Read(session, typed)),
        ]
    }

    /// When a session was revoked, and whether this process was told that it did that.
    type Revoked = Option<(Duration, bool)>;

    proptest! {
        /// The promise of `maxStaleness`, whatever overtakes what.
        #[test]
        fn no_read_gets_a_session_that_ended_before(steps in prop::collection::vec(step(), 1..150)) {
            let cache = cache();
            let mut now = Duration::ZERO;
            let mut revoked: [Revoked; 4] = [None; 4];
            let mut in_flight: Vec<(Asked, u128, bool)> = Vec::new();
            for step in steps {
                match step {
                    Step::Send(session) => {
                        in_flight.push((cache.ask(at(now)), session, revoked[session as usize].is_some()));
                    }
                    Step::Arrive(place, are_known) if place < in_flight.len() => {
                        let (asked, session, is_revoked) = in_flight.remove(place);
                        let record = SessionRecord { revoked: is_revoked, ..live_record() };
                        let types = if are_known { UUIDS } else { IdTypes::unknown(true) };
                        cache.keep(asked, &lookup(session, 1), Some(&record), &types);
                    }
                    Step::Arrive(..) => {}
                    Step::Commit(session) => {
                        revoked[session as usize].get_or_insert((now, false));
                    }
                    Step::Forget(session) => {
                        if let Some((_, is_told)) = &mut revoked[session as usize] {
                            *is_told = true;
                        }
                        cache.forget(&one(session), true, true);
                    }
                    Step::ForgetUser | Step::ForgetAll => {
                        revoked.iter_mut().flatten().for_each(|(_, is_told)| *is_told = true);
                        match step {
                            Step::ForgetAll => cache.forget_all(),
                            _ => cache.forget(&user(1), true, true),
                        }
                    }
                    Step::Wait(seconds) => now += seconds as u32 * SECOND,
                    Step::Read(session, is_typed) => {
                        let mut read = identity(session, 1);
                        if !is_typed {
                            read.lookup = as_texts(&read.lookup);
                        }
                        if verdict(&cache, &read, at(now)).is_some_and(|verdict| verdict.is_live()) {
                            let ended = revoked[session as usize];
                            let may_be_live =
                                ended.is_none_or(|(since, is_told)| !is_told && now < since + STALENESS);
                            prop_assert!(may_be_live, "{ended:?} at {now:?}");
                        }
                    }
                }
            }
        }
    }
}
