//! Stand-ins for routers: proxies to one server that speak as `mongos` would.
//!
//! A test aid and no router. What a client does with routers can be seen behind them: that it
//! pins a transaction to one, sends the recovery token back, asks no load balancer twice for what
//! it is. What routers do with shards cannot.
//!
//! A router that is asked to commit a transaction of another one aborts it first, unless it was
//! committed before: that is what comes of it where the token leads a real one to a shard.
//!
//! Fail points are those of the server behind, and yet each router's own: it adds a mark to the
//! application names of its clients and to those that its fail points are for. Where the clients
//! have a name and the fail point is for all, it meets none.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use bson::oid::ObjectId;
use bson::{Document, doc};

const HEADER: usize = 16;
const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;
/// The flag of an `OP_MSG` reply that another one follows, without having been asked for.
const MORE_TO_COME: i32 = 1 << 1;

/// What only the members of a replica set tell of themselves.
const OF_MEMBERS: [&str; 14] = [
    "arbiterOnly",
    "arbiters",
    "electionId",
    "hidden",
    "hosts",
    "lastWrite",
    "me",
    "passive",
    "passives",
    "primary",
    "secondary",
    "setName",
    "setVersion",
    "tags",
];

/// Some ports, behind all of which is the same server.
#[derive(Debug)]
pub struct RouterShim {
    shared: Arc<Shared>,
    ports: Vec<u16>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    /// The services that a load balancer distributes its connections to; none for routers.
    services: Vec<ObjectId>,
    next_service: AtomicUsize,
    /// The transactions that each router has had a part of, by its place: session and number.
    transactions: Mutex<HashSet<(usize, String)>>,
    is_over: AtomicBool,
}

impl RouterShim {
    /// As many routers before the server at this `host:port`.
    ///
    /// # Errors
    /// No port is free.
    pub fn routers(target: String, count: usize) -> io::Result<Self> {
        Self::start(target, Vec::new(), count)
    }

    /// A load balancer with as many routers behind it.
    ///
    /// # Errors
    /// No port is free.
    pub fn balancer(target: String, routers: usize) -> io::Result<Self> {
        let services = (0..routers).map(|_| ObjectId::new()).collect();
        Self::start(target, services, 1)
    }

    fn start(target: String, services: Vec<ObjectId>, count: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            target,
            services,
            next_service: AtomicUsize::new(0),
            transactions: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let mut ports = Vec::new();
        for place in 0..count {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            ports.push(listener.local_addr()?.port());
            let accepting = Arc::clone(&shared);
            thread::spawn(move || accepting.accept(&listener, place));
        }
        Ok(Self { shared, ports })
    }

    /// Where clients find them: `127.0.0.1:port`, once for each.
    pub fn hosts(&self) -> Vec<String> {
        let hosts = self.ports.iter();
        hosts
            .map(|port| format!("{}:{port}", Ipv4Addr::LOCALHOST))
            .collect()
    }
}

impl Drop for RouterShim {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        for port in &self.ports {
            // The listener waits for a client, and looks up when one comes.
            let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, *port));
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener, place: usize) {
        for client in listener.incoming() {
            if self.is_over.load(Ordering::Acquire) {
                return;
            }
            if let Ok(client) = client {
                let shared = Arc::clone(&self);
                thread::spawn(move || shared.serve(client, place));
            }
        }
    }

    /// Carries one connection. Either end's closing closes the other.
    fn serve(self: Arc<Self>, client: TcpStream, place: usize) {
        let Ok(server) = TcpStream::connect(&self.target) else {
            return;
        };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let (Ok(answers), Ok(asker)) = (server.try_clone(), client.try_clone()) else {
            return;
        };
        let (place, service) = self
            .service()
            .map_or((place, None), |(place, service)| (place, Some(service)));
        let connection = Arc::new(Connection {
            shared: Arc::clone(&self),
            place,
            service,
            asked: Mutex::default(),
        });
        let answering = Arc::clone(&connection);
        thread::spawn(move || {
            let _ = answering.carry_replies(&answers, &asker);
            let _ = asker.shutdown(Shutdown::Both);
        });
        let _ = connection.carry_requests(&client, &server);
        let _ = server.shutdown(Shutdown::Both);
    }

    /// Notes that a router has part in the transaction of a command; tells whether it had before.
    fn has_part(&self, place: usize, command: &Document) -> bool {
        let session = command.get("lsid").map(ToString::to_string);
        let number = command.get("txnNumber").map(ToString::to_string);
        let transaction = format!("{session:?} {number:?}");
        let mut transactions = self
            .transactions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        !transactions.insert((place, transaction))
    }

    /// Aborts the transaction of a command, if it is still open, by a connection of its own.
    fn abort(&self, command: &Document) -> io::Result<()> {
        let mut abort = doc! { "abortTransaction": 1, "autocommit": false, "$db": "admin" };
        for field in ["lsid", "txnNumber"] {
            abort.insert(field, command.get(field).cloned());
        }
        let mut message = vec![0; 12];
        message.extend(OP_MSG.to_le_bytes());
        message.extend([0; 5]);
        let message = with_document(&message, message.len(), &abort);
        let mut server = TcpStream::connect(&self.target)?;
        server.write_all(&message.unwrap_or_default())?;
        read_message(&server).map(drop)
    }

    /// The service that a connection is for, and its place among all.
    fn service(&self) -> Option<(usize, ObjectId)> {
        let turn = self.next_service.fetch_add(1, Ordering::Relaxed);
        let turn = turn.checked_rem(self.services.len())?;
        Some((turn, *self.services.get(turn)?))
    }
}

/// What a router has to say to a command beside what the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Who it is; a load balancer's routers tell which one they are too.
    Hello { is_balanced: bool },
    /// Something in a transaction.
    InTransaction,
}

/// One connection through the shim.
#[derive(Debug)]
struct Connection {
    shared: Arc<Shared>,
    /// Which router it is to.
    place: usize,
    service: Option<ObjectId>,
    /// What was asked by the messages of these numbers, whose replies have not come yet.
    asked: Mutex<HashMap<i32, Asked>>,
}

impl Connection {
    fn carry_requests(&self, client: &TcpStream, mut server: &TcpStream) -> io::Result<()> {
        loop {
            let message = read_message(client)?;
            let Some((start, mut command)) = document(&message) else {
                server.write_all(&message)?;
                continue;
            };
            if let Some(asked) = asked_by(&command) {
                self.asked().insert(number(&message, 4)?, asked);
            }
            if self.is_of_another_router(&command) {
                self.shared.abort(&command)?;
            }
            let marked = self.has_marked(&mut command);
            let marked = marked.then(|| with_document(&message, start, &command));
            server.write_all(&marked.flatten().unwrap_or(message))?;
        }
    }

    fn carry_replies(&self, server: &TcpStream, mut client: &TcpStream) -> io::Result<()> {
        loop {
            let message = read_message(server)?;
            let asked = self.asked().remove(&number(&message, 8)?);
            let Some(asked) = asked else {
                client.write_all(&message)?;
                continue;
            };
            if number(&message, 12)? == OP_MSG && number(&message, HEADER)? & MORE_TO_COME != 0 {
                self.asked().insert(number(&message, 4)?, asked);
            }
            let answer = document(&message).and_then(|(start, mut reply)| {
                self.answer(asked, &mut reply);
                with_document(&message, start, &reply)
            });
            client.write_all(&answer.unwrap_or(message))?;
        }
    }

    /// Whether a command commits a transaction that this router has had no part of.
    fn is_of_another_router(&self, command: &Document) -> bool {
        let is_part = command.contains_key("autocommit");
        let had_part = is_part && self.shared.has_part(self.place, command);
        is_part && !had_part && command.contains_key("commitTransaction")
    }

    /// Adds the mark of the router to the application name of a handshake or a fail point; tells whether this is
    /// one.
    fn has_marked(&self, command: &mut Document) -> bool {
        let (place, name) = if let Ok(client) = command.get_document_mut("client") {
            let application = client
                .entry("application".to_owned())
                .or_insert(doc! {}.into());
            (application.as_document_mut(), "name")
        } else if command.contains_key("configureFailPoint") {
            (command.get_document_mut("data").ok(), "appName")
        } else {
            return false;
        };
        let Some(place) = place else {
            return false;
        };
        let own = place.get_str(name).unwrap_or_default();
        let marked = format!("{own}@{}", self.place);
        place.insert(name, marked);
        true
    }

    /// Makes a server's reply a router's.
    fn answer(&self, asked: Asked, reply: &mut Document) {
        match asked {
            Asked::Hello { is_balanced } => {
                for field in OF_MEMBERS {
                    reply.remove(field);
                }
                reply.insert("msg", "isdbgrid");
                if let Some(service) = self.service.filter(|_| is_balanced) {
                    reply.insert("serviceId", service);
                }
            }
            Asked::InTransaction => {
                reply.insert("recoveryToken", doc! { "recoveryShardId": "shim" });
            }
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<i32, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn asked_by(command: &Document) -> Option<Asked> {
    let name = command.keys().next()?.to_lowercase();
    if name == "hello" || name == "ismaster" {
        let is_balanced = command.get_bool("loadBalanced").unwrap_or(false);
        return Some(Asked::Hello { is_balanced });
    }
    let in_transaction = command.get_bool("autocommit").is_ok_and(|it| !it);
    in_transaction.then_some(Asked::InTransaction)
}

/// The document of a message, and where it begins.
fn document(message: &[u8]) -> Option<(usize, Document)> {
    let start = match number(message, 12).ok()? {
        OP_MSG => HEADER + 5,
        OP_REPLY => HEADER + 20,
        // Flags, the collection's name with its end, and two numbers come before.
        OP_QUERY => {
            let name = message.get(HEADER + 4..)?;
            HEADER + 4 + name.iter().position(|byte| *byte == 0)? + 1 + 8
        }
        _ => return None,
    };
    let document = Document::from_reader(message.get(start..)?).ok()?;
    Some((start, document))
}

/// The message with another document, after which nothing comes.
fn with_document(message: &[u8], start: usize, document: &Document) -> Option<Vec<u8>> {
    let mut changed = message.get(..start)?.to_vec();
    document.to_writer(&mut changed).ok()?;
    let length = i32::try_from(changed.len()).ok()?;
    changed.get_mut(..4)?.copy_from_slice(&length.to_le_bytes());
    Some(changed)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: i32, before: &[u8], document: &Document) -> Vec<u8> {
        let mut message = vec![0; 12];
        message.extend(kind.to_le_bytes());
        message.extend(before);
        document.to_writer(&mut message).unwrap();
        let length = i32::try_from(message.len()).unwrap();
        message[..4].copy_from_slice(&length.to_le_bytes());
        message
    }

    fn msg(document: &Document) -> Vec<u8> {
        message(OP_MSG, &[0; 5], document)
    }

    fn connection(service: Option<ObjectId>) -> Connection {
        let shared = Shared {
            target: String::new(),
            services: Vec::new(),
            next_service: AtomicUsize::default(),
            transactions: Mutex::default(),
            is_over: AtomicBool::default(),
        };
        Connection {
            shared: Arc::new(shared),
            place: 1,
            service,
            asked: Mutex::default(),
        }
    }

    #[test]
    fn what_is_asked_is_known_in_each_form_of_message() {
        let asked = |message: &[u8]| asked_by(&document(message).unwrap().1);
        let hello = doc! { "isMaster": 1, "loadBalanced": true };
        let query = message(OP_QUERY, b"\0\0\0\0admin.$cmd\0\0\0\0\0\x01\0\0\0", &hello);
        assert_eq!(asked(&query), Some(Asked::Hello { is_balanced: true }));
        assert_eq!(
            asked(&msg(&doc! { "hello": 1 })),
            Some(Asked::Hello { is_balanced: false })
        );
        let insert = doc! { "insert": "a", "autocommit": false };
        assert_eq!(asked(&msg(&insert)), Some(Asked::InTransaction));
        assert_eq!(asked(&msg(&doc! { "insert": "a" })), None);
    }

    #[test]
    fn a_members_reply_becomes_a_routers() {
        let service = ObjectId::new();
        let hello = Asked::Hello { is_balanced: true };
        let mut reply = doc! { "setName": "rs", "hosts": ["a"], "maxWireVersion": 17, "ok": 1 };
        connection(Some(service)).answer(hello, &mut reply);
        assert_eq!(
            reply,
            doc! { "maxWireVersion": 17, "ok": 1, "msg": "isdbgrid", "serviceId": service }
        );
    }

    #[test]
    fn a_router_knows_the_transactions_that_it_has_had_a_part_of() {
        let statement = |name: &str, number: i64| {
            doc! { name: 1, "lsid": { "id": 1 }, "txnNumber": number, "autocommit": false }
        };
        let router = connection(None);
        assert!(!router.is_of_another_router(&statement("insert", 1)));
        assert!(!router.is_of_another_router(&statement("commitTransaction", 1)));
        assert!(router.is_of_another_router(&statement("commitTransaction", 2)));
        let other = Connection {
            place: 2,
            shared: Arc::clone(&router.shared),
            ..connection(None)
        };
        assert!(other.is_of_another_router(&statement("commitTransaction", 1)));
    }

    #[test]
    fn a_message_keeps_its_form_around_another_document() {
        for (kind, before) in [(OP_MSG, 5), (OP_REPLY, 20)] {
            let old = message(kind, &vec![7; before], &doc! { "a": 1 });
            let (start, _) = document(&old).unwrap();
            let longer = doc! { "a": 1, "b": "more" };
            let new = with_document(&old, start, &longer).unwrap();
            assert_eq!(new, message(kind, &vec![7; before], &longer));
        }
    }

    #[test]
    fn a_fail_point_is_for_the_clients_of_its_router() {
        let marked = |mut command: Document| {
            assert!(connection(None).has_marked(&mut command), "{command}");
            command
        };
        for (own, with_mark) in [("", "@1"), ("app", "app@1")] {
            let handshake = doc! { "hello": 1, "client": { "application": { "name": own } } };
            let client = marked(handshake).get_document("client").unwrap().clone();
            let point = doc! { "configureFailPoint": "failCommand", "data": { "appName": own } };
            assert_eq!(client, doc! { "application": { "name": with_mark } });
            assert_eq!(
                marked(point).get_document("data").unwrap(),
                &doc! { "appName": with_mark }
            );
        }
        let client = marked(doc! { "hello": 1, "client": {} });
        assert_eq!(
            client.get_document("client").unwrap(),
            &doc! { "application": { "name": "@1" } }
        );
        let mut off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
        assert!(!connection(None).has_marked(&mut off));
        assert!(!connection(None).has_marked(&mut doc! { "ping": 1 }));
    }
}
