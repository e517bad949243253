//! A socket that speaks request and reply, one at a time.

use std::{
    io,
    sync::atomic::{AtomicI32, Ordering},
};

use bson::{RawDocument, oid::ObjectId};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::RoundTripLimit;
use crate::{
    address::ServerAddress,
    deadline::Deadline,
    error::{Error, Result},
    net::{Home, Stream},
    process::Opened,
    proto::{
        hello::HelloReply,
        topology::ServerType,
        wire::{
            DEFAULT_MAX_MESSAGE_SIZE, DocumentWriter, Gaps, Header, MessageFlags, MessageWriter,
            Reply, Sequences, prepared_body,
        },
    },
};

/// The least room offered to the socket, so that a small reply comes in one read.
const READ_ROOM: usize = 8 * 1024;
/// The most room made at once for a reply, so that a lie about its length costs little.
const READ_ROOM_AT_ONCE: usize = 1024 * 1024;
/// A buffer that has grown beyond this is given back after the message.
const KEPT_BUFFER: usize = 1024 * 1024;

/// What a server said about itself when the connection was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerFacts {
    pub(crate) server_type: ServerType,
    pub(crate) max_bson_object_size: usize,
    pub(crate) max_message_size: usize,
    pub(crate) max_write_batch_size: usize,
    pub(crate) max_wire_version: i32,
    pub(crate) has_sessions: bool,
    pub(crate) service_id: Option<ObjectId>,
    pub(crate) server_connection_id: Option<i64>,
}

impl Default for ServerFacts {
    // The values of a server that says nothing else, from the manual's limits.
    fn default() -> Self {
        Self {
            server_type: ServerType::Unknown,
            max_bson_object_size: 16 * 1024 * 1024,
            max_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            max_write_batch_size: 100_000,
            max_wire_version: 0,
            has_sessions: false,
            service_id: None,
            server_connection_id: None,
        }
    }
}

impl ServerFacts {
    /// Whether the server understands `$clusterTime`: members of sets and routers do.
    pub(crate) fn gossips_cluster_time(&self) -> bool {
        self.server_type != ServerType::Standalone
    }
}

/// A socket that speaks request and reply, one at a time.
///
/// Cancellation is told by one mark: it is set before a message's first byte is sent and cleared
/// after its reply's last byte was read. A connection that is dropped or checked in with the mark
/// set may hold unread bytes and is closed.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Opened<Stream>,
    home: Home,
    address: ServerAddress,
    id: u32,
    facts: ServerFacts,
    outgoing: Vec<u8>,
    /// Where the documents of the prepared command's sequences belong.
    gaps: Gaps,
    inbound: BytesMut,
    mid_message: bool,
    /// Whether a whole command was sent and its reply was not read to the end.
    unanswered: bool,
    /// What ended the use of the connection.
    failure: Option<Error>,
    /// The reply after which the server sends another without being asked.
    streams_after: Option<i32>,
    /// How long each [`Connection::round_trip`] may take.
    round_trip_limit: RoundTripLimit,
}

impl Connection {
    pub(crate) fn new(stream: Stream, address: ServerAddress, id: u32) -> Self {
        Self {
            stream: Opened::new(stream),
            home: Home::here(),
            address,
            id,
            facts: ServerFacts::default(),
            outgoing: Vec::with_capacity(1024),
            gaps: Gaps::default(),
            inbound: BytesMut::new(),
            mid_message: false,
            unanswered: false,
            failure: None,
            streams_after: None,
            round_trip_limit: RoundTripLimit::None,
        }
    }

    pub(crate) fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// The driver's number for the connection, unique in its pool.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn facts(&self) -> &ServerFacts {
        &self.facts
    }

    /// Whether the next reply read from the socket would answer the next request sent.
    pub(crate) fn is_reusable(&self) -> bool {
        !self.mid_message
    }

    /// Whether the server was sent a whole command and may not have looked at it.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    /// Tells the server that nothing more comes, and waits until it has closed its end too: then it
    /// has looked at all that came.
    pub(crate) async fn end(&mut self, deadline: &Deadline) {
        self.mid_message = true;
        let ended = async {
            self.stream.shutdown().await?;
            loop {
                self.inbound.clear();
                self.inbound.reserve(READ_ROOM);
                self.read_some().await?;
            }
        };
        // Any failure is an end as well.
        let _: Result<Result<()>> = deadline.bound("the end of a connection", ended).await;
    }

    /// What ended the use of the connection, unless its user just gave up.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Whether the server sends another reply without being asked: then nothing may be sent, and
    /// [`Connection::next_reply`] awaits it.
    pub(crate) fn is_streaming(&self) -> bool {
        self.streams_after.is_some()
    }

    /// Whether the peer has closed the socket while no request was under way.
    pub(crate) fn has_hung_up(&self) -> bool {
        self.stream.has_hung_up()
    }

    /// Whether the connection belongs to the current runtime. Another may go away or stand still,
    /// and tells nobody then when the socket has news.
    pub(crate) fn is_at_home(&self) -> bool {
        self.home.is_here()
    }

    /// Whether the connection belongs to a runtime that was shut down.
    pub(crate) fn is_forsaken(&self) -> bool {
        !self.is_at_home() && self.stream.is_forsaken()
    }

    /// Takes over what the handshake's reply says.
    pub(crate) fn set_facts(&mut self, server_type: ServerType, hello: &HelloReply) {
        let size = |claimed: Option<i32>, default: usize| {
            claimed
                .and_then(|v| usize::try_from(v).ok())
                .filter(|v| *v > 0)
                .unwrap_or(default)
        };
        let default = ServerFacts::default();
        self.facts = ServerFacts {
            server_type,
            max_bson_object_size: size(hello.max_bson_object_size, default.max_bson_object_size),
            max_message_size: size(hello.max_message_size_bytes, default.max_message_size),
            max_write_batch_size: size(hello.max_write_batch_size, default.max_write_batch_size),
            max_wire_version: hello.max_wire_version,
            has_sessions: hello.logical_session_timeout.is_some(),
            service_id: hello.service_id,
            server_connection_id: hello.connection_id,
        };
    }

    /// Writes a command into the outgoing buffer and gives its request id. The documents of its
    /// sequences stay where they are.
    pub(crate) fn prepare(
        &mut self,
        flags: MessageFlags,
        write: impl FnOnce(&mut MessageWriter<'_>) -> Result<()>,
    ) -> Result<i32> {
        let request_id = next_request_id();
        let mut message = MessageWriter::begin(&mut self.outgoing, flags);
        write(&mut message)?;
        self.gaps = message.finish(request_id, self.facts.max_message_size)?;
        Ok(request_id)
    }

    /// The prepared command, without the documents beside it, for those who listen.
    pub(crate) fn prepared_command(&self) -> &RawDocument {
        prepared_body(&self.outgoing)
    }

    /// Sends the prepared command with its document sequences, and awaits the reply.
    ///
    /// # Errors
    /// An I/O, timeout or invalid-response error. The connection is not reusable then.
    pub(crate) async fn exchange(
        &mut self,
        request_id: i32,
        sequences: &Sequences<'_>,
        deadline: &Deadline,
    ) -> Result<Reply> {
        self.mid_message = true;
        let outcome = deadline.bound("waiting for the reply", async {
            self.send(sequences).await?;
            self.unanswered = true;
            self.receive(request_id).await
        });
        let outcome = outcome.await.flatten();
        let reply = outcome.map_err(|error| self.failed(error))?;
        self.took(&reply);
        Ok(reply)
    }

    /// Notes what a reply says about what follows it.
    fn took(&mut self, reply: &Reply) {
        self.unanswered = false;
        self.streams_after = reply.more_to_come().then(|| reply.request_id());
        // Unasked-for bytes mean that the stream is out of step, so the mark stays.
        self.mid_message = reply.more_to_come() || !self.inbound.is_empty();
    }

    /// Sends the prepared command with its document sequences, to which the server will not reply.
    ///
    /// # Errors
    /// An I/O or timeout error. The connection is not reusable then.
    pub(crate) async fn send_unacknowledged(
        &mut self,
        sequences: &Sequences<'_>,
        deadline: &Deadline,
    ) -> Result<()> {
        self.mid_message = true;
        let outcome = deadline
            .bound("sending the command", self.send(sequences))
            .await;
        outcome.flatten().map_err(|error| self.failed(error))?;
        self.mid_message = false;
        Ok(())
    }

    /// Awaits the reply that the server sends without being asked, while
    /// [`Connection::is_streaming`].
    ///
    /// # Errors
    /// As [`Connection::exchange`].
    pub(crate) async fn next_reply(&mut self, deadline: &Deadline) -> Result<Reply> {
        let response_to = self
            .streams_after
            .take()
            .ok_or_else(|| Error::internal("no reply follows the last one of its own accord"))?;
        let receive = self.receive(response_to);
        let outcome = deadline.bound("waiting for the next reply", receive);
        let outcome = outcome.await.flatten();
        let reply = outcome.map_err(|error| self.failed(error))?;
        self.took(&reply);
        Ok(reply)
    }

    /// Sends one command and awaits its reply; for handshakes and monitors.
    ///
    /// # Errors
    /// As [`Connection::exchange`]; what the reply says is the caller's to judge.
    pub(crate) async fn round_trip(
        &mut self,
        write: impl FnOnce(&mut DocumentWriter<'_>) -> Result<()>,
    ) -> Result<Reply> {
        let (deadline, left) = self.round_trip_limit.of_next()?;
        let request_id = self.prepare(MessageFlags::NONE, |message| {
            let mut body = message.body();
            write(&mut body)?;
            if let Some(left) = left {
                body.append_max_time(left)?;
            }
            body.end()
        })?;
        self.exchange(request_id, &Sequences::NONE, &deadline).await
    }

    /// Limits each [`Connection::round_trip`] from now on.
    pub(crate) fn limit_round_trips(&mut self, limit: RoundTripLimit) {
        self.round_trip_limit = limit;
    }

    fn failed(&mut self, error: Error) -> Error {
        let error = error.with_address(&self.address);
        self.failure = Some(error.clone());
        error
    }

    async fn send(&mut self, sequences: &Sequences<'_>) -> Result<()> {
        if sequences.is_empty() {
            self.stream.write_all(&self.outgoing).await?;
        } else {
            let mut message = self.gaps.fill(&self.outgoing, sequences);
            self.stream.write_all_buf(&mut message).await?;
        }
        self.stream.flush().await?;
        if self.outgoing.capacity() > KEPT_BUFFER {
            self.outgoing = Vec::with_capacity(1024);
        }
        Ok(())
    }

    async fn receive(&mut self, request_id: i32) -> Result<Reply> {
        while self.inbound.len() < Header::LENGTH {
            self.inbound.reserve(READ_ROOM);
            self.read_some().await?;
        }
        let start = self
            .inbound
            .first_chunk()
            .expect("a header's length was just read");
        let largest = self.facts.max_message_size.max(DEFAULT_MAX_MESSAGE_SIZE);
        let header = Header::parse(start, largest)?;
        header.expect_response_to(request_id)?;
        while self.inbound.len() < header.length {
            let missing = header.length - self.inbound.len();
            let room = self.inbound.len().max(READ_ROOM_AT_ONCE);
            self.inbound.reserve(missing.min(room));
            self.read_some().await?;
        }
        let message = self.inbound.split_to(header.length).freeze();
        if message.len() > KEPT_BUFFER && self.inbound.is_empty() {
            // Otherwise the connection would keep the whole allocation alive.
            self.inbound = BytesMut::new();
        }
        Reply::parse(message, &header)
    }

    async fn read_some(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.inbound).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, self.end_text()).into());
        }
        Ok(())
    }

    /// What the end of the stream means. Servers turn away whom they do not admit without a word.
    fn end_text(&self) -> &'static str {
        match (self.facts.server_type, self.stream.is_encrypted()) {
            (ServerType::Unknown, false) => {
                "the server closed the connection before its first reply: set tls=true if it \
                 requires TLS"
            }
            (ServerType::Unknown, true) => {
                "the server closed the connection before its first reply: set \
                 tlsCertificateKeyFile if it requires a client certificate"
            }
            _ => "the server closed the connection",
        }
    }
}

fn next_request_id() -> i32 {
    static NEXT: AtomicI32 = AtomicI32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
