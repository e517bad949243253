//! The tasks that are measured, each through the driver and over a bare socket.

use std::rc::Rc;

use tokio::runtime::{Builder, Runtime};

use crate::{Result, driver, raw};

/// Runs a number of operations and gives the number of units that they came to.
pub(crate) type Operation = Box<dyn FnMut(usize) -> Result<usize>>;

type Prepare = fn(&Setting) -> Result<Operation>;

/// Where operations run.
pub(crate) struct Setting {
    pub(crate) uri: String,
    /// The address of the one server, for raw connections.
    pub(crate) address: String,
    /// Has one thread, the one that runs the operations: the fewest switches, on one core.
    pub(crate) runtime: Rc<Runtime>,
    /// How many documents a read of many reads.
    pub(crate) documents: usize,
}

impl Setting {
    pub(crate) fn new(uri: String, address: String, documents: usize) -> Result<Self> {
        let runtime = Rc::new(Builder::new_current_thread().enable_all().build()?);
        Ok(Self {
            uri,
            address,
            runtime,
            documents,
        })
    }
}

/// One task and its two ways.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) name: &'static str,
    /// Operations that are timed together, about a tenth of a second of them.
    pub(crate) block: usize,
    /// Operations by which the longer of two counted runs exceeds the shorter.
    pub(crate) counted: usize,
    pub(crate) driver: Prepare,
    pub(crate) raw: Prepare,
    pub(crate) peer: Peer,
}

/// What the `mongodb` crate 3.9.1 took for the same task on another machine of the same kind,
/// with mongod 6.0.5. Counts carry over to this machine, µs only roughly.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) cpu: &'static str,
    pub(crate) allocations: &'static str,
    pub(crate) instructions: &'static str,
}

const fn peer(cpu: &'static str, allocations: &'static str, instructions: &'static str) -> Peer {
    Peer {
        cpu,
        allocations,
        instructions,
    }
}

const ROUND_TRIPS: usize = 600;
const COUNTED_ROUND_TRIPS: usize = 400;

/// A task whose operations are one round trip each.
const fn single(name: &'static str, driver: Prepare, raw: Prepare, peer: Peer) -> Task {
    Task {
        name,
        block: ROUND_TRIPS,
        counted: COUNTED_ROUND_TRIPS,
        driver,
        raw,
        peer,
    }
}

/// A task that reads all tweets at once.
const fn many(name: &'static str, driver: Prepare, peer: Peer) -> Task {
    Task {
        name,
        block: 1,
        counted: 2,
        driver,
        raw: raw::find_many,
        peer,
    }
}

pub(crate) static TASKS: [Task; 9] = [
    single(
        "hello",
        driver::hello,
        raw::hello,
        peer("118", "87", "102k"),
    ),
    single(
        "find_one raw",
        driver::find_one_raw,
        raw::find_one,
        peer("133", "86 (48 KB)", "88k"),
    ),
    single(
        "find_one Document",
        driver::find_one_document,
        raw::find_one,
        peer("176", "246 (65 KB)", "193k"),
    ),
    single(
        "insert_one small",
        driver::insert_one,
        raw::insert_one,
        peer("131", "93", "81k"),
    ),
    single(
        "64 tasks, 10 connections",
        driver::find_one_concurrently,
        raw::find_one_concurrently,
        peer("131", "", ""),
    ),
    single(
        "blocking find_one",
        driver::find_one_blocking,
        raw::find_one_blocking,
        peer("225", "", ""),
    ),
    many(
        "find many raw",
        driver::find_many_raw,
        peer("1.85", "", "6.6k"),
    ),
    many(
        "find many struct",
        driver::find_many_struct,
        peer("9.3-10.1", "", "43-49k"),
    ),
    many(
        "find many Document",
        driver::find_many_document,
        peer("21.3", "163 (23.5 KB)", "115k"),
    ),
];
