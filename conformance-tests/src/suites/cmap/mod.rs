//! Connection pools: a list of operations on one pool, and the events that must come of it.
//!
//! Follows "Unit Test Runner" and "Integration Test Runner" of the pool specification's tests. The
//! pool is the driver's own in both styles; `unit` cases give it connections that reach nothing,
//! `integration` cases the driver's own connections to one real server.

mod dial;
mod format;
mod recorder;
mod server;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use motorcade::internal::pool::{Connect, Pool};
use motorcade::options::ServerAddress;
use serde::Deserialize;
use serde_json::Value;

use crate::case::{Case, Context, Outcome};
use crate::spec_files::SpecFile;
use dial::Nowhere;
use format::{ExpectedError, Format, Style};
use recorder::Recorder;
use steps::{Stop, World};

/// The whole of a case, should the pool lose a waiter. The longest case sleeps for a second.
const LONGEST_CASE: Duration = Duration::from_secs(60);

/// A file is one case.
pub(crate) fn cases(file: &SpecFile) -> Vec<Case> {
    let format = match Format::deserialize(&file.json) {
        Ok(format) => format,
        Err(error) => return vec![Case::failing(file, "all", error.to_string())],
    };
    let description = format.description.clone();
    vec![Case::new(file, description, move |context| {
        run(&format, context)
    })]
}

fn run(format: &Format, context: &Context) -> Outcome {
    if format.version != 1 {
        return Outcome::Failed(format!("unknown version {} of the format", format.version));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    match format.style {
        Style::Unit => runtime.block_on(run_unit(format)).into(),
        Style::Integration => {
            let _alone = server::alone();
            let running = match context.deployments.preferred() {
                Ok(running) => running,
                Err(error) => return Outcome::Failed(error),
            };
            runtime.block_on(server::run(format, running.uri()))
        }
    }
}

async fn run_unit(format: &Format) -> Result<(), String> {
    let recorder = Arc::new(Recorder::default());
    let address = ServerAddress::default();
    let pool = Pool::new(
        address.clone(),
        format.pool_options.as_pool_options()?,
        Nowhere,
        Some(recorder.handler()),
    );
    check(format, &pool, &recorder, &address).await
}

/// Performs the operations and compares what came of them.
async fn check<C: Connect>(
    format: &Format,
    pool: &Pool<C>,
    recorder: &Arc<Recorder>,
    address: &ServerAddress,
) -> Result<(), String> {
    let world = World::new(pool.clone(), Arc::clone(recorder));
    let stop = tokio::time::timeout(LONGEST_CASE, world.perform_all(&format.operations))
        .await
        .map_err(|_| format!("not done after {LONGEST_CASE:?}: {:?}", pool.counts()))?;
    let seen = recorder.seen();
    world.end();
    check_error(format.error.as_ref(), stop, address)?;
    check_events(&format.events, &format.ignore, &seen)
}

fn check_error(
    expected: Option<&ExpectedError>,
    stop: Option<Stop>,
    address: &ServerAddress,
) -> Result<(), String> {
    let error = match (expected, stop) {
        (_, Some(Stop::Misuse(why))) => return Err(why),
        (None, None) => return Ok(()),
        (None, Some(Stop::Error(error))) => return Err(format!("unexpected error: {error}")),
        (Some(expected), None) => return Err(format!("no error, expected {expected:?}")),
        (Some(_), Some(Stop::Error(error))) => error,
    };
    let Some(expected) = expected else {
        return Ok(());
    };
    let name = format::error_type(&error);
    if expected.error_type != name {
        let wanted = &expected.error_type;
        return Err(format!("expected a {wanted}, found a {name}: {error}"));
    }
    // The driver's texts are in lower case throughout.
    let message = error.to_string().to_lowercase();
    if let Some(wanted) = &expected.message
        && !message.contains(&wanted.to_lowercase())
    {
        return Err(format!(
            "expected the message {wanted:?}, found {message:?}"
        ));
    }
    if let Some(wanted) = &expected.address {
        let found = error.address().map(ToString::to_string);
        recorder::matches(wanted, found.map(Value::from).as_ref())
            .map_err(|why| format!("address of the error (pool of {address}): {why}"))?;
    }
    Ok(())
}

fn check_events(expected: &[Value], ignore: &[String], seen: &[Value]) -> Result<(), String> {
    let name = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    let seen: Vec<&Value> = seen
        .iter()
        .filter(|event| !ignore.contains(&name(event)))
        .collect();
    for (nth, expected) in expected.iter().enumerate() {
        recorder::matches(expected, seen.get(nth).copied()).map_err(|why| {
            let names: Vec<_> = seen.iter().map(|event| name(event)).collect();
            format!("event {nth}: {why}; all events: {names:?}")
        })?;
    }
    Ok(())
}
