//! The one task that checks a server.
//!
//! Follows the server monitoring specification: checks are streamed by servers that can
//! (awaitable hello), else made every heartbeat; an early check is made when someone asks, at most
//! every 500 ms. No error ends a monitor; it ends when its server is closed.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{Server, Settings, Topology, heartbeat::Heartbeat, rtt, server::MonitorControl};
use crate::{
    address::ServerAddress,
    clock,
    conn::{Connection, MonitorHello},
    deadline::{Cause, Deadline},
    error::{Error, Result},
    net,
    options::ServerMonitoringMode,
    proto::{
        hello::{AwaitedChange, HelloName, HelloReply, TopologyVersion},
        topology::{ServerDescription, error_rules},
        wire::{MessageFlags, Reply, Sequences},
    },
};

/// The least time between two checks (`minHeartbeatFrequencyMS`).
const MIN_HEARTBEAT_FREQUENCY: Duration = Duration::from_millis(500);
/// How long a check waits for its listeners before it makes a connection. A listener that blocks
/// must not hold up checks, and takes no longer than this if it does not.
const TELLING_LIMIT: Duration = Duration::from_millis(100);

pub(super) async fn run(topology: Weak<Topology>, server: Arc<Server>, settings: Arc<Settings>) {
    let mut monitor = Monitor {
        topology,
        control: server.control(),
        server,
        settings,
        link: None,
        topology_version: None,
        is_known: false,
        measures_rtt: false,
        next_connection_id: 1,
    };
    while let Some(next) = monitor.check_once().await {
        if next == Next::Wait {
            monitor.wait().await;
        }
    }
}

struct Monitor {
    topology: Weak<Topology>,
    server: Arc<Server>,
    control: Arc<MonitorControl>,
    settings: Arc<Settings>,
    link: Option<Link>,
    /// Of the last reply; with one, the next check can be streamed.
    topology_version: Option<TopologyVersion>,
    /// Whether the last check succeeded.
    is_known: bool,
    measures_rtt: bool,
    next_connection_id: u32,
}

/// The monitor's own connection.
struct Link {
    connection: Connection,
    hello_name: HelloName,
}

#[derive(PartialEq, Eq)]
enum Next {
    AtOnce,
    Wait,
}

/// What a check brought.
struct Checked {
    hello: HelloReply,
    reply: Reply,
    /// The time that the check took, when the server answered at once.
    round_trip: Option<Duration>,
}

enum Outcome {
    Replied(Box<Checked>),
    Failed(Error),
    /// An operation found the server dead while this check waited for it.
    Cancelled,
}

impl Monitor {
    /// Makes one check; `None` when the client is gone.
    async fn check_once(&mut self) -> Option<Next> {
        let awaited = self.can_stream();
        let topology = self.topology.upgrade()?;
        self.server
            .heartbeats
            .begin(&topology.events, || self.heartbeat(awaited));
        drop(topology);
        let control = Arc::clone(&self.control);
        let outcome = tokio::select! {
            biased;
            () = control.check_cancelled.notified() => Outcome::Cancelled,
            outcome = self.check(awaited) => match outcome {
                Ok(checked) => Outcome::Replied(Box::new(checked)),
                Err(error) => Outcome::Failed(error),
            },
        };
        match outcome {
            Outcome::Replied(checked) => self.succeed(&checked),
            Outcome::Failed(error) => self.fail(error),
            Outcome::Cancelled => {
                let error = Error::cancelled("the check was given up: an operation failed first");
                let topology = self.topology.upgrade()?;
                self.server.heartbeats.fail(&topology.events, &error);
                self.forget();
                let recheck = control.rechecks_at_once.load(Ordering::Acquire);
                Some(if std::mem::take(&mut self.is_known) && recheck {
                    Next::AtOnce
                } else {
                    Next::Wait
                })
            }
        }
    }

    fn succeed(&mut self, checked: &Checked) -> Option<Next> {
        let Checked {
            hello,
            reply,
            round_trip,
        } = checked;
        self.is_known = true;
        self.topology_version = hello.topology_version;
        let topology = self.topology.upgrade()?;
        self.server.heartbeats.succeed(
            &topology.events,
            reply.document(),
            *round_trip,
            self.server_connection_id(),
        );
        let average = self.server.round_trip_times.lock().average();
        let description =
            ServerDescription::from_hello(self.address().clone(), hello, average, clock::now());
        topology.apply_check(&self.server, description);
        drop(topology);
        if !self.can_stream() {
            return Some(Next::Wait);
        }
        if !std::mem::replace(&mut self.measures_rtt, true) {
            let task = rtt::run(Arc::clone(&self.server), Arc::clone(&self.settings));
            self.server.keep_task(tokio::spawn(task).abort_handle());
        }
        Some(Next::AtOnce)
    }

    fn fail(&mut self, error: Error) -> Option<Next> {
        let error = error.with_address(self.address());
        let topology = self.topology.upgrade()?;
        self.server.heartbeats.fail(&topology.events, &error);
        self.forget();
        topology.report_check_error(&self.server, &error);
        drop(topology);
        // A server that was well may only have dropped the connection, so look again at once.
        let was_known = std::mem::take(&mut self.is_known);
        let retry_at_once = error_rules::decide_check(&error, was_known).retry_at_once;
        Some(if retry_at_once {
            Next::AtOnce
        } else {
            Next::Wait
        })
    }

    fn forget(&mut self) {
        self.link = None;
        self.topology_version = None;
        self.server.round_trip_times.lock().reset();
    }

    async fn check(&mut self, awaited: bool) -> Result<Checked> {
        let Some(link) = &mut self.link else {
            return self.connect().await;
        };
        let started = clock::now();
        let settings = &self.settings;
        let limit = if awaited {
            settings
                .connect_timeout
                .map(|timeout| timeout.saturating_add(settings.heartbeat_frequency))
        } else {
            settings.connect_timeout
        };
        let deadline = Deadline::after_optional(limit, Cause::Connect);
        let reply = if link.connection.is_streaming() {
            link.connection.next_reply(&deadline).await?
        } else {
            let version = self.topology_version.filter(|_| awaited);
            let limit = settings.heartbeat_frequency;
            let until_change = version.map(|known| AwaitedChange { known, limit });
            let hello = MonitorHello::Later {
                name: link.hello_name,
                until_change,
            };
            link.ask(settings, hello, &deadline).await?
        };
        let hello = parse(&reply)?;
        link.hello_name = link.hello_name.next(hello.hello_ok);
        let round_trip = (!awaited).then(|| self.record_round_trip(started));
        Ok(Checked {
            hello,
            reply,
            round_trip,
        })
    }

    async fn connect(&mut self) -> Result<Checked> {
        self.told_of_start().await;
        let settings = Arc::clone(&self.settings);
        let deadline = Deadline::after_optional(settings.connect_timeout, Cause::Connect);
        let address = self.address().clone();
        let stream = net::connect(&address, &settings.sockets, &deadline).await?;
        let connection = Connection::new(stream, address, self.connection_id());
        self.next_connection_id += 1;
        let hello_name = settings.handshaker.first_name();
        let mut link = Link {
            connection,
            hello_name,
        };
        let started = clock::now();
        let reply = link.ask(&settings, MonitorHello::First, &deadline).await?;
        let hello = parse(&reply)?;
        let round_trip = Some(self.record_round_trip(started));
        link.hello_name = hello_name.next(hello.hello_ok);
        let description =
            ServerDescription::from_hello(self.address().clone(), &hello, None, clock::now());
        link.connection.set_facts(description.server_type(), &hello);
        self.link = Some(link);
        Ok(Checked {
            hello,
            reply,
            round_trip,
        })
    }

    /// Waits a moment until listeners were told that the check begins, which they are to be before
    /// its connection is made (prose test "Heartbeat Tests" of the SDAM specification).
    async fn told_of_start(&self) {
        let Some(topology) = self.topology.upgrade() else {
            return;
        };
        let events = topology.events.clone();
        drop(topology);
        let limit = clock::now() + TELLING_LIMIT;
        let _ = clock::timeout_at(Some(limit), events.delivered()).await;
    }

    /// Waits for the next heartbeat, or for someone who asks, but never less than the minimum.
    async fn wait(&self) {
        let heartbeat = self.settings.heartbeat_frequency;
        let least = MIN_HEARTBEAT_FREQUENCY.min(heartbeat);
        clock::sleep(least).await;
        let asked = self.control.check_wanted.notified();
        // Either way it is time for the next check.
        tokio::select! {
            () = asked => {}
            () = clock::sleep(heartbeat.saturating_sub(least)) => {}
        }
    }

    fn can_stream(&self) -> bool {
        let streams = match self.settings.monitoring_mode {
            ServerMonitoringMode::Poll => false,
            ServerMonitoringMode::Stream => true,
            ServerMonitoringMode::Auto => !self.settings.handshaker.runs_as_function(),
        };
        streams && self.link.is_some() && self.topology_version.is_some()
    }

    fn record_round_trip(&self, started: Instant) -> Duration {
        let sample = clock::now().saturating_duration_since(started);
        self.server.round_trip_times.lock().record(sample);
        sample
    }

    fn address(&self) -> &ServerAddress {
        self.server.address()
    }

    fn connection_id(&self) -> u32 {
        self.link
            .as_ref()
            .map_or(self.next_connection_id, |link| link.connection.id())
    }

    fn server_connection_id(&self) -> Option<i64> {
        self.link.as_ref()?.connection.facts().server_connection_id
    }

    fn heartbeat(&self, awaited: bool) -> Heartbeat {
        Heartbeat {
            server_address: self.address().clone(),
            awaited,
            driver_connection_id: self.connection_id(),
            server_connection_id: self.server_connection_id(),
            started: clock::now(),
        }
    }
}

impl Link {
    /// Sends a hello and awaits the reply. To one that awaits a change the server goes on
    /// replying without being asked.
    async fn ask(
        &mut self,
        settings: &Settings,
        hello: MonitorHello,
        deadline: &Deadline,
    ) -> Result<Reply> {
        let flags = match hello {
            MonitorHello::Later {
                until_change: Some(_),
                ..
            } => MessageFlags::EXHAUST_ALLOWED,
            MonitorHello::Later { .. } | MonitorHello::First => MessageFlags::NONE,
        };
        let request_id = self.connection.prepare(flags, |message| {
            let mut body = message.body();
            settings.handshaker.write_monitor_hello(&mut body, hello)?;
            body.end()
        })?;
        self.connection
            .exchange(request_id, &Sequences::NONE, deadline)
            .await
    }
}

/// What the reply says about the server.
pub(super) fn parse(reply: &Reply) -> Result<HelloReply> {
    match error_rules::command_error(reply.document()) {
        Some(error) => Err(error),
        None => HelloReply::parse(reply.document()),
    }
}
