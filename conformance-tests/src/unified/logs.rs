//! Whether the log messages of a client are the ones a case expects.

use bson::Document;

use super::{
    file::{ExpectedLogMessage, ExpectedLogMessages, LogComponent, LogLevel},
    matching::{Lookup, match_root},
};

/// A log message that a client wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct LogMessage {
    /// How severe it is.
    pub level: LogLevel,
    /// The part of the driver that wrote it.
    pub component: LogComponent,
    /// Its fields, `message` among them.
    pub data: Document,
    /// True when it tells a failure whose text the driver left out, as it does where commands
    /// carry secrets.
    pub failure_is_redacted: bool,
}

/// Fails when the messages of one client are not those expected. `actual` holds all the client's
/// collected messages in their order.
///
/// # Errors
///
/// The text names the first message that differs, and lists those that were written.
pub fn match_log_messages(
    expected: &ExpectedLogMessages,
    actual: &[LogMessage],
    lookup: &dyn Lookup,
) -> Result<(), String> {
    let is_ignored = |message: &LogMessage| {
        let mut ignored = expected.ignore_messages.iter();
        ignored.any(|ignored| message.matches(ignored, lookup).is_ok())
    };
    let actual: Vec<&LogMessage> = actual.iter().filter(|m| !is_ignored(m)).collect();
    match_sequence(expected, &actual, lookup).map_err(|why| {
        let texts: Vec<&str> = actual.iter().map(|message| message.text()).collect();
        format!("{}: {why}; written: {texts:?}", expected.client)
    })
}

fn match_sequence(
    expected: &ExpectedLogMessages,
    actual: &[&LogMessage],
    lookup: &dyn Lookup,
) -> Result<(), String> {
    for (index, wanted) in expected.messages.iter().enumerate() {
        let message = actual
            .get(index)
            .ok_or_else(|| format!("message {index}, {}, is missing", wanted.data))?;
        message
            .matches(wanted, lookup)
            .map_err(|why| format!("message {index}, {:?}: {why}", message.text()))?;
    }
    let wanted = expected.messages.len();
    match actual.get(wanted) {
        Some(further) if !expected.ignore_extra_messages => Err(format!(
            "{wanted} messages were expected, and further ones came, the first {:?}",
            further.text()
        )),
        _ => Ok(()),
    }
}

impl LogMessage {
    fn text(&self) -> &str {
        self.data.get_str("message").unwrap_or("(without a text)")
    }

    fn matches(&self, expected: &ExpectedLogMessage, lookup: &dyn Lookup) -> Result<(), String> {
        if self.level != expected.level {
            return Err(format!(
                "level: expected {:?}, found {:?}",
                expected.level, self.level
            ));
        }
        if self.component != expected.component {
            let (wanted, found) = (expected.component, self.component);
            return Err(format!("component: expected {wanted:?}, found {found:?}"));
        }
        match_root(&expected.data, &self.data, lookup).map_err(|why| format!("data: {why}"))?;
        match expected.failure_is_redacted {
            Some(_) if !self.data.contains_key("failure") => {
                Err("failureIsRedacted: it tells no failure".to_owned())
            }
            Some(wanted) if wanted != self.failure_is_redacted => {
                Err(format!("failureIsRedacted: expected {wanted}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, bson, doc};

    use super::*;
    use crate::unified::{file::from_bson, matching::tests::Entities};

    fn message(data: Document) -> LogMessage {
        LogMessage {
            level: LogLevel::Debug,
            component: LogComponent::ServerSelection,
            data,
            failure_is_redacted: false,
        }
    }

    fn wanted(data: Bson) -> Bson {
        bson!({ "level": "debug", "component": "serverSelection", "data": data })
    }

    fn check(expected: Bson, actual: &[LogMessage]) -> Result<(), String> {
        match_log_messages(&from_bson(expected).unwrap(), actual, &Entities)
    }

    #[test]
    fn level_component_data_and_redaction_must_agree() {
        let one = |message: Bson| bson!({ "client": "c", "messages": [message] });
        let plain = [message(doc! { "message": "a", "n": 1, "failure": "x" })];
        let redacted = [LogMessage {
            failure_is_redacted: true,
            ..plain[0].clone()
        }];
        let mut asks = wanted(bson!({ "message": "a" }));
        assert_eq!(check(one(asks.clone()), &plain), Ok(()));
        let with = |key: &str, value: Bson, asks: &mut Bson| {
            asks.as_document_mut().unwrap().insert(key, value);
        };
        with("failureIsRedacted", bson!(true), &mut asks);
        assert_eq!(check(one(asks.clone()), &redacted), Ok(()));
        assert!(
            check(one(asks.clone()), &plain)
                .unwrap_err()
                .contains("failureIsRedacted")
        );
        let silent = [message(doc! { "message": "a" })];
        assert!(
            check(one(asks.clone()), &silent)
                .unwrap_err()
                .contains("tells no failure")
        );
        with("failureIsRedacted", bson!(false), &mut asks);
        assert!(check(one(asks.clone()), &redacted).is_err());
        assert!(check(one(asks), &silent).is_err());
        for (key, value, text) in [
            ("level", bson!("info"), "level: "),
            ("component", bson!("topology"), "component: "),
            ("data", bson!({ "message": "b" }), "data: at message: "),
        ] {
            let mut asks = wanted(bson!({ "message": "a" }));
            with(key, value, &mut asks);
            let error = check(one(asks), &plain).unwrap_err();
            assert!(error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn messages_come_in_order_after_the_ignored_ones_are_left_out() {
        let actual = ["a", "noise", "b"].map(|text| message(doc! { "message": text }));
        let list = |texts: &[&str]| -> Vec<Bson> {
            texts
                .iter()
                .map(|text| wanted(bson!({ "message": *text })))
                .collect()
        };
        let asks = |texts: &[&str], ignored: &[&str], extra: bool| {
            bson!({
                "client": "c",
                "messages": list(texts),
                "ignoreMessages": list(ignored),
                "ignoreExtraMessages": extra,
            })
        };
        assert_eq!(check(asks(&["a", "b"], &["noise"], false), &actual), Ok(()));
        assert_eq!(check(asks(&["a"], &[], true), &actual), Ok(()));
        for (expected, text) in [
            (asks(&["a", "b"], &[], true), "message 1, \"noise\": data"),
            (
                asks(&["a"], &["noise"], false),
                "further ones came, the first \"b\"",
            ),
            (asks(&["a", "b", "c"], &["noise"], true), "message 2, "),
            (asks(&[], &[], false), "further ones came, the first \"a\""),
        ] {
            let error = check(expected, &actual).unwrap_err();
            assert!(error.contains(text), "{text}: {error}");
        }
    }
}
