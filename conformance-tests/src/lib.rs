//! The driver-free parts of the conformance suite.
