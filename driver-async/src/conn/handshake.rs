//! Introduces the client to a server on a fresh connection.

use bson::RawDocumentBuf;
use parking_lot::Mutex;

use crate::{
    conn::{
        Connection,
        auth::{Authenticator, Speculation},
        environment::{PLATFORM, environment, operating_system},
    },
    error::{Error, ErrorKind, Result},
    options::{ClientOptions, DriverInfo},
    proto::{
        hello::{AwaitedChange, ClientMetadata, HelloName, HelloReply, HelloRequest, write_hello},
        topology::{ServerType, error_rules},
        wire::DocumentWriter,
    },
};

/// The code of a server that has no such command.
const COMMAND_NOT_FOUND: i32 = 59;

/// Introduces the client on each of its connections; one for each client.
#[derive(Debug)]
pub(crate) struct Handshaker {
    metadata: Mutex<ClientMetadata>,
    server_api: Option<RawDocumentBuf>,
    load_balanced: bool,
    authenticator: Option<Authenticator>,
}

/// What a server said on being greeted, and what authentication goes on with.
#[derive(Debug)]
pub(crate) struct Greeting {
    hello: HelloReply,
    speculation: Option<Speculation>,
}

/// Which hello a monitor sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MonitorHello {
    /// The first on a connection.
    First,
    /// A later one.
    Later {
        /// The name to use: [`HelloName::next`] of the one before.
        name: HelloName,
        /// Makes the server wait for a change.
        until_change: Option<AwaitedChange>,
    },
}

impl Handshaker {
    /// Gathers what all handshakes of a client have in common.
    ///
    /// # Errors
    /// An invalid-argument error when the application's name or the driver information is too
    /// long or malformed, and the errors of [`Authenticator::new`].
    pub(crate) fn new(options: &ClientOptions) -> Result<Self> {
        let app_name = options.app_name.as_deref();
        let metadata = ClientMetadata::new(app_name, PLATFORM, operating_system(), environment())?;
        let server_api = options.server_api.as_ref();
        let handshaker = Self {
            metadata: Mutex::new(metadata),
            server_api: server_api
                .map(bson::serialize_to_raw_document_buf)
                .transpose()?,
            load_balanced: options.load_balanced.unwrap_or_default(),
            authenticator: options
                .credential
                .clone()
                .map(Authenticator::new)
                .transpose()?,
        };
        if let Some(info) = &options.driver_info {
            handshaker.append_metadata(info)?;
        }
        Ok(handshaker)
    }

    /// Adds the words of a library that wraps the driver, for connections made from now on.
    ///
    /// # Errors
    /// As [`ClientMetadata::append`].
    pub(crate) fn append_metadata(&self, info: &DriverInfo) -> Result<()> {
        let DriverInfo {
            name,
            version,
            platform,
            ..
        } = info;
        self.metadata
            .lock()
            .append(Some(name), version.as_deref(), platform.as_deref())
    }

    /// The name under which the first hello of a connection is sent.
    pub(crate) fn first_name(&self) -> HelloName {
        HelloName::first(self.server_api.is_some(), self.load_balanced)
    }

    /// Says hello on a fresh connection for operations. When this fails or is dropped, the
    /// connection must be closed.
    ///
    /// # Errors
    /// A command error when the server refuses hello, an incompatible-server error when it does
    /// not stand behind a load balancer as was said or is too old to, and the errors of
    /// [`Connection::round_trip`].
    pub(crate) async fn greet(&self, connection: &mut Connection) -> Result<Greeting> {
        let speculation = match &self.authenticator {
            Some(authenticator) => authenticator.speculate()?,
            None => None,
        };
        let name = self.first_name();
        let reply = connection
            .round_trip(|command| {
                let negotiation = self
                    .authenticator
                    .as_ref()
                    .and_then(|a| a.user_to_negotiate());
                self.write_first(command, negotiation, speculation.as_ref())
            })
            .await?;
        if let Some(error) = error_rules::command_error(reply.document()) {
            if self.load_balanced && error.code() == Some(COMMAND_NOT_FOUND) {
                return Err(not_load_balanced().with_address(connection.address()));
            }
            return Err(error
                .with_command(name.as_str())
                .with_address(connection.address()));
        }
        let hello = HelloReply::parse(reply.document())
            .map_err(|error| error.with_address(connection.address()))?;
        if self.load_balanced && hello.service_id.is_none() {
            return Err(not_load_balanced().with_address(connection.address()));
        }
        let server_type = match self.load_balanced {
            true => ServerType::LoadBalancer,
            false => ServerType::of(&hello),
        };
        connection.set_facts(server_type, &hello);
        Ok(Greeting { hello, speculation })
    }

    /// Authenticates on a connection after [`Handshaker::greet`], where a credential is set and
    /// the server, being no arbiter, knows users. When this fails or is dropped, the connection
    /// must be closed.
    ///
    /// # Errors
    /// An authentication error, and the errors of [`Connection::round_trip`].
    pub(crate) async fn authenticate(
        &self,
        connection: &mut Connection,
        greeting: Greeting,
    ) -> Result<()> {
        let Greeting { hello, speculation } = greeting;
        match &self.authenticator {
            Some(authenticator) if connection.facts().server_type != ServerType::RsArbiter => {
                authenticator
                    .authenticate(connection, &hello, speculation)
                    .await
            }
            _ => Ok(()),
        }
    }

    /// Whether the program runs as a function of a cloud service, where background work may be
    /// frozen at any time.
    pub(crate) fn runs_as_function(&self) -> bool {
        self.metadata.lock().environment().is_function()
    }

    /// Writes the hello of a monitor, whose connections never authenticate.
    ///
    /// # Errors
    /// As [`write_hello`].
    pub(crate) fn write_monitor_hello(
        &self,
        command: &mut DocumentWriter<'_>,
        hello: MonitorHello,
    ) -> Result<()> {
        let (name, until_change) = match hello {
            MonitorHello::First => return self.write_first(command, None, None),
            MonitorHello::Later { name, until_change } => (name, until_change),
        };
        let server_api = self.server_api.as_deref();
        write_hello(
            command,
            &HelloRequest {
                until_change,
                server_api,
                ..HelloRequest::new(name)
            },
        )
    }

    fn write_first(
        &self,
        command: &mut DocumentWriter<'_>,
        sasl_supported_mechs: Option<(&str, &str)>,
        speculation: Option<&Speculation>,
    ) -> Result<()> {
        let metadata = self.metadata.lock();
        let request = HelloRequest {
            client: Some(metadata.document()),
            sasl_supported_mechs,
            speculative_authenticate: speculation.map(Speculation::document),
            load_balanced: self.load_balanced,
            server_api: self.server_api.as_deref(),
            ..HelloRequest::new(self.first_name())
        };
        write_hello(command, &request)
    }
}

fn not_load_balanced() -> Error {
    // The specification wants the first sentence word for word.
    let message = "Driver attempted to initialize in load balancing mode, but the server does not \
                   support this mode. It answers hello with no serviceId: set loadBalanced to \
                   false, or connect to the load balancer";
    ErrorKind::IncompatibleServer {
        message: message.to_owned(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use bson::{Binary, Document, doc, spec::BinarySubtype};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{
        address::ServerAddress,
        net::Stream,
        options::{AuthMechanism, Credential, ServerApi, ServerApiVersion},
        proto::wire::{DEFAULT_MAX_MESSAGE_SIZE, Header, MessageFlags, MessageWriter, Reply},
    };

    async fn read_command(socket: &mut TcpStream) -> (i32, Document) {
        let mut start = [0; Header::LENGTH];
        socket.read_exact(&mut start).await.unwrap();
        let header = Header::parse(&start, DEFAULT_MAX_MESSAGE_SIZE).unwrap();
        let mut message = start.to_vec();
        message.resize(header.length, 0);
        socket
            .read_exact(&mut message[Header::LENGTH..])
            .await
            .unwrap();
        let command = Reply::parse(message.into(), &header).unwrap();
        (
            header.request_id,
            Document::try_from(command.document()).unwrap(),
        )
    }

    async fn write_reply(socket: &mut TcpStream, response_to: i32, reply: &Document) {
        let mut message = Vec::new();
        let mut writer = MessageWriter::begin(&mut message, MessageFlags::NONE);
        let mut body = writer.body();
        for (key, value) in reply {
            body.append_bson(key, value).unwrap();
        }
        body.end().unwrap();
        writer.finish(1, DEFAULT_MAX_MESSAGE_SIZE).unwrap();
        message[8..12].copy_from_slice(&response_to.to_le_bytes());
        socket.write_all(&message).await.unwrap();
    }

    /// The outcome of a handshake with a peer that gives these replies, and what it received.
    async fn handshake(
        options: ClientOptions,
        replies: &[Document],
    ) -> (Result<HelloReply>, Vec<Document>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = async {
            let stream = Stream::Plain(TcpStream::connect(address).await.unwrap().into());
            let mut connection = Connection::new(stream, ServerAddress::from(address), 1);
            let handshaker = Handshaker::new(&options).unwrap();
            let greeting = handshaker.greet(&mut connection).await?;
            let hello = greeting.hello.clone();
            handshaker
                .authenticate(&mut connection, greeting)
                .await
                .map(|()| hello)
        };
        let peer = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            for reply in replies {
                let (request_id, command) = read_command(&mut socket).await;
                received.push(command);
                write_reply(&mut socket, request_id, reply).await;
            }
            received
        };
        tokio::join!(client, peer)
    }

    fn options(credential: Option<Credential>) -> ClientOptions {
        ClientOptions::builder().credential(credential).build()
    }

    fn credential(mechanism: Option<AuthMechanism>) -> Credential {
        let password = match mechanism {
            Some(AuthMechanism::MongoDbX509) => None,
            _ => Some("pencil".to_owned()),
        };
        let username = Some("us,er".to_owned());
        Credential {
            username,
            password,
            mechanism,
            ..Credential::default()
        }
    }

    fn payload(bytes: &[u8]) -> Binary {
        Binary {
            subtype: BinarySubtype::Generic,
            bytes: bytes.to_vec(),
        }
    }

    #[tokio::test]
    async fn a_monitor_neither_negotiates_nor_authenticates() {
        let mut options = options(Some(credential(None)));
        options.server_api = Some(ServerApi::builder().version(ServerApiVersion::V1).build());
        let handshaker = Handshaker::new(&options).unwrap();
        for (hello, has_client) in [
            (MonitorHello::First, true),
            (
                MonitorHello::Later {
                    name: HelloName::Hello,
                    until_change: None,
                },
                false,
            ),
        ] {
            let mut bytes = Vec::new();
            let mut command = DocumentWriter::begin(&mut bytes);
            handshaker.write_monitor_hello(&mut command, hello).unwrap();
            command.end().unwrap();
            let command = Document::from_reader(&*bytes).unwrap();
            assert!(!command.contains_key("saslSupportedMechs"), "{command}");
            assert!(
                !command.contains_key("speculativeAuthenticate"),
                "{command}"
            );
            assert_eq!(command.contains_key("client"), has_client, "{command}");
            assert_eq!(command.get_str("apiVersion").unwrap(), "1");
            assert_eq!(command.keys().next().unwrap(), "hello");
        }
    }

    #[tokio::test]
    async fn hello_negotiates_and_begins_the_strongest_mechanism() {
        let refusal = doc! { "ok": 0, "code": 18, "codeName": "AuthenticationFailed" };
        let hello = doc! { "ok": 1, "saslSupportedMechs": ["of tomorrow"] };
        let (outcome, received) =
            handshake(options(Some(credential(None))), &[hello, refusal]).await;
        let [hello, start] = received.as_slice() else {
            panic!("{received:?}")
        };
        assert_eq!(hello.get_str("saslSupportedMechs").unwrap(), "admin.us,er");
        let speculative = hello.get_document("speculativeAuthenticate").unwrap();
        assert_eq!(speculative.get_str("mechanism").unwrap(), "SCRAM-SHA-256");
        assert_eq!(speculative.get_str("db").unwrap(), "admin");
        assert_eq!(start.get_str("mechanism").unwrap(), "SCRAM-SHA-1");
        assert_eq!(start.get_str("$db").unwrap(), "admin");

        let error = outcome.unwrap_err();
        assert!(
            matches!(*error.kind, ErrorKind::Authentication { .. }),
            "{error:?}"
        );
        assert!(
            error.to_string().contains("AuthenticationFailed"),
            "{error}"
        );
        assert!(error.address().is_some());
    }

    #[tokio::test]
    async fn a_speculative_reply_goes_through_the_same_checks() {
        let speculative = doc! {
            "conversationId": 1, "done": false, "payload": payload(b"r=forged,s=W22Z,i=4096"),
        };
        let hello = doc! { "ok": 1, "speculativeAuthenticate": speculative };
        let scram = credential(Some(AuthMechanism::ScramSha256));
        let (outcome, received) = handshake(options(Some(scram)), &[hello]).await;
        assert!(!received[0].contains_key("saslSupportedMechs"));
        assert!(outcome.unwrap_err().to_string().contains("nonce"));
    }

    #[tokio::test]
    async fn plain_and_x509_take_one_command() {
        let plain = credential(Some(AuthMechanism::Plain));
        let hello = doc! { "ok": 1, "maxWireVersion": 17 };
        let done = doc! { "ok": 1, "conversationId": 1, "done": true, "payload": payload(b"") };
        let (outcome, received) = handshake(options(Some(plain)), &[hello.clone(), done]).await;
        assert_eq!(outcome.unwrap().max_wire_version, 17);
        let wanted = doc! {
            "saslStart": 1, "mechanism": "PLAIN", "payload": payload(b"\0us,er\0pencil"),
            "$db": "$external",
        };
        assert_eq!(received[1], wanted);

        let x509 = || options(Some(credential(Some(AuthMechanism::MongoDbX509))));
        let (outcome, received) = handshake(x509(), &[hello, doc! { "ok": 1 }]).await;
        outcome.unwrap();
        assert_eq!(received[1].get_str("user").unwrap(), "us,er");
        let hello = doc! { "ok": 1, "speculativeAuthenticate": {} };
        handshake(x509(), &[hello]).await.0.unwrap();
    }

    #[tokio::test]
    async fn an_arbiter_is_not_asked_to_authenticate() {
        let hello = doc! { "ok": 1, "arbiterOnly": true, "setName": "rs" };
        let (outcome, _) = handshake(options(Some(credential(None))), &[hello]).await;
        assert!(outcome.unwrap().arbiter_only);
    }

    #[tokio::test]
    async fn a_peer_that_is_no_load_balancer_is_refused() {
        let balanced = || {
            let mut options = options(None);
            options.load_balanced = Some(true);
            options
        };
        let too_old = doc! { "ok": 0, "code": 59, "errmsg": "no such command: 'hello'" };
        for reply in [doc! { "ok": 1 }, too_old] {
            let (outcome, received) = handshake(balanced(), &[reply]).await;
            assert_eq!(received[0].keys().next().unwrap(), "hello");
            let error = outcome.unwrap_err();
            assert!(
                matches!(*error.kind, ErrorKind::IncompatibleServer { .. }),
                "{error:?}"
            );
        }
        let hello = doc! { "ok": 1, "serviceId": bson::oid::ObjectId::new() };
        assert!(handshake(balanced(), &[hello]).await.0.is_ok());
    }

    #[tokio::test]
    async fn a_refused_hello_keeps_the_servers_code() {
        let refusal = doc! { "ok": 0, "code": 91, "errmsg": "shutting down" };
        let (outcome, received) = handshake(options(None), &[refusal]).await;
        assert_eq!(received[0].keys().next().unwrap(), "isMaster");
        assert_eq!(outcome.unwrap_err().code(), Some(91));
    }

    #[test]
    fn a_mechanism_that_this_driver_lacks_is_refused_at_construction() {
        let aws = credential(Some(AuthMechanism::MongoDbAws));
        let error = Handshaker::new(&options(Some(aws))).unwrap_err();
        assert!(error.to_string().contains("MONGODB-AWS"), "{error}");
    }
}
