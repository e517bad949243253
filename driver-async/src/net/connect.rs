//! Making a connection: addresses, the race between them, and encryption.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::{
    address::ServerAddress,
    clock,
    deadline::Deadline,
    error::Result,
    net::{Stream, failure::Unreachable, resolve::resolve, tls},
};

/// How long one address is tried alone before the next joins in, as RFC 8305 recommends.
const HEAD_START: Duration = Duration::from_millis(250);

/// How long a connection is idle before it is probed, so that firewalls do not forget it.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(120);
/// How long each probe waits for an answer; the operating system sends nine or so.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How the sockets of one client are made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sockets {
    /// How they are encrypted; `None` for not at all.
    pub(crate) tls: Option<tls::Config>,
    /// How long the peer's system may leave bytes unacknowledged; `None` for the system's own limit.
    pub(crate) user_timeout: Option<Duration>,
}

/// Connects to a server: resolves its name, tries each of its addresses, and encrypts.
///
/// The deadline covers all of it. Dropping the future closes every socket it has opened.
///
/// # Errors
/// A DNS error, or a network error that names each address that was tried; both name the server.
pub(crate) async fn connect(
    address: &ServerAddress,
    sockets: &Sockets,
    deadline: &Deadline,
) -> Result<Stream> {
    let stream = match address {
        ServerAddress::Tcp { host, .. } => {
            let port = address.port().unwrap_or(crate::address::DEFAULT_PORT);
            connect_tcp(host, port, sockets, deadline).await
        }
        ServerAddress::Unix { path } => connect_unix(path, sockets, deadline).await,
    };
    stream.map_err(|error| error.with_address(address))
}

async fn connect_tcp(
    host: &str,
    port: u16,
    sockets: &Sockets,
    deadline: &Deadline,
) -> Result<Stream> {
    let addresses = deadline
        .bound("resolving the host name", resolve(host, port))
        .await??;
    let racing = race(&addresses, TcpStream::connect);
    let tcp = deadline
        .bound("connecting", racing)
        .await?
        .map_err(Unreachable::into_error)?;
    tcp.set_nodelay(true)?;
    keep_alive(&tcp)?;
    limit_silence(&tcp, sockets.user_timeout)?;
    match &sockets.tls {
        None => Ok(Stream::Plain(tcp.into())),
        Some(config) => {
            deadline
                .bound("the TLS handshake", config.encrypt(host, tcp.into()))
                .await?
        }
    }
}

#[cfg(unix)]
async fn connect_unix(
    path: &std::path::Path,
    sockets: &Sockets,
    deadline: &Deadline,
) -> Result<Stream> {
    if sockets.tls.is_some() {
        return Err(crate::error::ErrorKind::InvalidTlsConfig {
            message: "a Unix domain socket cannot be encrypted: use a host and port, or leave \
                      tls=true out"
                .to_owned(),
        }
        .into());
    }
    let connecting = tokio::net::UnixStream::connect(path);
    let unix = deadline.bound("connecting", connecting).await??;
    Ok(Stream::Plain(unix.into()))
}

#[cfg(not(unix))]
async fn connect_unix(
    _path: &std::path::Path,
    _sockets: &Sockets,
    _deadline: &Deadline,
) -> Result<Stream> {
    Err(crate::error::Error::invalid_argument(
        "this platform has no Unix domain sockets: use a host and port",
    ))
}

/// The first connection that any of the addresses gives.
///
/// Each address gets a head start over the next; one that fails lets the next begin at once.
///
/// # Errors
/// Each address with its error, in the order in which they failed.
async fn race<'a, T, F>(
    addresses: &'a [SocketAddr],
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, Vec<(SocketAddr, io::Error)>>
where
    F: Future<Output = io::Result<T>> + 'a,
{
    let start = |address: SocketAddr| {
        let connecting = attempt(address);
        async move { (address, connecting.await) }
    };
    let mut waiting = addresses.iter().copied();
    let mut running = FuturesUnordered::new();
    let mut failed = Vec::new();
    running.extend(waiting.next().map(&start));
    while !running.is_empty() {
        let is_more_waiting = waiting.len() > 0;
        tokio::select! {
            ended = running.next() => match ended {
                Some((_, Ok(connection))) => return Ok(connection),
                Some((address, Err(error))) => {
                    failed.push((address, error));
                    running.extend(waiting.next().map(&start));
                }
                None => break,
            },
            () = clock::sleep(HEAD_START), if is_more_waiting => {
                running.extend(waiting.next().map(&start));
            }
        }
    }
    Err(failed)
}

fn keep_alive(tcp: &TcpStream) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE);
    #[cfg(not(any(target_os = "openbsd", target_os = "haiku", target_os = "solaris")))]
    let keepalive = keepalive.with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(tcp).set_tcp_keepalive(&keepalive)
}

/// Has the system give the connection up when the peer's acknowledges nothing for so long. Its own
/// limit is a quarter of an hour on Linux, for which an operation would hang on a peer that is gone
/// without a word.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
fn limit_silence(tcp: &TcpStream, user_timeout: Option<Duration>) -> io::Result<()> {
    // What the system cannot express is as good as none.
    let limit =
        user_timeout.filter(|limit| limit.as_millis() <= u128::from(i32::MAX.unsigned_abs()));
    match limit {
        Some(limit) => SockRef::from(tcp).set_tcp_user_timeout(Some(limit)),
        None => Ok(()),
    }
}

/// Other systems have no such limit for one socket.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "fuchsia")))]
fn limit_silence(_tcp: &TcpStream, _user_timeout: Option<Duration>) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;
    use tokio::{net::TcpListener, sync::Notify};

    use super::*;
    use crate::{deadline::Cause, error::ErrorKind};

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (1..=count)
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
            .collect()
    }

    fn refused() -> io::Error {
        io::ErrorKind::ConnectionRefused.into()
    }

    /// An address at which nothing listens.
    async fn dead_address() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    #[tokio::test]
    async fn a_silent_address_does_not_hold_up_the_next_one() {
        let started = clock::now();
        let addresses = addresses(2);
        let won = race(&addresses, |address| async move {
            match address.port() {
                1 => pending().await,
                port => Ok(port),
            }
        });
        assert_eq!(won.await.unwrap(), 2);
        assert!(started.elapsed() >= HEAD_START, "it had no head start");
    }

    #[tokio::test]
    async fn a_slow_address_may_still_win() {
        let addresses = addresses(2);
        let second_began = Notify::new();
        let won = race(&addresses, |address| {
            let second_began = &second_began;
            async move {
                match address.port() {
                    1 => second_began.notified().await,
                    _ => {
                        second_began.notify_one();
                        pending().await
                    }
                }
                Ok(address.port())
            }
        });
        assert_eq!(won.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_refusal_lets_the_next_address_begin_at_once() {
        let addresses = addresses(3);
        let won = race(&addresses, |address| async move {
            match address.port() {
                3 => Ok(()),
                _ => Err(refused()),
            }
        });
        assert!(matches!(won.now_or_never(), Some(Ok(()))), "it waited");
    }

    #[tokio::test]
    async fn a_dead_address_is_passed_over_for_a_live_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = listener.local_addr().unwrap();
        let addresses = [dead_address().await, live];
        let tcp = race(&addresses, TcpStream::connect).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), live);
    }

    #[tokio::test]
    async fn the_error_names_every_address_that_was_tried() {
        let addresses = [dead_address().await, dead_address().await];
        let failed = race(&addresses, TcpStream::connect).await.unwrap_err();
        let error = Unreachable::into_error(failed);
        assert!(error.is_network());
        for address in addresses {
            assert!(error.to_string().contains(&address.to_string()), "{error}");
        }
    }

    #[tokio::test]
    async fn connects_with_no_delay_and_keepalive() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().into();
        let stream = connect(&address, &Sockets::default(), &Deadline::NEVER)
            .await
            .unwrap();
        let Stream::Plain(socket) = stream else {
            panic!("{stream:?} is encrypted")
        };
        let socket = socket.raw().unwrap();
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_system_is_told_how_long_a_peer_may_be_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().into();
        let limit = Some(Duration::from_secs(60));
        for (user_timeout, wanted) in [(limit, limit), (None, None), (Some(Duration::MAX), None)] {
            let sockets = Sockets {
                user_timeout,
                ..Sockets::default()
            };
            let stream = connect(&address, &sockets, &Deadline::NEVER).await.unwrap();
            let Stream::Plain(socket) = stream else {
                panic!("{stream:?} is encrypted")
            };
            let told = socket.raw().unwrap().tcp_user_timeout().unwrap();
            assert_eq!(told.filter(|told| !told.is_zero()), wanted);
        }
    }

    #[tokio::test]
    async fn a_refused_connection_names_the_server() {
        let address = dead_address().await.into();
        let error = connect(&address, &Sockets::default(), &Deadline::NEVER)
            .await
            .unwrap_err();
        assert_eq!(error.address(), Some(&address));
        let ErrorKind::Io(io) = &*error.kind else {
            panic!("{error:?} is not a network error")
        };
        assert_eq!(io.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn limits_of_the_network_are_network_errors_and_another_limit_is_not() {
        for (cause, is_network) in [
            (Cause::Connect, true),
            (Cause::Socket, true),
            (Cause::ServerSelection, false),
        ] {
            let deadline = Deadline::after(Duration::from_millis(1), cause);
            let waiting = deadline.bound("connecting", pending::<()>());
            let error = waiting.await.unwrap_err();
            assert!(error.is_timeout());
            assert_eq!(error.is_network(), is_network, "{cause}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_absent_unix_socket_is_named_in_the_error() {
        let address = ServerAddress::parse("/no/such/mongodb.sock").unwrap();
        let error = connect(&address, &Sockets::default(), &Deadline::NEVER)
            .await
            .unwrap_err();
        assert!(error.is_network());
        assert!(
            error.to_string().starts_with("/no/such/mongodb.sock: "),
            "{error}"
        );
    }
}
