//! The cluster's logical clock, which clients carry from server to server.

use bson::{RawDocument, RawDocumentBuf, Timestamp};

/// The newest `$clusterTime` seen, as the driver sessions specification has it gossiped.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterTime {
    newest: Option<(Timestamp, RawDocumentBuf)>,
}

impl ClusterTime {
    /// Takes over a `$clusterTime` document if it is newer; says whether it was.
    ///
    /// A document without a timestamp is ignored: a wrong clock must not stop an operation.
    pub(crate) fn advance(&mut self, document: &RawDocument) -> bool {
        match document.get_timestamp("clusterTime") {
            Ok(time) if self.is_behind(document) => {
                self.newest = Some((time, document.to_owned()));
                true
            }
            _ => false,
        }
    }

    /// Whether a `$clusterTime` document is newer than the newest so far.
    pub(crate) fn is_behind(&self, document: &RawDocument) -> bool {
        let newest = self.newest.as_ref().map(|(time, _)| *time);
        let time = document.get_timestamp("clusterTime");
        time.is_ok_and(|time| newest.is_none_or(|newest| newest < time))
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
        let mut clock = ClusterTime::default();
        assert!(clock.advance(&at(5, 2)));
        assert!(!clock.advance(&at(5, 1)));
        assert!(!clock.advance(&at(4, 9)));
        assert!(!clock.advance(&rawdoc! { "clusterTime": "soon" }));
        assert!(clock.advance(&at(5, 3)));
        assert_eq!(clock.document(), Some(&*at(5, 3)));
    }
}
