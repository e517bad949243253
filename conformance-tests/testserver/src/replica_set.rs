//! How a replica set is initiated and when it is ready.

use std::time::Duration;

use bson::{Document, doc};

use crate::member::{Member, Role};

/// The shape of a replica set to be started.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaSetPlan {
    pub(crate) name: String,
    pub(crate) data_members: usize,
    pub(crate) arbiters: usize,
    pub(crate) hidden: usize,
    pub(crate) priorities: Vec<f64>,
    pub(crate) election_timeout: Duration,
}

impl ReplicaSetPlan {
    pub(crate) fn new(data_members: usize) -> Self {
        Self {
            name: "rs0".to_owned(),
            data_members,
            arbiters: 0,
            hidden: 0,
            priorities: Vec::new(),
            // The server's default of 10 s makes failover tests slow; with less than this, a busy
            // machine elects without need.
            election_timeout: Duration::from_secs(3),
        }
    }

    pub(crate) fn members(&self) -> usize {
        self.data_members + self.arbiters
    }

    /// Whether the first member is as good a primary as any.
    pub(crate) fn has_equal_members(&self) -> bool {
        self.priorities.is_empty() && self.hidden < self.data_members
    }

    /// The argument of `replSetInitiate`.
    pub(crate) fn config(&self, addresses: &[String]) -> Document {
        let members: Vec<_> = addresses
            .iter()
            .enumerate()
            .map(|(index, address)| self.member_config(index, address))
            .collect();
        let election = i64::try_from(self.election_timeout.as_millis()).unwrap_or(i64::MAX);
        doc! {
            "_id": &self.name,
            "members": members,
            "settings": { "electionTimeoutMillis": election, "heartbeatIntervalMillis": 500_i64 },
        }
    }

    fn member_config(&self, index: usize, address: &str) -> Document {
        let id = i32::try_from(index).unwrap_or(i32::MAX);
        let mut member = doc! { "_id": id, "host": address };
        if index >= self.data_members {
            member.insert("arbiterOnly", true);
        } else if index + self.hidden >= self.data_members {
            member.insert("hidden", true);
            member.insert("priority", 0);
        } else if let Some(priority) = self.priorities.get(index) {
            member.insert("priority", *priority);
        }
        member
    }
}

/// What the members of a set say of themselves, taken once.
#[derive(Debug)]
pub(crate) struct Survey(Vec<Option<Role>>);

impl Survey {
    pub(crate) fn take<'a>(members: impl Iterator<Item = &'a Member>) -> Self {
        Self(members.map(|member| member.role().ok()).collect())
    }

    pub(crate) fn primary(&self) -> Option<usize> {
        self.0.iter().position(|role| *role == Some(Role::Primary))
    }

    /// One primary, and everybody else a secondary or an arbiter.
    pub(crate) fn is_ready(&self) -> bool {
        let primaries = self
            .0
            .iter()
            .filter(|role| **role == Some(Role::Primary))
            .count();
        let others = |role: &Option<Role>| matches!(role, Some(Role::Secondary | Role::Arbiter));
        primaries == 1 && self.0.iter().filter(|role| others(role)).count() + 1 == self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_places_priorities_hidden_members_and_arbiters() {
        let mut plan = ReplicaSetPlan::new(3);
        (plan.arbiters, plan.hidden, plan.priorities) = (1, 1, vec![2.0]);
        let addresses: Vec<_> = (0..plan.members())
            .map(|i| format!("127.0.0.1:{i}"))
            .collect();
        let config = plan.config(&addresses);
        let members = config.get_array("members").unwrap();
        let expected = [
            doc! { "_id": 0, "host": "127.0.0.1:0", "priority": 2.0 },
            doc! { "_id": 1, "host": "127.0.0.1:1" },
            doc! { "_id": 2, "host": "127.0.0.1:2", "hidden": true, "priority": 0 },
            doc! { "_id": 3, "host": "127.0.0.1:3", "arbiterOnly": true },
        ];
        assert_eq!(members, &expected.map(bson::Bson::from));
    }

    #[test]
    fn a_set_is_ready_with_one_primary_and_nobody_on_the_way() {
        let survey = |roles: &[Role]| Survey(roles.iter().copied().map(Some).collect());
        assert!(survey(&[Role::Secondary, Role::Primary, Role::Arbiter]).is_ready());
        assert!(!survey(&[Role::Secondary, Role::Secondary]).is_ready());
        assert!(!survey(&[Role::Primary, Role::Primary]).is_ready());
        assert!(!survey(&[Role::Primary, Role::Other]).is_ready());
        assert!(!Survey(vec![Some(Role::Primary), None]).is_ready());
    }
}
