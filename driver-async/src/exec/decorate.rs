//! What the executor adds to every command.

use bson::RawDocument;

use super::Executor;
use crate::{
    conn::ServerFacts,
    error::Result,
    operation::Operation,
    proto::{selection, wire::DocumentWriter},
};

/// The subtype of a UUID in binary data.
const UUID: u8 = 4;

/// The parts of one attempt that stand in its command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) session_id: Option<[u8; 16]>,
    pub(super) transaction_number: Option<i64>,
    pub(super) cluster_time: Option<&'a RawDocument>,
    pub(super) facts: &'a ServerFacts,
}

/// Appends the database, the session, the cluster time, the concerns, the read preference and the
/// declared API version.
pub(super) fn decorate<O: Operation>(
    executor: &Executor,
    operation: &O,
    command: &mut DocumentWriter<'_>,
    parts: &Parts<'_>,
) -> Result<()> {
    if let Some(concern) = operation.read_concern() {
        command.append_document_with("readConcern", |c| {
            c.append_str("level", concern.level.as_str())
        })?;
    }
    if let Some(concern) = operation
        .write_concern()
        .filter(|concern| !concern.is_server_default())
    {
        command.append_document_with("writeConcern", |c| write_concern(c, concern))?;
    }
    command.append_str("$db", operation.database())?;
    if let Some(id) = parts.session_id {
        command.append_document_with("lsid", |lsid| lsid.append_binary("id", UUID, &id))?;
    }
    if let Some(number) = parts.transaction_number {
        command.append_i64("txnNumber", number)?;
    }
    if let Some(time) = parts.cluster_time {
        command.append_raw_document("$clusterTime", time)?;
    }
    if let Some(wanted) = operation.selection().wanted() {
        let snapshot = executor.topology().snapshot();
        let topology_type = snapshot.description.topology_type();
        let wanted = wanted.effective(&snapshot.description);
        let server_type = parts.facts.server_type;
        if let Some(preference) =
            selection::read_preference_on_wire(topology_type, server_type, wanted)
        {
            selection::append_read_preference(preference, command)?;
        }
    }
    if let Some(api) = &executor.settings().server_api {
        command.append_elements_of(api)?;
    }
    Ok(())
}

fn write_concern(
    command: &mut DocumentWriter<'_>,
    concern: &crate::options::WriteConcern,
) -> Result<()> {
    use crate::options::Acknowledgment;

    match &concern.w {
        Some(Acknowledgment::Nodes(nodes)) => {
            command.append_i32("w", i32::try_from(*nodes).unwrap_or(i32::MAX))?;
        }
        Some(Acknowledgment::Majority) => command.append_str("w", "majority")?,
        Some(Acknowledgment::Custom(name)) => command.append_str("w", name)?,
        None => {}
    }
    if let Some(journal) = concern.journal {
        command.append_bool("j", journal)?;
    }
    if let Some(timeout) = concern.w_timeout {
        let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        command.append_i64("wtimeout", millis)?;
    }
    Ok(())
}
