//! A scripted peer: a server that says what no real server says.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{FutureExt, future::BoxFuture};
use motorcade::{
    bson::{Document, doc},
    options::ClientOptions,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

const OP_MSG: i32 = 2013;

/// What the peer answers to a command.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A reply whose body is these bytes, be they a document or not.
    Body(Vec<u8>),
    /// These bytes; the number that a reply answers to is written into them where a header has
    /// it, if there are as many.
    Bytes(Vec<u8>),
    /// These bytes as they are, and then the end of the connection.
    Last(Vec<u8>),
}

impl From<Document> for Answer {
    fn from(document: Document) -> Self {
        Self::Body(document.to_vec().expect("a document can be encoded"))
    }
}

/// A whole message with these sections; a peer fills in what it answers to.
pub(crate) fn message(flags: u32, sections: &[u8]) -> Vec<u8> {
    let length = i32::try_from(20 + sections.len()).expect("a message is short");
    let mut message = Vec::new();
    for field in [length, 1, 0, OP_MSG] {
        message.extend(field.to_le_bytes());
    }
    message.extend(flags.to_le_bytes());
    message.extend(sections);
    message
}

/// The section that holds a reply's body.
pub(crate) fn body(document: &Document) -> Vec<u8> {
    let mut section = vec![0];
    section.extend(document.to_vec().expect("a document can be encoded"));
    section
}

/// A standalone server that answers as its script says, until it is dropped.
pub(crate) struct Peer {
    address: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// Answers a command, given its name and the command.
type Script = dyn Fn(&str, &Document) -> Answer + Send + Sync;

/// What a command of this name waits for before it is answered.
type Gate = dyn Fn(&str) -> BoxFuture<'static, ()> + Send + Sync;

struct Shared {
    gate: Box<Gate>,
    sockets: AtomicUsize,
    script: Box<Script>,
    commands: Mutex<Vec<Document>>,
    hellos: AtomicUsize,
}

impl Peer {
    /// A peer that answers hello and killCursors as a server does, and everything else by
    /// `script`, which gets the command's name and the command.
    pub(crate) async fn start(
        script: impl Fn(&str, &Document) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::gated(|_| std::future::ready(()).boxed(), script).await
    }

    /// Like [`start`](Self::start), but each command, hello too, is answered only when the future
    /// that `gate` makes on its arrival is done.
    pub(crate) async fn gated(
        gate: impl Fn(&str) -> BoxFuture<'static, ()> + Send + Sync + 'static,
        script: impl Fn(&str, &Document) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("has an address").to_string();
        let shared = Arc::new(Shared {
            gate: Box::new(gate),
            sockets: AtomicUsize::new(0),
            script: Box::new(script),
            commands: Mutex::default(),
            hellos: AtomicUsize::new(0),
        });
        let accepted = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&accepted);
                shared.sockets.fetch_add(1, Ordering::Relaxed);
                // It ends with the connection.
                tokio::spawn(async move { shared.serve(stream).await.ok() });
            }
        });
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// How many connections there were, those of monitors too.
    pub(crate) fn sockets(&self) -> usize {
        self.shared.sockets.load(Ordering::Relaxed)
    }

    /// Options for a client of this peer.
    pub(crate) async fn options(&self) -> ClientOptions {
        let uri = format!("mongodb://{}/?retryReads=false", self.address);
        ClientOptions::parse(uri)
            .await
            .expect("the address makes a connection string")
    }

    /// How often a client has said hello: once per connection, and once per check of a monitor that
    /// polls.
    pub(crate) fn checks(&self) -> usize {
        self.shared.hellos.load(Ordering::Relaxed)
    }

    /// The commands that arrived, but for hello.
    pub(crate) fn commands(&self) -> Vec<Document> {
        let commands = self.shared.commands.lock();
        commands.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let (request_id, command) = receive(&mut stream).await?;
            let name = name(&command);
            if name != "hello" {
                let commands = self.commands.lock();
                let mut commands = commands.unwrap_or_else(PoisonError::into_inner);
                commands.push(command.clone());
            }
            (self.gate)(name).await;
            let (bytes, is_last) = match self.answer(name, &command) {
                Answer::Body(document) => (message(0, &[&[0], &*document].concat()), false),
                Answer::Bytes(bytes) => (bytes, false),
                Answer::Last(bytes) => {
                    stream.write_all(&bytes).await?;
                    return stream.shutdown().await;
                }
            };
            stream.write_all(&answering(bytes, request_id)).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn answer(&self, name: &str, command: &Document) -> Answer {
        match name {
            "hello" => {
                self.hellos.fetch_add(1, Ordering::Relaxed);
                doc! {
                    "ok": 1, "helloOk": true, "ismaster": true, "isWritablePrimary": true,
                    "minWireVersion": 0, "maxWireVersion": 17, "logicalSessionTimeoutMinutes": 30,
                }
                .into()
            }
            "killCursors" | "endSessions" => doc! { "ok": 1 }.into(),
            _ => (self.script)(name, command),
        }
    }
}

/// What a command is called today.
fn name(command: &Document) -> &str {
    match command.keys().next().map_or("", String::as_str) {
        "isMaster" | "ismaster" => "hello",
        name => name,
    }
}

/// Writes what the message answers to where its header has it.
fn answering(mut bytes: Vec<u8>, request_id: i32) -> Vec<u8> {
    if let Some(place) = bytes.get_mut(8..12)
        && place == [0; 4]
    {
        place.copy_from_slice(&request_id.to_le_bytes());
    }
    bytes
}

/// The number of a request, and its command.
async fn receive(stream: &mut TcpStream) -> io::Result<(i32, Document)> {
    let length = usize::try_from(stream.read_i32_le().await?).map_err(io::Error::other)?;
    let mut rest = vec![0; length - 4];
    stream.read_exact(&mut rest).await?;
    let number = |at: usize| rest[at..at + 4].try_into().map(i32::from_le_bytes);
    let request_id = number(0).map_err(io::Error::other)?;
    // Header, flags, and the kind of the first section.
    let command = Document::from_reader(&rest[17..]).map_err(io::Error::other)?;
    Ok((request_id, command))
}
