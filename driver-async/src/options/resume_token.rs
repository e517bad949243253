//! A place in a change stream.

use bson::RawBson;
use serde::{Deserialize, Serialize};

/// A place in the changes of a deployment, from which a change stream can go on.
///
/// Its content means something to servers only. It can be stored and read back with serde, as
/// BSON or in any other format.
///
/// [`ChangeStream::resume_token`](crate::change_stream::ChangeStream::resume_token) gives the
/// newest one, and [`ChangeStreamOptions::resume_after`](super::ChangeStreamOptions::resume_after)
/// takes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResumeToken(pub(crate) RawBson);
