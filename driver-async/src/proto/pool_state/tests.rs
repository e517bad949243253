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
        load_balanced: false,
    };
    ready(PoolState::new(ServerAddress::default(), limits, true))
}

fn ready(mut state: State) -> State {
    assert_eq!(names(&state.ready()), ["PoolReady"]);
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

fn slot(step: Step<&'static str>) -> Slot {
    let Step::Connect(slot) = step else {
        panic!("expected a slot, found {step:?}");
    };
    slot
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

fn new_member(state: &mut State, now: Instant) -> Box<Member<&'static str>> {
    let slot = slot(state.check_out(now).0);
    state.established(slot, "socket", None, now, now).0.unwrap()
}

#[test]
fn the_first_check_out_creates_a_connection_and_the_second_reuses_it() {
    let now = Instant::now();
    let mut state = state(1);
    let (step, effects) = state.check_out(now);
    assert_eq!(names(&effects), ["Started", "Created 1"]);
    let (outcome, effects) = state.established(slot(step), "socket", None, now, now);
    assert_eq!(names(&effects), ["Ready 1", "Out 1"]);
    let effects = state.check_in(outcome.unwrap(), None, now);
    assert_eq!(names(&effects), ["In 1"]);
    let (step, effects) = state.check_out(now);
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
fn a_check_out_gets_what_fits_it_and_leaves_the_rest_while_there_is_room() {
    let now = Instant::now();
    let mut state = state(3);
    let of = |state: &mut State, kind: &'static str| {
        state
            .check_out_fitting(now, |it| *it == kind, |it| *it == "useless")
            .0
    };
    let slots = ["mine", "other"].map(|kind| (kind, slot(of(&mut state, kind))));
    let made = slots.map(|(kind, slot)| state.established(slot, kind, None, now, now).0.unwrap());
    for member in made {
        let _ = state.check_in(member, None, now);
    }
    assert_eq!(
        member(of(&mut state, "mine")).id(),
        1,
        "although 2 was used later"
    );
    let third = slot(of(&mut state, "mine"));
    let third = state
        .established(third, "useless", None, now, now)
        .0
        .unwrap();
    let _ = state.check_in(third, None, now);
    let fourth = slot(of(&mut state, "mine"));
    state.established(fourth, "mine", None, now, now).0.unwrap();
    assert_eq!(state.counts().total, 3, "the useless one made room");
    assert_eq!(
        member(of(&mut state, "mine")).id(),
        2,
        "a full pool gives what it has"
    );
}

#[test]
fn a_returned_connection_goes_to_the_oldest_waiter_and_not_to_a_newcomer() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let first = ticket(state.check_out(now).0);
    let second = ticket(state.check_out(now).0);
    assert!(state.look(first, "first", now, now).0.is_none());
    assert!(state.look(second, "second", now, now).0.is_none());
    assert_eq!(state.check_in(held, None, now).wake, ["first"]);
    ticket(state.check_out(now).0);
    let (step, effects) = state.look(first, "first", now, now);
    assert_eq!(names(&effects), ["Out 1"]);
    let passed_on = member(step.unwrap());
    assert_eq!((passed_on.id(), passed_on.is_passed_on()), (1, true));
}

#[test]
fn a_vanished_waiter_passes_its_connection_on() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let first = ticket(state.check_out(now).0);
    let second = ticket(state.check_out(now).0);
    let _ = state.look(second, "second", now, now);
    let _ = state.check_in(held, None, now);
    let effects = state.abandon_wait(first, now, now);
    assert_eq!(effects.wake, ["second"]);
    assert_eq!(names(&effects), ["Failed Dropped"]);
    assert_eq!(state.counts().in_use, 1);
}

#[test]
fn a_vanished_waiter_passes_its_slot_on_without_a_word() {
    let now = Instant::now();
    let mut state = state(1);
    let failed = slot(state.check_out(now).0);
    let first = ticket(state.check_out(now).0);
    let second = ticket(state.check_out(now).0);
    let effects = state.not_established(failed, &Failure::Error(Error::internal("x")), now);
    assert_eq!(names(&effects), ["Closed 1 Error", "Created 2"]);
    let effects = state.abandon_wait(first, now, now);
    assert_eq!(names(&effects), ["Failed Dropped"]);
    assert_eq!(slot(state.look(second, "", now, now).0.unwrap()).id(), 2);
    assert_eq!(state.counts().pending, 1);
}

#[test]
fn no_more_than_max_connecting_are_established_at_once() {
    let now = Instant::now();
    let mut state = state(10);
    let first = slot(state.check_out(now).0);
    let _second = slot(state.check_out(now).0);
    let third = ticket(state.check_out(now).0);
    assert!(state.look(third, "third", now, now).0.is_none());
    let (_, effects) = state.established(first, "socket", None, now, now);
    assert_eq!(effects.wake, ["third"]);
    assert_eq!(names(&effects), ["Ready 1", "Out 1", "Created 3"]);
}

#[test]
fn clearing_fails_the_waiters_once_and_closes_what_comes_back() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let waiter = ticket(state.check_out(now).0);
    let _ = state.look(waiter, "waiter", now, now);
    let effects = state.clear(ClearCause::new(Error::internal("gone")), now);
    assert_eq!(names(&effects), ["PoolCleared"]);
    assert_eq!(effects.wake, ["waiter"]);
    let (step, effects) = state.look(waiter, "waiter", now, now);
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
fn a_connection_granted_before_a_clearing_is_not_handed_out_after_it() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let waiter = ticket(state.check_out(now).0);
    let _ = state.check_in(held, None, now);
    let _ = state.clear(ClearCause::default(), now);
    let mut state = ready(state);
    let (step, effects) = state.look(waiter, "", now, now);
    assert_eq!(names(&effects), ["Closed 1 Stale", "Created 2"]);
    assert_eq!(slot(step.unwrap()).id(), 2);
}

#[test]
fn a_connection_that_was_being_established_during_a_clearing_is_closed() {
    let now = Instant::now();
    let mut state = state(1);
    let pending = slot(state.check_out(now).0);
    let _ = state.clear(ClearCause::default(), now);
    let mut state = ready(state);
    let (outcome, effects) = state.established(pending, "socket", None, now, now);
    assert!(matches!(outcome, Err(Refusal::Cleared)));
    assert_eq!(
        names(&effects),
        ["Closed 1 Stale", "Failed ConnectionError"]
    );
    assert_eq!(state.counts(), PoolCounts::default());
}

#[test]
fn interrupting_closes_older_connections_at_once() {
    let now = Instant::now();
    let mut state = state(3);
    let held = new_member(&mut state, now);
    let idle = new_member(&mut state, now);
    let _ = state.check_in(idle, None, now);
    let _ = member(state.check_out(now).0);
    let pending = slot(state.check_out(now).0);
    let effects = state.clear(ClearCause::default().interrupting(), now);
    assert_eq!(
        names(&effects),
        [
            "PoolCleared",
            "In 1",
            "Closed 1 Stale",
            "In 2",
            "Closed 2 Stale"
        ]
    );
    assert_eq!(effects.interrupt.len(), 3);
    effects.interrupt.iter().for_each(|signal| signal.fire());
    assert!(held.interrupt().is_fired() && pending.interrupt().is_fired());
    let effects = state.not_established(pending, &Failure::Interrupted, now);
    assert_eq!(names(&effects), ["Closed 3 Stale"]);
    assert_eq!(state.counts(), PoolCounts::default());

    let mut state = ready(state);
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
    let slot = slot(state.check_out(now).0);
    let (held, _) = state.established(slot, "socket", Some(service), now, now);
    let _ = state.check_in(held.unwrap(), None, now);
    let later = now + PROBE_AFTER;
    let Step::Probe(probed) = state.check_out(later).0 else {
        panic!("expected a probe");
    };
    let waiter = ticket(state.check_out(later).0);
    let cause = ClearCause::default().service_id(service).interrupting();
    let effects = state.clear(cause, later);
    assert_eq!(
        names(&effects),
        ["PoolCleared", "In 1", "Closed 1 Stale", "Created 2"]
    );
    let (step, effects) = state.accept(probed, later, later);
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
        let slot = slot(state.check_out(now).0);
        let (member, _) = state.established(slot, "socket", Some(service), now, now);
        member.unwrap()
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
    assert_eq!(member(state.check_out(now).0).id(), 2);
}

#[test]
fn closing_closes_idle_connections_first_and_the_others_on_return() {
    let now = Instant::now();
    let mut state = state(2);
    let (idle, held) = (new_member(&mut state, now), new_member(&mut state, now));
    let _ = state.check_in(idle, None, now);
    let effects = state.close();
    assert_eq!(names(&effects), ["Closed 1 PoolClosed", "PoolClosed"]);
    assert_eq!(names(&state.close()), [""; 0]);
    let effects = state.check_in(held, None, now);
    assert_eq!(names(&effects), ["In 2", "Closed 2 PoolClosed"]);
    let (step, effects) = state.check_out(now);
    assert!(matches!(step, Step::Refused(Refusal::Closed)));
    assert_eq!(names(&effects), ["Started", "Failed PoolClosed"]);
}

#[test]
fn a_connection_left_mid_message_is_closed_and_its_place_is_free() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let waiter = ticket(state.check_out(now).0);
    let effects = state.check_in(held, Some(broken()), now);
    assert_eq!(names(&effects), ["In 1", "Closed 1 Error", "Created 2"]);
    assert_eq!(slot(state.look(waiter, "", now, now).0.unwrap()).id(), 2);
}

#[test]
fn a_connection_unused_for_too_long_is_never_handed_out() {
    let now = Instant::now();
    let mut state = state(2);
    state.limits.max_idle = Some(Duration::from_millis(10));
    let held = new_member(&mut state, now);
    let _ = state.check_in(held, None, now);
    let expiry = now + Duration::from_millis(10);
    assert_eq!(state.next_expiry(now), Some(expiry));
    let (step, effects) = state.check_out(expiry);
    assert_eq!(names(&effects), ["Started", "Closed 1 Idle", "Created 2"]);
    assert_eq!(slot(step).id(), 2);
}

#[test]
fn reaping_closes_what_expired_and_asks_for_a_refill() {
    let now = Instant::now();
    let mut state = state(3);
    state.limits.max_idle = Some(Duration::from_millis(10));
    state.limits.min_total = 2;
    let (old, young) = (new_member(&mut state, now), new_member(&mut state, now));
    let _ = state.check_in(old, None, now);
    let later = now + Duration::from_millis(5);
    let _ = state.check_in(young, None, later);
    let effects = state.reap(now + Duration::from_millis(12));
    assert_eq!(names(&effects), ["Closed 1 Idle"]);
    assert!(effects.upkeep);
    let (slot, effects) = state.populate(later);
    assert_eq!(names(&effects), ["Created 3"]);
    let effects = state.populated(slot.unwrap(), "socket", None, later);
    assert_eq!(names(&effects), ["Ready 3"]);
    assert!(state.populate(later).0.is_none());
}

#[test]
fn a_connection_unused_for_a_second_is_probed_and_replaced_when_dead() {
    let now = Instant::now();
    let mut state = state(1);
    let held = new_member(&mut state, now);
    let _ = state.check_in(held, None, now);
    let later = now + PROBE_AFTER;
    let (step, effects) = state.check_out(later);
    assert_eq!(names(&effects), ["Started"]);
    let Step::Probe(dead) = step else {
        panic!("expected a probe, found {step:?}");
    };
    let (step, effects) = state.replace(dead, later, later);
    assert_eq!(names(&effects), ["Closed 1 Error", "Created 2"]);
    assert_eq!(slot(step).id(), 2);
    assert_eq!(state.counts().total, 1);
}

#[test]
fn nobody_listening_means_no_events() {
    let now = Instant::now();
    let mut state = state(1);
    state.journal = Journal::new(ServerAddress::default(), false);
    let (step, effects) = state.check_out(now);
    assert_eq!(effects.events, []);
    let (member, effects) = state.established(slot(step), "socket", None, now, now);
    assert_eq!(effects.events, []);
    assert_eq!(
        state.check_in(member.unwrap(), Some(broken()), now).events,
        []
    );
}
