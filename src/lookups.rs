//! Sessions -> answers: which of them live, asked in batches without waiting for any.
//!
//! A lone call is asked at once. While its query is on the way others gather; they go out together,
//! in one query, as soon as the connection is free. So the batch grows with the load by itself.
//!
//! A call that starts after a revocation has committed never gets that session, since a call only
//! shares a query that is sent after it began to wait: see [`Lookups::close_batch`].
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::config::{MAX_CONNECTIONS, STEP_LIMIT};
use crate::error::Error;

use crate::revocation::{Liveness, RevocationSource, RowExpiry, SessionKey, SessionRecord};
use crate::session::Session;

/// More keys are not asked in one query.
const MAX_BATCH: usize = 512;
/// What takes longer is not waited for any more: what gathers meanwhile gets a connection of its own.
/// docs/performance.md has the measurements.
const LATE: Duration = Duration::from_millis(1);
/// How long no more connections are tried after one was refused, while there are others.
const PAUSE: Duration = Duration::from_secs(1);

/// The body of a live session; `None` for one that doesn't live.
pub type Answer = Result<Option<String>, Error>;

/// Who waits for the answers: the promises of JavaScript, or a channel in tests.
pub trait Replies: Send + Sync + 'static {
    /// What tells one call from another.
    type Call: Send;

    /// Takes the answers of a batch at once, since it is waking the other side that costs.
    fn settle(&self, answers: Vec<(Self::Call, Answer)>);
}

pub struct Lookups<S, R: Replies> {
    source: S,
    row_expiry: RowExpiry,
    replies: R,
    runtime: Handle,
    queue: Mutex<Queue<R::Call>>,
    /// What is in flight; closed by `close`.
    tracker: TaskTracker,
}

impl<S, R: Replies> fmt::Debug for Lookups<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookups(..)")
    }
}

struct Queue<Call> {
    waiting: Vec<Waiting<Call>>,
    /// Tasks that take batches out of `waiting`.
    workers: usize,
    /// Those of them that are not late: with one of these, `waiting` is soon emptied.
    prompt: usize,
    /// Those that are late with connecting.
    slow_connects: usize,
    /// Those that have a connection.
    connected: usize,
    paused_until: Option<Instant>,
}

struct Waiting<Call> {
    session: Session,
    call: Call,
    since: Instant,
}

impl<Call> Queue<Call> {
    const fn new() -> Self {
        Self { waiting: Vec::new(), workers: 0, prompt: 0, slow_connects: 0, connected: 0, paused_until: None }
    }

    /// Whether another worker should come in. `has_idle` tells whether it would find a connection:
    /// new ones are made one at a time.
    fn needs_worker(&self, has_idle: impl FnOnce() -> bool) -> bool {
        let is_paused = || self.paused_until.is_some_and(|end| self.connected > 0 && Instant::now() < end);
        !self.waiting.is_empty()
            && self.prompt == 0
            && self.workers < MAX_CONNECTIONS
            && (has_idle() || (self.slow_connects == 0 && !is_paused()))
    }
}

impl<S: RevocationSource + 'static, R: Replies> Lookups<S, R> {
    pub fn new(source: S, row_expiry: RowExpiry, replies: R, runtime: Handle) -> Self {
        Self { source, row_expiry, replies, runtime, queue: Mutex::new(Queue::new()), tracker: TaskTracker::new() }
    }

    /// Settles `call` when the database has answered.
    pub fn ask(self: &Arc<Self>, session: Session, call: R::Call) {
        let waiting = Waiting { session, call, since: Instant::now() };
        self.with_queue(|queue| queue.waiting.push(waiting));
    }

    /// Asks for one session by itself.
    pub async fn look_up(&self, session: &Session) -> Result<(Liveness, Option<SessionRecord>), Error> {
        let connection = self.source.connect().await?;
        let record = self.source.find(connection, &[session.key]).await?.pop().flatten();
        Ok((Liveness::of(record.as_ref(), &session.holder, self.row_expiry), record))
    }

    pub fn source(&self) -> &S {
        &self.source
    }

    pub fn replies(&self) -> &R {
        &self.replies
    }

    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub fn is_closed(&self) -> bool {
        self.tracker.is_closed()
    }

    /// Runs `task`, which counts as in flight from now on.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(task, &self.runtime);
    }

    /// Refuses calls from now on, lets those in flight have their answer, then ends every connection.
    pub fn close(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<S, R> {
        self.tracker.close();
        let lookups = Arc::clone(self);
        async move {
            lookups.tracker.wait().await;
            lookups.source.close();
        }
    }

    /// Changes the queue, and calls in another worker if that makes one needed.
    fn with_queue(self: &Arc<Self>, change: impl FnOnce(&mut Queue<R::Call>)) {
        let mut queue = self.queue();
        change(&mut queue);
        if queue.needs_worker(|| self.source.has_idle()) {
            queue.workers += 1;
            queue.prompt += 1;
            drop(queue);
            let worker = Worker { lookups: Arc::clone(self), stage: Stage::Prompt, is_connected: false };
            self.spawn(worker.work());
        }
    }

    /// What has gathered. It is sent after this, and nothing joins it any more, so the query sees
    /// all that was committed before any of these calls began.
    fn close_batch(&self) -> Vec<Waiting<R::Call>> {
        let mut queue = self.queue();
        let batch = queue.waiting.len().min(MAX_BATCH);
        let rest = queue.waiting.split_off(batch);
        std::mem::replace(&mut queue.waiting, rest)
    }

    async fn answer(&self, connection: S::Connection, batch: Vec<Waiting<R::Call>>) {
        let keys = Keys::of(&batch);
        let found = caught(self.source.find(connection, &keys.unique)).await;
        let answers = batch.into_iter().zip(keys.places).map(|(Waiting { session, call, .. }, place)| {
            let answer = match &found {
                Ok(records) => Ok(self.body_if_live(session, records.get(place).and_then(Option::as_ref))),
                Err(error) => Err(error.clone()),
            };
            (call, answer)
        });
        self.replies.settle(answers.collect());
    }

    fn reject(&self, batch: Vec<Waiting<R::Call>>, error: &Error) {
        if !batch.is_empty() {
            self.replies.settle(batch.into_iter().map(|waiting| (waiting.call, Err(error.clone()))).collect());
        }
    }

    fn body_if_live(&self, session: Session, record: Option<&SessionRecord>) -> Option<String> {
        let liveness = Liveness::of(record, &session.holder, self.row_expiry);
        (liveness == Liveness::Live).then_some(session.body)
    }

    fn queue(&self) -> MutexGuard<'_, Queue<R::Call>> {
        // Whoever panics leaves the queue whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that takes batches until nothing waits. Counted in the queue from before its start until
/// it is dropped.
struct Worker<S: RevocationSource + 'static, R: Replies> {
    lookups: Arc<Lookups<S, R>>,
    stage: Stage,
    is_connected: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Prompt,
    SlowConnect,
    SlowQuery,
    /// Counted out.
    Done,
}

impl<S: RevocationSource + 'static, R: Replies> Worker<S, R> {
    /// Boxed, since a worker can call in another.
    fn work(mut self) -> BoxFuture<'static, ()> {
        async move {
            let lookups = Arc::clone(&self.lookups);
            while self.has_work() {
                let connection = self.in_time(Stage::SlowConnect, caught(lookups.source.connect())).await;
                match connection {
                    Ok(connection) => self.serve(connection).await,
                    Err(error) if self.leaves_it_to_others() => drop(error),
                    Err(error) => {
                        let waiting = std::mem::take(&mut lookups.queue().waiting);
                        lookups.reject(waiting, &error);
                    }
                }
            }
        }
        .boxed()
    }

    async fn serve(&mut self, connection: S::Connection) {
        let lookups = Arc::clone(&self.lookups);
        let (late, batch) = lookups.close_batch().into_iter().partition(|waiting| waiting.since.elapsed() > STEP_LIMIT);
        lookups.reject(late, &Error::Timeout { step: "waiting for a free database connection", limit: STEP_LIMIT });
        if batch.is_empty() {
            return;
        }
        self.set_connected(true);
        self.in_time(Stage::SlowQuery, lookups.answer(connection, batch)).await;
        self.set_connected(false);
    }

    /// Whether something waits; if not, the worker is counted out in the same breath.
    fn has_work(&mut self) -> bool {
        let lookups = Arc::clone(&self.lookups);
        let mut queue = lookups.queue();
        if self.stage != Stage::Done && queue.waiting.is_empty() {
            self.enter(Stage::Done, &mut queue);
        }
        self.stage != Stage::Done
    }

    /// After a connection was refused: whether others have one, and will take what waits.
    fn leaves_it_to_others(&mut self) -> bool {
        let lookups = Arc::clone(&self.lookups);
        let mut queue = lookups.queue();
        let are_there_others = queue.connected > 0;
        if are_there_others {
            queue.paused_until = Some(Instant::now() + PAUSE);
            self.enter(Stage::Done, &mut queue);
        }
        are_there_others
    }

    /// Waits for `step`, and lets another worker come in when that takes long.
    async fn in_time<T>(&mut self, slow: Stage, step: impl Future<Output = T>) -> T {
        let mut step = pin!(step);
        if let Ok(done) = tokio::time::timeout(LATE, &mut step).await {
            return done;
        }
        let lookups = Arc::clone(&self.lookups);
        lookups.with_queue(|queue| self.enter(slow, queue));
        let done = step.await;
        self.enter(Stage::Prompt, &mut lookups.queue());
        done
    }

    fn set_connected(&mut self, connected: bool) {
        let mut queue = self.lookups.queue();
        match connected {
            true => queue.connected += 1,
            false => queue.connected -= 1,
        }
        self.is_connected = connected;
    }

    fn enter(&mut self, stage: Stage, queue: &mut Queue<R::Call>) {
        let mut count = |stage, by: isize| {
            let counter = match stage {
                Stage::Prompt => &mut queue.prompt,
                Stage::SlowConnect => &mut queue.slow_connects,
                Stage::SlowQuery => return,
                Stage::Done => &mut queue.workers,
            };
            *counter = counter.saturating_add_signed(by);
        };
        count(self.stage, -1);
        // `workers` counts those that are not done.
        count(stage, if stage == Stage::Done { -1 } else { 1 });
        self.stage = stage;
    }
}

impl<S: RevocationSource + 'static, R: Replies> Drop for Worker<S, R> {
    /// Counts out a worker that panicked.
    fn drop(&mut self) {
        let lookups = Arc::clone(&self.lookups);
        let mut queue = lookups.queue();
        if self.is_connected {
            queue.connected -= 1;
        }
        if self.stage != Stage::Done {
            self.enter(Stage::Done, &mut queue);
        }
    }
}

/// The keys of a batch, each once.
struct Keys {
    unique: Vec<SessionKey>,
    /// For each call of the batch the place of its key.
    places: Vec<usize>,
}

impl Keys {
    fn of<Call>(batch: &[Waiting<Call>]) -> Self {
        let mut unique = Vec::with_capacity(batch.len());
        let mut known = HashMap::with_capacity(batch.len());
        let place = |waiting: &Waiting<Call>| {
            *known.entry(waiting.session.key).or_insert_with(|| {
                unique.push(waiting.session.key);
                unique.len() - 1
            })
        };
        let places = batch.iter().map(place).collect();
        Self { unique, places }
    }
}

/// A panic in `call` is an error.
pub async fn caught<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let outcome = AssertUnwindSafe(call).catch_unwind().await;
    outcome.unwrap_or_else(|payload| Err(Error::panicked(payload)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use tokio::sync::{Semaphore, oneshot};
    use uuid::Uuid;

    use super::*;
    use crate::revocation::fake::{Channels, Fake};
    use crate::revocation::{Holder, UserType};

    type Fakes = Arc<Lookups<Arc<Fake>, Channels>>;

    fn lookups(source: &Arc<Fake>) -> Fakes {
        Arc::new(Lookups::new(Arc::clone(source), RowExpiry::Checked, Channels, Handle::current()))
    }

    /// The call for a session of user 1.
    fn ask(lookups: &Fakes, session_id: u128) -> oneshot::Receiver<Answer> {
        let key = SessionKey { tenant: Uuid::from_u128(2), session_id: Uuid::from_u128(session_id) };
        let holder = Holder { user_id: Uuid::from_u128(1), user_type: UserType::Internal };
        let session = Session { key, holder, token_expires_at: 0.0, body: format!("body {session_id}") };
        let (call, answer) = oneshot::channel();
        lookups.ask(session, call);
        answer
    }

    fn body(session_id: u128) -> Answer {
        Ok(Some(format!("body {session_id}")))
    }

    /// Until all that can go on without time passing has gone on.
    async fn settle_down() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn only_a_live_session_has_a_body() {
        let refused = Error::Query("broken".to_owned());
        for (source, expected) in
            [(Fake::live(), body(3)), (Fake::new(Ok(None)), Ok(None)), (Fake::new(Err(refused.clone())), Err(refused))]
        {
            let source = Arc::new(source);
            assert_eq!(ask(&lookups(&source), 3).await.expect("an answer"), expected);
            assert_eq!(source.batches(), [1]);
        }
    }

    #[tokio::test]
    async fn what_waits_while_a_query_is_on_its_way_shares_the_next_one() {
        let source = Arc::new(Fake::live().gated());
        let lookups = lookups(&source);
        let first = ask(&lookups, 0);
        settle_down().await;
        assert_eq!(source.batches(), [1], "a lone call is asked at once");
        let others: Vec<_> = [1, 2, 3, 2, 1].map(|session_id| ask(&lookups, session_id)).into();
        settle_down().await;
        assert_eq!(source.batches(), [1], "one query at a time");

        source.gate.add_permits(1);
        assert_eq!(first.await.expect("an answer"), body(0));
        settle_down().await;
        assert_eq!(source.batches(), [1, 3], "equal keys are asked once");

        let too_late = ask(&lookups, 1);
        settle_down().await;
        assert_eq!(source.batches(), [1, 3], "nothing joins a query that was sent");
        *source.answer.lock().expect("no panic") = Ok(None);
        source.gate.add_permits(2);
        for other in others {
            assert_eq!(other.await.expect("an answer"), Ok(None));
        }
        assert_eq!(too_late.await.expect("an answer"), Ok(None));
        assert_eq!(source.batches(), [1, 3, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_query_holds_back_nothing_but_itself() {
        let source = Arc::new(Fake::live().gated());
        let lookups = lookups(&source);
        let mut answers = vec![ask(&lookups, 0)];
        settle_down().await;
        answers.push(ask(&lookups, 1));
        settle_down().await;
        assert_eq!(source.batches(), [1]);
        // Time passes when nothing else can happen. Each of these is late at once, up to the limit.
        for expected in 2..=MAX_CONNECTIONS {
            tokio::time::sleep(2 * LATE).await;
            assert_eq!(source.batches().len(), expected);
            answers.push(ask(&lookups, expected as u128));
            settle_down().await;
        }
        for session_id in 100..200 {
            answers.push(ask(&lookups, session_id));
        }
        tokio::time::sleep(2 * LATE).await;
        assert_eq!(source.batches(), vec![1; MAX_CONNECTIONS], "no more than there are connections");
        source.gate.add_permits(MAX_CONNECTIONS + 1);
        for answer in answers {
            assert!(matches!(answer.await, Ok(Ok(Some(_)))));
        }
        assert_eq!(source.batches()[MAX_CONNECTIONS..], [101]);
        settle_down().await;
        let queue = lookups.queue();
        assert_eq!((queue.workers, queue.prompt), (0, 0));
    }

    /// A query on its way, and a second connection on its way, too, that doesn't come.
    async fn with_a_connection_on_its_way(source: &Arc<Fake>, lookups: &Fakes) -> Vec<oneshot::Receiver<Answer>> {
        let first = ask(lookups, 0);
        settle_down().await;
        source.doors.forget_permits(Semaphore::MAX_PERMITS);
        let second = ask(lookups, 1);
        tokio::time::sleep(2 * LATE).await;
        assert_eq!(source.connects.load(Ordering::SeqCst), 2);
        vec![first, second]
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_its_way_holds_back_nothing_that_another_can_serve() {
        let source = Arc::new(Fake::live().gated());
        let lookups = lookups(&source);
        let mut answers = with_a_connection_on_its_way(&source, &lookups).await;
        tokio::time::sleep(2 * LATE).await;
        assert_eq!(source.connects.load(Ordering::SeqCst), 2, "one at a time");
        source.gate.add_permits(100);
        for session_id in 2..10 {
            tokio::time::sleep(10 * LATE).await;
            let start = Instant::now();
            answers.push(ask(&lookups, session_id));
            assert_eq!(answers.pop().expect("just pushed").await, Ok(body(session_id)));
            assert!(start.elapsed() < 2 * LATE, "{session_id}");
        }
        for (session_id, answer) in (0..).zip(answers) {
            assert_eq!(answer.await, Ok(body(session_id)));
        }
        source.doors.add_permits(1);
        settle_down().await;
        assert!(!source.batches().contains(&0), "nothing is asked for nobody");
        assert_eq!(lookups.queue().workers, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_connection_is_no_answer_while_another_works() {
        let source = Arc::new(Fake::live().gated());
        let lookups = lookups(&source);
        let refused = Error::Connect("too many clients".to_owned());
        let mut answers = with_a_connection_on_its_way(&source, &lookups).await;
        *source.refusal.lock().expect("no panic") = Some(refused.clone());
        source.doors.add_permits(100);
        for session_id in 2..50 {
            answers.push(ask(&lookups, session_id));
            tokio::time::sleep(2 * LATE).await;
        }
        assert_eq!(source.connects.load(Ordering::SeqCst), 2, "not again at once");
        tokio::time::sleep(PAUSE).await;
        answers.push(ask(&lookups, 50));
        tokio::time::sleep(2 * LATE).await;
        assert_eq!(source.connects.load(Ordering::SeqCst), 3, "but again");
        source.gate.add_permits(2);
        for (session_id, answer) in (0..).zip(answers) {
            assert_eq!(answer.await, Ok(body(session_id)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_any_connection_all_that_waits_is_rejected_at_once() {
        let source = Arc::new(Fake::live());
        let refused = Error::Connect("down".to_owned());
        *source.refusal.lock().expect("no panic") = Some(refused.clone());
        let lookups = lookups(&source);
        let answers: Vec<_> = (0..3 * MAX_BATCH as u128).map(|session_id| ask(&lookups, session_id)).collect();
        for answer in answers {
            assert_eq!(answer.await, Ok(Err(refused.clone())));
        }
        assert_eq!(source.connects.load(Ordering::SeqCst), 1);
        *source.refusal.lock().expect("no panic") = None;
        assert_eq!(ask(&lookups, 3).await, Ok(body(3)));
    }

    #[tokio::test]
    async fn what_has_waited_too_long_is_not_asked_any_more() {
        let source = Arc::new(Fake::live().gated());
        let lookups = lookups(&source);
        let first = ask(&lookups, 0);
        settle_down().await;
        let (late, waiting) = (ask(&lookups, 1), ask(&lookups, 2));
        lookups.queue().waiting[0].since -= STEP_LIMIT;
        source.gate.add_permits(2);
        assert_eq!(first.await, Ok(body(0)));
        assert_eq!(late.await.expect("an answer").expect_err("is late").code(), "ERR_AUTH_BRIDGE_TIMEOUT");
        assert_eq!(waiting.await, Ok(body(2)));
        assert_eq!(source.batches(), [1, 1]);
    }

    #[tokio::test]
    async fn a_batch_has_a_limit() {
        let source = Arc::new(Fake::live());
        let lookups = lookups(&source);
        let answers: Vec<_> = (0..2 * MAX_BATCH as u128 + 1).map(|session_id| ask(&lookups, session_id)).collect();
        for (session_id, answer) in (0..).zip(answers) {
            assert_eq!(answer.await.expect("an answer"), body(session_id));
        }
        assert_eq!(source.batches(), [MAX_BATCH, MAX_BATCH, 1]);
    }

    #[tokio::test]
    async fn a_panic_becomes_an_error_and_the_next_call_is_answered() {
        let source = Arc::new(Fake::live());
        let lookups = lookups(&source);
        source.panics.store(true, Ordering::SeqCst);
        let error = ask(&lookups, 3).await.expect("an answer").expect_err("panicked");
        assert_eq!(error.code(), "ERR_AUTH_BRIDGE_INTERNAL");
        source.panics.store(false, Ordering::SeqCst);
        assert_eq!(ask(&lookups, 3).await.expect("an answer"), body(3));
    }

    #[tokio::test]
    async fn close_waits_for_calls_in_flight() {
        let source = Arc::new(Fake::live().gated());
        let lookups = lookups(&source);
        // Nothing is polled before both are made.
        let in_flight = ask(&lookups, 3);
        let closing = lookups.close();
        assert!(lookups.is_closed());
        let open_gate = async {
            settle_down().await;
            assert!(!source.closed.load(Ordering::SeqCst));
            source.gate.add_permits(1);
        };
        let (answer, (), ()) = futures_util::future::join3(in_flight, closing, open_gate).await;
        assert_eq!(answer.expect("an answer"), body(3));
        assert!(source.closed.load(Ordering::SeqCst));
        lookups.close().await;
    }
}
