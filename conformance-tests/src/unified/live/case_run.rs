//! One case, from its requirements to the last assertion.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::environment::Environment;
use super::state::CaseState;
use super::{create, data, operation};
use crate::case::{Ended, Outcome};
use crate::deployments::Deployments;
use crate::unified::events::{Event, match_events};
use crate::unified::fail_point_needs;
use crate::unified::file::{ExpectedEvents, ExpectedLogMessages, Operation, Test, TestFile};
use crate::unified::in_time::in_time;
use crate::unified::logs::match_log_messages;
use crate::unified::recorder::Recorder;
use crate::unified::requirements::choose;

/// How long a case may take. The longest of the specifications' waits are 10 seconds each.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long events are waited for that the operations should have led to.
const LATENESS: Duration = Duration::from_secs(2);

/// How often a client's log is looked at meanwhile.
const LOG_POLL: Duration = Duration::from_millis(10);

/// Runs a case on the first deployment that it can run on; one that is impossible ends as told
/// instead, if there is such a deployment.
pub(crate) fn run(
    deployments: &Deployments,
    file: &Arc<TestFile>,
    index: usize,
    impossible: Option<Outcome>,
) -> Ended {
    let Some(test) = file.tests.get(index) else {
        return Outcome::Failed(format!("the file has no test number {index}")).into();
    };
    let environment = match environment(deployments, file, test) {
        Ok(environment) => environment,
        Err(outcome) => return outcome.into(),
    };
    if let Some(outcome) = impossible {
        return outcome.into();
    }
    // One case at a time: names of collections and fail points are the same in many files.
    let running = Arc::clone(environment.running());
    let _turn = running.turn();
    let case = Arc::new(CaseState::new(environment, test));
    let outcome = run_in_time(&case, file, index);
    let observations = observations(&case, test);
    let outcome = clean_up(deployments, &case, outcome);
    Ended {
        stand_in: case.environment.running().kind().stand_in(),
        outcome: outcome.into(),
        observations,
    }
}

fn environment(
    deployments: &Deployments,
    file: &TestFile,
    test: &Test,
) -> Result<Arc<Environment>, Outcome> {
    let mut tried = Vec::new();
    let mut reason = "there is no deployment".to_owned();
    for &kind in deployments.kinds() {
        let running = deployments.of_kind(kind).map_err(Outcome::Failed)?;
        if let Some(objection) = running.objection() {
            if tried.is_empty() {
                reason = objection;
            }
            continue;
        }
        tried.push(Environment::of(&running).map_err(Outcome::Failed)?);
        let facts = tried.iter().map(|environment| environment.facts());
        match choose(&file.run_on_requirements, &test.run_on_requirements, facts) {
            Ok(index) => {
                let environment = tried.swap_remove(index);
                let version = environment.facts().version;
                let objection = fail_point_needs::objection(test, version);
                return objection.map_or(Ok(environment), |why| Err(Outcome::Skipped(why)));
            }
            Err(why) => reason = why,
        }
    }
    Err(Outcome::Skipped(reason))
}

/// Runs the case by its deadline; one that hangs is given up, and tells what it was at.
fn run_in_time(case: &Arc<CaseState>, file: &Arc<TestFile>, index: usize) -> Result<(), String> {
    let runs = (Arc::clone(case), Arc::clone(file));
    let outcome = in_time(DEADLINE, move || {
        let (case, file) = runs;
        file.tests
            .get(index)
            .map_or(Ok(()), |test| perform(&case, &file, test))
    });
    outcome.unwrap_or_else(|| {
        let progress = case.progress();
        case.abandon();
        Err(format!(
            "did not end within {DEADLINE:?}: it was at {progress}"
        ))
    })
}

fn perform(case: &Arc<CaseState>, file: &TestFile, test: &Test) -> Result<(), String> {
    data::prepare(&case.environment, file)?;
    create::create(case, &file.create_entities)?;
    for given in &test.operations {
        operation::perform(case, given)?;
    }
    case.begin("its end")?;
    for thread in case.entities.threads() {
        thread.wait()?;
    }
    for expected in &test.expect_events {
        wait_for_events(case, expected)?;
    }
    for (_, client) in case.entities.clients() {
        client.recorder.end();
    }
    for expected in &test.expect_log_messages {
        check_log_messages(case, expected)?;
    }
    case.fail_points.take_back(&case.environment)?;
    for expected in &test.expect_events {
        let client = case.entities.client(&expected.client)?;
        match_events(expected, &client.recorder.events(), &case.entities)
            .map_err(|why| format!("events of {}: {why}", expected.client))?;
    }
    for data in &test.outcome {
        data::check(&case.environment, data)?;
    }
    Ok(())
}

/// Waits a moment when fewer events have come than are expected: another thread may be at
/// delivering them. Whether they are the right ones is judged later.
fn wait_for_events(case: &CaseState, expected: &ExpectedEvents) -> Result<(), String> {
    let client = case.entities.client(&expected.client)?;
    let is_of_type = |event: &Event| event.event_type() == expected.event_type;
    let count = expected.events.len();
    let _ = client.recorder.wait_for_count(count, LATENESS, is_of_type);
    Ok(())
}

/// Holds the log messages of a client against the expected ones. When they are not yet as they
/// should be, another thread may be at writing them.
fn check_log_messages(case: &CaseState, expected: &ExpectedLogMessages) -> Result<(), String> {
    let client = case.entities.client(&expected.client)?;
    let deadline = Instant::now() + LATENESS;
    loop {
        let checked = match_log_messages(expected, &client.log_messages(), &case.entities);
        if checked.is_ok() || Instant::now() >= deadline {
            return checked.map_err(|why| format!("log messages of {}: {why}", expected.client));
        }
        thread::sleep(LOG_POLL);
    }
}

/// What both drivers must do alike: the names of the commands of each client. How many attempts
/// there is time for before an operation times out is left out, and whether a cursor is closed
/// then, since servers that notice first close theirs: both differ by nature.
fn observations(case: &CaseState, test: &Test) -> Vec<String> {
    let times_out = |operation: &Operation| {
        let expected = operation.expect_error.as_ref();
        expected.is_some_and(|expected| expected.is_timeout_error == Some(true))
    };
    let is_timed = test.operations.iter().any(times_out);
    let of_client = |recorder: &Recorder| {
        let mut commands = recorder.commands();
        if is_timed {
            commands.retain(|name| name != "killCursors");
            commands.dedup();
        }
        commands.join(", ")
    };
    case.entities
        .clients()
        .iter()
        .map(|(id, client)| format!("{id}: {}", of_client(&client.recorder)))
        .collect()
}

/// Leaves the deployment as the next case needs it; one that cannot be is not used again.
fn clean_up(
    deployments: &Deployments,
    case: &CaseState,
    outcome: Result<(), String>,
) -> Result<(), String> {
    if outcome.is_ok() {
        case.entities.end();
    }
    for (_, client) in case.entities.clients() {
        client.abandon();
    }
    case.entities.clear();
    let environment = &case.environment;
    let mut cleaned = case.fail_points.take_back(environment);
    if outcome.is_err() || case.starts_transactions {
        let ended = environment.kill_all_sessions();
        cleaned = cleaned.and(ended.map_err(|error| format!("killAllSessions: {error}")));
    }
    if cleaned.is_err() {
        deployments.discard(environment.running().kind());
    }
    match (outcome, cleaned) {
        (Err(why), Err(left)) => Err(format!("{why}; after it, {left}")),
        (outcome, cleaned) => outcome.and(cleaned),
    }
}
