//! Callers with less patience than it takes to establish a connection.

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use motorcade::{
    Client,
    bson::{Binary, doc, spec::BinarySubtype},
    options::{AuthMechanism, ClientOptions, Credential},
};
use tokio::{sync::watch, time::timeout};

use crate::{
    peer::{Answer, Peer},
    runtimes::ping,
    servers::turn,
};

/// How many callers come, one after the other.
const CALLERS: usize = 50;
/// How long each of them waits.
const PATIENCE: Duration = Duration::from_millis(300);

/// A server at which one step of establishing a connection ends only when two callers have given
/// up meanwhile, so that nobody is served unless an attempt may take longer than a caller.
struct Slow {
    peer: Peer,
    given_up: watch::Sender<()>,
}

impl Slow {
    async fn start(step: &'static str) -> Self {
        let given_up = watch::Sender::new(());
        let callers = given_up.clone();
        let is_monitors = AtomicBool::new(true);
        let gate = move |name: &str| -> BoxFuture<'static, ()> {
            // The first connection is the one that discovers the server.
            let is_first = is_monitors.swap(false, Ordering::Relaxed);
            if name != step || is_first {
                return ready(()).boxed();
            }
            let mut next = callers.subscribe();
            async move {
                for _ in 0..2 {
                    // It fails only at the end of the test.
                    let _ = next.changed().await;
                }
            }
            .boxed()
        };
        let peer = Peer::gated(gate, |name, _| answer(name)).await;
        Self { peer, given_up }
    }

    async fn options(&self) -> ClientOptions {
        let mut options = self.peer.options().await;
        // No check comes in between that nobody would give up on.
        options.heartbeat_freq = Some(Duration::from_secs(60));
        options
    }

    /// How many of the callers are served.
    async fn serve<F: Future<Output = bool>>(&self, call: impl Fn() -> F) -> usize {
        let mut served = 0;
        for _ in 0..CALLERS {
            if call().await {
                served += 1;
            } else {
                self.given_up.send_replace(());
            }
        }
        served
    }
}

/// A user who logs in with one command.
pub(crate) fn plain() -> Credential {
    Credential::builder()
        .username("ada".to_owned())
        .password("lovelace".to_owned())
        .mechanism(AuthMechanism::Plain)
        .build()
}

/// Lets everybody in, and does everything.
pub(crate) fn answer(name: &str) -> Answer {
    match name {
        "saslStart" => {
            let payload = Binary {
                subtype: BinarySubtype::Generic,
                bytes: Vec::new(),
            };
            doc! { "ok": 1, "conversationId": 1, "done": true, "payload": payload }.into()
        }
        _ => doc! { "ok": 1 }.into(),
    }
}

/// A client whose every connection logs in, with a step that takes long.
async fn client_that_logs_in(change: impl FnOnce(&mut ClientOptions)) -> (Slow, Client) {
    let slow = Slow::start("saslStart").await;
    let mut options = slow.options().await;
    options.credential = Some(plain());
    change(&mut options);
    (slow, Client::with_options(options).unwrap())
}

async fn is_served_before_a_timer(client: &Client) -> bool {
    let answer = timeout(PATIENCE, ping(client)).await;
    answer.is_ok_and(|answer| answer.is_ok())
}

async fn is_served_in_its_timeout(client: &Client) -> bool {
    let Err(error) = ping(client).await else {
        return true;
    };
    assert!(error.is_timeout(), "{error:?}");
    false
}

#[tokio::test]
async fn a_login_serves_callers_although_those_it_began_with_were_dropped() {
    let _turn = turn();
    let (slow, client) = client_that_logs_in(|_| {}).await;
    let served = slow.serve(|| is_served_before_a_timer(&client)).await;
    assert!(served >= 47, "{served} of {CALLERS}");
}

#[tokio::test]
async fn a_login_serves_callers_although_those_it_began_with_timed_out() {
    let _turn = turn();
    let (slow, client) = client_that_logs_in(|it| it.timeout = Some(PATIENCE)).await;
    let served = slow.serve(|| is_served_in_its_timeout(&client)).await;
    assert!(served >= 47, "{served} of {CALLERS}");
}

#[tokio::test]
async fn a_login_for_the_least_size_of_the_pool_may_take_longer_than_timeout_ms() {
    let _turn = turn();
    let change = |options: &mut ClientOptions| {
        options.timeout = Some(PATIENCE);
        options.min_pool_size = Some(1);
    };
    let (slow, client) = client_that_logs_in(change).await;
    let served = slow.serve(|| is_served_in_its_timeout(&client)).await;
    assert!(served >= 47, "{served} of {CALLERS}");
}

/// The first hello of a connection is slow.
#[tokio::test]
async fn a_pool_is_filled_although_no_caller_waits_until_a_connection_is_established() {
    let _turn = turn();
    for timeout in [None, Some(PATIENCE)] {
        let slow = Slow::start("hello").await;
        let mut options = slow.options().await;
        options.timeout = timeout;
        let client = Client::with_options(options).unwrap();
        let served = match timeout {
            None => slow.serve(|| is_served_before_a_timer(&client)).await,
            Some(_) => slow.serve(|| is_served_in_its_timeout(&client)).await,
        };
        let case = format!("timeout {timeout:?}");
        assert!(served >= 46, "{case}: {served} of {CALLERS}");
        let sockets = slow.peer.sockets();
        assert!(sockets <= 3, "{case}: {sockets} sockets were opened");
    }
}
