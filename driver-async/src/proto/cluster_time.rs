//! The cluster's logical clock, which clients carry from server to server.

use bson::{RawDocument, RawDocumentBuf, Timestamp};

use crate::proto::wire::fields;

/// The newest `$clusterTime` seen, as the driver sessions specification has it gossiped.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterTime {
    newest: Option<(Timestamp, RawDocumentBuf)>,
}

impl ClusterTime {
    /// A clock that has taken over a `$clusterTime` document; `None` when the document is not newer.
    ///
    /// A document without a timestamp is ignored: a wrong clock must not stop an operation.
    pub(crate) fn advanced(&self, document: &RawDocument) -> Option<Self> {
        let time = fields(document).find(|field| field.key == b"clusterTime")?;
        let time = time.timestamp()?;
        let newest = self.newest.as_ref().map(|(time, _)| *time);
        if newest.is_some_and(|newest| time <= newest) {
            return None;
        }
        Some(Self {
            newest: Some((time, document.to_owned())),
        })
    }

    /// The newest document, to be sent as `$clusterTime`.
    pub(crate) fn document(&self) -> Option<&RawDocument> {
        self.newest.as_ref().map(|(_, document)| &**document)
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let at = |time, increment| rawdoc! { "clusterTime": Timestamp { time, increment } };
        let clock = ClusterTime::default().advanced(&at(5, 2)).unwrap();
        assert!(clock.advanced(&at(5, 2)).is_none());
        assert!(clock.advanced(&at(5, 1)).is_none());
        assert!(clock.advanced(&at(4, 9)).is_none());
        assert!(clock.advanced(&rawdoc! { "clusterTime": "soon" }).is_none());
        let clock = clock.advanced(&at(5, 3)).unwrap();
        assert_eq!(clock.document(), Some(&*at(5, 3)));
    }
}
