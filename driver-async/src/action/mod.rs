//! Operations as data: what to do, with which options.
//!
//! A verb such as [`Collection::find`](crate::Collection::find) does nothing yet: it makes an
//! action, whose setters add options. Awaiting the action does the work.

mod aggregate;
mod bulk_write;
mod collections;
mod count;
mod databases;
mod delete;
mod distinct;
mod explain;
mod find;
mod find_and_modify;
pub mod gridfs;
mod indexes;
mod insert;
mod modify_collection;
mod parse_connection_string;
mod raw_batches;
mod run_command;
mod search_indexes;
mod sessions;
mod shutdown;
mod update;
mod warm_connection_pool;
mod watch;

pub use aggregate::Aggregate;
pub use bulk_write::{BulkWrite, CollectionBulkWrite};
pub use collections::{CreateCollection, DropCollection, ListCollections};
pub use count::{Count, CountDocuments, EstimatedDocumentCount};
pub use databases::{DropDatabase, ListDatabases};
pub use delete::Delete;
pub use distinct::Distinct;
pub use explain::Explain;
pub use find::{Find, FindOne};
pub use find_and_modify::{FindOneAndDelete, FindOneAndReplace, FindOneAndUpdate};
pub use indexes::{CreateIndex, DropIndex, ListIndexes};
pub use insert::{InsertMany, InsertOne};
pub use modify_collection::{ModifyCollection, RenameCollection};
pub use parse_connection_string::ParseConnectionString;
pub use raw_batches::RawBatches;
pub use run_command::{RunCommand, RunCursorCommand};
pub use search_indexes::{
    CreateSearchIndex, DropSearchIndex, ListSearchIndexes, UpdateSearchIndex,
};
pub use sessions::{
    AbortTransaction, ActionSession, CommitTransaction, ExplicitSession, ImplicitSession,
    StartSession, StartTransaction,
};
pub use shutdown::Shutdown;
pub use update::{ReplaceOne, Update};
pub use warm_connection_pool::WarmConnectionPool;
pub use watch::Watch;

/// An operation that is described but not done yet: `.await` it, or `.run()` it with
/// `motorcade-sync`.
pub trait Action: IntoFuture<IntoFuture: Send> + private::Sealed {
    /// Applies `f` when there is a value, so that optional options need no branch.
    ///
    /// ```
    /// # use motorcade::{Collection, action::Action, bson::{Document, doc}};
    /// # async fn example(people: Collection<Document>, limit: Option<u64>)
    /// #     -> motorcade::error::Result<()> {
    /// let count = people
    ///     .count_documents(doc! {})
    ///     .optional(limit, |action, limit| action.limit(limit))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    fn optional<Value>(self, value: Option<Value>, f: impl FnOnce(Self, Value) -> Self) -> Self
    where
        Self: Sized,
    {
        match value {
            Some(value) => f(self, value),
            None => self,
        }
    }

    /// Whether the action is done at its first poll, outside of any runtime: it does no I/O, and
    /// waits for nothing. `motorcade-sync` runs it on any thread then.
    #[doc(hidden)]
    fn never_waits(&self) -> bool {
        false
    }
}

/// Marks an action that gives whole specifications.
#[derive(Clone, Copy, Debug)]
pub struct ListSpecifications;

/// Marks an action that gives names only.
#[derive(Clone, Copy, Debug)]
pub struct ListNames;

/// Marks an action on one thing.
#[derive(Clone, Copy, Debug)]
pub struct Single;

/// Marks an action on several things.
#[derive(Clone, Copy, Debug)]
pub struct Multiple;

pub(crate) mod private {
    /// Keeps [`Action`](super::Action) to this crate.
    pub trait Sealed {}
}

/// Makes a type an action: awaiting it runs the block. `never waits` marks one whose block awaits
/// nothing.
macro_rules! action {
    (impl[$($generics:tt)*] $type:ty => $output:ty, |$this:ident| $body:block) => {
        $crate::action::action! { @ false, [$($generics)*] $type => $output, |$this| $body }
    };
    (impl[$($generics:tt)*] $type:ty => $output:ty, never waits, |$this:ident| $body:block) => {
        $crate::action::action! { @ true, [$($generics)*] $type => $output, |$this| $body }
    };
    (
        @ $never_waits:literal,
        [$($generics:tt)*] $type:ty => $output:ty, |$this:ident| $body:block
    ) => {
        impl<$($generics)*> IntoFuture for $type {
            type Output = $output;
            type IntoFuture = ::futures_core::future::BoxFuture<'a, $output>;

            fn into_future($this) -> Self::IntoFuture {
                Box::pin(async move $body)
            }
        }

        impl<$($generics)*> $crate::action::private::Sealed for $type {}

        impl<$($generics)*> $crate::action::Action for $type {
            fn never_waits(&self) -> bool {
                $never_waits
            }
        }
    };
}

/// Writes one setter an option. The options' own documentation says what each means.
macro_rules! option_setters {
    (
        $options:ident { $($name:ident: $type:ty,)* }
        $(into { $($into_name:ident: $into_type:ty,)* })?
        $(each { $($each_name:ident: $each_type:ty,)* })?
    ) => {
        /// Replaces all options set so far.
        pub fn with_options(
            mut self,
            options: impl Into<Option<$crate::options::$options>>,
        ) -> Self {
            self.options = options.into().unwrap_or_default();
            self
        }

        $(
            #[doc = concat!("Sets [`", stringify!($options), "::", stringify!($name),
                "`](crate::options::", stringify!($options), "::", stringify!($name), ").")]
                pub fn $name(mut self, value: $type) -> Self {
                self.options.$name = Some(value);
                self
            }
        )*
        $($(
            #[doc = concat!("Sets [`", stringify!($options), "::", stringify!($into_name),
                "`](crate::options::", stringify!($options), "::", stringify!($into_name), ").")]
                pub fn $into_name(mut self, value: impl Into<$into_type>) -> Self {
                self.options.$into_name = Some(value.into());
                self
            }
        )*)?
        $($(
            #[doc = concat!("Sets [`", stringify!($options), "::", stringify!($each_name),
                "`](crate::options::", stringify!($options), "::", stringify!($each_name), ").")]
                pub fn $each_name(mut self, value: impl IntoIterator<Item = $each_type>) -> Self {
                self.options.$each_name = Some(value.into_iter().collect());
                self
            }
        )*)?
    };
}

use explain::explainable;
use raw_batches::raw_batches;
use {action, option_setters};
