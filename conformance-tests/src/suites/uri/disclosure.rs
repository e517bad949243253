//! What a connection string that goes wrong shows of its credential: nothing.
//!
//! Each case is a connection string that holds a sentinel where a credential, or a part of one,
//! stands. Whether it is accepted is for the driver to say; neither way may the sentinel show.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use motorcade::Client;
use motorcade::options::{ClientOptions, ConnectionString};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::Check;

/// The part of the sentinel that no text may contain, in any case: hosts are shown in lower case.
const SENTINEL: &str = "sentinel";

/// A case of `credential-disclosure`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DisclosureCase {
    #[serde(rename = "description")]
    _description: String,
    uri: String,
}

pub(super) fn check(case: &DisclosureCase) -> Check {
    if !is_disclosed(&case.uri) {
        return Err("the case's connection string holds no sentinel".to_owned());
    }
    let log = Log::default();
    let shown = tracing::subscriber::with_default(log.clone(), || shown(&case.uri));
    let messages = log.0.lock().unwrap_or_else(PoisonError::into_inner);
    let logged = messages.iter().map(|message| ("a log message", message));
    match shown
        .iter()
        .map(|(what, text)| (*what, text))
        .chain(logged)
        .find(|(_, text)| is_disclosed(text))
    {
        Some((what, text)) => Err(format!("{what} shows the sentinel: {text}")),
        None => Ok(()),
    }
}

fn is_disclosed(text: &str) -> bool {
    let holds = |text: &str| text.to_lowercase().contains(SENTINEL);
    holds(text) || holds(&percent_decode_str(text).decode_utf8_lossy())
}

type Shown = Vec<(&'static str, String)>;

/// Everything that a user can see of a connection string on the way to a client.
fn shown(uri: &str) -> Shown {
    let mut shown = Shown::new();
    let parsed = match ConnectionString::parse(uri) {
        Ok(parsed) => parsed,
        Err(error) => return chain("the error of parsing", &error),
    };
    shown.push(("the connection string's Display", parsed.to_string()));
    shown.push(("the connection string's Debug", format!("{parsed:?}")));
    shown.push(("a warning", parsed.warnings().join("\n")));
    let options = match ClientOptions::from_connection_string(parsed) {
        Ok(options) => options,
        Err(error) => {
            shown.extend(chain("the error of making options", &error));
            return shown;
        }
    };
    shown.push(("the options' Debug", format!("{options:?}")));
    shown.push(("a warning of the options", options.warnings().join("\n")));
    match Client::with_options(options) {
        Ok(client) => shown.push(("the client's Debug", format!("{client:?}"))),
        Err(error) => shown.extend(chain("the error of making a client", &error)),
    }
    shown
}

/// An error and its causes, as they can be printed.
fn chain(what: &'static str, error: &motorcade::error::Error) -> Shown {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |&error| error.source())
        .flat_map(|error| {
            [
                error.to_string(),
                format!("{error:?}"),
                format!("{error:#?}"),
            ]
        })
        .map(|text| (what, text))
        .collect()
}

/// Receives every log message of the thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                self.0.push_str(&format!("{field}={value:?} "));
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        let mut messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(text.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(uri: &str) -> Check {
        check(&DisclosureCase {
            _description: String::new(),
            uri: uri.to_owned(),
        })
    }

    #[test]
    fn what_shows_the_sentinel_fails() {
        for (uri, what) in [
            ("mongodb://SENTINEL", "the connection string's Display"),
            ("mongodb://a/?appName=SENTINEL", "Display"),
            ("mongodb://a/", "no sentinel"),
        ] {
            let error = checked(uri).unwrap_err();
            assert!(error.contains(what), "{uri}: {error}");
        }
        assert_eq!(checked("mongodb://u:SENTINEL@a"), Ok(()));
    }

    #[test]
    fn log_messages_are_seen() {
        let log = Log::default();
        tracing::subscriber::with_default(log.clone(), || {
            let options = ClientOptions::from_connection_string(
                ConnectionString::parse("mongodb://a/?maxPoolSize=x").unwrap(),
            );
            Client::with_options(options.unwrap()).unwrap();
        });
        let messages = log.0.lock().unwrap();
        assert!(
            messages.iter().any(|it| it.contains("maxPoolSize")),
            "{messages:?}"
        );
    }

    #[test]
    fn an_encoded_sentinel_is_recognised() {
        assert!(is_disclosed("x %53%45%4E%54%49%4e%45%4C y"));
        assert!(!is_disclosed("x %53%45 y"));
    }
}
