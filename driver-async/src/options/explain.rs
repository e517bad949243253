//! The options of `explain`.

use std::time::Duration;

use bson::Bson;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

/// How much an explanation tells.
///
/// See "explain: verbosity" in the server's manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ExplainVerbosity {
    /// The plan that the server chose. Nothing is executed.
    QueryPlanner,
    /// Also what executing the plan cost. The plan is executed, but changes nothing.
    ExecutionStats,
    /// Also what the plans cost that were tried and not chosen.
    AllPlansExecution,
}

impl ExplainVerbosity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::QueryPlanner => "queryPlanner",
            Self::ExecutionStats => "executionStats",
            Self::AllPlansExecution => "allPlansExecution",
        }
    }
}

/// Options of an [`Explain`](crate::action::Explain) itself; those of the explained operation are
/// set before.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ExplainOptions {
    /// How long the server may take for the explanation; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// Goes with the command into the server's logs and profile.
    pub comment: Option<Bson>,
    /// How long the operation may take as a whole; its handle's when absent, zero for no
    /// limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}
