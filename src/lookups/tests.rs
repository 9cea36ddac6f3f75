//! The fake answers when its gate lets it; time stands still where it matters.

use std::sync::atomic::Ordering;

use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use super::worker::{LATE, PAUSE};
use super::*;
use crate::store::fake::{Channels, Fake, MAX_CONNECTIONS, live_record};
use crate::store::{Holder, UserType};

type Fakes = Arc<Lookups<Arc<Fake>, Channels>>;

fn lookups(source: &Arc<Fake>) -> Fakes {
    limited(source, Limits::default())
}

fn limited(source: &Arc<Fake>, limits: Limits) -> Fakes {
    Arc::new(Lookups::new(Arc::clone(source), RowExpiry::Checked, limits, Channels, Handle::current()))
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
    for (source, expected) in [
        (Fake::live(), body(3)),
        (Fake::new(Ok(None)), Ok(None)),
        (Fake::new(Ok(Some(SessionRecord { revoked: true, ..live_record() }))), Ok(None)),
        (Fake::new(Err(refused.clone())), Err(refused)),
    ] {
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
    assert!(lookups.queue().workers.iter().all(Option::is_none));
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
    assert!(lookups.queue().workers.iter().all(Option::is_none));
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

/// What a call is told that took longer than it may.
fn overdue() -> Answer {
    Err(Error::Timeout { step: "the session check", limit: Limits::default().call_timeout })
}

#[tokio::test]
async fn what_has_waited_too_long_is_not_asked_any_more() {
    let source = Arc::new(Fake::live().gated());
    let lookups = lookups(&source);
    let first = ask(&lookups, 0);
    settle_down().await;
    let (late, waiting) = (ask(&lookups, 1), ask(&lookups, 2));
    lookups.queue().waiting[0].since -= Limits::default().call_timeout;
    source.gate.add_permits(2);
    assert_eq!(first.await, Ok(body(0)));
    assert_eq!(late.await, Ok(overdue()));
    assert_eq!(waiting.await, Ok(body(2)));
    assert_eq!(source.batches(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn every_call_ends_in_time_whatever_it_waits_for() {
    let limit = Limits::default().call_timeout;
    let source = Arc::new(Fake::live().gated());
    source.doors.forget_permits(Semaphore::MAX_PERMITS);
    let lookups = lookups(&source);
    for (case, waits_for) in [("a connection", 0), ("the query", 1)] {
        source.doors.add_permits(waits_for);
        let start = Instant::now();
        let first = ask(&lookups, 0);
        tokio::time::sleep(limit / 2).await;
        let second = ask(&lookups, 1);
        assert_eq!(first.await, Ok(overdue()), "{case}");
        assert_eq!(start.elapsed().as_millis(), limit.as_millis(), "{case}");
        assert_eq!(second.await, Ok(overdue()), "{case}");
        assert_eq!(start.elapsed().as_millis(), (limit * 3 / 2).as_millis(), "{case}");
    }
    assert_eq!(lookups.stats().calls.pending, 0);
    assert_eq!(lookups.stats().errors["ERR_AUTH_BRIDGE_TIMEOUT"], 4);
}

#[tokio::test(start_paused = true)]
async fn a_query_goes_on_for_those_of_its_batch_that_still_have_time() {
    let limit = Limits::default().call_timeout;
    let source = Arc::new(Fake::live().gated());
    source.doors.forget_permits(Semaphore::MAX_PERMITS);
    let lookups = lookups(&source);
    let early = ask(&lookups, 0);
    tokio::time::sleep(limit / 2).await;
    let late = ask(&lookups, 1);
    source.doors.add_permits(1);
    tokio::time::sleep(limit / 2).await;
    assert_eq!(early.await, Ok(overdue()));
    assert_eq!(source.batches(), [2], "both were in it");
    source.gate.add_permits(1);
    assert_eq!(late.await, Ok(body(1)));
}

#[tokio::test]
async fn more_calls_than_may_wait_are_rejected_at_once() {
    let source = Arc::new(Fake::live().gated());
    let lookups = limited(&source, Limits { max_waiting: 3, ..Limits::default() });
    let in_flight = ask(&lookups, 0);
    settle_down().await;
    let waiting = [1, 2, 3].map(|session_id| ask(&lookups, session_id));
    let too_many = ask(&lookups, 4);
    assert_eq!(too_many.await, Ok(Err(Error::Overload { limit: 3 })));
    source.gate.add_permits(2);
    assert_eq!(in_flight.await, Ok(body(0)));
    for (session_id, answer) in (1..).zip(waiting) {
        assert_eq!(answer.await, Ok(body(session_id)));
    }
    source.gate.add_permits(1);
    assert_eq!(ask(&lookups, 5).await, Ok(body(5)), "there is room again");
}

#[tokio::test]
async fn calls_and_batches_are_counted() {
    let source = Arc::new(Fake::live().gated());
    let lookups = lookups(&source);
    let first = ask(&lookups, 0);
    settle_down().await;
    let others = [1, 2, 2].map(|session_id| ask(&lookups, session_id));
    assert_eq!(lookups.stats().calls.pending, 4);
    source.gate.add_permits(1);
    first.await.expect("an answer").expect("is live");
    *source.answer.lock().expect("no panic") = Ok(None);
    source.gate.add_permits(1);
    for other in others {
        assert_eq!(other.await, Ok(Ok(None)));
    }
    let stats = lookups.stats();
    assert_eq!((stats.calls.authenticated, stats.calls.unauthenticated, stats.calls.pending), (1, 3, 0));
    assert_eq!(stats.reasons["session-unknown"], 3);
    assert_eq!((stats.batches.count, stats.batches.sum), (2, 3.0));
    assert_eq!(stats.latency.count, 4);
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

#[tokio::test(start_paused = true)]
async fn a_flood_is_served_in_its_turn_and_so_is_what_it_meets() {
    const BATCHES_AHEAD: usize = 3;
    let source = Arc::new(Fake::live().gated());
    let lookups = lookups(&source);
    let flood = |calls: usize| (0..calls as u128).map(|id| ask(&lookups, 1 + id)).collect::<Vec<_>>();
    let _ahead = flood(BATCHES_AHEAD * MAX_BATCH - 1);
    let mut call = ask(&lookups, 0);
    let _behind = flood(10 * MAX_BATCH);
    for _ in 0..BATCHES_AHEAD {
        assert_eq!(call.try_recv().ok(), None);
        source.gate.add_permits(1);
        settle_down().await;
    }
    assert_eq!(call.try_recv().expect("an answer"), body(0));
    assert_eq!(source.batches(), [512; BATCHES_AHEAD + 1], "the next is on its way");
}

#[tokio::test]
async fn a_panic_becomes_an_error_and_the_next_call_is_answered() {
    let source = Arc::new(Fake::live());
    let lookups = lookups(&source);
    source.panics.store(true, Ordering::SeqCst);
    let error = ask(&lookups, 3).await.expect("an answer").expect_err("panicked");
    assert_eq!(error.code(), "ERR_AUTH_BRIDGE_INTERNAL");
    let message = error.to_string();
    assert_eq!(message, "internal error, please report it: a panic, whose place is on stderr", "not what it said");
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
