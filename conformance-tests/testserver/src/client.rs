//! A minimal blocking client: one OP_MSG request and its reply on a fresh connection.
//!
//! It knows no authentication, compression or retries. That is enough to see how a server does,
//! to initiate a replica set, and to create the first user under the localhost exception.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::error::{Error, Result};

const OP_MSG: i32 = 2013;
const HEADER: usize = 16;
/// The largest message any supported server sends is 48,000,000 bytes.
const LARGEST_MESSAGE: usize = 48_000_000;
const REQUEST_ID: i32 = 1;

/// Where and how to reach one server.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Endpoint {
    /// Runs a command on the `admin` database; each wait for the network lasts at most `timeout`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses the command.
    pub(crate) fn run(&self, command: &Document, timeout: Duration) -> Result<Document> {
        let name = command.keys().next().map_or("", String::as_str);
        let exchange = || -> Result<Document> {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let stream = TcpStream::connect_timeout(&address, timeout).map_err(io)?;
            stream.set_read_timeout(Some(timeout)).map_err(io)?;
            stream.set_write_timeout(Some(timeout)).map_err(io)?;
            stream.set_nodelay(true).map_err(io)?;
            match &self.tls {
                None => round_trip(stream, command),
                Some(config) => {
                    let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
                    let session = ClientConnection::new(Arc::clone(config), name)
                        .map_err(|error| Error::caused("TLS", error))?;
                    round_trip(StreamOwned::new(session, stream), command)
                }
            }
        };
        let reply = exchange().map_err(|error| {
            Error::caused(
                format!("{name} got no answer from 127.0.0.1:{}", self.port),
                error,
            )
        })?;
        check(name, reply)
    }
}

fn io(error: std::io::Error) -> Error {
    Error::caused("network", error)
}

fn round_trip(mut stream: impl Read + Write, command: &Document) -> Result<Document> {
    let mut body = command.clone();
    if !body.contains_key("$db") {
        body.insert("$db", "admin");
    }
    let request = encode(&body)?;
    stream
        .write_all(&request)
        .and_then(|()| stream.flush())
        .map_err(io)?;
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).map_err(io)?;
    let mut rest = vec![0; rest_length(&header)?];
    stream.read_exact(&mut rest).map_err(io)?;
    decode(&rest)
}

fn encode(body: &Document) -> Result<Vec<u8>> {
    let unfit = |error| Error::caused("the command can't be sent", error);
    let body = body.to_vec().map_err(unfit)?;
    let length = HEADER + 5 + body.len();
    let length = i32::try_from(length).map_err(|_| Error::new("the command is too large"))?;
    let mut message = Vec::new();
    for word in [length, REQUEST_ID, 0, OP_MSG, 0] {
        message.extend_from_slice(&word.to_le_bytes());
    }
    message.push(0);
    message.extend_from_slice(&body);
    Ok(message)
}

/// The number of bytes that follow a reply's header.
fn rest_length(header: &[u8; HEADER]) -> Result<usize> {
    let [a, b, c, d, .., w, x, y, z] = *header;
    if i32::from_le_bytes([w, x, y, z]) != OP_MSG {
        return Err(Error::new("the reply is not an OP_MSG"));
    }
    usize::try_from(i32::from_le_bytes([a, b, c, d]))
        .ok()
        .filter(|length| *length <= LARGEST_MESSAGE)
        .and_then(|length| length.checked_sub(HEADER))
        .ok_or_else(|| Error::new("the reply claims an impossible length"))
}

/// The body of a reply: flags, a section of kind 0.
fn decode(rest: &[u8]) -> Result<Document> {
    let Some(([_, _, _, _, 0], body)) = rest.split_first_chunk() else {
        return Err(Error::new("the reply has no body section"));
    };
    Document::from_reader(body).map_err(|error| Error::caused("the reply can't be read", error))
}

fn check(name: &str, reply: Document) -> Result<Document> {
    let is_ok = match reply.get("ok") {
        Some(Bson::Double(ok)) => *ok == 1.0,
        Some(Bson::Int32(ok)) => *ok == 1,
        Some(Bson::Int64(ok)) => *ok == 1,
        Some(Bson::Boolean(ok)) => *ok,
        _ => false,
    };
    if is_ok {
        return Ok(reply);
    }
    let text = reply.get_str("errmsg").unwrap_or("no message");
    Err(Error::refused(name, reply.get_i32("code").ok(), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn a_message_carries_its_length_and_its_document() {
        let message = encode(&doc! { "ping": 1 }).unwrap();
        let header = message.first_chunk().unwrap();
        assert_eq!(rest_length(header).unwrap(), message.len() - HEADER);
        assert_eq!(decode(&message[HEADER..]).unwrap(), doc! { "ping": 1 });
    }

    #[test]
    fn impossible_lengths_and_other_opcodes_are_refused() {
        let header = |length: i32, code: i32| {
            let mut bytes = [0; HEADER];
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            bytes[12..].copy_from_slice(&code.to_le_bytes());
            bytes
        };
        assert!(rest_length(&header(-1, OP_MSG)).is_err());
        assert!(rest_length(&header(15, OP_MSG)).is_err());
        assert!(rest_length(&header(i32::MAX, OP_MSG)).is_err());
        assert!(rest_length(&header(100, 1)).is_err());
        assert!(decode(&[0, 0, 0, 0, 1]).is_err());
    }

    #[test]
    fn a_refusal_keeps_its_code() {
        let refusal = doc! { "ok": 0.0, "errmsg": "command requires authentication", "code": 13 };
        let error = check("find", refusal).unwrap_err();
        assert_eq!(error.code(), Some(13));
        assert!(error.to_string().contains("requires authentication"));
    }
}
