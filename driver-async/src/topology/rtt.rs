//! The task that measures a server's round trip time while its checks are streamed.
//!
//! A streamed check waits on the server and so says nothing about the way there. Follows the
//! server monitoring specification.

use std::sync::Arc;

use super::{Server, Settings};
use crate::{
    clock,
    conn::{Connection, MonitorHello},
    deadline::{Cause, Deadline},
    error::Result,
    net,
    proto::{
        hello::{HelloName, HelloReply},
        topology::error_rules,
    },
};

pub(super) async fn run(server: Arc<Server>, settings: Arc<Settings>) {
    let mut connection = None;
    loop {
        clock::sleep(settings.heartbeat_frequency).await;
        let deadline = Deadline::after_optional(settings.connect_timeout, Cause::Connect);
        let link = connection.take();
        let measured = deadline.bound(
            "measuring the round trip",
            measure(&server, &settings, link),
        );
        // A failure is the monitor's to find and report; here it only ends the connection.
        connection = measured.await.flatten().ok();
    }
}

/// The connection, and the name for its next hello.
type Link = (Connection, HelloName);

async fn measure(server: &Server, settings: &Settings, link: Option<Link>) -> Result<Link> {
    let (mut connection, name, hello) = match link {
        Some((connection, name)) => (
            connection,
            name,
            MonitorHello::Later {
                name,
                until_change: None,
            },
        ),
        None => {
            let address = server.address();
            let stream = net::connect(address, &settings.sockets, &Deadline::NEVER).await?;
            let connection = Connection::new(stream, address.clone(), 0);
            (
                connection,
                settings.handshaker.first_name(),
                MonitorHello::First,
            )
        }
    };
    let started = clock::now();
    let reply = connection
        .round_trip(|command| settings.handshaker.write_monitor_hello(command, hello))
        .await?;
    if let Some(error) = error_rules::command_error(reply.document()) {
        return Err(error);
    }
    let sample = clock::now().saturating_duration_since(started);
    server.round_trip_times.lock().record(sample);
    let hello_ok = HelloReply::parse(reply.document())?.hello_ok;
    Ok((connection, name.next(hello_ok)))
}
