//! Operations as data: what to do, with which options.
