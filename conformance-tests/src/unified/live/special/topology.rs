//! Special operations about what a client knows of its deployment.

use std::sync::Arc;
use std::time::Duration;

use super::super::entities::Entity;
use super::{CaseState, PATIENCE};
use crate::unified::arguments::Arguments;
use crate::unified::recorder::primary;

pub(super) fn record(case: &Arc<CaseState>, mut arguments: Arguments) -> Result<(), String> {
    let client: String = arguments.need("client")?;
    let id: String = arguments.need("id")?;
    arguments.finish()?;
    let topology = case.entities.client(&client)?.recorder.topology();
    case.entities
        .insert(&id, Entity::Topology(Arc::new(topology)))
}

pub(super) fn assert_type(case: &Arc<CaseState>, mut arguments: Arguments) -> Result<(), String> {
    let topology: String = arguments.need("topologyDescription")?;
    let expected: String = arguments.need("topologyType")?;
    arguments.finish()?;
    let found = format!("{:?}", case.entities.topology(&topology)?.topology_type());
    if found == expected {
        Ok(())
    } else {
        Err(format!("expected {expected}, found {found}"))
    }
}

pub(super) fn wait_for_primary_change(
    case: &Arc<CaseState>,
    mut arguments: Arguments,
) -> Result<(), String> {
    let client: String = arguments.need("client")?;
    let prior: String = arguments.need("priorTopologyDescription")?;
    let patience: Option<Duration> = arguments.take("timeoutMS")?;
    arguments.finish()?;
    let patience = patience.unwrap_or(PATIENCE);
    let prior = primary(&*case.entities.topology(&prior)?);
    let client = case.entities.client(&client)?;
    if client
        .recorder
        .wait_for_primary_other_than(prior.as_ref(), patience)
    {
        Ok(())
    } else {
        Err(format!("no other primary was found within {patience:?}"))
    }
}
