//! How a connection string falls into parts, before any of them is understood.

use percent_encoding::percent_decode_str;

use super::invalid;
use crate::error::Result;

/// The parts of a connection string, still percent-encoded.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// Whether the scheme is `mongodb+srv`.
    pub(super) is_srv: bool,
    pub(super) user_info: Option<UserInfo<'a>>,
    /// What stands between the user information and the path, split at commas.
    pub(super) hosts: Vec<&'a str>,
    pub(super) database: Option<&'a str>,
    pub(super) options: Vec<(&'a str, &'a str)>,
}

/// A user name and password, still percent-encoded.
#[derive(Debug)]
pub(super) struct UserInfo<'a> {
    pub(super) username: &'a str,
    pub(super) password: Option<&'a str>,
}

/// Splits a connection string.
pub(super) fn split(uri: &str) -> Result<Parts<'_>> {
    let (is_srv, rest) = split_scheme(uri)?;
    // Without a path, the slash before the options may be missing; then a slash that comes later
    // belongs to an option's value.
    let (before_options, options) = match rest.split_once('?') {
        Some((before, options)) => (before, Some(options)),
        None => (rest, None),
    };
    if before_options.contains("mongodb://") || before_options.contains("mongodb+srv://") {
        return Err(invalid(
            "it holds several connection strings; write the hosts of one deployment into one, \
             separated by commas",
        ));
    }
    let (authority, database) = match before_options.split_once('/') {
        Some((authority, database)) => (authority, Some(database)),
        None => (before_options, None),
    };
    if database.is_some_and(|database| database.contains('@')) {
        return Err(invalid(
            "an '@' stands after the first '/'; in a user name or password, write '/' as %2F, and \
             in the name of a database, write '@' as %40",
        ));
    }
    let (user_info, hosts) = match authority.rsplit_once('@') {
        Some((user_info, hosts)) => (Some(split_user_info(user_info)?), hosts),
        None => (None, authority),
    };
    if user_info.is_none() && options.is_some_and(|options| options.contains('@')) {
        return Err(invalid(
            "an '@' stands after the '?', and none before it; in a user name or password, write \
             '?' as %3F, and in the value of an option, write '@' as %40",
        ));
    }
    if hosts.is_empty() {
        return Err(invalid(
            "it names no host; write one after the \"//\", and the path of a Unix domain socket \
             with %2F for each '/'",
        ));
    }
    Ok(Parts {
        is_srv,
        user_info,
        hosts: hosts.split(',').collect(),
        database: database.filter(|database| !database.is_empty()),
        options: split_options(options.unwrap_or_default())?,
    })
}

fn split_scheme(uri: &str) -> Result<(bool, &str)> {
    if let Some(rest) = uri.strip_prefix("mongodb://") {
        Ok((false, rest))
    } else if let Some(rest) = uri.strip_prefix("mongodb+srv://") {
        Ok((true, rest))
    } else {
        Err(invalid(
            "it must begin with \"mongodb://\" or \"mongodb+srv://\"",
        ))
    }
}

fn split_user_info(user_info: &str) -> Result<UserInfo<'_>> {
    let (username, password) = match user_info.split_once(':') {
        Some((username, password)) => (username, Some(password)),
        None => (user_info, None),
    };
    let is_ambiguous =
        username.contains('@') || password.is_some_and(|password| password.contains([':', '@']));
    if is_ambiguous {
        return Err(invalid(
            "the user name and password must be percent-encoded: write ':' as %3A, '@' as %40, \
             '/' as %2F and '%' as %25",
        ));
    }
    if username.is_empty() {
        return Err(invalid(
            "the user name before the '@' is empty; write one, or leave out the '@'",
        ));
    }
    Ok(UserInfo { username, password })
}

fn split_options(options: &str) -> Result<Vec<(&str, &str)>> {
    options
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some(("", _)) => Err(invalid("an option has no name before its '='")),
            Some(pair) => Ok(pair),
            None => Err(invalid(
                "an option has no '='; write each as name=value, with '&' between them",
            )),
        })
        .collect()
}

/// Decodes a part; `what` names it, since the part itself may be a secret.
pub(super) fn decode(text: &str, what: &str) -> Result<String> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        let is_encoding = after
            .as_bytes()
            .get(..2)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if !is_encoding {
            return Err(invalid(format_args!(
                "a '%' in {what} is not followed by two hexadecimal digits; write a '%' itself as \
                 %25"
            )));
        }
        rest = after;
    }
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| invalid(format_args!("{what} is not UTF-8 once it is decoded")))
}

/// Decodes and checks the name of a database.
pub(super) fn decode_database(database: &str) -> Result<String> {
    let database = decode(database, "the name of the database")?;
    if database.contains(['/', '\\', ' ', '"', '$', '\0']) {
        return Err(invalid(
            "the name of the database after the '/' contains one of / \\ \" $, a space or a zero \
             character, which no database can have in its name",
        ));
    }
    Ok(database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_in_an_option_is_not_the_path() {
        let parts = split("mongodb://a?x=b/c").unwrap();
        assert_eq!(parts.hosts, ["a"]);
        assert_eq!(parts.database, None);
        assert_eq!(parts.options, [("x", "b/c")]);
    }

    #[test]
    fn the_value_of_an_option_may_hold_an_equals_sign() {
        let parts = split("mongodb://a/?x=b=c&&y=").unwrap();
        assert_eq!(parts.options, [("x", "b=c"), ("y", "")]);
    }

    #[test]
    fn an_option_may_hold_an_at_sign_where_there_is_a_user() {
        let parts = split("mongodb://u:p@a/?appName=@b@").unwrap();
        assert_eq!(parts.options, [("appName", "@b@")]);
    }

    #[test]
    fn errors_keep_misplaced_passwords_to_themselves() {
        for uri in [
            "mongo://alice:hunter2@a",
            "alice:hunter2@a",
            "mongodb://alice:x@hunter2@a",
            "mongodb://alice:x:hunter2@a",
            "mongodb://alice:hunter2/x@a",
            "mongodb://alice/hunter2@a",
            "mongodb://alice:hunter2@",
            "mongodb://alice:hunter2@a,mongodb://alice:hunter2@b",
            "mongodb://a/?hunter2",
            "mongodb://alice:27017?hunter2=x@a",
            "mongodb://alice:27017?appName=hunter2@a",
        ] {
            let error = split(uri).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{uri}: {error}");
        }
    }

    #[test]
    fn percent_signs_stand_before_two_digits() {
        assert_eq!(decode("a%20b%C3%A9", "x").unwrap(), "a bé");
        for bad in ["%", "a%2", "%zz", "%+1", "%C3"] {
            assert!(decode(bad, "x").is_err(), "{bad} was accepted");
        }
    }
}
