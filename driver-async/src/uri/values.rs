//! How the values of options are written.

use std::time::Duration;

use crate::error::Error;

/// Why a value was not taken.
#[derive(Debug)]
pub(super) enum Rejection {
    /// The option is ignored with a warning; the text says what to write.
    Ignored(String),
    /// Ignoring the option would be unsafe.
    Fatal(Error),
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

pub(super) fn ignored<T>(reason: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::Ignored(reason.into()))
}

/// A boolean, and whether it is written in a way that is deprecated.
pub(super) fn parse_flag(value: &str) -> Result<(bool, bool), Rejection> {
    match value {
        "true" => Ok((true, false)),
        "false" => Ok((false, false)),
        "1" | "yes" | "y" | "t" => Ok((true, true)),
        "0" | "-1" | "no" | "n" | "f" => Ok((false, true)),
        _ => ignored("write true or false"),
    }
}

/// A whole number from `least` to `most`.
pub(super) fn parse_number(value: &str, least: i64, most: i64) -> Result<i64, Rejection> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(number) if is_number && (least..=most).contains(&number) => Ok(number),
        _ => ignored(format!("write a whole number from {least} to {most}")),
    }
}

/// A whole number from `least` to the largest that 32 bits hold.
pub(super) fn parse_count(value: &str, least: u32) -> Result<u32, Rejection> {
    let number = parse_number(value, i64::from(least), i64::from(i32::MAX))?;
    u32::try_from(number).or_else(|_| ignored("write a smaller number"))
}

/// A number of milliseconds up to `most`.
pub(super) fn parse_millis(value: &str, most: i64) -> Result<Duration, Rejection> {
    let number = parse_number(value, 0, most)?;
    Ok(Duration::from_millis(number.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_digits_in_range() {
        assert_eq!(parse_number("-1", -1, 9).unwrap(), -1);
        for bad in [
            "",
            "-",
            "+1",
            "1.0",
            " 1",
            "0x1",
            "10",
            "-2",
            "99999999999999999999",
        ] {
            assert!(parse_number(bad, -1, 9).is_err(), "{bad:?} was accepted");
        }
        assert!(parse_count("2147483648", 0).is_err());
    }

    #[test]
    fn old_spellings_of_booleans_are_told_apart() {
        assert_eq!(parse_flag("true").unwrap(), (true, false));
        assert_eq!(parse_flag("-1").unwrap(), (false, true));
        assert!(parse_flag("TRUE").is_err());
    }
}
