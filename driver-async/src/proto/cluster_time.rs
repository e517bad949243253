//! The cluster's logical clock, which clients carry from server to server.

use bson::{RawDocument, RawDocumentBuf, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::proto::wire::fields;

/// The time of a cluster's logical clock, with what proves to servers that it is genuine.
///
/// A session's is given by [`ClientSession::cluster_time`](crate::ClientSession::cluster_time).
/// In serde's formats it is the document that servers send as `$clusterTime`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterTime {
    time: Timestamp,
    document: RawDocumentBuf,
}

impl ClusterTime {
    /// The time in a `$clusterTime` document, unless that has none.
    fn parse(document: &RawDocument) -> Option<Self> {
        Some(Self {
            time: time_of(document)?,
            document: document.to_owned(),
        })
    }

    /// The `$clusterTime` document.
    pub(crate) fn document(&self) -> &RawDocument {
        &self.document
    }
}

impl Eq for ClusterTime {}

impl Ord for ClusterTime {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let bytes = self.document.as_bytes().cmp(other.document.as_bytes());
        self.time.cmp(&other.time).then(bytes)
    }
}

impl PartialOrd for ClusterTime {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for ClusterTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ClusterTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = RawDocumentBuf::deserialize(deserializer)?;
        Self::parse(&document)
            .ok_or_else(|| D::Error::custom("a cluster time needs a timestamp clusterTime"))
    }
}

/// The newest [`ClusterTime`] seen, as the driver sessions specification has it gossiped.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterClock {
    newest: Option<ClusterTime>,
}

impl ClusterClock {
    /// A clock that has taken over a `$clusterTime` document; `None` when the document is not newer.
    ///
    /// A document without a timestamp is ignored: a wrong clock must not stop an operation.
    pub(crate) fn advanced(&self, document: &RawDocument) -> Option<Self> {
        let time = time_of(document)?;
        if self
            .newest
            .as_ref()
            .is_some_and(|newest| time <= newest.time)
        {
            return None;
        }
        Some(Self {
            newest: ClusterTime::parse(document),
        })
    }

    /// The newest time, to be sent as `$clusterTime`.
    pub(crate) fn newest(&self) -> Option<&ClusterTime> {
        self.newest.as_ref()
    }
}

fn time_of(document: &RawDocument) -> Option<Timestamp> {
    let time = fields(document).find(|field| field.key == b"clusterTime")?;
    time.timestamp()
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let at = |time, increment| rawdoc! { "clusterTime": Timestamp { time, increment } };
        let clock = ClusterClock::default().advanced(&at(5, 2)).unwrap();
        assert!(clock.advanced(&at(5, 2)).is_none());
        assert!(clock.advanced(&at(5, 1)).is_none());
        assert!(clock.advanced(&at(4, 9)).is_none());
        assert!(clock.advanced(&rawdoc! { "clusterTime": "soon" }).is_none());
        let clock = clock.advanced(&at(5, 3)).unwrap();
        assert_eq!(clock.newest().map(ClusterTime::document), Some(&*at(5, 3)));
    }

    #[test]
    fn a_cluster_time_survives_serde() {
        let document = rawdoc! {
            "clusterTime": Timestamp { time: 1, increment: 2 },
            "signature": { "keyId": 7_i64 },
        };
        let time = ClusterTime::parse(&document).unwrap();
        let written = bson::serialize_to_raw_document_buf(&time).unwrap();
        assert_eq!(written, document);
        let read: ClusterTime = bson::deserialize_from_slice(written.as_bytes()).unwrap();
        assert_eq!(read, time);
        assert!(bson::deserialize_from_slice::<ClusterTime>(rawdoc! {}.as_bytes()).is_err());
    }
}
