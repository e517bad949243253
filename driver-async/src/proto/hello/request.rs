//! Writes the hello command.

use std::time::Duration;

use bson::{Bson, RawDocument};

use crate::{
    error::Result,
    proto::{hello::TopologyVersion, wire::DocumentWriter},
};

/// The version of the client backpressure specification that the driver follows. A string, as the
/// handshake specification has it.
const BACKPRESSURE: &str = "2";

/// The name under which hello is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloName {
    /// `hello`, which servers before 4.4.2 do not know.
    Hello,
    /// `isMaster`, sent with the question whether the server knows `hello`.
    Legacy,
}

impl HelloName {
    /// The name for the first message of a connection.
    ///
    /// A declared server API and a load balancer imply a server that knows `hello`.
    pub fn first(declares_api: bool, load_balanced: bool) -> Self {
        if declares_api || load_balanced {
            Self::Hello
        } else {
            Self::Legacy
        }
    }

    /// The name for later messages: once the server said that it knows `hello`, the legacy name
    /// is never used again on that connection.
    pub fn next(self, hello_ok: bool) -> Self {
        if hello_ok { Self::Hello } else { self }
    }

    /// The command's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Legacy => "isMaster",
        }
    }
}

/// A request to answer only when the server's state differs from a known one.
#[derive(Clone, Copy, Debug)]
pub struct AwaitedChange {
    /// The state known so far.
    pub known: TopologyVersion,
    /// How long the server may wait before it answers without a change.
    pub limit: Duration,
}

/// What a hello command says.
#[derive(Clone, Copy, Debug)]
pub struct HelloRequest<'a> {
    /// The name to send it under.
    pub name: HelloName,
    /// The client metadata; only the first hello of a connection has it.
    pub client: Option<&'a RawDocument>,
    /// The compressors that the client accepts, best first. Sent, when empty too, along with the
    /// client metadata.
    pub compression: &'a [&'a str],
    /// The database and the user whose mechanisms are asked for.
    pub sasl_supported_mechs: Option<(&'a str, &'a str)>,
    /// The first command of an authentication.
    pub speculative_authenticate: Option<&'a RawDocument>,
    /// Whether a load balancer stands in between.
    pub load_balanced: bool,
    /// The fields that declare the server API.
    pub server_api: Option<&'a RawDocument>,
    /// Makes the server wait for a change.
    pub until_change: Option<AwaitedChange>,
}

impl HelloRequest<'_> {
    /// A request with nothing but its name.
    pub fn new(name: HelloName) -> Self {
        Self {
            name,
            client: None,
            compression: &[],
            sasl_supported_mechs: None,
            speculative_authenticate: None,
            load_balanced: false,
            server_api: None,
            until_change: None,
        }
    }
}

/// Writes a hello command, its database included.
///
/// # Errors
/// An invalid-argument error for text with a NUL where BSON allows none.
pub fn write_hello(command: &mut DocumentWriter<'_>, request: &HelloRequest<'_>) -> Result<()> {
    command.append_i32(request.name.as_str(), 1)?;
    if request.name == HelloName::Legacy {
        command.append_bool("helloOk", true)?;
    }
    if let Some(AwaitedChange { known, limit }) = request.until_change {
        command.append_document_with("topologyVersion", |version| {
            version.append_object_id("processId", known.process_id)?;
            version.append_i64("counter", known.counter)
        })?;
        // A server that replies early is asked again, so a longer wait than it can express is cut.
        let millis = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        command.append_i64("maxAwaitTimeMS", millis.into())?;
    }
    if let Some(client) = request.client {
        command.append_str("backpressure", BACKPRESSURE)?;
        command.append_raw_document("client", client)?;
        let names = request
            .compression
            .iter()
            .map(|name| (*name).into())
            .collect();
        command.append_bson("compression", &Bson::Array(names))?;
    }
    if request.load_balanced {
        command.append_bool("loadBalanced", true)?;
    }
    if let Some((database, user)) = request.sasl_supported_mechs {
        command.append_str("saslSupportedMechs", &format!("{database}.{user}"))?;
    }
    if let Some(speculative) = request.speculative_authenticate {
        command.append_raw_document("speculativeAuthenticate", speculative)?;
    }
    if let Some(server_api) = request.server_api {
        command.append_elements_of(server_api)?;
    }
    command.append_str("$db", "admin")
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc, oid::ObjectId, rawdoc};

    use super::*;

    fn written(request: &HelloRequest<'_>) -> Document {
        let mut bytes = Vec::new();
        let mut command = DocumentWriter::begin(&mut bytes);
        write_hello(&mut command, request).unwrap();
        command.end().unwrap();
        Document::from_reader(&*bytes).unwrap()
    }

    #[test]
    fn the_first_legacy_hello_asks_for_the_new_name() {
        let client = rawdoc! { "driver": {} };
        let request = HelloRequest {
            client: Some(&client),
            sasl_supported_mechs: Some(("admin", "us,er")),
            speculative_authenticate: Some(&client),
            ..HelloRequest::new(HelloName::first(false, false))
        };
        let wanted = doc! {
            "isMaster": 1, "helloOk": true, "backpressure": "2", "client": { "driver": {} },
            "compression": [],
            "saslSupportedMechs": "admin.us,er", "speculativeAuthenticate": { "driver": {} },
            "$db": "admin",
        };
        assert_eq!(written(&request), wanted);
    }

    #[test]
    fn a_load_balanced_hello_with_an_api_uses_the_new_name() {
        let (client, api) = (rawdoc! {}, rawdoc! { "apiVersion": "1", "apiStrict": true });
        let request = HelloRequest {
            client: Some(&client),
            compression: &["zstd", "zlib"],
            load_balanced: true,
            server_api: Some(&api),
            ..HelloRequest::new(HelloName::first(true, true))
        };
        let wanted = doc! {
            "hello": 1, "backpressure": "2", "client": {}, "compression": ["zstd", "zlib"],
            "loadBalanced": true, "apiVersion": "1", "apiStrict": true, "$db": "admin",
        };
        assert_eq!(written(&request), wanted);
    }

    #[test]
    fn an_awaitable_hello_names_the_known_state_and_no_metadata() {
        let known = TopologyVersion {
            process_id: ObjectId::new(),
            counter: 4,
        };
        let request = HelloRequest {
            until_change: Some(AwaitedChange {
                known,
                limit: Duration::from_secs(10),
            }),
            ..HelloRequest::new(HelloName::Hello)
        };
        let version = doc! { "processId": known.process_id, "counter": 4_i64 };
        let wanted = doc! {
            "hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 10_000_i64, "$db": "admin",
        };
        assert_eq!(written(&request), wanted);
    }

    #[test]
    fn a_server_is_asked_to_wait_no_longer_than_it_can() {
        let known = TopologyVersion {
            process_id: ObjectId::new(),
            counter: 4,
        };
        let request = HelloRequest {
            until_change: Some(AwaitedChange {
                known,
                limit: Duration::MAX,
            }),
            ..HelloRequest::new(HelloName::Hello)
        };
        let wait = written(&request).get_i64("maxAwaitTimeMS").unwrap();
        assert_eq!(wait, i64::from(i32::MAX));
    }

    #[test]
    fn the_legacy_name_ends_where_the_server_knows_the_new_one() {
        let first = HelloName::first(false, false);
        assert_eq!(first, HelloName::Legacy);
        assert_eq!(first.next(false), HelloName::Legacy);
        assert_eq!(first.next(true), HelloName::Hello);
        assert_eq!(HelloName::Hello.next(false), HelloName::Hello);
    }
}
