//! Renaming and deleting files, and dropping a bucket.

use std::time::Duration;

use bson::{Bson, Document, doc};

use super::timeout_setter;
use crate::{
    action::action,
    error::{GridFsErrorKind, GridFsFileIdentifier, Result},
    gridfs::GridFsBucket,
    proto::gridfs::equal,
};

/// How many files are deleted with one command.
const AT_ONCE: usize = 1000;

/// Deletes a file; see [`GridFsBucket::delete`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Delete<'a> {
    bucket: &'a GridFsBucket,
    id: Bson,
    timeout: Option<Duration>,
}

/// Deletes all files of a name; see [`GridFsBucket::delete_by_name`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct DeleteByName<'a> {
    bucket: &'a GridFsBucket,
    filename: String,
    timeout: Option<Duration>,
}

/// Renames a file; see [`GridFsBucket::rename`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Rename<'a> {
    bucket: &'a GridFsBucket,
    id: Bson,
    new_filename: String,
    timeout: Option<Duration>,
}

/// Renames all files of a name; see [`GridFsBucket::rename_by_name`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct RenameByName<'a> {
    bucket: &'a GridFsBucket,
    filename: String,
    new_filename: String,
    timeout: Option<Duration>,
}

/// Drops a bucket; see [`GridFsBucket::drop`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Drop<'a> {
    bucket: &'a GridFsBucket,
    timeout: Option<Duration>,
}

impl GridFsBucket {
    /// Deletes the file with this id: its document first, and then its chunks.
    ///
    /// # Errors
    /// [`FileNotFound`](GridFsErrorKind::FileNotFound) when there is no such file (chunks that
    /// were left of it are deleted then too); the server's, those of selection and network. A
    /// bucket without acknowledgement of writes does not learn whether there was a file.
    pub fn delete(&self, id: Bson) -> Delete<'_> {
        Delete {
            bucket: self,
            id,
            timeout: None,
        }
    }

    /// Deletes all files with this name.
    ///
    /// # Errors
    /// [`FileNotFound`](GridFsErrorKind::FileNotFound) when there is none; otherwise as
    /// [`GridFsBucket::delete`].
    pub fn delete_by_name(&self, filename: impl Into<String>) -> DeleteByName<'_> {
        DeleteByName {
            bucket: self,
            filename: filename.into(),
            timeout: None,
        }
    }

    /// Gives another name to the file with this id.
    ///
    /// # Errors
    /// [`FileNotFound`](GridFsErrorKind::FileNotFound) when there is no such file; the server's,
    /// those of selection and network.
    pub fn rename(&self, id: Bson, new_filename: impl Into<String>) -> Rename<'_> {
        Rename {
            bucket: self,
            id,
            new_filename: new_filename.into(),
            timeout: None,
        }
    }

    /// Gives another name to all files with this name.
    ///
    /// # Errors
    /// As [`GridFsBucket::rename`].
    pub fn rename_by_name(
        &self,
        filename: impl Into<String>,
        new_filename: impl Into<String>,
    ) -> RenameByName<'_> {
        RenameByName {
            bucket: self,
            filename: filename.into(),
            new_filename: new_filename.into(),
            timeout: None,
        }
    }

    /// Drops the bucket: the collection of files first, and then that of chunks. A bucket that
    /// does not exist is fine. The next upload creates the indexes again.
    ///
    /// # Errors
    /// The server's, those of selection and network.
    pub fn drop(&self) -> Drop<'_> {
        Drop {
            bucket: self,
            timeout: None,
        }
    }

    /// Reports that a write met no file, where the server tells.
    fn found(&self, count: u64, identifier: GridFsFileIdentifier) -> Result<()> {
        if count == 0 && self.is_acknowledged() {
            return Err(GridFsErrorKind::FileNotFound { identifier }.into());
        }
        Ok(())
    }

    async fn ids_of(&self, filename: &str) -> Result<Vec<Bson>> {
        let files = self.files().clone_with_type::<Document>();
        let mut found = files
            .find(doc! { "filename": filename })
            .projection(doc! { "_id": 1 })
            .await?;
        let mut ids = Vec::new();
        while found.advance().await? {
            if let Some(id) = found.current().get("_id")? {
                ids.push(id.try_into()?);
            }
        }
        Ok(ids)
    }
}

timeout_setter! { impl['a] Delete<'a> }
timeout_setter! { impl['a] DeleteByName<'a> }
timeout_setter! { impl['a] Rename<'a> }
timeout_setter! { impl['a] RenameByName<'a> }
timeout_setter! { impl['a] Drop<'a> }

action! { impl['a] Delete<'a> => Result<()>, |self| {
    let Self { bucket, id, timeout } = self;
    let bucket = bucket.started(timeout);
    let deleted = bucket.files().delete_one(doc! { "_id": equal(&id) }).await?;
    bucket.chunks().delete_many(doc! { "files_id": equal(&id) }).await?;
    bucket.found(deleted.deleted_count, GridFsFileIdentifier::Id(id))
} }

action! { impl['a] DeleteByName<'a> => Result<()>, |self| {
    let Self { bucket, filename, timeout } = self;
    let bucket = bucket.started(timeout);
    let ids = bucket.ids_of(&filename).await?;
    if ids.is_empty() {
        let identifier = GridFsFileIdentifier::Filename(filename);
        return Err(GridFsErrorKind::FileNotFound { identifier }.into());
    }
    for ids in ids.chunks(AT_ONCE) {
        bucket.files().delete_many(doc! { "_id": { "$in": ids } }).await?;
    }
    for ids in ids.chunks(AT_ONCE) {
        bucket.chunks().delete_many(doc! { "files_id": { "$in": ids } }).await?;
    }
    Ok(())
} }

action! { impl['a] Rename<'a> => Result<()>, |self| {
    let Self { bucket, id, new_filename, timeout } = self;
    let bucket = bucket.started(timeout);
    let change = doc! { "$set": { "filename": new_filename } };
    let updated = bucket.files().update_one(doc! { "_id": equal(&id) }, change).await?;
    bucket.found(updated.matched_count, GridFsFileIdentifier::Id(id))
} }

action! { impl['a] RenameByName<'a> => Result<()>, |self| {
    let Self { bucket, filename, new_filename, timeout } = self;
    let bucket = bucket.started(timeout);
    let change = doc! { "$set": { "filename": new_filename } };
    let updated = bucket.files().update_many(doc! { "filename": &filename }, change).await?;
    bucket.found(updated.matched_count, GridFsFileIdentifier::Filename(filename))
} }

action! { impl['a] Drop<'a> => Result<()>, |self| {
    let bucket = self.bucket.started(self.timeout);
    bucket.files().drop().await?;
    bucket.chunks().drop().await?;
    bucket.forget_indexes();
    Ok(())
} }
