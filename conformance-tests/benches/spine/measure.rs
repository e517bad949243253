//! What operations cost this process: CPU time, wall time, allocations.

use std::alloc::System;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use crate::Result;
use crate::task::{Operation, Task};

/// Counts the allocations of all threads. Counting one and its end takes about 18 ns (measured in
/// November 2026), where counting per thread would be nearly free and miss what other threads do.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The cost of one unit: of an operation, or of a document where many are read at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// User and system time of all threads, in µs.
    pub(crate) cpu: f64,
    /// In µs.
    pub(crate) wall: f64,
    /// Growing an allocation counts as one.
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
}

/// The costs of both sides of a task, one of each for a round.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) driver: Vec<Cost>,
    pub(crate) raw: Vec<Cost>,
}

/// Both sides of a task, ready to run.
pub(crate) struct Pair {
    pub(crate) task: &'static Task,
    pub(crate) driver: Operation,
    pub(crate) raw: Operation,
}

/// Runs both sides of every task in turn, so that what disturbs the machine disturbs all alike.
pub(crate) fn interleave(pairs: &mut [Pair], rounds: usize) -> Result<Vec<Samples>> {
    for pair in pairs.iter_mut() {
        (pair.driver)(pair.task.block.div_ceil(2))?;
        (pair.raw)(pair.task.block.div_ceil(2))?;
    }
    let mut samples: Vec<Samples> = pairs.iter().map(|_| Samples::default()).collect();
    for _ in 0..rounds {
        for (pair, samples) in pairs.iter_mut().zip(&mut samples) {
            samples
                .driver
                .push(measure(&mut pair.driver, pair.task.block)?);
            samples.raw.push(measure(&mut pair.raw, pair.task.block)?);
        }
    }
    Ok(samples)
}

fn measure(operation: &mut Operation, times: usize) -> Result<Cost> {
    let allocations_before = ALLOCATOR.stats();
    let wall_before = Instant::now();
    let cpu_before = cpu_time();
    let units = operation(times)?;
    let cpu = cpu_time().saturating_sub(cpu_before);
    let wall = wall_before.elapsed();
    let allocated = ALLOCATOR.stats() - allocations_before;
    let per_unit = |total: f64| total / units as f64;
    Ok(Cost {
        cpu: per_unit(cpu.as_secs_f64() * 1e6),
        wall: per_unit(wall.as_secs_f64() * 1e6),
        allocations: per_unit((allocated.allocations + allocated.reallocations) as f64),
        bytes: per_unit(allocated.bytes_allocated as f64),
    })
}

/// The CPU time that all threads of this process have used.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
