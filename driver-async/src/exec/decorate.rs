//! What the executor adds to every command.

use std::{borrow::Cow, time::Duration};

use bson::RawDocument;

use super::Executor;
use crate::{
    conn::ServerFacts,
    error::Result,
    operation::Operation,
    options::ReadConcernLevel,
    proto::{
        selection,
        session::{SessionReadConcern, Stamp},
        wire::DocumentWriter,
    },
};

/// The subtype of a UUID in binary data.
const UUID: u8 = 4;

/// The parts of one attempt that stand in its command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) session_id: Option<[u8; 16]>,
    pub(super) stamp: &'a Stamp,
    pub(super) transaction_number: Option<i64>,
    pub(super) cluster_time: Option<&'a RawDocument>,
    pub(super) facts: &'a ServerFacts,
    /// Whether the operation has a timeout, which puts `wtimeout` out of force.
    pub(super) has_timeout: bool,
    /// What the timeout leaves for the server, if it is to be told.
    pub(super) max_time: Option<Duration>,
}

/// Appends the database, the session, the cluster time, the concerns, the read preference and the
/// declared API version.
pub(super) fn decorate<O: Operation>(
    executor: &Executor,
    operation: &O,
    command: &mut DocumentWriter<'_>,
    parts: &Parts<'_>,
) -> Result<()> {
    let in_session = parts.stamp.read_concern.as_ref();
    let level = operation.read_concern().map(|concern| &concern.level);
    read_concern(command, level, in_session)?;
    let mut concern = operation.write_concern().map(Cow::Borrowed);
    if let Some(concern) = &mut concern
        && parts.has_timeout
        && concern.w_timeout.is_some()
    {
        concern.to_mut().w_timeout = None;
    }
    if let Some(concern) = concern.filter(|concern| !concern.is_server_default()) {
        command.append_document_with("writeConcern", |c| write_concern(c, &concern))?;
    }
    if let Some(limit) = parts.max_time {
        command.append_max_time(limit)?;
    }
    command.append_str("$db", operation.database())?;
    if let Some(id) = parts.session_id {
        command.append_document_with("lsid", |lsid| lsid.append_binary("id", UUID, &id))?;
    }
    if let Some(number) = parts.transaction_number {
        command.append_i64("txnNumber", number)?;
    }
    if parts.stamp.starts_transaction {
        command.append_bool("startTransaction", true)?;
    }
    if parts.stamp.is_in_transaction() {
        command.append_bool("autocommit", false)?;
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

/// Writes the read concern that the session makes of the operation's, or the operation's own.
fn read_concern(
    command: &mut DocumentWriter<'_>,
    level: Option<&ReadConcernLevel>,
    in_session: Option<&SessionReadConcern>,
) -> Result<()> {
    let level = in_session.map_or(level, |concern| concern.level.as_ref());
    let after = in_session.and_then(|concern| concern.after_cluster_time);
    let at = in_session.and_then(|concern| concern.at_cluster_time);
    if level.is_none() && after.is_none() && at.is_none() {
        return Ok(());
    }
    command.append_document_with("readConcern", |concern| {
        if let Some(level) = level {
            concern.append_str("level", level.as_str())?;
        }
        if let Some(time) = after {
            concern.append_timestamp("afterClusterTime", time)?;
        }
        if let Some(time) = at {
            concern.append_timestamp("atClusterTime", time)?;
        }
        Ok(())
    })
}

fn write_concern(
    command: &mut DocumentWriter<'_>,
    concern: &crate::options::WriteConcern,
) -> Result<()> {
    use crate::options::Acknowledgment;

    match &concern.w {
        Some(Acknowledgment::Nodes(nodes)) => {
            // Larger ones were refused before a server was selected.
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
