//! The indexes of a bucket.

use std::sync::atomic::Ordering;

use bson::{Document, doc};

use super::GridFsBucket;
use crate::{
    collection::Collection,
    error::Result,
    options::{IndexModel, IndexOptions, ReadPreference, SelectionCriteria, WriteConcern},
    proto::gridfs::{chunk_keys, file_keys, same_keys},
};

impl GridFsBucket {
    /// Creates the indexes before the first upload, if the bucket has no file and they do not
    /// exist; see "Before write operations" in the GridFS specification.
    ///
    /// Two uploads that begin together may both look, and both create the same: that does no harm,
    /// and neither has to wait for the other.
    ///
    /// # Errors
    /// The server's, those of selection and network. The next upload tries again.
    pub(super) async fn ensure_indexes(&self) -> Result<()> {
        if self.has_indexes().load(Ordering::Acquire) {
            return Ok(());
        }
        let any = self
            .files()
            .clone_with_type::<Document>()
            .find_one(doc! {})
            .projection(doc! { "_id": 1 })
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .await?;
        if any.is_none() {
            ensure_index(self.files(), file_keys(), None).await?;
            ensure_index(self.chunks(), chunk_keys(), Some(true)).await?;
        }
        self.has_indexes().store(true, Ordering::Release);
        Ok(())
    }

    /// Notes that the bucket was dropped, and its indexes with it.
    pub(crate) fn forget_indexes(&self) {
        self.has_indexes().store(false, Ordering::Release);
    }
}

async fn ensure_index<T: Send + Sync>(
    collection: &Collection<T>,
    keys: Document,
    unique: Option<bool>,
) -> Result<()> {
    let mut indexes = collection.list_indexes().await?;
    while indexes.advance().await? {
        let found = indexes.current().get_document("key")?.try_into()?;
        if same_keys(&keys, &found) {
            return Ok(());
        }
    }
    let options = unique.map(|unique| IndexOptions::builder().unique(unique).build());
    let index = IndexModel::builder().keys(keys).options(options).build();
    let mut create = collection.create_index(index);
    // A failure must be told, so the answer is wanted even where chunks are written without.
    if collection
        .write_concern()
        .is_some_and(|concern| !concern.is_acknowledged())
    {
        create = create.write_concern(WriteConcern::nodes(1));
    }
    create.await.map(drop)
}
