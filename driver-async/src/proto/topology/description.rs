//! What the driver knows of the whole deployment.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bson::oid::ObjectId;
use serde::{Deserialize, Serialize};

use crate::{address::ServerAddress, proto::topology::ServerDescription};

/// What a deployment is, as the server discovery and monitoring specification defines it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TopologyType {
    /// One server that is used whatever it is.
    Single,
    /// A replica set whose primary is not known.
    ReplicaSetNoPrimary,
    /// A replica set whose primary is known.
    ReplicaSetWithPrimary,
    /// A sharded cluster.
    Sharded,
    /// A deployment behind a load balancer.
    LoadBalanced,
    /// Nothing is known yet.
    #[default]
    Unknown,
}

/// What the driver knows of the whole deployment at one moment.
///
/// It is never changed once published; every change makes a new one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TopologyDescription {
    /// What the deployment is.
    pub(crate) topology_type: TopologyType,
    /// The set's name, as asked for or as learnt.
    pub(crate) set_name: Option<String>,
    /// The highest configuration version seen from a primary.
    pub(crate) max_set_version: Option<i32>,
    /// The latest election seen from a primary.
    pub(crate) max_election_id: Option<ObjectId>,
    /// Why no server of this deployment can be used with this driver.
    pub(crate) compatibility_error: Option<String>,
    /// How long an unused session lives: the least of the data-bearing servers.
    pub(crate) logical_session_timeout: Option<Duration>,
    /// Each server by its address.
    pub(crate) servers: BTreeMap<ServerAddress, Arc<ServerDescription>>,
}
