//! Whether the events that a client told are the ones a case expects.

mod told;

use motorcade::event::{cmap::CmapEvent, command::CommandEvent, sdam::SdamEvent};

use super::{
    file::{EventType, ExpectedEvent, ExpectedEvents},
    matching::Lookup,
};
use told::Told;

/// An event that a client told.
#[derive(Clone, Debug)]
pub enum Event {
    /// About a command.
    Command(CommandEvent),
    /// About a connection pool.
    Cmap(CmapEvent),
    /// About discovery and monitoring.
    Sdam(SdamEvent),
}

impl Event {
    /// The name that `observeEvents` and `expectEvents` use, such as `commandStartedEvent`.
    pub fn name(&self) -> &'static str {
        Told::by(self).name
    }

    /// The specification that defines the event.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::Command(_) => EventType::Command,
            Self::Cmap(_) => EventType::Cmap,
            Self::Sdam(_) => EventType::Sdam,
        }
    }
}

/// Fails when the events of one client are not those expected. `actual` holds all the client's
/// observed events in their order; those of another type than the expected ones are left out here.
///
/// # Errors
///
/// The text names the first event that differs, and lists the names of those observed.
pub fn match_events(
    expected: &ExpectedEvents,
    actual: &[Event],
    lookup: &dyn Lookup,
) -> Result<(), String> {
    let actual: Vec<Told<'_>> = actual
        .iter()
        .filter(|event| event.event_type() == expected.event_type)
        .map(Told::by)
        .collect();
    match_sequence(expected, &actual, lookup)
        .map_err(|why| format!("{why}; observed: {}", listed(&actual)))
}

/// True when an event is like the one expected, for `waitForEvent` and `assertEventCount`.
pub fn event_matches(expected: &ExpectedEvent, actual: &Event, lookup: &dyn Lookup) -> bool {
    Told::by(actual).matches(expected, lookup).is_ok()
}

fn match_sequence(
    expected: &ExpectedEvents,
    actual: &[Told<'_>],
    lookup: &dyn Lookup,
) -> Result<(), String> {
    let client = &expected.client;
    for (index, event) in expected.events.iter().enumerate() {
        let told = actual
            .get(index)
            .ok_or_else(|| format!("{client}: event {index}, {}, is missing", event.name()))?;
        told.matches(event, lookup)
            .map_err(|why| format!("{client}: event {index}, {}: {why}", event.name()))?;
    }
    let wanted = expected.events.len();
    match actual.get(wanted) {
        Some(further) if !expected.ignore_extra_events => Err(format!(
            "{client}: {wanted} events were expected, and further ones came, the first {further}"
        )),
        _ => Ok(()),
    }
}

fn listed(events: &[Told<'_>]) -> String {
    if events.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = events.iter().map(ToString::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use bson::{Bson, bson};

    use super::*;
    use crate::unified::{file::from_bson, matching::tests::Entities};

    fn check(expected: Bson, actual: &[Told<'_>]) -> Result<(), String> {
        match_sequence(&from_bson(expected).unwrap(), actual, &Entities)
    }

    fn started(name: &str) -> Told<'_> {
        Told {
            command_name: Some(name),
            ..Told::named("commandStartedEvent")
        }
    }

    #[test]
    fn events_must_come_in_order_and_no_further_ones_unless_allowed() {
        let wanted = |names: &[&str], ignore: bool| {
            let events: Vec<Bson> = names
                .iter()
                .map(|name| bson!({ "commandStartedEvent": { "commandName": *name } }))
                .collect();
            bson!({ "client": "c", "events": events, "ignoreExtraEvents": ignore })
        };
        let actual = [started("a"), started("b")];
        assert_eq!(check(wanted(&["a", "b"], false), &actual), Ok(()));
        assert_eq!(check(wanted(&["a"], true), &actual), Ok(()));
        assert_eq!(check(wanted(&[], true), &actual), Ok(()));
        assert_eq!(check(wanted(&[], false), &[]), Ok(()));
        for (names, ignore, text) in [
            (
                &["a"][..],
                false,
                "further ones came, the first commandStartedEvent(b)",
            ),
            (
                &[],
                false,
                "further ones came, the first commandStartedEvent(a)",
            ),
            (
                &["b", "a"],
                true,
                "event 0, commandStartedEvent: commandName",
            ),
            (&["b"], true, "event 0, commandStartedEvent: commandName"),
            (
                &["a", "b", "c"],
                true,
                "event 2, commandStartedEvent, is missing",
            ),
        ] {
            let error = check(wanted(names, ignore), &actual).unwrap_err();
            assert!(error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn events_of_other_types_are_left_out() {
        let address = bson::doc! { "address": "localhost:27017" };
        let ready = from_bson(address.into()).unwrap();
        let actual = [Event::Cmap(CmapEvent::PoolReady(ready))];
        let matches =
            |expected: Bson| match_events(&from_bson(expected).unwrap(), &actual, &Entities);
        assert_eq!(matches(bson!({ "client": "c", "events": [] })), Ok(()));
        let events = bson!([{ "poolReadyEvent": {} }]);
        assert_eq!(
            matches(bson!({ "client": "c", "eventType": "cmap", "events": events })),
            Ok(())
        );
        let none = bson!({ "client": "c", "eventType": "cmap", "events": [] });
        let error = matches(none).unwrap_err();
        assert!(error.ends_with("observed: poolReadyEvent"), "{error}");
    }
}
