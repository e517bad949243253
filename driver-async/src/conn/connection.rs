//! A socket that speaks request and reply, one at a time.

use std::{
    io, mem,
    sync::atomic::{AtomicI32, Ordering},
};

use bson::{RawDocument, oid::ObjectId};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    RoundTripLimit,
    spare::{self, KEPT},
};
use crate::{
    address::ServerAddress,
    background::RuntimeId,
    deadline::Deadline,
    error::{Error, Result},
    net::Stream,
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
/// What the buffer for commands begins with.
const COMMAND_ROOM: usize = 1024;

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
    stream: Stream,
    address: ServerAddress,
    id: u32,
    facts: ServerFacts,
    outgoing: Vec<u8>,
    /// Whether the last command was large, so that the next may be as well.
    sends_large: bool,
    /// Where the documents of the prepared command's sequences belong.
    gaps: Gaps,
    inbound: BytesMut,
    conversation: Conversation,
    /// How long each [`Connection::round_trip`] may take.
    round_trip_limit: RoundTripLimit,
}

/// Where the conversation with the server stands. All but `Ready` is the one mark.
#[derive(Debug)]
enum Conversation {
    /// The next reply read would answer the next command sent.
    Ready,
    /// A command is being sent.
    Sending,
    /// A whole command was sent and its reply not read to the end: the server may not have looked
    /// at it yet.
    Unanswered,
    /// The server sends another reply after that of this id, without being asked.
    Streaming { after: i32 },
    /// There are, or may be, bytes that answer nothing.
    OutOfStep,
    /// The use of the connection has ended with an error.
    Failed { error: Error, unanswered: bool },
}

impl Connection {
    pub(crate) fn new(stream: Stream, address: ServerAddress, id: u32) -> Self {
        Self {
            stream,
            address,
            id,
            facts: ServerFacts::default(),
            outgoing: Vec::new(),
            sends_large: false,
            gaps: Gaps::default(),
            inbound: BytesMut::new(),
            conversation: Conversation::Ready,
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
        matches!(self.conversation, Conversation::Ready)
    }

    /// Whether the server was sent a whole command and may not have looked at it.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(
            self.conversation,
            Conversation::Unanswered
                | Conversation::Failed {
                    unanswered: true,
                    ..
                }
        )
    }

    /// Tells the server that nothing more comes, and waits until it has closed its end too: then it
    /// has looked at all that came.
    pub(crate) async fn end(&mut self, deadline: &Deadline) {
        if !matches!(self.conversation, Conversation::Failed { .. }) {
            self.conversation = Conversation::OutOfStep;
        }
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
        match &self.conversation {
            Conversation::Failed { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Whether the server sends another reply without being asked: then nothing may be sent, and
    /// [`Connection::next_reply`] awaits it.
    pub(crate) fn is_streaming(&self) -> bool {
        matches!(self.conversation, Conversation::Streaming { .. })
    }

    /// Whether the peer has closed the socket while no request was under way.
    pub(crate) fn has_hung_up(&mut self) -> bool {
        self.stream.has_hung_up()
    }

    /// The runtime that the socket is registered with.
    pub(crate) fn runtime(&self) -> RuntimeId {
        self.stream.runtime()
    }

    /// Registers the socket with the current runtime instead.
    ///
    /// # Errors
    /// An I/O error, and an invalid-argument error when the current runtime has no I/O. The
    /// connection is not reusable then.
    pub(crate) fn move_to_current_runtime(&mut self) -> Result<()> {
        let moved = self.stream.move_to_current_runtime();
        moved.map_err(|error| {
            self.failed(match error.kind() {
                io::ErrorKind::Unsupported => Error::invalid_argument(error.to_string()),
                _ => error.into(),
            })
        })
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
        if self.outgoing.capacity() == 0 {
            let spare = self.sends_large.then(|| spare::OUTGOING.take()).flatten();
            self.outgoing = spare.unwrap_or_else(|| Vec::with_capacity(COMMAND_ROOM));
        }
        let request_id = next_request_id();
        let mut message = MessageWriter::begin(&mut self.outgoing, flags);
        let max_message_size = self.facts.max_message_size;
        let gaps = write(&mut message).and_then(|()| message.finish(request_id, max_message_size));
        self.gaps = gaps.inspect_err(|_| self.release_outgoing())?;
        Ok(request_id)
    }

    /// Gives the buffer of a large command up, after the command was sent or will not be.
    pub(crate) fn release_outgoing(&mut self) {
        let capacity = self.outgoing.capacity();
        self.sends_large = capacity > KEPT;
        if self.sends_large {
            let large = mem::take(&mut self.outgoing);
            if capacity <= spare::LARGEST {
                spare::OUTGOING.put(large);
            }
        }
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
        self.conversation = Conversation::Sending;
        let outcome = deadline.bound("waiting for the reply", async {
            self.send(sequences).await?;
            self.conversation = Conversation::Unanswered;
            self.receive(request_id).await
        });
        let outcome = outcome.await.flatten();
        let reply = outcome.map_err(|error| self.failed(error))?;
        self.took(&reply);
        Ok(reply)
    }

    /// Notes what a reply says about what follows it.
    fn took(&mut self, reply: &Reply) {
        self.conversation = if reply.more_to_come() {
            let after = reply.request_id();
            Conversation::Streaming { after }
        } else if self.inbound.is_empty() {
            Conversation::Ready
        } else {
            Conversation::OutOfStep
        };
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
        self.conversation = Conversation::Sending;
        let outcome = deadline
            .bound("sending the command", self.send(sequences))
            .await;
        outcome.flatten().map_err(|error| self.failed(error))?;
        self.conversation = Conversation::Ready;
        Ok(())
    }

    /// Awaits the reply that the server sends without being asked, while
    /// [`Connection::is_streaming`].
    ///
    /// # Errors
    /// As [`Connection::exchange`].
    pub(crate) async fn next_reply(&mut self, deadline: &Deadline) -> Result<Reply> {
        let Conversation::Streaming { after } = self.conversation else {
            return Err(Error::internal(
                "no reply follows the last one of its own accord",
            ));
        };
        self.conversation = Conversation::OutOfStep;
        // What it answers was prepared for those who listen, and is not sent.
        self.release_outgoing();
        let receive = self.receive(after);
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
        self.conversation = Conversation::Failed {
            error: error.clone(),
            unanswered: self.is_unanswered(),
        };
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
        self.release_outgoing();
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
        let small = self.make_room(header.length);
        while self.inbound.len() < header.length {
            let missing = header.length - self.inbound.len();
            let room = self.inbound.len().max(READ_ROOM_AT_ONCE);
            self.inbound.reserve(missing.min(room));
            self.read_some().await?;
        }
        let message = self.inbound.split_to(header.length).freeze();
        if message.len() > KEPT && self.inbound.is_empty() {
            // Otherwise the connection would keep the whole allocation alive.
            let large = mem::replace(&mut self.inbound, small.unwrap_or_default());
            if message.len() <= spare::LARGEST {
                spare::INBOUND.put(large);
            }
        }
        Reply::parse(message, &header)
    }

    /// Goes on in a large buffer when the reply is large and there is one. Gives the small one,
    /// empty, for the time after.
    fn make_room(&mut self, length: usize) -> Option<BytesMut> {
        if length <= KEPT.max(self.inbound.capacity()) || length > spare::LARGEST {
            return None;
        }
        let mut large = spare::INBOUND.take()?;
        large.reserve(length);
        large.extend_from_slice(&self.inbound);
        let mut small = mem::replace(&mut self.inbound, large);
        small.clear();
        Some(small)
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

#[cfg(test)]
mod tests {
    use bson::rawdoc;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::conn::spare::KEPT;

    /// A connection whose peer answers every message with the same one.
    async fn echoing() -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            while let Ok(length) = socket.read_u32_le().await {
                let mut message = vec![0; usize::try_from(length).unwrap()];
                message[..4].copy_from_slice(&length.to_le_bytes());
                socket.read_exact(&mut message[4..]).await.unwrap();
                message.copy_within(4..8, 8);
                socket.write_all(&message).await.unwrap();
            }
        });
        let stream = Stream::Plain(TcpStream::connect(address).await.unwrap().into());
        Connection::new(stream, address.into(), 1)
    }

    async fn echo(connection: &mut Connection, text: &str) -> Reply {
        let write = |body: &mut DocumentWriter<'_>| body.append_str("x", text);
        let reply = connection.round_trip(write).await.unwrap();
        assert_eq!(reply.document(), &*rawdoc! { "x": text });
        reply
    }

    #[tokio::test]
    async fn a_connection_keeps_no_large_buffers_between_messages() {
        let mut connection = echoing().await;
        for size in [10, 100_000, 1_000_000, 3_000_000, 70_000, 10] {
            let text = "x".repeat(size);
            for _ in 0..3 {
                let reply = echo(&mut connection, &text).await;
                let kept = (
                    connection.outgoing.capacity(),
                    connection.inbound.capacity(),
                );
                assert!(kept.0 <= KEPT && kept.1 <= KEPT, "{kept:?} of {size}");
                drop(reply);
                // What the reply was read into is free now.
                connection.inbound.reserve(1);
                let kept = connection.inbound.capacity();
                assert!(kept <= KEPT, "{kept} of {size}");
            }
        }
    }

    #[tokio::test]
    async fn a_command_that_is_not_sent_leaves_no_large_buffer() {
        let mut connection = echoing().await;
        let refused = connection.prepare(MessageFlags::NONE, |message| {
            let mut body = message.body();
            body.append_str("x", &"x".repeat(1_000_000))?;
            Err(Error::internal("refused"))
        });
        refused.unwrap_err();
        assert!(connection.outgoing.capacity() <= KEPT);
        echo(&mut connection, "x").await;
    }
}
