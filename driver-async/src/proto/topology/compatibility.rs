//! Which servers this driver can talk to.

use super::{ServerDescription, ServerType, TopologyDescription};

/// The oldest wire version that this driver speaks.
pub(super) const MIN_WIRE_VERSION: i32 = 8;
/// The server whose wire version is [`MIN_WIRE_VERSION`].
const MIN_SERVER: &str = "4.2";
/// The newest wire version that this driver speaks, that of MongoDB 9.0.
pub(super) const MAX_WIRE_VERSION: i32 = 29;

impl TopologyDescription {
    /// "Checking wire protocol compatibility" section.
    pub(super) fn check_compatibility(&mut self) {
        self.compatibility_error = self
            .servers
            .values()
            .find_map(|server| incompatibility(server));
    }
}

fn incompatibility(server: &ServerDescription) -> Option<String> {
    // A load balancer tells nothing of itself; the services behind it are judged one by one.
    if !server.is_available() || server.server_type == ServerType::LoadBalancer {
        return None;
    }
    let address = &server.address;
    let (min, max) = (server.min_wire_version, server.max_wire_version);
    if min > MAX_WIRE_VERSION {
        return Some(format!(
            "server at {address} requires wire version {min}, but this version of motorcade only \
             supports up to {MAX_WIRE_VERSION}"
        ));
    }
    (max < MIN_WIRE_VERSION).then(|| {
        format!(
            "server at {address} reports wire version {max}, but this version of motorcade \
             requires at least {MIN_WIRE_VERSION} (MongoDB {MIN_SERVER})"
        )
    })
}
