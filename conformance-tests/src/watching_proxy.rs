//! A TCP proxy that looks at the commands that go through it, and can hide a field of replies, hold
//! a command up, or forget connections.
//!
//! Drivers tell listeners nothing of the commands of a handshake, so only the wire shows them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bson::Document;

/// The length of a message's header.
const HEADER: usize = 16;
/// Where the first section's document begins in an `OP_MSG` message: after the header, the flags
/// and the kind of the section.
const DOCUMENT: usize = HEADER + 5;
const OP_MSG: i32 = 2013;

/// Stands before one server and keeps what clients ask of it.
#[derive(Debug)]
pub struct WatchingProxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    /// The name of the field that is hidden from clients.
    hidden: Option<&'static str>,
    /// The command that is held up, and for how long.
    held_up: Option<(&'static str, Duration)>,
    /// How many connections with a command that was held up the server has closed.
    closed_late: AtomicUsize,
    /// How many connections there were so far.
    accepted: AtomicUsize,
    /// How many of them are forgotten.
    forgotten: AtomicUsize,
    commands: Mutex<Vec<Document>>,
    is_over: AtomicBool,
}

impl WatchingProxy {
    /// A proxy to the server at this `host:port`.
    ///
    /// # Errors
    /// No port is free.
    pub fn start(target: impl Into<String>) -> io::Result<Self> {
        Self::new(target.into(), None, None)
    }

    /// A proxy in whose replies that field has a name that nobody knows.
    ///
    /// # Errors
    /// No port is free.
    pub fn hiding(target: impl Into<String>, field: &'static str) -> io::Result<Self> {
        Self::new(target.into(), Some(field), None)
    }

    /// A proxy by way of which each command of that name comes late to the server, also when the
    /// client has closed its connection meanwhile: as over a network that loses packets.
    ///
    /// # Errors
    /// No port is free.
    pub fn holding_up(
        target: impl Into<String>,
        command: &'static str,
        time: Duration,
    ) -> io::Result<Self> {
        Self::new(target.into(), None, Some((command, time)))
    }

    fn new(
        target: String,
        hidden: Option<&'static str>,
        held_up: Option<(&'static str, Duration)>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            target,
            hidden,
            held_up,
            closed_late: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            forgotten: AtomicUsize::new(0),
            commands: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.is_over.load(Ordering::Acquire) {
                    return;
                }
                if let Ok(client) = client {
                    let shared = Arc::clone(&accepting);
                    thread::spawn(move || shared.serve(client));
                }
            }
        });
        Ok(Self { port, shared })
    }

    /// Where clients find it: `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The handshakes so far: the first commands of connections, which carry client metadata.
    pub fn handshakes(&self) -> Vec<Document> {
        let mut commands = self.commands();
        commands.retain(|it| it.contains_key("client"));
        commands
    }

    /// The commands so far.
    pub fn commands(&self) -> Vec<Document> {
        let commands = self.shared.commands.lock();
        commands.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on, what clients send over the connections so far is silently dropped, as by a
    /// firewall that has forgotten them.
    pub fn forget_connections(&self) {
        let accepted = self.shared.accepted.load(Ordering::Acquire);
        self.shared.forgotten.store(accepted, Ordering::Release);
    }

    /// How many connections by which a command came late the server has closed since.
    pub fn closed_late(&self) -> usize {
        self.shared.closed_late.load(Ordering::Acquire)
    }
}

impl Drop for WatchingProxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // The listener waits for a client, and looks up when one comes.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    /// Carries one connection. A client that has nothing more to say gets what the server still
    /// says.
    fn serve(self: Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(&self.target) else {
            return;
        };
        let (Ok(mut answers), Ok(mut asker)) = (server.try_clone(), client.try_clone()) else {
            return;
        };
        let came_late = Arc::new(AtomicBool::new(false));
        let (answering, comes_late) = (Arc::clone(&self), Arc::clone(&came_late));
        thread::spawn(move || {
            let _ = match answering.hidden {
                None => io::copy(&mut answers, &mut asker).map(drop),
                Some(field) => answer(&answers, &asker, field),
            };
            // A client that has gone gets no answers, and the end is to be seen all the same.
            let _ = io::copy(&mut answers, &mut io::sink());
            let _ = asker.shutdown(Shutdown::Both);
            if came_late.load(Ordering::Acquire) {
                answering.closed_late.fetch_add(1, Ordering::Release);
            }
        });
        let _ = self.watch(&client, &server, &comes_late);
        let _ = server.shutdown(Shutdown::Write);
    }

    fn watch(
        &self,
        client: &TcpStream,
        mut server: &TcpStream,
        comes_late: &AtomicBool,
    ) -> io::Result<()> {
        let place = self.accepted.fetch_add(1, Ordering::AcqRel);
        loop {
            let message = read_message(client)?;
            if place < self.forgotten.load(Ordering::Acquire) {
                continue;
            }
            if number(&message, 12)? == OP_MSG
                && let Some(mut document) = message.get(DOCUMENT..)
                && let Ok(command) = Document::from_reader(&mut document)
            {
                if let Some((name, time)) = self.held_up
                    && command.keys().next().is_some_and(|it| it == name)
                {
                    comes_late.store(true, Ordering::Release);
                    thread::sleep(time);
                }
                self.commands
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(command);
            }
            server.write_all(&message)?;
        }
    }
}

/// Carries replies, with another letter at the start of a field's name.
fn answer(server: &TcpStream, mut client: &TcpStream, field: &str) -> io::Result<()> {
    loop {
        let mut message = read_message(server)?;
        let found = message
            .windows(field.len())
            .position(|bytes| bytes == field.as_bytes());
        if let Some(start) = found.and_then(|start| message.get_mut(start)) {
            *start = b'x';
        }
        client.write_all(&message)?;
    }
}

fn read_message(mut from: &TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; HEADER];
    from.read_exact(&mut message)?;
    let length = usize::try_from(number(&message, 0)?).unwrap_or(0);
    message.resize(length.max(HEADER), 0);
    from.read_exact(&mut message[HEADER..])?;
    Ok(message)
}

fn number(message: &[u8], at: usize) -> io::Result<i32> {
    let bytes = message.get(at..at + 4).and_then(|it| it.try_into().ok());
    bytes
        .map(i32::from_le_bytes)
        .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
