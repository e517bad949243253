//! Whether a case can run on a deployment.

use bson::{Bson, Document};

use super::{
    file::{Csfle, RunOnRequirement, ServerlessRule, TopologyName, Version},
    matching::{Lookup, Position, match_value},
};

/// What requirements ask about a deployment.
#[derive(Clone, Debug)]
pub struct DeploymentFacts {
    /// The servers' version.
    pub version: Version,
    /// The deployment's shape: [`TopologyName::ShardedReplicaSet`] for a sharded cluster all of
    /// whose shards are replica sets.
    pub topology: TopologyName,
    /// True when the servers demand a login.
    pub auth: bool,
    /// The reply to `getParameter: "*"`.
    pub server_parameters: Document,
    /// True for serverless instances.
    pub serverless: bool,
    /// True when driver and servers can encrypt on the client's side.
    pub csfle: bool,
}

impl DeploymentFacts {
    /// Fails when none of the requirements is met. No requirement at all is always met.
    ///
    /// # Errors
    ///
    /// The text says what is missing, in words for a report.
    pub fn meet(&self, requirements: &[RunOnRequirement]) -> Result<(), String> {
        self.lacking(requirements).map_err(|lacking| lacking.reason)
    }

    fn lacking(&self, requirements: &[RunOnRequirement]) -> Result<(), Lacking> {
        let mut found: Vec<Lacking> = Vec::new();
        for requirement in requirements {
            match self.meets(requirement) {
                Ok(()) => return Ok(()),
                Err(lacking) => found.push(lacking),
            }
        }
        said_best(found).map_or(Ok(()), Err)
    }

    fn meets(&self, requirement: &RunOnRequirement) -> Result<(), Lacking> {
        let demand = |is_met: bool, reason: &dyn Fn() -> String| {
            if is_met {
                return Ok(());
            }
            Err(Lacking {
                shape: false,
                reason: reason(),
            })
        };
        self.has_shape(requirement)?;
        let found = self.version;
        if let Some(least) = requirement.min_server_version {
            demand(found >= least, &|| {
                format!("needs server {least} or later, has {found}")
            })?;
        }
        if let Some(most) = requirement.max_server_version {
            demand(found <= most, &|| {
                format!("needs server {most} or earlier, has {found}")
            })?;
        }
        match requirement.serverless {
            Some(ServerlessRule::Require) => {
                demand(self.serverless, &|| {
                    "needs a serverless instance".to_owned()
                })?;
            }
            Some(ServerlessRule::Forbid) => {
                demand(!self.serverless, &|| {
                    "is not for serverless instances".to_owned()
                })?;
            }
            Some(ServerlessRule::Allow) | None => {}
        }
        match requirement.auth {
            Some(true) => demand(self.auth, &|| {
                "needs servers that demand a login".to_owned()
            })?,
            Some(false) => demand(!self.auth, &|| "needs servers without logins".to_owned())?,
            None => {}
        }
        if let Some(mechanism) = &requirement.auth_mechanism {
            demand(self.has_mechanism(mechanism), &|| {
                format!("needs the authentication mechanism {mechanism}")
            })?;
        }
        if let Some(csfle) = &requirement.csfle {
            demand(
                self.csfle != matches!(csfle, Csfle::Supported(false)),
                &|| match csfle {
                    Csfle::Supported(false) => "is not for client-side encryption".to_owned(),
                    _ => "needs client-side encryption".to_owned(),
                },
            )?;
        }
        for (name, value) in requirement.server_parameters.iter().flatten() {
            demand(self.has_parameter(name, value), &|| {
                format!("needs the server parameter {name} to be {value}")
            })?;
        }
        Ok(())
    }

    fn has_shape(&self, requirement: &RunOnRequirement) -> Result<(), Lacking> {
        let Some(shapes) = &requirement.topologies else {
            return Ok(());
        };
        let is_met = shapes.iter().any(|shape| match (shape, self.topology) {
            (TopologyName::Sharded, TopologyName::ShardedReplicaSet) => true,
            (shape, found) => *shape == found,
        });
        if is_met {
            return Ok(());
        }
        let shapes: Vec<&str> = shapes.iter().map(|shape| shape.name()).collect();
        Err(Lacking {
            shape: true,
            reason: format!("needs the topology {}", shapes.join(" or ")),
        })
    }

    fn has_mechanism(&self, mechanism: &str) -> bool {
        let known = self.server_parameters.get_array("authenticationMechanisms");
        known.is_ok_and(|known| {
            let mut names = known.iter().filter_map(Bson::as_str);
            names.any(|name| name.eq_ignore_ascii_case(mechanism))
        })
    }

    fn has_parameter(&self, name: &str, value: &Bson) -> bool {
        let actual = self.server_parameters.get(name);
        match_value(value, actual, Position::Nested, &NoEntities).is_ok()
    }
}

/// The first of the deployments that meets the requirements of the file and of the case.
///
/// # Errors
///
/// Fails when there is none. The text is the reason of the deployment that came nearest: one of a
/// shape that is asked for, where there is such a one.
pub fn choose<'a>(
    of_file: &[RunOnRequirement],
    of_test: &[RunOnRequirement],
    deployments: impl IntoIterator<Item = &'a DeploymentFacts>,
) -> Result<usize, String> {
    let mut found = Vec::new();
    for (index, facts) in deployments.into_iter().enumerate() {
        match facts.lacking(of_file).and_then(|()| facts.lacking(of_test)) {
            Ok(()) => return Ok(index),
            Err(lacking) => found.push(lacking),
        }
    }
    Err(said_best(found).map_or_else(
        || "there is no deployment to run on".to_owned(),
        |lacking| lacking.reason,
    ))
}

/// Why requirements are not met.
#[derive(Debug)]
struct Lacking {
    /// True when the deployment has another shape than all that are asked for.
    shape: bool,
    reason: String,
}

/// One reason for several alternatives that all fail: what a deployment of the right shape lacks
/// says more than that another has the wrong one.
fn said_best(found: Vec<Lacking>) -> Option<Lacking> {
    let shape = found.iter().all(|lacking| lacking.shape);
    let mut reasons: Vec<String> = Vec::new();
    for lacking in found {
        if lacking.shape == shape && !reasons.contains(&lacking.reason) {
            reasons.push(lacking.reason);
        }
    }
    (!reasons.is_empty()).then(|| Lacking {
        shape,
        reason: reasons.join(", or "),
    })
}

struct NoEntities;

impl Lookup for NoEntities {
    fn entity(&self, _: &str) -> Option<Bson> {
        None
    }

    fn session_lsid(&self, _: &str) -> Option<Document> {
        None
    }
}

#[cfg(test)]
mod tests {
    use bson::{bson, doc};

    use super::*;
    use crate::unified::file::from_bson;

    fn facts(version: &str, topology: TopologyName) -> DeploymentFacts {
        DeploymentFacts {
            version: version.parse().unwrap(),
            topology,
            auth: false,
            server_parameters: doc! {
                "enableTestCommands": true,
                "ttl": 1_i64,
                "authenticationMechanisms": ["SCRAM-SHA-256"],
            },
            serverless: false,
            csfle: false,
        }
    }

    fn requirements(list: Bson) -> Vec<RunOnRequirement> {
        from_bson(list).unwrap()
    }

    #[test]
    fn each_demand_is_met_or_says_what_is_missing() {
        let facts = facts("6.0.5", TopologyName::ReplicaSet);
        for met in [
            bson!({ "minServerVersion": "6.0" }),
            bson!({ "minServerVersion": "6.0.5", "maxServerVersion": "6.0.5" }),
            bson!({ "maxServerVersion": "6.0.99" }),
            bson!({ "topologies": ["single", "replicaset"] }),
            bson!({ "serverless": "forbid" }),
            bson!({ "serverless": "allow" }),
            bson!({ "auth": false }),
            bson!({ "authMechanism": "scram-sha-256" }),
            bson!({ "csfle": false }),
            bson!({ "serverParameters": { "enableTestCommands": true, "ttl": 1.0 } }),
        ] {
            assert_eq!(
                facts.meet(&requirements(bson!([met.clone()]))),
                Ok(()),
                "{met}"
            );
        }
        for (unmet, reason) in [
            (
                bson!({ "minServerVersion": "7.0" }),
                "needs server 7.0.0 or later, has 6.0.5",
            ),
            (
                bson!({ "maxServerVersion": "6.0" }),
                "needs server 6.0.0 or earlier, has 6.0.5",
            ),
            (
                bson!({ "topologies": ["sharded", "load-balanced"] }),
                "needs the topology sharded or load-balanced",
            ),
            (
                bson!({ "serverless": "require" }),
                "needs a serverless instance",
            ),
            (bson!({ "auth": true }), "needs servers that demand a login"),
            (
                bson!({ "authMechanism": "MONGODB-OIDC" }),
                "needs the authentication mechanism MONGODB-OIDC",
            ),
            (bson!({ "csfle": true }), "needs client-side encryption"),
            (
                bson!({ "csfle": { "minLibmongocryptVersion": "1.15.1" } }),
                "needs client-side encryption",
            ),
            (
                bson!({ "serverParameters": { "enableTestCommands": false } }),
                "needs the server parameter enableTestCommands to be false",
            ),
            (
                bson!({ "serverParameters": { "absent": 1 } }),
                "needs the server parameter absent to be 1",
            ),
        ] {
            let result = facts.meet(&requirements(bson!([unmet.clone()])));
            assert_eq!(result, Err(reason.to_owned()), "{unmet}");
        }
    }

    #[test]
    fn any_one_of_the_requirements_is_enough() {
        let facts = facts("6.0.5", TopologyName::Single);
        assert_eq!(facts.meet(&[]), Ok(()));
        let list = bson!([{ "minServerVersion": "7.0" }, { "topologies": ["single"] }]);
        assert_eq!(facts.meet(&requirements(list)), Ok(()));
        let list = bson!([
            { "minServerVersion": "7.0", "topologies": ["single"] },
            { "topologies": ["sharded"] },
            { "auth": true },
        ]);
        let reason = "needs server 7.0.0 or later, has 6.0.5, or needs servers that demand a login";
        assert_eq!(facts.meet(&requirements(list)), Err(reason.to_owned()));
    }

    #[test]
    fn a_sharded_cluster_of_replica_sets_is_a_sharded_cluster_and_not_the_other_way_round() {
        let meets = |topology, asked: &str| {
            let list = requirements(bson!([{ "topologies": [asked] }]));
            facts("6.0", topology).meet(&list).is_ok()
        };
        assert!(meets(TopologyName::ShardedReplicaSet, "sharded"));
        assert!(meets(TopologyName::ShardedReplicaSet, "sharded-replicaset"));
        assert!(!meets(TopologyName::Sharded, "sharded-replicaset"));
    }

    #[test]
    fn the_first_deployment_that_meets_the_file_and_the_case_is_chosen() {
        let single = facts("6.0.5", TopologyName::Single);
        let set = facts("6.0.5", TopologyName::ReplicaSet);
        let at = |file: Bson, test: Bson| {
            choose(&requirements(file), &requirements(test), [&single, &set])
        };
        assert_eq!(at(bson!([]), bson!([])), Ok(0));
        assert_eq!(
            at(
                bson!([{ "minServerVersion": "4.4" }]),
                bson!([{ "topologies": ["replicaset"] }])
            ),
            Ok(1)
        );
        let reason = at(
            bson!([{ "topologies": ["replicaset"] }]),
            bson!([{ "minServerVersion": "8.0" }]),
        );
        assert_eq!(
            reason,
            Err("needs server 8.0.0 or later, has 6.0.5".to_owned())
        );
        let reason = at(bson!([{ "topologies": ["sharded"] }]), bson!([]));
        assert_eq!(reason, Err("needs the topology sharded".to_owned()));
        assert!(choose(&[], &[], []).is_err());
    }
}
