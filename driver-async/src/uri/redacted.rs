//! A connection string as it may be shown.

use std::fmt::Write as _;

use super::{grammar::Parts, table};

/// The connection string without its credential and without the values of secret and unknown
/// options.
pub(super) fn redact(parts: &Parts<'_>) -> String {
    let mut text = String::from(if parts.is_srv {
        "mongodb+srv://"
    } else {
        "mongodb://"
    });
    if parts.user_info.is_some() {
        text.push_str("***@");
    }
    text.push_str(&parts.hosts.join(","));
    text.push('/');
    text.push_str(parts.database.unwrap_or_default());
    for (index, (name, value)) in parts.options.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        let shown = match table::find(name) {
            Some(option) if !option.is_secret => value,
            _ => "***",
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}={shown}");
    }
    text
}
