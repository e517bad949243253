//! What cases need that the drivers don't have, told before a case is run.

/// Why cases with sessions of their own fail.
pub const SESSIONS: &str = "the driver has no explicit sessions yet";
/// Why cases with client-side timeouts fail.
pub const TIMEOUTS: &str = "the driver has no timeoutMS yet";
/// Why cases with client-side encryption fail.
pub const ENCRYPTION: &str = "the driver has no client-side encryption yet";
