//! The one way every operation takes.
