//! What an event tells, as far as cases can ask.

use std::fmt;

use bson::{Document, oid::ObjectId};
use motorcade::event::{cmap::CmapEvent, command::CommandEvent, sdam::SdamEvent};
use serde::Serialize;

use super::Event;
use crate::unified::{
    file::{Awaited, ExpectedEvent},
    matching::{Lookup, match_root},
};

/// What an event tells; what it has no field for is absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Told<'a> {
    pub(super) name: &'static str,
    pub(super) command_name: Option<&'a str>,
    pub(super) database_name: Option<&'a str>,
    pub(super) command: Option<&'a Document>,
    pub(super) reply: Option<&'a Document>,
    pub(super) service_id: Option<ObjectId>,
    pub(super) server_connection_id: Option<i64>,
    pub(super) reason: Option<String>,
    pub(super) interrupts: Option<bool>,
    pub(super) awaited: Option<bool>,
    /// The types of the descriptions before and after.
    pub(super) change: Option<[String; 2]>,
}

impl<'a> Told<'a> {
    pub(super) fn named(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    pub(super) fn by(event: &'a Event) -> Self {
        match event {
            Event::Command(event) => Self::by_command(event),
            Event::Cmap(event) => Self::by_pool(event),
            Event::Sdam(event) => Self::by_topology(event),
        }
    }

    fn by_command(event: &'a CommandEvent) -> Self {
        match event {
            CommandEvent::Started(event) => Self {
                command_name: Some(&event.command_name),
                database_name: Some(&event.db),
                command: Some(&event.command),
                service_id: event.service_id,
                server_connection_id: event.connection.server_id,
                ..Self::named("commandStartedEvent")
            },
            CommandEvent::Succeeded(event) => Self {
                command_name: Some(&event.command_name),
                database_name: Some(&event.db),
                reply: Some(&event.reply),
                service_id: event.service_id,
                server_connection_id: event.connection.server_id,
                ..Self::named("commandSucceededEvent")
            },
            CommandEvent::Failed(event) => Self {
                command_name: Some(&event.command_name),
                database_name: Some(&event.db),
                service_id: event.service_id,
                server_connection_id: event.connection.server_id,
                ..Self::named("commandFailedEvent")
            },
            _ => Self::named("a command event that the runner doesn't know"),
        }
    }

    fn by_pool(event: &'a CmapEvent) -> Self {
        match event {
            CmapEvent::PoolCreated(_) => Self::named("poolCreatedEvent"),
            CmapEvent::PoolReady(_) => Self::named("poolReadyEvent"),
            CmapEvent::PoolCleared(event) => Self {
                service_id: event.service_id,
                interrupts: Some(event.interrupt_in_use_connections),
                ..Self::named("poolClearedEvent")
            },
            CmapEvent::PoolClosed(_) => Self::named("poolClosedEvent"),
            CmapEvent::ConnectionCreated(_) => Self::named("connectionCreatedEvent"),
            CmapEvent::ConnectionReady(_) => Self::named("connectionReadyEvent"),
            CmapEvent::ConnectionClosed(event) => Self {
                reason: spelled(event.reason),
                ..Self::named("connectionClosedEvent")
            },
            CmapEvent::ConnectionCheckoutStarted(_) => {
                Self::named("connectionCheckOutStartedEvent")
            }
            CmapEvent::ConnectionCheckoutFailed(event) => Self {
                reason: spelled(event.reason),
                ..Self::named("connectionCheckOutFailedEvent")
            },
            CmapEvent::ConnectionCheckedOut(_) => Self::named("connectionCheckedOutEvent"),
            CmapEvent::ConnectionCheckedIn(_) => Self::named("connectionCheckedInEvent"),
            _ => Self::named("a pool event that the runner doesn't know"),
        }
    }

    fn by_topology(event: &'a SdamEvent) -> Self {
        match event {
            SdamEvent::ServerDescriptionChanged(event) => Self {
                change: Some(
                    [&event.previous_description, &event.new_description]
                        .map(|description| description.server_type().to_string()),
                ),
                ..Self::named("serverDescriptionChangedEvent")
            },
            SdamEvent::TopologyDescriptionChanged(event) => Self {
                change: Some(
                    [&event.previous_description, &event.new_description]
                        .map(|description| description.topology_type().to_string()),
                ),
                ..Self::named("topologyDescriptionChangedEvent")
            },
            SdamEvent::ServerHeartbeatStarted(event) => Self {
                awaited: Some(event.awaited),
                ..Self::named("serverHeartbeatStartedEvent")
            },
            SdamEvent::ServerHeartbeatSucceeded(event) => Self {
                awaited: Some(event.awaited),
                ..Self::named("serverHeartbeatSucceededEvent")
            },
            SdamEvent::ServerHeartbeatFailed(event) => Self {
                awaited: Some(event.awaited),
                ..Self::named("serverHeartbeatFailedEvent")
            },
            SdamEvent::ServerOpening(_) => Self::named("serverOpeningEvent"),
            SdamEvent::ServerClosed(_) => Self::named("serverClosedEvent"),
            SdamEvent::TopologyOpening(_) => Self::named("topologyOpeningEvent"),
            SdamEvent::TopologyClosed(_) => Self::named("topologyClosedEvent"),
            _ => Self::named("a topology event that the runner doesn't know"),
        }
    }

    /// Fails when this is not like the event expected, naming the field that differs.
    pub(super) fn matches(
        &self,
        expected: &ExpectedEvent,
        lookup: &dyn Lookup,
    ) -> Result<(), String> {
        if self.name != expected.name() {
            return Err(format!("found {self}"));
        }
        match expected {
            ExpectedEvent::CommandStarted(wanted) => {
                self.has_names(
                    wanted.command_name.as_deref(),
                    wanted.database_name.as_deref(),
                )?;
                document("command", wanted.command.as_ref(), self.command, lookup)?;
                self.has_ids(wanted.has_service_id, wanted.has_server_connection_id)
            }
            ExpectedEvent::CommandSucceeded(wanted) => {
                self.has_names(
                    wanted.command_name.as_deref(),
                    wanted.database_name.as_deref(),
                )?;
                document("reply", wanted.reply.as_ref(), self.reply, lookup)?;
                self.has_ids(wanted.has_service_id, wanted.has_server_connection_id)
            }
            ExpectedEvent::CommandFailed(wanted) => {
                self.has_names(
                    wanted.command_name.as_deref(),
                    wanted.database_name.as_deref(),
                )?;
                self.has_ids(wanted.has_service_id, wanted.has_server_connection_id)
            }
            ExpectedEvent::PoolCleared(wanted) => {
                let interrupts = wanted.interrupt_in_use_connections;
                equal("interruptInUseConnections", interrupts, self.interrupts)?;
                self.has_ids(wanted.has_service_id, None)
            }
            ExpectedEvent::ConnectionClosed(wanted)
            | ExpectedEvent::ConnectionCheckOutFailed(wanted) => {
                equal("reason", wanted.reason.as_deref(), self.reason.as_deref())
            }
            ExpectedEvent::ServerDescriptionChanged(wanted) => self.has_change([
                wanted
                    .previous_description
                    .as_ref()
                    .and_then(|state| state.server_type.as_deref()),
                wanted
                    .new_description
                    .as_ref()
                    .and_then(|state| state.server_type.as_deref()),
            ]),
            ExpectedEvent::TopologyDescriptionChanged(wanted) => self.has_change([
                wanted
                    .previous_description
                    .as_ref()
                    .and_then(|state| state.topology_type.as_deref()),
                wanted
                    .new_description
                    .as_ref()
                    .and_then(|state| state.topology_type.as_deref()),
            ]),
            ExpectedEvent::ServerHeartbeatStarted(Awaited { awaited })
            | ExpectedEvent::ServerHeartbeatSucceeded(Awaited { awaited })
            | ExpectedEvent::ServerHeartbeatFailed(Awaited { awaited }) => {
                equal("awaited", *awaited, self.awaited)
            }
            ExpectedEvent::PoolCreated(_)
            | ExpectedEvent::PoolReady(_)
            | ExpectedEvent::PoolClosed(_)
            | ExpectedEvent::ConnectionCreated(_)
            | ExpectedEvent::ConnectionReady(_)
            | ExpectedEvent::ConnectionCheckOutStarted(_)
            | ExpectedEvent::ConnectionCheckedOut(_)
            | ExpectedEvent::ConnectionCheckedIn(_)
            | ExpectedEvent::TopologyOpening(_)
            | ExpectedEvent::TopologyClosed(_) => Ok(()),
        }
    }

    fn has_names(&self, command: Option<&str>, database: Option<&str>) -> Result<(), String> {
        equal("commandName", command, self.command_name)?;
        equal("databaseName", database, self.database_name)
    }

    fn has_change(&self, wanted: [Option<&str>; 2]) -> Result<(), String> {
        let [before, after] = match &self.change {
            Some([before, after]) => [Some(before.as_str()), Some(after.as_str())],
            None => [None, None],
        };
        equal("previousDescription.type", wanted[0], before)?;
        equal("newDescription.type", wanted[1], after)
    }

    fn has_ids(
        &self,
        service: Option<bool>,
        server_connection: Option<bool>,
    ) -> Result<(), String> {
        let is_set = self.service_id.is_some_and(|id| id.bytes() != [0; 12]);
        equal("hasServiceId", service, Some(is_set))?;
        let is_set = self.server_connection_id.is_some_and(|id| id > 0);
        equal("hasServerConnectionId", server_connection, Some(is_set))
    }
}

impl fmt::Display for Told<'_> {
    /// The name, and the one field that tells events of that name apart best.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        match (self.command_name, &self.reason, &self.change) {
            (Some(text), ..) => write!(f, "({text})"),
            (_, Some(text), _) => write!(f, "({text})"),
            (_, _, Some([before, after])) => write!(f, "({before} to {after})"),
            _ => Ok(()),
        }
    }
}

/// A reason as the specification spells it.
fn spelled(reason: impl Serialize) -> Option<String> {
    let text = serde_json::to_value(reason).ok()?;
    text.as_str().map(str::to_owned)
}

fn equal<T: PartialEq + fmt::Debug>(
    field: &str,
    wanted: Option<T>,
    found: Option<T>,
) -> Result<(), String> {
    match wanted {
        Some(_) if wanted != found => Err(format!("{field}: expected {wanted:?}, found {found:?}")),
        _ => Ok(()),
    }
}

fn document(
    field: &str,
    wanted: Option<&Document>,
    found: Option<&Document>,
    lookup: &dyn Lookup,
) -> Result<(), String> {
    match (wanted, found) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(format!("{field}: it tells none")),
        (Some(wanted), Some(found)) => {
            match_root(wanted, found, lookup).map_err(|why| format!("{field}: {why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, bson, doc};
    use motorcade::event::cmap::CmapEvent;

    use super::*;
    use crate::unified::{file::from_bson, matching::tests::Entities};

    #[track_caller]
    fn holds(told: &Told<'_>, expected: Bson) {
        let event: ExpectedEvent = from_bson(expected).unwrap();
        assert_eq!(told.matches(&event, &Entities), Ok(()));
    }

    #[track_caller]
    fn fails(told: &Told<'_>, expected: Bson, text: &str) {
        let event: ExpectedEvent = from_bson(expected).unwrap();
        let error = told.matches(&event, &Entities).unwrap_err();
        assert!(error.contains(text), "{text}: {error}");
    }

    #[test]
    fn each_field_of_a_command_event_is_matched() {
        let (command, reply) = (doc! { "ping": 1, "$db": "a" }, doc! { "ok": 1.0, "n": 2 });
        let started = Told {
            command_name: Some("ping"),
            database_name: Some("a"),
            command: Some(&command),
            server_connection_id: Some(7),
            ..Told::named("commandStartedEvent")
        };
        let is_started = |fields: Bson| bson!({ "commandStartedEvent": fields });
        for fields in [
            bson!({}),
            bson!({ "command": { "ping": 1_i64 }, "commandName": "ping", "databaseName": "a" }),
            bson!({ "hasServerConnectionId": true, "hasServiceId": false }),
        ] {
            holds(&started, is_started(fields));
        }
        for (fields, text) in [
            (bson!({ "command": { "ping": 2 } }), "command: at ping: "),
            (bson!({ "commandName": "pong" }), "commandName: "),
            (bson!({ "databaseName": "b" }), "databaseName: "),
            (
                bson!({ "hasServerConnectionId": false }),
                "hasServerConnectionId: ",
            ),
            (bson!({ "hasServiceId": true }), "hasServiceId: "),
        ] {
            fails(&started, is_started(fields), text);
        }
        fails(
            &started,
            bson!({ "commandFailedEvent": {} }),
            "found commandStartedEvent(ping)",
        );

        let succeeded = Told {
            reply: Some(&reply),
            server_connection_id: Some(0),
            service_id: Some(ObjectId::from_bytes([1; 12])),
            ..Told::named("commandSucceededEvent")
        };
        let is_succeeded = |fields: Bson| bson!({ "commandSucceededEvent": fields });
        holds(
            &succeeded,
            is_succeeded(bson!({ "reply": { "n": 2 }, "hasServiceId": true })),
        );
        fails(
            &succeeded,
            is_succeeded(bson!({ "reply": { "n": 3 } })),
            "reply: at n: ",
        );
        fails(
            &succeeded,
            is_succeeded(bson!({ "hasServerConnectionId": true })),
            "found Some(false)",
        );

        let failed = Told {
            database_name: Some("a"),
            service_id: Some(ObjectId::from_bytes([0; 12])),
            ..Told::named("commandFailedEvent")
        };
        holds(
            &failed,
            bson!({ "commandFailedEvent": { "databaseName": "a", "hasServiceId": false } }),
        );
        fails(
            &failed,
            bson!({ "commandFailedEvent": { "databaseName": "b" } }),
            "databaseName: ",
        );
        fails(
            &failed,
            bson!({ "commandFailedEvent": { "hasServiceId": true } }),
            "hasServiceId: ",
        );
    }

    #[test]
    fn pool_events_are_told_apart_with_their_reasons() {
        let from = |document: Document| from_bson(document.into());
        let cleared: CmapEvent = CmapEvent::PoolCleared(
            from_bson(bson!({ "address": "localhost:1", "interruptInUseConnections": true }))
                .unwrap(),
        );
        let event = Event::Cmap(cleared);
        let told = Told::by(&event);
        holds(&told, bson!({ "poolClearedEvent": {} }));
        holds(
            &told,
            bson!({ "poolClearedEvent": { "interruptInUseConnections": true } }),
        );
        fails(
            &told,
            bson!({ "poolClearedEvent": { "interruptInUseConnections": false } }),
            "interruptInUseConnections: ",
        );
        fails(
            &told,
            bson!({ "poolClearedEvent": { "hasServiceId": true } }),
            "hasServiceId: ",
        );
        fails(
            &told,
            bson!({ "poolReadyEvent": {} }),
            "found poolClearedEvent",
        );

        let closed =
            doc! { "address": "localhost:1", "connectionId": 1_i64, "reason": "poolClosed" };
        let event = Event::Cmap(CmapEvent::ConnectionClosed(from(closed).unwrap()));
        let told = Told::by(&event);
        holds(
            &told,
            bson!({ "connectionClosedEvent": { "reason": "poolClosed" } }),
        );
        holds(&told, bson!({ "connectionClosedEvent": {} }));
        fails(
            &told,
            bson!({ "connectionClosedEvent": { "reason": "idle" } }),
            "reason: ",
        );
    }

    #[test]
    fn changes_and_heartbeats_are_matched_by_what_they_tell() {
        let changed = |name| Told {
            change: Some(["Unknown".to_owned(), "Single".to_owned()]),
            ..Told::named(name)
        };
        let told = changed("topologyDescriptionChangedEvent");
        let wanted = |before: &str, after: &str| {
            bson!({ "topologyDescriptionChangedEvent": {
                "previousDescription": { "type": before }, "newDescription": { "type": after },
            } })
        };
        holds(&told, wanted("Unknown", "Single"));
        holds(
            &told,
            bson!({ "topologyDescriptionChangedEvent": { "newDescription": {} } }),
        );
        fails(
            &told,
            wanted("Single", "Single"),
            "previousDescription.type: ",
        );
        fails(&told, wanted("Unknown", "Unknown"), "newDescription.type: ");

        let told = changed("serverDescriptionChangedEvent");
        holds(
            &told,
            bson!({ "serverDescriptionChangedEvent": { "previousDescription": { "type": "Unknown" } } }),
        );
        fails(
            &told,
            bson!({ "serverDescriptionChangedEvent": { "newDescription": { "type": "Mongos" } } }),
            "newDescription.type: ",
        );

        for name in ["Started", "Succeeded", "Failed"] {
            let (field, told) = (
                format!("serverHeartbeat{name}Event"),
                match name {
                    "Started" => Told::named("serverHeartbeatStartedEvent"),
                    "Succeeded" => Told::named("serverHeartbeatSucceededEvent"),
                    _ => Told::named("serverHeartbeatFailedEvent"),
                },
            );
            let told = Told {
                awaited: Some(true),
                ..told
            };
            holds(&told, bson!({ field.as_str(): { "awaited": true } }));
            fails(
                &told,
                bson!({ field.as_str(): { "awaited": false } }),
                "awaited: ",
            );
        }
    }
}
