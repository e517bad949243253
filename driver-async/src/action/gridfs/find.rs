//! Finding files by their documents.

use std::time::Duration;

use bson::Document;

use crate::{
    action::{action, option_setters},
    cursor::Cursor,
    error::Result,
    gridfs::{FilesCollectionDocument, GridFsBucket},
    options::{FindOneOptions, FindOptions, GridFsFindOneOptions, GridFsFindOptions},
};

/// Finds files; see [`GridFsBucket::find`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Find<'a> {
    bucket: &'a GridFsBucket,
    filter: Document,
    options: GridFsFindOptions,
}

/// Finds one file; see [`GridFsBucket::find_one`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct FindOne<'a> {
    bucket: &'a GridFsBucket,
    filter: Document,
    options: GridFsFindOneOptions,
}

impl GridFsBucket {
    /// Finds the files whose documents match a filter.
    ///
    /// The filter is a query on the collection of files, whose fields are `_id`, `length`,
    /// `chunkSize`, `uploadDate`, `filename` and `metadata`; what is in the metadata is named with
    /// a dot, as in the example. Fields that no file has match nothing. See "find" among the
    /// database commands of the server's manual.
    ///
    /// # Errors
    /// The server's, for a filter or option that it refuses; those of selection and network.
    ///
    /// ```no_run
    /// # use futures_util::TryStreamExt;
    /// # use motorcade::{bson::doc, gridfs::GridFsBucket};
    /// # async fn example(bucket: GridFsBucket) -> motorcade::error::Result<()> {
    /// let mut drafts = bucket.find(doc! { "metadata.state": "draft" }).await?;
    /// while let Some(file) = drafts.try_next().await? {
    ///     println!("{:?}: {} bytes", file.filename, file.length);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn find(&self, filter: Document) -> Find<'_> {
        Find {
            bucket: self,
            filter,
            options: GridFsFindOptions::default(),
        }
    }

    /// Finds one file whose document matches a filter; `None` when there is none.
    ///
    /// # Errors
    /// As [`GridFsBucket::find`], and a BSON error for a document that is not one of a file.
    pub fn find_one(&self, filter: Document) -> FindOne<'_> {
        FindOne {
            bucket: self,
            filter,
            options: GridFsFindOneOptions::default(),
        }
    }
}

impl Find<'_> {
    option_setters! { GridFsFindOptions {
        timeout: Duration,
        allow_disk_use: bool,
        batch_size: u32,
        limit: i64,
        max_time: Duration,
        no_cursor_timeout: bool,
        skip: u64,
        sort: Document,
    } }
}

impl FindOne<'_> {
    option_setters! { GridFsFindOneOptions {
        timeout: Duration,
        max_time: Duration,
        skip: u64,
        sort: Document,
    } }
}

action! { impl['a] Find<'a> => Result<Cursor<FilesCollectionDocument>>, |self| {
    let find = self.bucket.files().find(self.filter);
    find.with_options(FindOptions::from(self.options)).await
} }

action! { impl['a] FindOne<'a> => Result<Option<FilesCollectionDocument>>, |self| {
    let find = self.bucket.files().find_one(self.filter);
    find.with_options(FindOneOptions::from(self.options)).await
} }
