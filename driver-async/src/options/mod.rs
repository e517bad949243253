//! The options of the client and of every operation.

mod read_concern;
mod read_preference;
pub(crate) mod serde_shapes;
mod write_concern;

pub use read_concern::{ReadConcern, ReadConcernLevel};
pub use read_preference::{
    HedgedReadOptions, Predicate, ReadPreference, ReadPreferenceOptions, SelectionCriteria, TagSet,
};
pub use write_concern::{Acknowledgment, WriteConcern};

pub use crate::address::ServerAddress;
