//! What it takes to store a file in GridFS and to read it again, with either driver.
//!
//! `cargo bench -p conformance-tests --bench gridfs`, with `-- --mebibytes 500` for another size.
//! It starts its own server. CPU times are those of this process, user and system; what a server
//! on the same cores does meanwhile shows in the wall times only.

#![expect(
    clippy::print_stdout,
    reason = "the table on standard output is what a bench is for"
)]

use std::alloc::System;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bson::Bson;
use clap::Parser;
use motorcade_sync::Run;
use motorcade_testserver::Deployment;
use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::io::ReadBuf;
use tokio::runtime::{Builder, Runtime};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Measure what files in GridFS cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// The size of the file.
    #[arg(long, default_value_t = 50)]
    mebibytes: usize,
    /// How many times each is done.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Cargo passes this.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one transfer took.
#[derive(Clone, Copy, Debug)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    allocated: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let deployment = Deployment::standalone().start()?;
    let size = arguments.mebibytes * 1024 * 1024;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let client =
        runtime.block_on(motorcade::Client::with_uri_str(deployment.uri()).into_future())?;
    let bucket = client.database("bench").gridfs_bucket(None);
    // A client of its own: the other's sockets are looked after by the other's runtime only.
    let twin = motorcade_sync::Client::with_uri_str(deployment.uri())?;
    let twin = twin.database("bench").gridfs_bucket(None);
    let mut costs: [Vec<Cost>; 4] = Default::default();
    // The first round makes the collections and their indexes, and is not counted.
    for round in 0..=arguments.rounds {
        let (id, up) = measure(|| non_blocking_upload(&runtime, &bucket, size))?;
        let ((), down) = measure(|| non_blocking_download(&runtime, &bucket, id.clone(), size))?;
        twin.delete(id).run()?;
        let (id, blocking_up) =
            measure(|| Ok(twin.upload_from_reader("b", Source::new(size)).run()?))?;
        let ((), blocking_down) = measure(|| {
            let file = twin.download_to_writer(id.clone(), io::sink()).run()?;
            whole(file.length, size)
        })?;
        twin.delete(id).run()?;
        if round == 0 {
            continue;
        }
        for (costs, cost) in costs.iter_mut().zip([up, down, blocking_up, blocking_down]) {
            costs.push(cost);
        }
    }
    println!("{} MiB, {} rounds", arguments.mebibytes, arguments.rounds);
    for (name, costs) in ["upload", "download", "blocking upload", "blocking download"]
        .iter()
        .zip(&costs)
    {
        println!("{name:<18} {}", summary(costs));
    }
    if let Some(peak) = peak_memory() {
        println!("most memory of this process: {peak}");
    }
    Ok(())
}

/// Bytes that the server cannot compress, as many as wanted.
struct Source {
    block: Vec<u8>,
    at: usize,
    left: usize,
}

impl Source {
    fn new(size: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut block = Vec::with_capacity(1 << 20);
        while block.len() < 1 << 20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        let (at, left) = (0, size);
        Self { block, at, left }
    }
}

impl io::Read for Source {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let rest = &self.block[self.at..];
        let count = rest.len().min(target.len()).min(self.left);
        target[..count].copy_from_slice(&rest[..count]);
        self.at = (self.at + count) % self.block.len();
        self.left -= count;
        Ok(count)
    }
}

impl tokio::io::AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = io::Read::read(&mut *self, target.initialize_unfilled());
        Poll::Ready(read.map(|count| target.advance(count)))
    }
}

fn non_blocking_upload(
    runtime: &Runtime,
    bucket: &motorcade::gridfs::GridFsBucket,
    size: usize,
) -> Result<Bson> {
    let upload = bucket.upload_from_reader("a", Source::new(size));
    Ok(runtime.block_on(upload.into_future())?)
}

fn non_blocking_download(
    runtime: &Runtime,
    bucket: &motorcade::gridfs::GridFsBucket,
    id: Bson,
    size: usize,
) -> Result<()> {
    let download = bucket.download_to_writer(id, tokio::io::sink());
    whole(runtime.block_on(download.into_future())?.length, size)
}

/// Fails when bytes were missed, so that no shortcut goes unseen.
fn whole(length: u64, size: usize) -> Result<()> {
    if length == size as u64 {
        return Ok(());
    }
    Err(format!("the file has {length} bytes instead of {size}").into())
}

fn measure<T>(transfer: impl FnOnce() -> Result<T>) -> Result<(T, Cost)> {
    let allocated_before = ALLOCATOR.stats().bytes_allocated;
    let (wall_before, cpu_before) = (Instant::now(), cpu_time());
    let done = transfer()?;
    let cost = Cost {
        wall: wall_before.elapsed(),
        cpu: cpu_time().saturating_sub(cpu_before),
        allocated: ALLOCATOR.stats().bytes_allocated - allocated_before,
    };
    Ok((done, cost))
}

fn summary(costs: &[Cost]) -> String {
    let median = |of: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        (values[0], values[values.len() / 2])
    };
    let (wall_least, wall) = median(|cost| cost.wall.as_secs_f64() * 1e3);
    let (cpu_least, cpu) = median(|cost| cost.cpu.as_secs_f64() * 1e3);
    let (_, allocated) = median(|cost| cost.allocated as f64 / 1e6);
    format!(
        "wall ms: median {wall:.0}, least {wall_least:.0}; CPU ms: median {cpu:.0}, least \
         {cpu_least:.0}; {allocated:.1} MB allocated"
    )
}

/// The CPU time that all threads of this process have used.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// The most resident memory that this process has had, where the system tells.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(
        line.split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" "),
    )
}
