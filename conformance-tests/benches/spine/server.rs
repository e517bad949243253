//! The server of a run, its cores and its documents.

use bson::{Document, doc};
use motorcade_testserver::Deployment;

use crate::Result;
use crate::socket::{BlockingSocket, Request};
use crate::tweets::tweet;

pub(crate) const DATABASE: &str = "bench";
pub(crate) const TWEETS: &str = "tweets";
pub(crate) const SMALL: &str = "small";
/// The tweet that single reads ask for.
pub(crate) const CHOSEN_TWEET: i64 = 4_321;
pub(crate) const TWEET_COUNT: usize = 10_000;
const TWEETS_AT_ONCE: usize = 1_000;

/// Starts a server on one core and leaves this process on another.
pub(crate) fn start(is_replica_set: bool) -> Result<Deployment> {
    let cores = cores::available();
    let [server, .., client] = cores[..] else {
        println!(
            "note: server and client are not pinned to cores of their own, so CPU times are weak"
        );
        return start_and_fill(is_replica_set);
    };
    // Threads and processes inherit the cores of the thread that starts them.
    cores::pin_this_thread(server)?;
    let deployment = start_and_fill(is_replica_set)?;
    cores::pin_this_thread(client)?;
    println!("server on core {server}, client on core {client}");
    Ok(deployment)
}

fn start_and_fill(is_replica_set: bool) -> Result<Deployment> {
    let builder = if is_replica_set {
        Deployment::replica_set(1)
    } else {
        Deployment::standalone()
    };
    let deployment = builder.start()?;
    fill(&deployment.member(0).address())?;
    Ok(deployment)
}

fn fill(address: &str) -> Result<()> {
    let mut socket = BlockingSocket::connect(address)?;
    let mut bytes = 0;
    for first in (0..TWEET_COUNT).step_by(TWEETS_AT_ONCE) {
        let numbers = first..TWEET_COUNT.min(first + TWEETS_AT_ONCE);
        let tweets = numbers
            .map(|number| Ok(tweet(i64::try_from(number)?)))
            .collect::<Result<Vec<Document>>>()?;
        for tweet in &tweets {
            bytes += tweet.to_vec()?.len();
        }
        let body = doc! { "insert": TWEETS, "ordered": true, "$db": DATABASE };
        let request = Request::new(&body)?.with_documents("documents", &tweets)?;
        socket.round_trip(&request)?.check()?;
    }
    let mean = bytes / TWEET_COUNT;
    println!("{TWEET_COUNT} tweets of {mean} bytes on average");
    Ok(())
}

#[cfg(target_os = "linux")]
mod cores {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// The cores that this process may use, none where the system doesn't tell.
    pub(super) fn available() -> Vec<usize> {
        let Ok(set) = sched_getaffinity(None) else {
            return Vec::new();
        };
        (0..CpuSet::MAX_CPU)
            .filter(|core| set.is_set(*core))
            .collect()
    }

    pub(super) fn pin_this_thread(core: usize) -> crate::Result<()> {
        let mut set = CpuSet::new();
        set.set(core);
        Ok(sched_setaffinity(None, &set)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod cores {
    pub(super) fn available() -> Vec<usize> {
        Vec::new()
    }

    pub(super) fn pin_this_thread(_core: usize) -> crate::Result<()> {
        Ok(())
    }
}
