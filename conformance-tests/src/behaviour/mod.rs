//! The shared suite: behaviours written once, compiled against both drivers, run on real servers.
//!
//! A suite module lists its functions with [`behaviours!`](crate::behaviours); the two test
//! binaries hand the whole list to [`run`].

mod deployment;
mod lanes;
mod run;

pub use deployment::Deployment;
pub use run::run;

use crate::deployments::DeploymentKind;
use crate::unified::file::Version;

/// One behaviour that users rely on.
#[derive(Clone, Copy, Debug)]
pub struct BehaviourCase {
    /// The line of the list of behaviours it demonstrates: a letter and a number, such as `R3`.
    pub id: &'static str,
    /// The claim, as the function is called: `ten_tasks_racing_on_first_use_all_succeed`.
    pub name: &'static str,
    /// The module path of the function.
    pub module: &'static str,
    /// Where the behaviour is shown.
    pub on: On,
    /// What it may do to the deployment meanwhile.
    pub access: Access,
    /// The first server version that has what the case needs.
    pub since: [u32; 3],
    /// Shows the behaviour; panics when it does not hold.
    pub run: fn(&Deployment),
}

/// The deployments that a behaviour is shown on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A standalone server only.
    Standalone,
    /// A replica set only.
    ReplicaSet,
    /// A standalone server, and once more a replica set.
    Either,
}

impl On {
    fn includes(self, kind: DeploymentKind) -> bool {
        match self {
            Self::Standalone => kind == DeploymentKind::Standalone,
            Self::ReplicaSet => kind == DeploymentKind::ReplicaSet,
            Self::Either => true,
        }
    }
}

/// What a case may do to its deployment, and so who may run beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Uses its own database and application name only; runs beside others.
    Shared,
    /// Sets a fail point for its own application name. A server has one of each kind, so such
    /// cases run one after the other, beside shared ones.
    FailPoint,
    /// Kills, stops or steps down members: runs alone, after all others. A case that passes
    /// leaves the deployment whole; after one that fails the deployment is started anew.
    Disturbs,
}

impl BehaviourCase {
    /// The case's full name on that kind of deployment:
    /// `replica_set::pool::R27_never_exceeds_max_pool_size`.
    fn name_on(&self, kind: DeploymentKind) -> String {
        let module = self.module.rsplit("::").next().unwrap_or(self.module);
        format!("{}::{module}::{}_{}", kind.name(), self.id, self.name)
    }

    /// Why the case cannot run on servers of that version, such as `4.2.6`.
    fn objection_to(&self, version: &str) -> Option<String> {
        let least = Version::from(self.since);
        is_older(version, self.since)
            .then(|| format!("needs MongoDB {least}, and this is {version}"))
    }

    /// Who may run beside the case on servers of that version. Before 4.4, a fail point may fail
    /// the commands of any application, whatever name it was set for.
    fn lane_on(&self, version: &str) -> Access {
        match self.access {
            Access::FailPoint if is_older(version, [4, 4, 0]) => Access::Disturbs,
            access => access,
        }
    }
}

/// Whether a version is earlier than that; one that cannot be read is not.
pub(crate) fn is_older(version: &str, than: [u32; 3]) -> bool {
    let version: Result<Version, _> = version.parse();
    version.is_ok_and(|version| version < Version::from(than))
}

/// Lists the behaviours of a suite module: `id name: where, access;` a line each, and
/// `, since (4, 4)` or `, since (6, 0, 9)` after the access when older servers lack what the case
/// needs, which is then reported as ignored there. Defines `cases()`, which gives the list.
///
/// ```
/// use conformance_tests::behaviour::Deployment;
///
/// conformance_tests::behaviours! {
///     R86 the_deployment_has_an_address: Either, Shared;
/// }
///
/// fn the_deployment_has_an_address(deployment: &Deployment) {
///     assert!(deployment.uri().starts_with("mongodb://"));
/// }
///
/// # fn main() {
/// assert_eq!(cases()[0].name, "the_deployment_has_an_address");
/// # }
/// ```
#[macro_export]
macro_rules! behaviours {
    (@since) => { [0, 0, 0] };
    (@since ($major:literal, $minor:literal)) => { [$major, $minor, 0] };
    (@since ($major:literal, $minor:literal, $patch:literal)) => { [$major, $minor, $patch] };
    ($($id:ident $name:ident: $on:ident, $access:ident $(, since $since:tt)?;)*) => {
        /// The behaviours of this module.
        pub(crate) fn cases() -> Vec<$crate::behaviour::BehaviourCase> {
            vec![$($crate::behaviour::BehaviourCase {
                id: stringify!($id),
                name: stringify!($name),
                module: module_path!(),
                on: $crate::behaviour::On::$on,
                access: $crate::behaviour::Access::$access,
                since: $crate::behaviours!(@since $($since)?),
                run: $name,
            }),*]
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::behaviours! {
        R1 anywhere: Either, Shared;
        R2 where_it_is_known: Standalone, FailPoint, since (4, 4, 2);
    }

    fn anywhere(_: &Deployment) {}
    fn where_it_is_known(_: &Deployment) {}

    #[test]
    fn a_case_runs_from_the_version_on_that_it_names() {
        let [anywhere, newer] = cases()[..] else {
            panic!("two cases are listed")
        };
        assert_eq!(anywhere.objection_to("4.2.6"), None);
        let objection = newer.objection_to("4.2.6").unwrap();
        assert_eq!(objection, "needs MongoDB 4.4.2, and this is 4.2.6");
        assert!(newer.objection_to("4.4.1").is_some());
        for version in ["4.4.2", "5.0.4", "10.0.0"] {
            assert_eq!(newer.objection_to(version), None, "{version}");
        }
    }

    #[test]
    fn a_fail_point_that_fails_everybody_is_set_in_solitude() {
        let [shared, fail_point] = cases()[..] else {
            panic!("two cases are listed")
        };
        assert_eq!(fail_point.lane_on("4.2.6"), Access::Disturbs);
        assert_eq!(fail_point.lane_on("4.4.2"), Access::FailPoint);
        assert_eq!(shared.lane_on("4.2.6"), Access::Shared);
    }
}
