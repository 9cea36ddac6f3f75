//! The fake store answers when its gate has a permit. In most tests time is paused.

use std::sync::atomic::Ordering;

use tokio::sync::{Semaphore, oneshot};

use super::queue::PATIENCE;
use super::worker::{LATE, PAUSE};
use super::*;
use crate::store::fake::{self, Fake, MAX_CONNECTIONS, live_record, mark, number};
use crate::store::{Liveness, SessionRecord, Verdict};

type Fakes = Arc<Lookups<Arc<Fake>, Channels>>;

fn lookups(store: &Arc<Fake>) -> Fakes {
    lookups_with_limits(store, Limits::default())
}

fn lookups_with_limits(store: &Arc<Fake>, limits: Limits) -> Fakes {
    Arc::new(Lookups::new(Arc::clone(store), limits, Channels, Handle::current()))
}

/// A session whose user has the same number.
fn identity(session_id: u128) -> Identity {
    fake::identity(session_id, session_id)
}

fn ask(lookups: &Fakes, session_id: u128) -> oneshot::Receiver<Answer> {
    let (call, answer) = oneshot::channel();
    lookups.ask(Candidates::one(identity(session_id)), call);
    answer
}

/// Each record has a mark, so an answer to another call would be found.
fn live(session_id: u128) -> Answer {
    let record = SessionRecord { fresh: Some(mark(session_id)), ..live_record() };
    Ok(Verdict { place: 0, liveness: Liveness::Live, record: Some(record), judged: Vec::new() })
}

fn unknown() -> Answer {
    Ok(Verdict { place: 0, liveness: Liveness::Unknown, record: None, judged: Vec::new() })
}

/// Lets all tasks run until they wait for time or for a gate.
async fn settle_down() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_the_verdict_with_its_record() {
    let refused = Error::Query("broken".to_owned());
    let revoked = SessionRecord { revoked: true, fresh: Some(mark(3)), ..live_record() };
    for (store, expected) in [
        (Fake::live_with_own_users(), live(3)),
        (Fake::new(Ok(None)), unknown()),
        (
            Fake::new(Ok(Some(revoked.clone()))).with_own_users(),
            Ok(Verdict { place: 0, liveness: Liveness::Revoked, record: Some(revoked), judged: Vec::new() }),
        ),
        (Fake::new(Err(refused.clone())), Err(refused)),
    ] {
        let store = Arc::new(store);
        assert_eq!(ask(&lookups(&store), 3).await.expect("an answer"), expected);
        assert_eq!(store.batches(), [1]);
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_share_queue_batches_and_limit_with_calls_but_are_not_counted() {
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups_with_limits(&store, Limits { max_waiting: 2, ..Limits::default() });
    let first = ask(&lookups, 0);
    settle_down().await;
    let task = |session_id| {
        let lookups = Arc::clone(&lookups);
        tokio::spawn(async move { lookups.verdict(identity(session_id)).await })
    };
    let (second, third) = (ask(&lookups, 1), task(2));
    settle_down().await;
    assert_eq!(task(3).await.expect("no panic"), Err(Error::Overload { limit: 2 }));
    store.gate.add_permits(2);
    assert_eq!(first.await, Ok(live(0)));
    assert_eq!(second.await, Ok(live(1)));
    assert_eq!(third.await.expect("no panic"), live(2));
    assert_eq!(store.batches(), [1, 2]);
    let stats = lookups.stats();
    assert_eq!((stats.calls.authenticated, stats.calls.failed, stats.calls.pending), (2, 0, 0));
    assert_eq!(stats.latency.count, 2);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_while_a_query_is_in_flight_share_the_next_query() {
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups(&store);
    let first = ask(&lookups, 0);
    settle_down().await;
    assert_eq!(store.batches(), [1], "a single call is queried at once");
    let others: Vec<_> = [1, 2, 3, 2, 1].map(|session_id| ask(&lookups, session_id)).into();
    settle_down().await;
    assert_eq!(store.batches(), [1], "one query at a time");

    store.gate.add_permits(1);
    assert_eq!(first.await.expect("an answer"), live(0));
    settle_down().await;
    assert_eq!(store.batches(), [1, 3], "equal keys are queried once");

    let too_late = ask(&lookups, 1);
    settle_down().await;
    assert_eq!(store.batches(), [1, 3], "nothing joins a query that was sent");
    *store.answer.lock().expect("no panic") = Ok(None);
    store.gate.add_permits(2);
    for other in others {
        assert_eq!(other.await.expect("an answer"), unknown());
    }
    assert_eq!(too_late.await.expect("an answer"), unknown());
    assert_eq!(store.batches(), [1, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_late_query_does_not_delay_other_calls() {
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups(&store);
    let mut answers = vec![ask(&lookups, 0)];
    settle_down().await;
    answers.push(ask(&lookups, 1));
    settle_down().await;
    assert_eq!(store.batches(), [1]);
    // Each of these queries becomes late, so another connection is opened, up to the limit.
    for expected in 2..=MAX_CONNECTIONS {
        tokio::time::sleep(2 * LATE).await;
        assert_eq!(store.batches().len(), expected);
        answers.push(ask(&lookups, expected as u128));
        settle_down().await;
    }
    for session_id in 100..200 {
        answers.push(ask(&lookups, session_id));
    }
    tokio::time::sleep(2 * LATE).await;
    assert_eq!(store.batches(), vec![1; MAX_CONNECTIONS], "one query per connection");
    store.gate.add_permits(MAX_CONNECTIONS + 1);
    for answer in answers {
        assert!(matches!(answer.await, Ok(Ok(Verdict { liveness: Liveness::Live, .. }))));
    }
    assert_eq!(store.batches()[MAX_CONNECTIONS..], [101]);
    settle_down().await;
    assert!(!lookups.queue().has_workers());
}

/// One query in flight, and a second connection that is never established.
async fn with_a_pending_connection(store: &Arc<Fake>, lookups: &Fakes) -> Vec<oneshot::Receiver<Answer>> {
    let first = ask(lookups, 0);
    settle_down().await;
    store.connect_gate.forget_permits(Semaphore::MAX_PERMITS);
    let second = ask(lookups, 1);
    tokio::time::sleep(2 * LATE).await;
    assert_eq!(store.connects.load(Ordering::SeqCst), 2);
    vec![first, second]
}

#[tokio::test(start_paused = true)]
async fn a_pending_connection_does_not_delay_calls_that_another_can_serve() {
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups(&store);
    let mut answers = with_a_pending_connection(&store, &lookups).await;
    tokio::time::sleep(2 * LATE).await;
    assert_eq!(store.connects.load(Ordering::SeqCst), 2, "one at a time");
    store.gate.add_permits(100);
    for session_id in 2..10 {
        tokio::time::sleep(10 * LATE).await;
        let start = Instant::now();
        answers.push(ask(&lookups, session_id));
        assert_eq!(answers.pop().expect("just pushed").await, Ok(live(session_id)));
        assert!(start.elapsed() < 2 * LATE, "{session_id}");
    }
    for (session_id, answer) in (0..).zip(answers) {
        assert_eq!(answer.await, Ok(live(session_id)));
    }
    store.connect_gate.add_permits(1);
    settle_down().await;
    assert!(!store.batches().contains(&0), "there is no query without keys");
    assert!(!lookups.queue().has_workers());
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_rejects_no_call_while_another_works() {
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups(&store);
    let refused = Error::Connect("too many clients".to_owned());
    let mut answers = with_a_pending_connection(&store, &lookups).await;
    *store.connect_error.lock().expect("no panic") = Some(refused.clone());
    store.connect_gate.add_permits(100);
    for session_id in 2..50 {
        answers.push(ask(&lookups, session_id));
        tokio::time::sleep(2 * LATE).await;
    }
    assert_eq!(store.connects.load(Ordering::SeqCst), 2, "no retry at once");
    tokio::time::sleep(PAUSE).await;
    answers.push(ask(&lookups, 50));
    tokio::time::sleep(2 * LATE).await;
    assert_eq!(store.connects.load(Ordering::SeqCst), 3, "a retry after the pause");
    store.gate.add_permits(2);
    for (session_id, answer) in (0..).zip(answers) {
        assert_eq!(answer.await, Ok(live(session_id)));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_refused_connection_another_is_tried_though_no_further_call_comes() {
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups(&store);
    let answers = with_a_pending_connection(&store, &lookups).await;
    *store.connect_error.lock().expect("no panic") = Some(Error::Connect("too many clients".to_owned()));
    store.connect_gate.add_permits(100);
    settle_down().await;
    *store.connect_error.lock().expect("no panic") = None;
    tokio::time::sleep(PAUSE + PATIENCE).await;
    assert_eq!(store.connects.load(Ordering::SeqCst), 3);
    assert_eq!(store.batches(), [1, 1], "the waiting call is asked for beside the query that takes long");
    store.gate.add_permits(2);
    for (session_id, answer) in (0..).zip(answers) {
        assert_eq!(answer.await, Ok(live(session_id)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_come_holds_up_calls_for_a_moment_only() {
    let store = Arc::new(Fake::live_with_own_users());
    let lookups = lookups(&store);
    store.swallowed.store(1, Ordering::SeqCst);
    let start = Instant::now();
    let first = ask(&lookups, 0);
    tokio::time::sleep(PATIENCE / 2).await;
    let second = ask(&lookups, 1);
    settle_down().await;
    assert_eq!(store.connects.load(Ordering::SeqCst), 1, "one at a time");
    assert_eq!(first.await, Ok(live(0)));
    assert_eq!(second.await, Ok(live(1)));
    assert!(start.elapsed() <= 2 * PATIENCE, "{:?}", start.elapsed());
    assert_eq!(store.connects.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_no_answer_to_calls_that_came_after_its_start() {
    let store = Arc::new(Fake::live_with_own_users());
    let lookups = lookups(&store);
    let refused = Error::Connect("down".to_owned());
    store.connect_gate.forget_permits(Semaphore::MAX_PERMITS);
    let before = ask(&lookups, 0);
    tokio::time::sleep(LATE).await;
    let after = ask(&lookups, 1);
    *store.connect_error.lock().expect("no panic") = Some(refused.clone());
    store.connect_gate.add_permits(1);
    assert_eq!(before.await, Ok(Err(refused)));
    *store.connect_error.lock().expect("no panic") = None;
    store.connect_gate.add_permits(1);
    assert_eq!(after.await, Ok(live(1)));
}

#[tokio::test(start_paused = true)]
async fn without_any_connection_all_waiting_calls_are_rejected_at_once() {
    let store = Arc::new(Fake::live_with_own_users());
    let refused = Error::Connect("down".to_owned());
    *store.connect_error.lock().expect("no panic") = Some(refused.clone());
    let lookups = lookups(&store);
    let answers: Vec<_> = (0..3 * MAX_BATCH as u128).map(|session_id| ask(&lookups, session_id)).collect();
    for answer in answers {
        assert_eq!(answer.await, Ok(Err(refused.clone())));
    }
    assert_eq!(store.connects.load(Ordering::SeqCst), 1);
    *store.connect_error.lock().expect("no panic") = None;
    assert_eq!(ask(&lookups, 3).await, Ok(live(3)));
}

/// The answer to a call that took too long.
fn overdue() -> Answer {
    Err(Error::Timeout { step: "the session check", limit: Limits::default().call_timeout })
}

#[tokio::test(start_paused = true)]
async fn calls_that_waited_too_long_are_not_queried() {
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups(&store);
    let first = ask(&lookups, 0);
    settle_down().await;
    let (late, waiting) = (ask(&lookups, 1), ask(&lookups, 2));
    lookups.queue().first_mut().since -= Limits::default().call_timeout;
    store.gate.add_permits(2);
    assert_eq!(first.await, Ok(live(0)));
    assert_eq!(late.await, Ok(overdue()));
    assert_eq!(waiting.await, Ok(live(2)));
    assert_eq!(store.batches(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn every_call_ends_within_the_call_timeout() {
    let limit = Limits::default().call_timeout;
    let store = Arc::new(Fake::live_with_own_users().gated());
    store.connect_gate.forget_permits(Semaphore::MAX_PERMITS);
    let lookups = lookups(&store);
    for (case, waits_for) in [("a connection", 0), ("the query", 1)] {
        store.connect_gate.add_permits(waits_for);
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
async fn a_query_continues_for_the_calls_that_are_not_overdue() {
    let limit = Limits::default().call_timeout;
    let store = Arc::new(Fake::live_with_own_users().gated());
    store.connect_gate.forget_permits(Semaphore::MAX_PERMITS);
    let lookups = lookups(&store);
    let early = ask(&lookups, 0);
    tokio::time::sleep(limit / 2).await;
    let late = ask(&lookups, 1);
    store.connect_gate.add_permits(1);
    tokio::time::sleep(limit / 2).await;
    assert_eq!(early.await, Ok(overdue()));
    assert_eq!(store.batches(), [2], "both calls share the query");
    store.gate.add_permits(1);
    assert_eq!(late.await, Ok(live(1)));
}

#[tokio::test(start_paused = true)]
async fn calls_over_the_limit_are_rejected_at_once() {
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups_with_limits(&store, Limits { max_waiting: 3, ..Limits::default() });
    let in_flight = ask(&lookups, 0);
    settle_down().await;
    let waiting = [1, 2, 3].map(|session_id| ask(&lookups, session_id));
    let too_many = ask(&lookups, 4);
    assert_eq!(too_many.await, Ok(Err(Error::Overload { limit: 3 })));
    store.gate.add_permits(2);
    assert_eq!(in_flight.await, Ok(live(0)));
    for (session_id, answer) in (1..).zip(waiting) {
        assert_eq!(answer.await, Ok(live(session_id)));
    }
    store.gate.add_permits(1);
    assert_eq!(ask(&lookups, 5).await, Ok(live(5)), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn calls_and_batches_are_counted() {
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups(&store);
    let first = ask(&lookups, 0);
    settle_down().await;
    let others = [1, 2, 2].map(|session_id| ask(&lookups, session_id));
    assert_eq!(lookups.stats().calls.pending, 4);
    store.gate.add_permits(1);
    first.await.expect("an answer").expect("is live");
    *store.answer.lock().expect("no panic") = Ok(None);
    store.gate.add_permits(1);
    for other in others {
        assert_eq!(other.await, Ok(unknown()));
    }
    let stats = lookups.stats();
    assert_eq!((stats.calls.authenticated, stats.calls.unauthenticated, stats.calls.pending), (1, 3, 0));
    assert_eq!(stats.reasons["session-unknown"], 3);
    assert_eq!((stats.batches.count, stats.batches.sum), (2, 3.0));
    assert_eq!(stats.latency.count, 4);
}

#[tokio::test(start_paused = true)]
async fn the_size_of_a_batch_is_limited() {
    let store = Arc::new(Fake::live_with_own_users());
    let lookups = lookups(&store);
    let answers: Vec<_> = (0..2 * MAX_BATCH as u128 + 1).map(|session_id| ask(&lookups, session_id)).collect();
    for (session_id, answer) in (0..).zip(answers) {
        assert_eq!(answer.await.expect("an answer"), live(session_id));
    }
    assert_eq!(store.batches(), [MAX_BATCH, MAX_BATCH, 1]);
}

#[tokio::test(start_paused = true)]
async fn calls_are_served_in_order_during_a_flood() {
    const BATCHES_AHEAD: usize = 3;
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups(&store);
    let flood = |calls: usize| (0..calls as u128).map(|id| ask(&lookups, 1 + id)).collect::<Vec<_>>();
    let _ahead = flood(BATCHES_AHEAD * MAX_BATCH - 1);
    let mut call = ask(&lookups, 0);
    let _behind = flood(10 * MAX_BATCH);
    for _ in 0..BATCHES_AHEAD {
        assert_eq!(call.try_recv().ok(), None);
        store.gate.add_permits(1);
        settle_down().await;
    }
    assert_eq!(call.try_recv().expect("an answer"), live(0));
    assert_eq!(store.batches(), [512; BATCHES_AHEAD + 1], "the next one is in flight");
}

#[tokio::test(start_paused = true)]
async fn a_panic_becomes_an_error_and_the_next_call_is_answered() {
    let store = Arc::new(Fake::live_with_own_users());
    let lookups = lookups(&store);
    store.panics.store(true, Ordering::SeqCst);
    let error = ask(&lookups, 3).await.expect("an answer").expect_err("panicked");
    assert_eq!(error.code(), "ERR_AUTH_BRIDGE_INTERNAL");
    let message = error.to_string();
    assert_eq!(
        message, "internal error, please report it: a panic; its location is on stderr",
        "without the message of the panic"
    );
    store.panics.store(false, Ordering::SeqCst);
    assert_eq!(ask(&lookups, 3).await.expect("an answer"), live(3));
}

/// The call for several sessions, newest first.
fn ask_for(lookups: &Fakes, session_ids: &[u128]) -> oneshot::Receiver<Answer> {
    let mut identities = session_ids.iter().map(|id| identity(*id));
    let candidates = Candidates { newest: identities.next().expect("one at least"), older: identities.collect() };
    let (call, answer) = oneshot::channel();
    lookups.ask(candidates, call);
    answer
}

#[tokio::test(start_paused = true)]
async fn of_several_sessions_the_newest_is_asked_for_first_and_the_others_in_one_query_only_if_it_is_not_live() {
    let live_at = |place, session_id| live(session_id).map(|verdict| Verdict { place, ..verdict });
    let revoked = Liveness::Revoked;
    for (case, live_ids, expected, batches) in [
        ("all", &[1_u128, 2, 3] as &[_], live_at(0, 1), &[1_usize] as &[_]),
        ("the newest", &[1], live_at(0, 1), &[1]),
        ("the second", &[2], live_at(1, 2), &[1, 2]),
        ("the last", &[3], live_at(2, 3), &[1, 2]),
        ("the last two", &[3, 2], live_at(1, 2), &[1, 2]),
        ("none", &[], live(1).map(|verdict| Verdict { liveness: revoked, ..verdict }), &[1, 2]),
    ] {
        let store = Arc::new(Fake::live_with_own_users().revoked_but(live_ids));
        let lookups = lookups(&store);
        let answer = ask_for(&lookups, &[1, 2, 3]).await.expect("an answer");
        let liveness = |answer: &Answer| answer.as_ref().map(|verdict| (verdict.place, verdict.liveness)).ok();
        assert_eq!(liveness(&answer), liveness(&expected), "{case}");
        let mark = |answer: &Answer| answer.as_ref().ok()?.record.as_ref()?.fresh.clone();
        assert_eq!(mark(&answer), mark(&expected), "{case}");
        assert_eq!(store.batches(), batches, "{case}");
        let stats = lookups.stats();
        assert_eq!((stats.calls.authenticated + stats.calls.unauthenticated, stats.calls.pending), (1, 0), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_question_shares_a_query_with_others_and_goes_before_what_came_later() {
    let store = Arc::new(Fake::live_with_own_users().revoked_but(&[3, 4, 5]).gated());
    let lookups = lookups_with_limits(&store, Limits { max_waiting: 1, ..Limits::default() });
    let first = ask_for(&lookups, &[1, 2, 3]);
    settle_down().await;
    let other = ask(&lookups, 4);
    store.gate.add_permits(1);
    settle_down().await;
    assert_eq!(store.batches(), [1, 3], "though only one call may wait");
    assert_eq!(store.queries.lock().expect("no panic")[1].iter().map(number).collect::<Vec<_>>(), [2, 3, 4]);
    store.gate.add_permits(1);
    assert_eq!(first.await.expect("an answer").expect("is live").place, 2);
    assert_eq!(other.await, Ok(live(4)));
}

#[tokio::test(start_paused = true)]
async fn an_outage_at_the_second_question_is_no_sign_out() {
    let store = Arc::new(Fake::live_with_own_users().revoked_but(&[]).gated());
    let lookups = lookups(&store);
    let answer = ask_for(&lookups, &[1, 2]);
    store.gate.add_permits(1);
    settle_down().await;
    let outage = Error::Connect("down".to_owned());
    *store.answer.lock().expect("no panic") = Err(outage.clone());
    store.gate.add_permits(1);
    assert_eq!(answer.await, Ok(Err(outage)));
}

#[tokio::test(start_paused = true)]
async fn both_questions_together_take_no_longer_than_a_call() {
    let limit = Limits::default().call_timeout;
    let store = Arc::new(Fake::live_with_own_users().revoked_but(&[]).gated());
    let lookups = lookups(&store);
    let start = Instant::now();
    let answer = ask_for(&lookups, &[1, 2]);
    tokio::time::sleep(limit / 2).await;
    store.gate.add_permits(1);
    assert_eq!(answer.await, Ok(overdue()));
    assert_eq!(start.elapsed().as_millis(), limit.as_millis());
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_dropped_without_an_answer_rejects_its_calls() {
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups(&store);
    let in_flight = ask(&lookups, 0);
    settle_down().await;
    let waiting = [1, 2].map(|session_id| ask(&lookups, session_id));
    drop(lookups.close_batch());
    for answer in waiting {
        let error = answer.await.expect("an answer").expect_err("was dropped");
        assert_eq!(error, Error::Internal("a query ended without an answer".to_owned()));
    }
    store.gate.add_permits(1);
    assert_eq!(in_flight.await, Ok(live(0)));
    assert_eq!(lookups.stats().calls.pending, 0);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_is_replaced_while_calls_wait() {
    let refused = Error::Connect("down".to_owned());
    let store = Arc::new(Fake::live_with_own_users());
    *store.connect_error.lock().expect("no panic") = Some(refused.clone());
    // The first call of `has_idle` is made before the worker starts, the second by the worker after the refusal.
    store.has_idle_panics_at.store(2, Ordering::SeqCst);
    let lookups = lookups(&store);
    assert_eq!(ask(&lookups, 0).await, Ok(Err(refused)), "another worker answers");
    assert_eq!(store.connects.load(Ordering::SeqCst), 2);
    *store.connect_error.lock().expect("no panic") = None;
    assert_eq!(ask(&lookups, 1).await, Ok(live(1)));
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_calls_in_flight() {
    let store = Arc::new(Fake::live_with_own_users().gated());
    let lookups = lookups(&store);
    // Both exist before either is polled.
    let in_flight = ask(&lookups, 3);
    let closing = lookups.close();
    assert!(lookups.is_closed());
    let open_gate = async {
        settle_down().await;
        assert!(!store.closed.load(Ordering::SeqCst));
        store.gate.add_permits(1);
    };
    let (answer, (), ()) = futures_util::future::join3(in_flight, closing, open_gate).await;
    assert_eq!(answer.expect("an answer"), live(3));
    assert!(store.closed.load(Ordering::SeqCst));
    lookups.close().await;
}
