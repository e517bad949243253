//! The read preference as the server is told it.

use bson::{Document, doc};

use super::Wanted;
use crate::{
    error::Result,
    options::{ReadPreference, TagSet},
    proto::{
        topology::{ServerType, TopologyType},
        wire::DocumentWriter,
    },
};

/// Lets any member of a replica set serve an operation.
static ANY_MEMBER: ReadPreference = ReadPreference::PrimaryPreferred { options: None };

/// The read preference that goes along with a command as `$readPreference`; `None` for none.
///
/// `wanted` is what was asked for in the end; see [`Wanted::effective`]. Follows "Passing read
/// preference to mongos and load balancers" and "Topology type: Single" of the server selection
/// specification. Writes take none.
pub fn read_preference_on_wire<'a>(
    topology_type: TopologyType,
    server_type: ServerType,
    wanted: Wanted<'a>,
) -> Option<&'a ReadPreference> {
    let preference = match wanted {
        Wanted::Write => return None,
        Wanted::Read(preference) | Wanted::WriteStage(preference) => Some(preference),
        Wanted::Predicate(_) => None,
    };
    let preference = preference.filter(|p| !matches!(p, ReadPreference::Primary));
    match server_type {
        ServerType::Standalone => None,
        ServerType::Mongos | ServerType::LoadBalancer => preference,
        // A member that is not primary refuses a read without one, and a direct connection or
        // the caller's own rule may have led to such a member.
        _ if topology_type == TopologyType::Single => preference.or(Some(&ANY_MEMBER)),
        _ if matches!(wanted, Wanted::Predicate(_)) => Some(&ANY_MEMBER),
        _ => preference,
    }
}

/// Writes `$readPreference` ("Document structure" of the server selection specification).
///
/// # Errors
/// An invalid-argument error when a tag holds a null byte.
pub fn append_read_preference(
    preference: &ReadPreference,
    command: &mut DocumentWriter<'_>,
) -> Result<()> {
    command.append_document_with("$readPreference", |document| {
        document.append_str("mode", preference.mode())?;
        let Some(options) = preference.options() else {
            return Ok(());
        };
        if !preference.tag_sets().is_empty() {
            let tags: Vec<Document> = preference.tag_sets().iter().map(tag_document).collect();
            document.append_documents("tags", &tags)?;
        }
        if let Some(max_staleness) = options.max_staleness {
            let seconds = i64::try_from(max_staleness.as_secs()).unwrap_or(i64::MAX);
            document.append_i64("maxStalenessSeconds", seconds)?;
        }
        if let Some(hedge) = &options.hedge {
            document.append_document("hedge", &doc! { "enabled": hedge.enabled })?;
        }
        Ok(())
    })
}

fn tag_document(tags: &TagSet) -> Document {
    tags.iter()
        .map(|(key, value)| (key.clone(), value.clone().into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::options::{HedgedReadOptions, ReadPreferenceOptions};

    #[test]
    fn the_server_is_told_what_it_needs_to_serve_the_read() {
        use ServerType::{LoadBalancer, Mongos, RsPrimary, RsSecondary, Standalone};
        use TopologyType::{LoadBalanced, ReplicaSetWithPrimary, Sharded, Single};
        let secondary = ReadPreference::secondary(None);
        let any: crate::options::Predicate = std::sync::Arc::new(|_| true);
        let write = Wanted::Write;
        let primary = Wanted::Read(&ReadPreference::Primary);
        let read = Wanted::Read(&secondary);
        let own_rule = Wanted::Predicate(&any);
        let cases = [
            (Single, Standalone, read, None),
            (Single, Mongos, primary, None),
            (Single, Mongos, read, Some("secondary")),
            (Single, RsSecondary, primary, Some("primaryPreferred")),
            (Single, RsSecondary, read, Some("secondary")),
            (Single, RsPrimary, own_rule, Some("primaryPreferred")),
            (Single, RsSecondary, write, None),
            (Sharded, Mongos, read, Some("secondary")),
            (Sharded, Mongos, primary, None),
            (Sharded, Mongos, own_rule, None),
            (LoadBalanced, LoadBalancer, read, Some("secondary")),
            (ReplicaSetWithPrimary, RsPrimary, primary, None),
            (ReplicaSetWithPrimary, RsPrimary, write, None),
            (ReplicaSetWithPrimary, RsSecondary, read, Some("secondary")),
            (
                ReplicaSetWithPrimary,
                RsSecondary,
                own_rule,
                Some("primaryPreferred"),
            ),
        ];
        for (topology_type, server_type, wanted, told) in cases {
            assert_eq!(
                read_preference_on_wire(topology_type, server_type, wanted)
                    .map(ReadPreference::mode),
                told,
                "{topology_type:?}, {server_type}, {wanted}"
            );
        }
    }

    #[test]
    fn all_options_are_written_and_absent_ones_are_not() {
        let options = ReadPreferenceOptions::builder()
            .tag_sets(vec![
                TagSet::from([("dc".to_owned(), "ny".to_owned())]),
                TagSet::new(),
            ])
            .max_staleness(Duration::from_secs(120))
            .hedge(HedgedReadOptions { enabled: true })
            .build();
        assert_eq!(
            written(&ReadPreference::nearest(options)),
            doc! { "$readPreference": {
                "mode": "nearest", "tags": [{ "dc": "ny" }, {}],
                "maxStalenessSeconds": 120_i64, "hedge": { "enabled": true },
            } }
        );
        let empty = ReadPreferenceOptions::builder().tag_sets(vec![]).build();
        assert_eq!(
            written(&ReadPreference::secondary(empty)),
            doc! { "$readPreference": { "mode": "secondary" } }
        );
    }

    fn written(preference: &ReadPreference) -> Document {
        let mut buffer = Vec::new();
        let mut writer = DocumentWriter::begin(&mut buffer);
        append_read_preference(preference, &mut writer).unwrap();
        writer.end().unwrap();
        Document::from_reader(&*buffer).unwrap()
    }
}
