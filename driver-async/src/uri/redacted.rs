//! A connection string as it may be shown.

use std::fmt::Write as _;

use super::{grammar::Parts, table};

/// The connection string without its credential, the values of secret options, and the options
/// that are ignored, at the places given: what was not understood may be a part of a password.
pub(super) fn redact(parts: &Parts<'_>, ignored: &[usize]) -> String {
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
    for (place, (name, value)) in parts.options.iter().enumerate() {
        text.push(if place == 0 { '?' } else { '&' });
        let known = table::find(name);
        let shown_name = known.map_or("***", |_| name);
        let shown = match known {
            Some(option) if !option.is_secret && !ignored.contains(&place) => value,
            _ => "***",
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{shown_name}={shown}");
    }
    text
}
