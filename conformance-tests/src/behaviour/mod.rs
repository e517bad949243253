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
}

/// Lists the behaviours of a suite module: `id name: where, access;` a line each. Defines
/// `cases()`, which gives the list.
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
    ($($id:ident $name:ident: $on:ident, $access:ident;)*) => {
        /// The behaviours of this module.
        pub(crate) fn cases() -> Vec<$crate::behaviour::BehaviourCase> {
            vec![$($crate::behaviour::BehaviourCase {
                id: stringify!($id),
                name: stringify!($name),
                module: module_path!(),
                on: $crate::behaviour::On::$on,
                access: $crate::behaviour::Access::$access,
                run: $name,
            }),*]
        }
    };
}
