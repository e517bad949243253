//! The fail points that a case has set, which are taken back whatever becomes of the case.

use std::sync::{Mutex, PoisonError};

use bson::{Document, doc};

use super::entities::ClientEntity;
use super::environment::{Environment, run_on};
use super::flavor::driver::Client;
use super::flavor::driver::options::{ReadPreference, SelectionCriteria, ServerAddress};
use super::flavor::go;

/// Fails retryable writes before they are done, or after.
const FAILS_WRITES: &str = "onPrimaryTransactionalWrite";

/// The fail points of a case that are on.
#[derive(Default)]
pub(super) struct FailPoints {
    set: Mutex<Vec<FailPoint>>,
}

struct FailPoint {
    name: String,
    server: ServerAddress,
}

impl FailPoints {
    /// Sets a fail point on the primary, by way of the client of a case.
    pub(super) fn set(&self, client: &ClientEntity, command: Document) -> Result<(), String> {
        let name = name(&command)?;
        let admin = client.client()?.database("admin");
        let primary = SelectionCriteria::from(ReadPreference::primary());
        go!(admin.run_command(command).selection_criteria(primary))
            .map_err(|error| format!("the fail point {name} could not be set: {error}"))?;
        let server = client
            .recorder
            .fail_point_server()
            .ok_or("no event tells which server the fail point was set on")?;
        self.note(FailPoint { name, server });
        Ok(())
    }

    /// Sets a fail point on that very server, by way of the client of a case.
    pub(super) fn set_on(
        &self,
        client: &Client,
        server: ServerAddress,
        command: Document,
    ) -> Result<(), String> {
        let name = name(&command)?;
        run_on(client, &server, command)
            .map_err(|error| format!("the fail point {name} could not be set: {error}"))?;
        self.note(FailPoint { name, server });
        Ok(())
    }

    fn note(&self, fail_point: FailPoint) {
        self.set
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(fail_point);
    }

    /// Takes all fail points back, each on the server that it was set on.
    pub(super) fn take_back(&self, environment: &Environment) -> Result<(), String> {
        let set = std::mem::take(&mut *self.set.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failures = Vec::new();
        // It closes the connection of a write that the server goes on with, a document after the
        // other; without the fail point those still to come would be written.
        if set.iter().any(|it| it.name == FAILS_WRITES)
            && let Err(error) = environment.kill_all_sessions()
        {
            failures.push(format!("killAllSessions: {error}"));
        }
        for FailPoint { name, server } in set {
            let off = doc! { "configureFailPoint": &name, "mode": "off" };
            if let Err(error) = environment.run_on(&server, off) {
                failures.push(format!(
                    "the fail point {name} could not be taken back: {error}"
                ));
            }
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(failures.join("; "))
        }
    }
}

fn name(command: &Document) -> Result<String, String> {
    let name = command.get_str("configureFailPoint");
    name.map(str::to_owned)
        .map_err(|error| format!("failPoint: {error}"))
}
