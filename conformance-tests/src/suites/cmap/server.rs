//! Cases of style `integration`: one real server, and a fail point for its handshakes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use motorcade::Client;
use motorcade::bson::{Document, doc};
use motorcade::internal::pool::{Pool, connector};
use motorcade::options::ClientOptions;
use serde_json::Value;

use super::dial::Real;
use super::format::{Format, Requirement};
use super::recorder::Recorder;
use crate::case::Outcome;
use crate::unified::fail_point_needs;

/// A server has one fail point for commands, so cases that set it run one by one.
static ALONE: Mutex<()> = Mutex::new(());

pub(super) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) async fn run(format: &Format, uri: &str) -> Outcome {
    match try_run(format, uri).await {
        Ok(outcome) => outcome,
        Err(why) => Outcome::Failed(why),
    }
}

async fn try_run(format: &Format, uri: &str) -> Result<Outcome, String> {
    let mut options = ClientOptions::parse(uri).await.map_err(text)?;
    let is_replica_set = options.repl_set_name.take().is_some();
    options.hosts.truncate(1);
    options.direct_connection = Some(true);
    let admin = Client::with_options(options.clone()).map_err(text)?;
    let version = server_version(&admin).await?;
    if !format.run_on.is_empty()
        && !format
            .run_on
            .iter()
            .any(|requirement| is_met(requirement, &version, is_replica_set))
    {
        admin.shutdown().await;
        let least = format.run_on.iter();
        let mut least = least.filter_map(|requirement| requirement.min_server_version.as_deref());
        return Ok(Outcome::Skipped(match least.next() {
            Some(least) => format!("needs server {least} or later, has {version}"),
            None => format!("the case does not run on server {version}"),
        }));
    }
    if let Some(fail_point) = &format.fail_point {
        let fail_point = document(fail_point)?;
        if let Some(objection) = fail_point_needs::objection_to(&fail_point, version.parse()?) {
            admin.shutdown().await;
            return Ok(Outcome::Skipped(objection));
        }
        run_admin_command(&admin, fail_point).await?;
    }
    let outcome = with_pool(format, options).await;
    let undone = match fail_point_name(format) {
        Some(name) => {
            let off = doc! { "configureFailPoint": name, "mode": "off" };
            run_admin_command(&admin, off).await.map(drop)
        }
        None => Ok(()),
    };
    admin.shutdown().await;
    outcome.and(undone).map(|()| Outcome::Passed)
}

async fn with_pool(format: &Format, mut options: ClientOptions) -> Result<(), String> {
    let address = options
        .hosts
        .first()
        .cloned()
        .ok_or("the deployment has no hosts")?;
    options.app_name.clone_from(&format.pool_options.app_name);
    let recorder = Arc::new(Recorder::default());
    let real = Real::new(connector(address.clone(), &options).map_err(text)?);
    let pool_options = format.pool_options.as_pool_options()?;
    let pool = Pool::new(
        address.clone(),
        pool_options,
        real,
        Some(recorder.handler()),
    );
    pool.connector().attach(Some(pool.clone()));
    let outcome = super::check(format, &pool, &recorder, &address).await;
    pool.connector().attach(None);
    outcome
}

async fn server_version(admin: &Client) -> Result<String, String> {
    let reply = run_admin_command(admin, doc! { "buildInfo": 1 }).await?;
    let version = reply
        .get_str("version")
        .map_err(|error| error.to_string())?;
    Ok(version.to_owned())
}

async fn run_admin_command(admin: &Client, command: Document) -> Result<Document, String> {
    let database = admin.database("admin");
    database.run_command(command).await.map_err(text)
}

fn fail_point_name(format: &Format) -> Option<&str> {
    format.fail_point.as_ref()?["configureFailPoint"].as_str()
}

fn document(json: &Value) -> Result<Document, String> {
    let bson = bson::Bson::try_from(json.clone()).map_err(|error| error.to_string())?;
    let document = bson.as_document().cloned();
    document.ok_or_else(|| "failPoint: not a document".to_owned())
}

fn is_met(requirement: &Requirement, version: &str, is_replica_set: bool) -> bool {
    let version = numbers(version);
    let (least, most) = (
        requirement.min_server_version.as_deref().map(numbers),
        requirement.max_server_version.as_deref().map(numbers),
    );
    let name = if is_replica_set {
        "replicaset"
    } else {
        "single"
    };
    least.is_none_or(|least| version >= least)
        && most.is_none_or(|most| version <= most)
        && requirement
            .topology
            .as_ref()
            .is_none_or(|kinds| kinds.iter().any(|kind| kind == name))
}

/// The numbers of a version, padded so that `4.4` and `4.4.0` are equal.
fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = [0; 3];
    let parts = version.split(['.', '-']);
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = part.parse().unwrap_or(0);
    }
    numbers
}

fn text(error: motorcade::error::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("10.0.1") > numbers("9.12"));
        assert_eq!(numbers("4.4"), numbers("4.4.0"));
        assert_eq!(numbers("6.0.5-rc1"), [6, 0, 5]);
    }
}
