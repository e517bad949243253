//! What a change of the topology asks the rest of the driver to do.

use std::sync::Arc;

use bson::oid::ObjectId;

use super::{ServerDescription, TopologyDescription, TopologySeed};
use crate::{
    address::ServerAddress,
    event::sdam::{
        SdamEvent, ServerClosedEvent, ServerDescriptionChangedEvent, ServerOpeningEvent,
        TopologyClosedEvent, TopologyDescriptionChangedEvent, TopologyOpeningEvent,
    },
};

/// What a change of the topology asks the rest of the driver to do, in the order of the fields.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Whether the description was taken in. When false nothing has changed, and what was meant
    /// to go with the change (clearing or readying a pool) must not happen either.
    pub applied: bool,
    /// The servers whose state has changed, the checked one first.
    pub changed: Vec<ServerChange>,
    /// Servers to begin monitoring.
    pub opened: Vec<ServerAddress>,
    /// Servers to stop monitoring and whose pools to close.
    pub closed: Vec<ServerAddress>,
    /// Former primaries, to be checked as soon as possible.
    pub check_now: Vec<ServerAddress>,
    /// Whether listeners are to be told that the topology has changed.
    pub topology_changed: bool,
    /// Whether the last server was removed, after which the client can find none again.
    pub left_empty: bool,
}

/// A server's state before and after.
#[derive(Clone, Debug)]
pub struct ServerChange {
    /// What was known.
    pub previous: Arc<ServerDescription>,
    /// What is known now; of a server that was removed, what it was removed for.
    pub current: Arc<ServerDescription>,
}

impl Effects {
    /// Notes a replacement. When a server's description is replaced twice in one step, only the
    /// last counts.
    pub(super) fn replaced(
        &mut self,
        previous: Arc<ServerDescription>,
        current: Arc<ServerDescription>,
    ) {
        let noted = self
            .changed
            .iter_mut()
            .find(|change| change.current.address == current.address);
        match noted {
            Some(change) => change.current = current,
            None => self.changed.push(ServerChange { previous, current }),
        }
    }

    /// Drops the replacements that changed nothing but times.
    pub(super) fn settle(&mut self, headline_changed: bool) {
        self.changed
            .retain(|change| !change.previous.has_same_state(&change.current));
        self.topology_changed = headline_changed
            || !(self.changed.is_empty() && self.opened.is_empty() && self.closed.is_empty());
    }

    /// The events of this change, in the order of their publication (SDAM monitoring
    /// specification).
    pub fn events(
        &self,
        topology_id: ObjectId,
        previous: &TopologyDescription,
        current: &TopologyDescription,
    ) -> Vec<SdamEvent> {
        let mut events = Vec::new();
        events.extend(self.changed.iter().map(|change| {
            SdamEvent::ServerDescriptionChanged(Box::new(ServerDescriptionChangedEvent {
                address: change.current.address.clone(),
                topology_id,
                previous_description: (*change.previous).clone(),
                new_description: (*change.current).clone(),
            }))
        }));
        events.extend(openings(topology_id, &self.opened));
        events.extend(self.closed.iter().map(|address| {
            SdamEvent::ServerClosed(ServerClosedEvent {
                address: address.clone(),
                topology_id,
            })
        }));
        if self.topology_changed {
            events.push(topology_changed(topology_id, previous, current));
        }
        events
    }
}

impl TopologyDescription {
    /// The events of a topology that begins with this description of `seed`.
    pub fn opening_events(&self, topology_id: ObjectId, seed: &TopologySeed) -> Vec<SdamEvent> {
        let mut events = vec![
            SdamEvent::TopologyOpening(TopologyOpeningEvent { topology_id }),
            topology_changed(topology_id, &Self::default(), self),
        ];
        // In the order that the user gave, each once.
        let mut addresses: Vec<ServerAddress> = Vec::new();
        for address in &seed.addresses {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        events.extend(openings(topology_id, &addresses));
        events
    }

    /// The last event of a topology, to follow those of [`TopologyDescription::close`].
    pub fn closing_event(topology_id: ObjectId) -> SdamEvent {
        SdamEvent::TopologyClosed(TopologyClosedEvent { topology_id })
    }
}

fn openings(topology_id: ObjectId, addresses: &[ServerAddress]) -> impl Iterator<Item = SdamEvent> {
    addresses.iter().map(move |address| {
        SdamEvent::ServerOpening(ServerOpeningEvent {
            address: address.clone(),
            topology_id,
        })
    })
}

fn topology_changed(
    topology_id: ObjectId,
    previous: &TopologyDescription,
    current: &TopologyDescription,
) -> SdamEvent {
    SdamEvent::TopologyDescriptionChanged(Box::new(TopologyDescriptionChangedEvent {
        topology_id,
        previous_description: previous.clone(),
        new_description: current.clone(),
    }))
}
