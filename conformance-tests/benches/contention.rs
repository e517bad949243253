//! What it costs many threads to read a deployment's snapshot while it is replaced, next to the
//! same value behind a lock.
//!
//! `cargo bench -p conformance-tests --bench contention`. The file that is measured is the
//! driver's own, by which each operation finds its server.

#![expect(
    clippy::print_stdout,
    reason = "the table on standard output is what a bench is for"
)]

#[path = "../../driver-async/src/topology/published.rs"]
#[expect(dead_code, reason = "nobody waits here")]
mod published;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use parking_lot::{Mutex, MutexGuard};
use published::Published;
use tokio::sync::Notify;

const READS: u32 = 5_000_000;
const ROUNDS: usize = 7;
const WRITE_EVERY: Duration = Duration::from_millis(1);

/// As large as a snapshot of a set of three.
type Servers = BTreeMap<String, Arc<str>>;

trait Cell: Sync {
    fn read(&self) -> usize;
    fn write(&self);
}

impl Cell for Published<Servers> {
    fn read(&self) -> usize {
        self.load().len()
    }

    fn write(&self) {
        let writing = self.write();
        let copy = Servers::clone(&self.load());
        self.replace(copy, |_| ());
        drop(writing);
    }
}

/// The control.
struct Locked(RwLock<Arc<Servers>>);

impl Cell for Locked {
    fn read(&self) -> usize {
        let servers = Arc::clone(&self.0.read().expect("no thread panics"));
        servers.len()
    }

    fn write(&self) {
        let mut servers = self.0.write().expect("no thread panics");
        *servers = Arc::new(Servers::clone(&servers));
    }
}

fn main() {
    let servers: Servers = (0..3)
        .map(|member| (format!("host{member}:27017"), Arc::from("a server")))
        .collect();
    let published = Published::new(servers.clone());
    let locked = Locked(RwLock::new(Arc::new(servers)));
    println!("nanoseconds of a processor for a read, median of {ROUNDS}");
    println!("threads  published  behind a lock");
    for threads in [1, 2, 8, 32] {
        let [ours, control] = [&published as &dyn Cell, &locked].map(|it| median(it, threads));
        println!("{threads:>7}  {ours:>9.1}  {control:>13.1}");
    }
}

fn median(cell: &dyn Cell, threads: u32) -> f64 {
    let mut all: Vec<_> = (0..ROUNDS).map(|_| measure(cell, threads)).collect();
    all.sort_by(f64::total_cmp);
    all[ROUNDS / 2]
}

/// How long all threads together take, shared out among the processors that they have.
fn measure(cell: &dyn Cell, threads: u32) -> f64 {
    let processors = thread::available_parallelism().map_or(1, |count| count.get() as u32);
    let reads = READS / threads;
    let start = Barrier::new(threads as usize + 1);
    let is_over = AtomicBool::new(false);
    let elapsed = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                cell.write();
                thread::sleep(WRITE_EVERY);
            }
        });
        let readers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..reads {
                        black_box(cell.read());
                    }
                })
            })
            .collect();
        start.wait();
        let began = Instant::now();
        for reader in readers {
            reader.join().expect("does not panic");
        }
        let elapsed = began.elapsed();
        is_over.store(true, Ordering::Relaxed);
        elapsed
    });
    let at_once = threads.min(processors);
    elapsed.as_secs_f64() * 1e9 / f64::from(reads * threads) * f64::from(at_once)
}
