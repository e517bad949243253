use super::*;
use crate::event::cmap::CmapEvent;

type State = PoolState<&'static str, &'static str>;
type Out = Effects<&'static str, &'static str>;

fn state(max_total: usize) -> State {
    let limits = Limits {
        max_total,
        min_total: 0,
        max_connecting: 2,
        max_idle: None,
        max_abandoned: None,
        back_off: Some(Duration::from_secs(10)),
        load_balanced: false,
    };
    let mut state = PoolState::new(ServerAddress::default(), 1, limits, true);
    let effects = state.ready(Instant::now());
    assert_eq!(names(&effects), ["PoolReady"]);
    state
}

/// The events by name, with the connection's number and the reason where there is one.
fn broken() -> Error {
    Error::internal("it broke")
}

fn names(effects: &Out) -> Vec<String> {
    let name = |event: &CmapEvent| match event {
        CmapEvent::PoolReady(_) => "PoolReady".to_owned(),
        CmapEvent::PoolCleared(_) => "PoolCleared".to_owned(),
        CmapEvent::PoolClosed(_) => "PoolClosed".to_owned(),
        CmapEvent::ConnectionCreated(event) => format!("Created {}", event.connection_id),
        CmapEvent::ConnectionReady(event) => format!("Ready {}", event.connection_id),
        CmapEvent::ConnectionClosed(event) => {
            format!("Closed {} {:?}", event.connection_id, event.reason)
        }
        CmapEvent::ConnectionCheckoutStarted(_) => "Started".to_owned(),
        CmapEvent::ConnectionCheckoutFailed(event) => format!("Failed {:?}", event.reason),
        CmapEvent::ConnectionCheckedOut(event) => format!("Out {}", event.connection_id),
        CmapEvent::ConnectionCheckedIn(event) => format!("In {}", event.connection_id),
        CmapEvent::PoolCreated(_) => "PoolCreated".to_owned(),
    };
    effects.events.iter().map(name).collect()
}

fn ticket(step: Step<&'static str>) -> Ticket {
    let Step::Wait(ticket) = step else {
        panic!("expected to wait, found {step:?}");
    };
    ticket
}

fn member(step: Step<&'static str>) -> Box<Member<&'static str>> {
    let Step::Ready(member) = step else {
        panic!("expected a connection, found {step:?}");
    };
    member
}

/// The one connection that is to be established.
fn slot(mut effects: Out) -> Slot {
    assert_eq!(effects.connect.len(), 1, "{:?}", effects.connect);
    effects.connect.remove(0)
}

/// Every test is on the runtime that all connections are registered with, unless it says otherwise.
fn here(_: &&str) -> bool {
    true
}

/// A check-out for which a connection is to be established.
fn connecting(state: &mut State, now: Instant) -> (Ticket, Slot) {
    let (step, effects) = state.check_out(now, here);
    (ticket(step), slot(effects))
}

/// A check-out that waits until something comes back.
fn waiting(state: &mut State, now: Instant) -> Ticket {
    let (step, effects) = state.check_out(now, here);
    assert!(effects.connect.is_empty());
    ticket(step)
}

fn look(state: &mut State, ticket: Ticket, now: Instant) -> (Option<Step<&'static str>>, Out) {
    state.look(ticket, "waker", now, now, here)
}

fn new_member(state: &mut State, now: Instant) -> Box<Member<&'static str>> {
    let (ticket, slot) = connecting(state, now);
    let _ = state.established(slot, "socket", None, now);
    member(look(state, ticket, now).0.unwrap())
}

#[test]
fn the_first_check_out_creates_a_connection_and_the_second_reuses_it() {
    let now = Instant::now();
    let mut state = state(1);
    let (step, effects) = state.check_out(now, here);
    assert_eq!(names(&effects), ["Started", "Created 1"]);
    let ticket = ticket(step);
    assert!(look(&mut state, ticket, now).0.is_none());
    let effects = state.established(slot(effects), "socket", None, now);
    assert_eq!(names(&effects), ["Ready 1"]);
    assert_eq!(effects.wake, ["waker"]);
    let (step, effects) = look(&mut state, ticket, now);
    assert_eq!(names(&effects), ["Out 1"]);
    let effects = state.check_in(member(step.unwrap()), None, now);
    assert_eq!(names(&effects), ["In 1"]);
    let (step, effects) = state.check_out(now, here);
    assert_eq!(names(&effects), ["Started", "Out 1"]);
    assert_eq!(member(step).id(), 1);
    let expected = PoolCounts {
        total: 1,
        in_use: 1,
        ..PoolCounts::default()
    };
    assert_eq!(state.counts(), expected);
}

#[test]
fn a_check_out_prefers_what_is_registered_with_its_runtime_and_looks_at_the_rest() {
    let now = Instant::now();
    let mut state = state(2);
    let (one, first) = connecting(&mut state, now);
    let (two, second) = connecting(&mut state, now);
    let _ = state.established(first, "mine", None, now);
    let _ = state.established(second, "other", None, now);
    let held = [one, two].map(|ticket| member(look(&mut state, ticket, now).0.unwrap()));
    for member in held {
        let _ = state.check_in(member, None, now);
    }
    let is_mine = |it: &&str| *it == "mine";
    let (step, _) = state.check_out(now, is_mine);
    assert_eq!(member(step).id(), 1, "although 2 was used later");
    let (step, effects) = state.check_out(now, is_mine);
    let Step::Probe(foreign) = step else {
        panic!("expected a connection to move, found {step:?}");
    };
    assert_eq!(names(&effects), ["Started"]);
    let (step, effects) = state.accept(foreign, now, now, is_mine);
    assert_eq!(
        (names(&effects), member(step).id()),
        (vec!["Out 2".to_owned()], 2)
    );
}

#[test]
fn a_returned_connection_goes_to_the_oldest_waiter_and_not_to_a_newcomer() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let (first, second) = (waiting(&mut state, now), waiting(&mut state, now));
    assert!(state.look(first, "first", now, now, here).0.is_none());
    assert!(state.look(second, "second", now, now, here).0.is_none());
    assert_eq!(state.check_in(held, None, now).wake, ["first"]);
    waiting(&mut state, now);
    let (step, effects) = look(&mut state, first, now);
    assert_eq!(names(&effects), ["Out 1"]);
    assert_eq!(member(step.unwrap()).id(), 1);
}

#[test]
fn a_vanished_waiter_passes_its_connection_on() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let (first, second) = (waiting(&mut state, now), waiting(&mut state, now));
    let _ = state.look(second, "second", now, now, here);
    let _ = state.check_in(held, None, now);
    let effects = state.abandon_wait(first, now, now);
    assert_eq!(effects.wake, ["second"]);
    assert_eq!(names(&effects), ["Failed Dropped"]);
    assert_eq!(state.counts().in_use, 1);
}

#[test]
fn an_attempt_outlives_the_check_out_that_it_was_made_for() {
    let now = Instant::now();
    let mut state = state(10);
    let (impatient, slot) = connecting(&mut state, now);
    let effects = state.abandon_wait(impatient, now, now);
    assert_eq!(names(&effects), ["Failed Dropped"]);
    assert!(effects.interrupt.is_empty() && !slot.interrupt().is_fired());
    assert_eq!(state.counts().pending, 1);
    let effects = state.established(slot, "socket", None, now);
    assert_eq!(names(&effects), ["Ready 1"]);
    assert_eq!(member(state.check_out(now, here).0).id(), 1);
}

#[test]
fn the_churn_of_check_outs_never_makes_more_attempts_than_allowed() {
    let now = Instant::now();
    let mut state = state(10);
    let mut attempts = Vec::new();
    for _ in 0..50 {
        let (step, effects) = state.check_out(now, here);
        attempts.extend(effects.connect);
        let _ = state.abandon_wait(ticket(step), now, now);
    }
    assert_eq!(attempts.len(), 2);
    let patient = waiting(&mut state, now);
    let _ = state.established(attempts.remove(0), "socket", None, now);
    assert_eq!(member(look(&mut state, patient, now).0.unwrap()).id(), 1);
}

#[test]
fn the_check_out_that_an_attempt_was_made_for_learns_why_it_failed() {
    let now = Instant::now();
    let mut state = state(10);
    let (first, slot) = connecting(&mut state, now);
    let (second, other) = connecting(&mut state, now);
    let third = waiting(&mut state, now);
    state.failing(&slot);
    // Meanwhile the server is found to be out of reach.
    let effects = state.clear(ClearCause::new(Error::internal("gone")), now);
    assert_eq!(names(&effects), ["PoolCleared", "Closed 2 Stale"]);
    effects.interrupt.iter().for_each(|signal| signal.fire());
    assert!(other.interrupt().is_fired());
    let effects = state.not_established(slot, &Failure::Error(broken()), now);
    assert_eq!(names(&effects), ["Closed 1 Error"]);
    let (step, effects) = look(&mut state, first, now);
    assert!(matches!(step, Some(Step::Failed(error)) if error.to_string().contains("it broke")));
    assert_eq!(names(&effects), ["Failed ConnectionError"]);
    for refused in [second, third] {
        let (step, _) = look(&mut state, refused, now);
        assert!(matches!(step, Some(Step::Refused(Refusal::Cleared))));
    }
    let effects = state.not_established(other, &Failure::Interrupted, now);
    assert_eq!(names(&effects), [""; 0]);
    assert_eq!(state.counts(), PoolCounts::default());
}

#[test]
fn an_attempt_that_was_failing_is_left_to_nobody_who_came_after_a_clearing() {
    let now = Instant::now();
    let mut state = state(1);
    let (first, slot) = connecting(&mut state, now);
    state.failing(&slot);
    let _ = state.clear(ClearCause::default(), now);
    let _ = state.ready(now);
    let later = waiting(&mut state, now);
    let _ = state.abandon_wait(first, now, now);
    let effects = state.not_established(slot, &Failure::Error(broken()), now);
    assert_eq!(names(&effects), ["Closed 1 Error", "Created 2"]);
    assert!(look(&mut state, later, now).0.is_none());
}

#[test]
fn who_waits_for_an_attempt_that_was_failing_is_served_or_refused_however_it_ends() {
    let now = Instant::now();
    for clears in [false, true] {
        let mut state = state(1);
        let (waiter, slot) = connecting(&mut state, now);
        let _ = look(&mut state, waiter, now);
        state.failing(&slot);
        if clears {
            let _ = state.clear(ClearCause::default(), now);
        }
        let mut effects = state.not_established(slot, &Failure::Dropped, now);
        if let Some(slot) = effects.connect.pop() {
            effects = state.established(slot, "socket", None, now);
        }
        assert_eq!(effects.wake, ["waker"]);
        let step = look(&mut state, waiter, now).0;
        assert!(matches!(step, Some(Step::Refused(_))) == clears, "{step:?}");
    }
}

#[test]
fn a_failed_attempt_makes_room_for_the_next_in_the_queue() {
    let now = Instant::now();
    let mut state = state(1);
    let (first, slot) = connecting(&mut state, now);
    let second = waiting(&mut state, now);
    let effects = state.not_established(slot, &Failure::Error(broken()), now);
    assert_eq!(names(&effects), ["Closed 1 Error", "Created 2"]);
    assert!(matches!(
        look(&mut state, first, now).0,
        Some(Step::Failed(_))
    ));
    let _ = state.established(self::slot(effects), "socket", None, now);
    assert_eq!(member(look(&mut state, second, now).0.unwrap()).id(), 2);
}

#[test]
fn who_gets_a_returned_connection_leaves_the_attempt_to_the_next() {
    let now = Instant::now();
    let mut state = state(2);
    let held = new_member(&mut state, now);
    let (first, slot) = connecting(&mut state, now);
    let second = waiting(&mut state, now);
    let _ = state.check_in(held, None, now);
    assert_eq!(member(look(&mut state, first, now).0.unwrap()).id(), 1);
    let _ = state.not_established(slot, &Failure::Error(broken()), now);
    assert!(matches!(
        look(&mut state, second, now).0,
        Some(Step::Failed(_))
    ));
}

#[test]
fn no_more_than_max_connecting_are_established_at_once() {
    let now = Instant::now();
    let mut state = state(10);
    let (_, first) = connecting(&mut state, now);
    let _second = connecting(&mut state, now);
    waiting(&mut state, now);
    let effects = state.established(first, "socket", None, now);
    assert_eq!(names(&effects), ["Ready 1", "Created 3"]);
}

#[test]
fn the_limit_of_the_queue_does_not_hold_while_a_connection_is_established() {
    let now = Instant::now();
    let mut state = state(1);
    let (first, _slot) = connecting(&mut state, now);
    let second = waiting(&mut state, now);
    let mut late = |ticket, is_of_queue| {
        let (outcome, effects) = state.time_out(ticket, broken(), is_of_queue, now, now);
        (outcome, names(&effects))
    };
    assert!(matches!(late(first, true), (TimedOut::Connecting, events) if events.is_empty()));
    assert!(
        matches!(late(second, true), (TimedOut::Ended, events) if events == ["Failed Timeout"])
    );
    assert!(matches!(late(first, false), (TimedOut::Ended, _)));
    assert_eq!((state.counts().pending, state.counts().waiting), (1, 0));
}

#[test]
fn an_attempt_without_a_limit_ends_when_nobody_has_waited_for_long() {
    let now = Instant::now();
    let mut state = state(1);
    let limit = Duration::from_secs(10);
    state.limits.max_abandoned = Some(limit);
    let (step, effects) = state.check_out(now, here);
    let ticket = ticket(step);
    assert_eq!(effects.alarm, Some(now + limit));
    let slot = slot(effects);
    let later = now + limit;
    let effects = state.turn(later);
    assert!(effects.interrupt.is_empty(), "somebody waits");
    assert_eq!(effects.alarm, Some(later + limit));
    let left = later + Duration::from_secs(3);
    let _ = state.abandon_wait(ticket, now, left);
    let effects = state.turn(later + limit);
    assert!(effects.interrupt.is_empty(), "somebody waited 7 s ago");
    assert_eq!(effects.alarm, Some(left + limit));
    let effects = state.turn(left + limit);
    assert_eq!(effects.interrupt.len(), 1);
    let effects = state.not_established(slot, &Failure::Interrupted, left + limit);
    assert_eq!(names(&effects), ["Closed 1 Dropped"]);
}

#[test]
fn clearing_fails_the_waiters_once_and_closes_what_comes_back() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let waiter = waiting(&mut state, now);
    let _ = look(&mut state, waiter, now);
    let effects = state.clear(ClearCause::new(Error::internal("gone")), now);
    assert_eq!(names(&effects), ["PoolCleared"]);
    assert_eq!(effects.wake, ["waker"]);
    let (step, effects) = look(&mut state, waiter, now);
    assert!(matches!(step, Some(Step::Refused(Refusal::Cleared))));
    assert_eq!(names(&effects), ["Failed ConnectionError"]);
    assert_eq!(names(&state.clear(ClearCause::default(), now)), [""; 0]);
    let effects = state.check_in(held, None, now);
    assert_eq!(names(&effects), ["In 1", "Closed 1 Stale"]);
    assert_eq!(effects.closed.len(), 1);
    assert_eq!(state.counts(), PoolCounts::default());
    let text = state.refusal_error(Refusal::Cleared).to_string();
    assert!(
        text.ends_with("failed with: internal error: gone"),
        "{text}"
    );
}

#[test]
fn clearing_closes_idle_connections_at_once() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let _ = state.check_in(held, None, now);
    let effects = state.clear(ClearCause::default(), now);
    assert_eq!(names(&effects), ["PoolCleared", "Closed 1 Stale"]);
    assert_eq!(effects.closed.len(), 1);
}

#[test]
fn a_connection_granted_before_a_clearing_is_not_handed_out_after_it() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let waiter = waiting(&mut state, now);
    let _ = state.check_in(held, None, now);
    let _ = state.clear(ClearCause::default(), now);
    let _ = state.ready(now);
    let (step, effects) = look(&mut state, waiter, now);
    assert!(step.is_none());
    assert_eq!(names(&effects), ["Closed 1 Stale", "Created 2"]);
}

#[test]
fn a_connection_that_was_being_established_during_a_clearing_is_closed() {
    let now = Instant::now();
    let mut state = state(1);
    let (waiter, slot) = connecting(&mut state, now);
    let effects = state.clear(ClearCause::default(), now);
    assert_eq!(effects.interrupt.len(), 1, "nobody wants it any more");
    assert_eq!(names(&effects), ["PoolCleared", "Closed 1 Stale"]);
    let _ = state.ready(now);
    let effects = state.established(slot, "socket", None, now);
    assert_eq!((names(&effects), effects.closed.len()), (Vec::new(), 1));
    let (step, effects) = look(&mut state, waiter, now);
    assert!(matches!(step, Some(Step::Refused(Refusal::Cleared))));
    assert_eq!(names(&effects), ["Failed ConnectionError"]);
    assert_eq!(state.counts(), PoolCounts::default());
}

#[test]
fn interrupting_closes_older_connections_at_once() {
    let now = Instant::now();
    let mut state = state(3);
    let held = new_member(&mut state, now);
    let idle = new_member(&mut state, now);
    let _ = state.check_in(idle, None, now);
    let _ = member(state.check_out(now, here).0);
    let (_, pending) = connecting(&mut state, now);
    let effects = state.clear(ClearCause::default().interrupting(), now);
    assert_eq!(
        names(&effects),
        [
            "PoolCleared",
            "In 1",
            "Closed 1 Stale",
            "In 2",
            "Closed 2 Stale",
            "Closed 3 Stale"
        ]
    );
    assert_eq!(effects.interrupt.len(), 3);
    effects.interrupt.iter().for_each(|signal| signal.fire());
    assert!(held.interrupt().is_fired() && pending.interrupt().is_fired());
    let effects = state.not_established(pending, &Failure::Interrupted, now);
    assert_eq!(names(&effects), [""; 0]);
    assert_eq!(state.counts(), PoolCounts::default());

    let _ = state.ready(now);
    let young = new_member(&mut state, now);
    assert!(!young.interrupt().is_fired());
    let effects = state.check_in(held, Some(broken()), now);
    assert_eq!(names(&effects), [""; 0]);
    assert_eq!(state.counts().in_use, 1);
}

#[test]
fn a_connection_interrupted_while_it_is_probed_is_not_handed_out() {
    let now = Instant::now();
    let mut state = state(1);
    state.limits.load_balanced = true;
    let service = ObjectId::new();
    let (first, slot) = connecting(&mut state, now);
    let _ = state.established(slot, "socket", Some(service), now);
    let held = member(look(&mut state, first, now).0.unwrap());
    let _ = state.check_in(held, None, now);
    let later = now + PROBE_AFTER;
    let Step::Probe(probed) = state.check_out(later, here).0 else {
        panic!("expected a probe");
    };
    let waiter = waiting(&mut state, later);
    let cause = ClearCause::default().service_id(service).interrupting();
    let effects = state.clear(cause, later);
    assert_eq!(
        names(&effects),
        ["PoolCleared", "In 1", "Closed 1 Stale", "Created 2"]
    );
    let (step, effects) = state.accept(probed, later, later, here);
    assert!(matches!(step, Step::Wait(later) if later > waiter));
    assert_eq!(names(&effects), [""; 0]);
    assert_eq!(state.counts().total, 1);
}

#[test]
fn behind_a_load_balancer_one_service_is_cleared_and_the_pool_stays_ready() {
    let now = Instant::now();
    let mut state = state(10);
    state.limits.load_balanced = true;
    let (one, two) = (ObjectId::new(), ObjectId::new());
    let mut connect = |service| {
        let (ticket, slot) = connecting(&mut state, now);
        let _ = state.established(slot, "socket", Some(service), now);
        member(look(&mut state, ticket, now).0.unwrap())
    };
    let (first, second) = (connect(one), connect(two));
    assert_eq!(names(&state.clear(ClearCause::default(), now)), [""; 0]);
    let effects = state.clear(ClearCause::default().service_id(one), now);
    assert_eq!(names(&effects), ["PoolCleared"]);
    assert_eq!(state.generation(Some(one)).number(), 1);
    let effects = state.check_in(first, None, now);
    assert_eq!(names(&effects), ["In 1", "Closed 1 Stale"]);
    assert_eq!(names(&state.check_in(second, None, now)), ["In 2"]);
    assert_eq!(state.generation(Some(one)).number(), 0);
    assert_eq!(member(state.check_out(now, here).0).id(), 2);
}

#[test]
fn closing_closes_idle_connections_first_and_the_others_on_return() {
    let now = Instant::now();
    let mut state = state(2);
    let (idle, held) = (new_member(&mut state, now), new_member(&mut state, now));
    let _ = state.check_in(idle, None, now);
    let effects = state.close(now);
    assert_eq!(names(&effects), ["Closed 1 PoolClosed", "PoolClosed"]);
    assert_eq!(names(&state.close(now)), [""; 0]);
    let effects = state.check_in(held, None, now);
    assert_eq!(names(&effects), ["In 2", "Closed 2 PoolClosed"]);
    let (step, effects) = state.check_out(now, here);
    assert!(matches!(step, Step::Refused(Refusal::Closed)));
    assert_eq!(names(&effects), ["Started", "Failed PoolClosed"]);
}

#[test]
fn a_connection_left_mid_message_is_closed_and_its_place_is_free() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    waiting(&mut state, now);
    let effects = state.check_in(held, Some(broken()), now);
    assert_eq!(names(&effects), ["In 1", "Closed 1 Error", "Created 2"]);
}

#[test]
fn a_connection_unused_for_too_long_is_never_handed_out() {
    let now = Instant::now();
    let mut state = state(2);
    state.limits.max_idle = Some(Duration::from_millis(10));
    let held = new_member(&mut state, now);
    let expiry = now + Duration::from_millis(10);
    assert_eq!(state.check_in(held, None, now).alarm, Some(expiry));
    let (step, effects) = state.check_out(expiry, here);
    assert!(matches!(step, Step::Wait(_)));
    assert_eq!(names(&effects), ["Started", "Closed 1 Idle", "Created 2"]);
}

#[test]
fn the_alarm_is_set_once_for_a_connection_and_never_without_one() {
    let now = Instant::now();
    let mut state = state(2);
    let limit = Duration::from_millis(10);
    state.limits.max_idle = Some(limit);
    let held = new_member(&mut state, now);
    assert_eq!(state.turn(now).alarm, None);
    let _ = state.check_in(held, None, now);
    let (step, effects) = state.check_out(now, here);
    assert_eq!(effects.alarm, None);
    let later = now + Duration::from_millis(5);
    let effects = state.check_in(member(step), None, later);
    assert_eq!(effects.alarm, None, "there is an earlier one");
    let effects = state.turn(now + limit);
    assert_eq!(effects.alarm, Some(later + limit));
    let effects = state.turn(later + limit);
    assert_eq!(names(&effects), ["Closed 1 Idle"]);
    assert_eq!(effects.alarm, None);
}

#[test]
fn the_pool_makes_the_connections_that_it_lacks_one_after_the_other() {
    let now = Instant::now();
    let mut state = state(5);
    state.limits.min_total = 2;
    let first = slot(state.turn(now));
    assert!(first.is_background());
    let effects = state.established(first, "socket", None, now);
    assert_eq!(names(&effects), ["Ready 1", "Created 2"]);
    assert!(!effects.settled);
    let effects = state.established(slot(effects), "socket", None, now);
    assert_eq!(names(&effects), ["Ready 2"]);
    assert!(effects.settled);
    // One that was lost is made good for at once.
    let lost = member(state.check_out(now, here).0);
    let effects = state.check_in(lost, Some(broken()), now);
    assert_eq!(names(&effects), ["In 2", "Closed 2 Error", "Created 3"]);
}

#[test]
fn behind_a_load_balancer_the_pool_makes_the_connections_that_it_lacks_again_and_again() {
    let now = Instant::now();
    let mut state = state(5);
    state.limits.load_balanced = true;
    state.limits.min_total = 1;
    let service = ObjectId::new();
    let mut attempt = slot(state.turn(now));
    for _ in 0..3 {
        let _ = state.established(attempt, "socket", Some(service), now);
        let effects = state.clear(ClearCause::default().service_id(service), now);
        attempt = slot(effects);
    }
}

#[test]
fn connections_that_operations_cause_count_for_the_least_number() {
    let now = Instant::now();
    let mut state = state(5);
    state.limits.min_total = 3;
    let (waiter, slot) = connecting(&mut state, now);
    let effects = state.established(slot, "socket", None, now);
    assert_eq!(names(&effects), ["Ready 1", "Created 2"]);
    let _ = look(&mut state, waiter, now);
    let effects = state.established(self::slot(effects), "socket", None, now);
    assert_eq!(names(&effects), ["Ready 2", "Created 3"]);
}

#[test]
fn after_a_failure_the_pool_waits_before_it_tries_again_unless_it_was_cleared() {
    let now = Instant::now();
    let pause = Duration::from_secs(10);
    let mut state = state(5);
    state.limits.min_total = 1;
    let first = slot(state.turn(now));
    let effects = state.not_established(first, &Failure::Error(broken()), now);
    assert!(effects.connect.is_empty() && effects.settled);
    assert_eq!(effects.alarm, Some(now + pause));
    let second = slot(state.turn(now + pause));
    // It fails for what makes the server unknown, until the next check.
    state.failing(&second);
    let _ = state.clear(ClearCause::default(), now);
    let effects = state.not_established(second, &Failure::Error(broken()), now);
    assert!(effects.connect.is_empty());
    assert_eq!(slot(state.ready(now)).id(), 3, "at once");
}

#[test]
fn a_connection_unused_for_a_second_is_probed_and_replaced_when_dead() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let _ = state.check_in(held, None, now);
    let later = now + PROBE_AFTER;
    let (step, effects) = state.check_out(later, here);
    assert_eq!(names(&effects), ["Started"]);
    let Step::Probe(dead) = step else {
        panic!("expected a probe, found {step:?}");
    };
    let (step, effects) = state.replace(dead, later, later, here);
    assert!(matches!(step, Step::Wait(_)));
    assert_eq!(names(&effects), ["Closed 1 Error", "Created 2"]);
    assert_eq!(state.counts().total, 1);
}

#[test]
fn idle_connections_are_verified_after_one_of_them_did_not_answer() {
    let now = Instant::now();
    let mut state = state(3);
    let held: Vec<_> = (0..3).map(|_| new_member(&mut state, now)).collect();
    let later = now + PROBE_AFTER;
    let times = [now, now, later];
    for (member, time) in held.into_iter().zip(times) {
        let _ = state.check_in(member, None, time);
    }
    let mut effects = state.suspect_idle(later);
    assert_eq!(names(&effects), [""; 0]);
    let suspects = effects.verify.drain(..).map(|it| it.id());
    assert_eq!(
        suspects.collect::<Vec<_>>(),
        [1, 2],
        "3 was in use just now"
    );
}

#[test]
fn operations_that_keep_timing_out_cause_one_round_of_pings() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let _ = state.check_in(held, None, now);
    let later = now + PROBE_AFTER;
    let mut suspects = state.suspect_idle(later).verify;
    let _ = state.verified(suspects.remove(0), None, later);
    assert!(state.suspect_idle(later).verify.is_empty());
    let much_later = later + Duration::from_secs(10);
    assert_eq!(state.suspect_idle(much_later).verify.len(), 1);
}

#[test]
fn a_connection_that_cannot_move_costs_no_other() {
    let now = Instant::now();
    let mut state = state(2);
    let held = [new_member(&mut state, now), new_member(&mut state, now)];
    for member in held {
        let _ = state.check_in(member, None, now);
    }
    let (Step::Probe(foreign), _) = state.check_out(now, |_| false) else {
        panic!("expected a connection of another runtime");
    };
    let effects = state.cannot_move(foreign, broken(), now, now);
    assert_eq!(
        names(&effects),
        ["Failed ConnectionError", "Closed 2 Error"]
    );
    assert_eq!((state.counts().idle, state.counts().total), (1, 1));
}

#[test]
fn a_suspected_connection_keeps_its_place_until_it_has_answered_or_not() {
    let now = Instant::now();
    let mut state = state(2);
    let held = [new_member(&mut state, now), new_member(&mut state, now)];
    for member in held {
        let _ = state.check_in(member, None, now);
    }
    let later = now + PROBE_AFTER;
    let mut suspects = state.suspect_idle(later).verify;
    let waiter = waiting(&mut state, later);
    assert_eq!(state.counts().total, 2);
    let effects = state.verified(suspects.remove(0), Some(broken()), later);
    assert_eq!(names(&effects), ["Closed 1 Error", "Created 3"]);
    let effects = state.verified(suspects.remove(0), None, later);
    assert_eq!(names(&effects), [""; 0]);
    let (step, _) = look(&mut state, waiter, later);
    assert!(matches!(step, Some(Step::Probe(member)) if member.id() == 2));
}

#[test]
fn an_error_of_a_server_that_left_and_came_back_is_of_another_pool() {
    let now = Instant::now();
    let mut before = state(1);
    let held = new_member(&mut before, now);
    let limits = before.limits;
    let mut after: State = PoolState::new(ServerAddress::default(), 2, limits, true);
    let _ = after.ready(now);
    assert_eq!(after.generation(None).number(), held.generation().number());
    assert!(!after.generation(None).is_of_pool_of(held.generation()));
    assert!(before.generation(None).is_of_pool_of(held.generation()));
}

#[test]
fn nobody_listening_means_no_events() {
    let now = Instant::now();
    let mut state = state(1);
    state.journal = Journal::new(ServerAddress::default(), false);
    let (ticket, slot) = connecting(&mut state, now);
    assert_eq!(state.established(slot, "socket", None, now).events, []);
    let (step, effects) = look(&mut state, ticket, now);
    assert_eq!(effects.events, []);
    let held = member(step.unwrap());
    assert_eq!(state.check_in(held, Some(broken()), now).events, []);
}
