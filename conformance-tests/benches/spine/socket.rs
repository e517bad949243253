//! The limit that a driver is measured against: encoded requests over a bare socket, replies read
//! whole and not decoded.

use std::io::{Read, Write};

use bson::{Document, RawDocument};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Result;

const OP_MSG: i32 = 2013;
/// A message's header and its flags.
const PREFIX: usize = 20;
/// Where the body of a reply starts: behind the prefix and the kind of the section.
const BODY: usize = PREFIX + 1;
const FIRST_CAPACITY: usize = 64 * 1024;

/// An encoded OP_MSG.
#[derive(Clone)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    pub(crate) fn new(body: &Document) -> Result<Self> {
        let mut message = vec![0; PREFIX];
        message[12..16].copy_from_slice(&OP_MSG.to_le_bytes());
        message.push(0);
        body.to_writer(&mut message)?;
        Self(message).with_length()
    }

    /// Adds a section of documents under this identifier, as `insert` has one.
    pub(crate) fn with_documents(
        mut self,
        identifier: &str,
        documents: &[Document],
    ) -> Result<Self> {
        let mut section = Vec::new();
        section.extend_from_slice(identifier.as_bytes());
        section.push(0);
        for document in documents {
            document.to_writer(&mut section)?;
        }
        let length = i32::try_from(section.len() + size_of::<i32>())?;
        self.0.push(1);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(&section);
        self.with_length()
    }

    fn with_length(mut self) -> Result<Self> {
        let length = i32::try_from(self.0.len())?;
        self.0[..4].copy_from_slice(&length.to_le_bytes());
        Ok(self)
    }

    /// Where these bytes stand in the message, so that they can be replaced from then on.
    pub(crate) fn position_of(&self, bytes: &[u8]) -> Result<usize> {
        let position = self
            .0
            .windows(bytes.len())
            .position(|window| window == bytes);
        position.ok_or_else(|| "the request doesn't have the bytes looked for".into())
    }

    /// Replaces bytes at a place that [`Request::position_of`] gave.
    pub(crate) fn replace(&mut self, position: usize, bytes: &[u8]) {
        self.0[position..position + bytes.len()].copy_from_slice(bytes);
    }
}

/// The reply under way: a buffer that is kept, and how much of it is filled.
struct Incoming {
    buffer: Vec<u8>,
    filled: usize,
}

impl Incoming {
    fn new() -> Self {
        let buffer = vec![0; FIRST_CAPACITY];
        Self { buffer, filled: 0 }
    }

    /// The rest of the message to read into, or none when it is complete.
    fn space(&mut self) -> Option<&mut [u8]> {
        if let Some(length) = self.length() {
            if self.filled >= length {
                return None;
            }
            if self.buffer.len() < length {
                self.buffer.resize(length, 0);
            }
        }
        Some(&mut self.buffer[self.filled..])
    }

    fn length(&self) -> Option<usize> {
        let length = self.buffer[..self.filled].first_chunk()?;
        usize::try_from(i32::from_le_bytes(*length)).ok()
    }

    fn add(&mut self, count: usize) -> Result<()> {
        if count == 0 {
            return Err("the server closed a raw connection".into());
        }
        self.filled += count;
        Ok(())
    }

    fn reply(&self) -> Reply<'_> {
        Reply(&self.buffer[..self.filled])
    }
}

/// A whole reply, not decoded.
pub(crate) struct Reply<'a>(&'a [u8]);

impl Reply<'_> {
    fn body(&self) -> Result<&RawDocument> {
        let body = self.0.get(BODY..).ok_or("a reply without a body")?;
        Ok(RawDocument::from_bytes(body)?)
    }

    /// The identifier of the cursor, which is the one thing in a reply that a next request needs.
    pub(crate) fn cursor_id(&self) -> Result<i64> {
        Ok(self.body()?.get_document("cursor")?.get_i64("id")?)
    }

    /// Fails unless the server was content, for use outside of what is measured.
    pub(crate) fn check(&self) -> Result<()> {
        let body = self.body()?;
        if body.get_f64("ok")? == 1.0 && body.get("writeErrors")?.is_none() {
            return Ok(());
        }
        Err(format!("the server refused a raw request: {body:?}").into())
    }
}

/// A blocking connection.
pub(crate) struct BlockingSocket {
    stream: std::net::TcpStream,
    incoming: Incoming,
}

impl BlockingSocket {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let incoming = Incoming::new();
        Ok(Self { stream, incoming })
    }

    pub(crate) fn round_trip(&mut self, request: &Request) -> Result<Reply<'_>> {
        self.stream.write_all(&request.0)?;
        self.incoming.filled = 0;
        while let Some(space) = self.incoming.space() {
            let count = self.stream.read(space)?;
            self.incoming.add(count)?;
        }
        Ok(self.incoming.reply())
    }
}

/// A connection on a tokio runtime.
pub(crate) struct AsyncSocket {
    stream: tokio::net::TcpStream,
    incoming: Incoming,
}

impl AsyncSocket {
    pub(crate) async fn connect(address: &str) -> Result<Self> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let incoming = Incoming::new();
        Ok(Self { stream, incoming })
    }

    pub(crate) async fn round_trip(&mut self, request: &Request) -> Result<Reply<'_>> {
        self.stream.write_all(&request.0).await?;
        self.incoming.filled = 0;
        while let Some(space) = self.incoming.space() {
            let count = self.stream.read(space).await?;
            self.incoming.add(count)?;
        }
        Ok(self.incoming.reply())
    }
}
