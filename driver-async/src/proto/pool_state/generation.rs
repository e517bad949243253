//! Which connections of a pool are older than its last clearing.

use std::collections::HashMap;

use bson::oid::ObjectId;

/// How often the pool (or, behind a load balancer, the service) had been cleared when a connection
/// was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// Which pool it is of: one whose server leaves and comes back begins anew.
    pool: u64,
    number: u32,
    service_id: Option<ObjectId>,
}

impl Generation {
    /// The number of clearings.
    pub fn number(self) -> u32 {
        self.number
    }

    /// Whether both are of one pool.
    pub(crate) fn is_of_pool_of(self, other: Self) -> bool {
        self.pool == other.pool
    }

    /// The service behind the load balancer that the connection reaches.
    pub fn service_id(self) -> Option<ObjectId> {
        self.service_id
    }
}

/// The current generation of a pool and of each service that it has connections to.
#[derive(Debug)]
pub(super) struct Generations {
    pool: u64,
    number: u32,
    services: HashMap<ObjectId, Service>,
}

#[derive(Debug, Default)]
struct Service {
    generation: u32,
    connections: usize,
}

impl Generations {
    pub(super) fn new(pool: u64) -> Self {
        Self {
            pool,
            number: 0,
            services: HashMap::new(),
        }
    }

    /// The current generation. A service without connections is in its first.
    pub(super) fn current(&self, service_id: Option<ObjectId>) -> Generation {
        let number = match service_id {
            None => self.number,
            Some(id) => self
                .services
                .get(&id)
                .map_or(0, |service| service.generation),
        };
        Generation {
            pool: self.pool,
            number,
            service_id,
        }
    }

    pub(super) fn is_stale(&self, generation: Generation) -> bool {
        generation != self.current(generation.service_id)
    }

    /// Makes every connection of the pool, or of the service, stale. A service without connections
    /// stays in its first generation.
    pub(super) fn bump(&mut self, service_id: Option<ObjectId>) {
        let number = match service_id {
            None => Some(&mut self.number),
            Some(id) => {
                let service = self.services.get_mut(&id);
                service.map(|service| &mut service.generation)
            }
        };
        if let Some(number) = number {
            *number = number.wrapping_add(1);
        }
    }

    /// Counts a connection that reaches the service, and gives the connection's generation.
    pub(super) fn join(&mut self, service_id: ObjectId) -> Generation {
        self.services.entry(service_id).or_default().connections += 1;
        self.current(Some(service_id))
    }

    /// Counts a connection off. The specification demands that a service without connections is
    /// forgotten, or the map would grow with every service that ever was.
    pub(super) fn leave(&mut self, generation: Generation) {
        let Some(id) = generation.service_id else {
            return;
        };
        if let Some(service) = self.services.get_mut(&id) {
            service.connections = service.connections.saturating_sub(1);
            if service.connections == 0 {
                self.services.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clearing_one_service_leaves_the_others_alone() {
        let (one, two) = (ObjectId::new(), ObjectId::new());
        let mut generations = Generations::new(1);
        let (first, second) = (generations.join(one), generations.join(two));
        generations.bump(Some(one));
        assert!(generations.is_stale(first));
        assert!(!generations.is_stale(second));
        assert_eq!(generations.join(one).number(), 1);
    }

    #[test]
    fn a_service_without_connections_is_forgotten() {
        let id = ObjectId::new();
        let mut generations = Generations::new(1);
        let generation = generations.join(id);
        generations.bump(Some(id));
        generations.leave(generation);
        generations.bump(Some(id));
        assert_eq!(generations.current(Some(id)).number(), 0);
    }
}
