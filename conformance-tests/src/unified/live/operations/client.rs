//! Operations on a client.

use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document};

use super::Perform;
use super::flavor::driver::action::Action;
use super::flavor::driver::options::DriverInfo;
use super::flavor::go;
use super::{Arguments, ClientEntity, Failure, Returned, act};
use crate::unified::arguments::{self as plain, with_arguments};
use crate::unified::results::specification;

/// How long a closed client may take to tell its last event.
const PATIENCE: Duration = Duration::from_secs(10);

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Arc<ClientEntity>>> {
    Some(match name {
        "appendMetadata" => append_metadata,
        "close" => close,
        "dropDatabase" => drop_database,
        "listDatabaseNames" => list_database_names,
        "listDatabases" | "listDatabaseObjects" => list_databases,
        _ => return None,
    })
}

fn close(client: &Arc<ClientEntity>, arguments: Arguments<'_>) -> Result<Returned, Failure> {
    arguments.finish()?;
    if client.close(PATIENCE) {
        Ok(Returned::Nothing)
    } else {
        Err("the closed client did not tell its last event"
            .to_owned()
            .into())
    }
}

fn append_metadata(
    client: &Arc<ClientEntity>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let options: Document = arguments.need("driverInfoOptions")?;
    arguments.finish()?;
    let mut options = plain::Arguments::new("driverInfoOptions", options);
    let name: String = options.need("name")?;
    let info = DriverInfo::builder()
        .name(name)
        .version(options.take::<String>("version")?)
        .platform(options.take::<String>("platform")?)
        .build();
    options.finish()?;
    client.client()?.append_metadata(info)?;
    Ok(Returned::Nothing)
}

fn drop_database(
    client: &Arc<ClientEntity>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let name: String = arguments.need("database")?;
    let database = client.client()?.database(&name);
    act!(database.drop(), arguments, {
        "comment" => comment: Bson,
        "writeConcern" => write_concern,
    });
    Ok(Returned::Nothing)
}

fn list_databases(
    client: &Arc<ClientEntity>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let client = client.client()?;
    let done = act!(client.list_databases(), arguments, {
        "timeoutMS" => timeout,
        "authorizedDatabases" => authorized_databases,
        "comment" => comment: Bson,
        "filter" => filter,
    });
    let databases = done;
    let databases: Result<Vec<_>, _> = databases.iter().map(specification).collect();
    Ok(Returned::Value(databases?.into()))
}

fn list_database_names(
    client: &Arc<ClientEntity>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let client = client.client()?;
    let done = act!(client.list_database_names(), arguments, {
        "timeoutMS" => timeout,
        "authorizedDatabases" => authorized_databases,
        "comment" => comment: Bson,
        "filter" => filter,
    });
    Ok(Returned::Value(done.into()))
}
