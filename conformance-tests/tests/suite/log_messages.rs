//! The log messages: what they tell, and how long they are.

use conformance_tests::behaviour::Deployment;
use conformance_tests::log_capture::LogCapture;
use conformance_tests::unified::file::{LogComponent, LogLevel};
use conformance_tests::unified::logs::LogMessage;

use super::recorder::Event;
use super::support::Observed;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::ErrorKind;
use crate::flavor::driver::event::sdam::SdamEvent;
use crate::flavor::{collect, go};

conformance_tests::behaviours! {
    L1 documents_are_cut_after_1000_bytes: Either, Shared;
    L2 documents_are_cut_after_the_length_that_is_set: Either, Shared;
    L4 a_client_tells_of_all_it_does_in_the_words_of_the_specifications: Standalone, Shared;
    L5 each_message_of_an_operation_has_its_number: Standalone, Shared;
    L6 what_holds_secrets_is_logged_without_content: Either, Shared;
}

const ELLIPSIS: &str = "...";

/// A field of a message that is text.
fn text<'a>(message: &'a Document, field: &str) -> &'a str {
    message.get_str(field).unwrap_or_default()
}

/// A client whose messages are captured.
struct Logged {
    capture: LogCapture,
    subject: Observed,
}

impl Logged {
    fn new(deployment: &Deployment, max_document_length: Option<usize>) -> Self {
        let capture = LogCapture::begin();
        let subject = Observed::configured(deployment, &deployment.uri(), |options| {
            options.tracing_max_document_length_bytes = max_document_length;
        });
        Self { capture, subject }
    }

    /// All messages so far.
    fn messages(&self) -> Vec<LogMessage> {
        let id = self.subject.events.wait_for("opening", |events| {
            events.iter().find_map(|event| match event.sdam() {
                Some(SdamEvent::TopologyOpening(opening)) => Some(opening.topology_id),
                _ => None,
            })
        });
        self.capture.messages(id)
    }

    /// The fields of the messages with that text so far.
    fn told(&self, text: &str) -> Vec<Document> {
        let messages = self.messages().into_iter().map(|message| message.data);
        messages
            .filter(|data| self::text(data, "message") == text)
            .collect()
    }

    fn last(&self, text: &str) -> Document {
        self.told(text)
            .pop()
            .unwrap_or_else(|| panic!("{text:?} is told"))
    }
}

fn documents_are_cut_after_1000_bytes(deployment: &Deployment) {
    let logged = Logged::new(deployment, None);
    let people = logged.subject.people();
    go!(people.insert_many(vec![doc! { "x": "y" }; 100])).expect("inserts");
    let command = logged.last("Command started");
    let command = text(&command, "command");
    assert_eq!(command.len(), 1000 + ELLIPSIS.len(), "{command}");
    assert!(command.ends_with(ELLIPSIS), "{command}");
    let reply = logged.last("Command succeeded");
    let reply = text(&reply, "reply");
    assert!(reply.len() <= 1000 + ELLIPSIS.len(), "{reply}");
    assert!(reply.starts_with(r#"{"n":100,"#), "{reply}");
    let found: Vec<Document> =
        collect!(go!(people.find(doc! {})).expect("finds")).expect("goes on");
    assert_eq!(found.len(), 100);
    let reply = logged.last("Command succeeded");
    let reply = text(&reply, "reply");
    assert_eq!(reply.len(), 1000 + ELLIPSIS.len(), "{reply}");
}

fn documents_are_cut_after_the_length_that_is_set(deployment: &Deployment) {
    let logged = Logged::new(deployment, Some(5));
    logged.subject.ping().expect("pings");
    let command = logged.last("Command started");
    assert_eq!(text(&command, "command"), r#"{"pin..."#);
    let reply = logged.last("Command succeeded");
    assert_eq!(text(&reply, "reply").len(), 5 + ELLIPSIS.len());
}

fn a_client_tells_of_all_it_does_in_the_words_of_the_specifications(deployment: &Deployment) {
    let logged = Logged::new(deployment, None);
    logged.subject.ping().expect("pings");
    let events = &logged.subject.events;
    events.wait_for_count("check", 1, Event::is_heartbeat_success);
    let messages = logged.messages();
    let first = |component: LogComponent, count: usize| -> Vec<String> {
        let texts = messages
            .iter()
            .filter(|message| message.component == component);
        let texts = texts.map(|message| text(&message.data, "message"));
        texts.take(count).map(str::to_owned).collect()
    };
    assert_eq!(
        first(LogComponent::ServerSelection, 3),
        [
            "Server selection started",
            "Waiting for suitable server to become available",
            "Server selection succeeded",
        ]
    );
    assert_eq!(
        first(LogComponent::Topology, 5),
        [
            "Starting topology monitoring",
            "Topology description changed",
            "Starting server monitoring",
            "Server heartbeat started",
            "Server heartbeat succeeded",
        ]
    );
    assert_eq!(
        first(LogComponent::Connection, 7),
        [
            "Connection pool created",
            "Connection pool ready",
            "Connection checkout started",
            "Connection created",
            "Connection ready",
            "Connection checked out",
            "Connection checked in",
        ]
    );
    assert_eq!(
        first(LogComponent::Command, 3),
        ["Command started", "Command succeeded"]
    );
    let is_waiting = |message: &LogMessage| message.data.contains_key("remainingTimeMS");
    for message in &messages {
        let wanted = match is_waiting(message) {
            true => LogLevel::Info,
            false => LogLevel::Debug,
        };
        assert_eq!(message.level, wanted, "{message:?}");
    }
    let heartbeat = logged.last("Server heartbeat succeeded");
    assert!(heartbeat.get_bool("awaited").is_ok(), "{heartbeat}");
    assert!(heartbeat.get_f64("durationMS").is_ok(), "{heartbeat}");
    assert!(heartbeat.get_i64("serverPort").is_ok(), "{heartbeat}");
}

fn each_message_of_an_operation_has_its_number(deployment: &Deployment) {
    let logged = Logged::new(deployment, None);
    go!(logged.subject.people().insert_one(doc! { "_id": 1 })).expect("inserts");
    let messages = logged.messages();
    let numbers: Vec<_> = messages
        .iter()
        .filter_map(|message| message.data.get_i64("operationId").ok())
        .collect();
    let [first, rest @ ..] = &*numbers else {
        panic!("no message has a number: {messages:?}")
    };
    assert!(rest.len() >= 3, "{messages:?}");
    assert!(rest.iter().all(|number| number == first), "{messages:?}");
}

fn what_holds_secrets_is_logged_without_content(deployment: &Deployment) {
    let logged = Logged::new(deployment, Some(10_000));
    let login = doc! { "saslStart": 1, "mechanism": "PLAIN", "payload": "hunter2" };
    let refusal = go!(logged.subject.database().run_command(login)).expect_err("is refused");
    assert!(matches!(*refusal.kind, ErrorKind::Command(_)), "{refusal}");
    let started = logged.last("Command started");
    assert_eq!(text(&started, "command"), "{}");
    let failed = logged.last("Command failed");
    assert!(text(&failed, "failure").contains("REDACTED"), "{failed}");
    let all = format!("{:?}", logged.messages());
    assert!(!all.contains("hunter2"), "{all}");
}
