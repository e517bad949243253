//! Dropping and listing databases.

use std::{marker::PhantomData, time::Duration};

use bson::{Bson, Document};

use super::{
    ListNames, ListSpecifications, action, option_setters,
    sessions::{handle, session_setter, within},
};
use crate::{
    client::Client,
    database::Database,
    error::{Error, Result},
    exec, operation,
    options::{DropDatabaseOptions, ListDatabasesOptions, WriteConcern},
    results::DatabaseSpecification,
    session::ClientSession,
};

/// Lists databases; see [`Client::list_databases`] and [`Client::list_database_names`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct ListDatabases<'a, M = ListSpecifications> {
    client: &'a Client,
    options: ListDatabasesOptions,
    mode: PhantomData<M>,
    session: Option<&'a mut ClientSession>,
}

/// Drops a database; see [`Database::drop`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct DropDatabase<'a> {
    database: &'a Database,
    options: DropDatabaseOptions,
    session: Option<&'a mut ClientSession>,
}

impl Client {
    /// Lists the deployment's databases.
    ///
    /// # Errors
    /// The server's, those of selection and network.
    pub fn list_databases(&self) -> ListDatabases<'_> {
        let options = ListDatabasesOptions::default();
        ListDatabases {
            client: self,
            options,
            mode: PhantomData,
            session: None,
        }
    }

    /// Lists the names of the deployment's databases.
    ///
    /// # Errors
    /// As [`Client::list_databases`].
    pub fn list_database_names(&self) -> ListDatabases<'_, ListNames> {
        let options = ListDatabasesOptions::default();
        ListDatabases {
            client: self,
            options,
            mode: PhantomData,
            session: None,
        }
    }
}

impl Database {
    /// Drops the database with all its collections. One that does not exist is no error.
    ///
    /// # Errors
    /// The server's, those of selection and network.
    pub fn drop(&self) -> DropDatabase<'_> {
        DropDatabase {
            database: self,
            options: DropDatabaseOptions::default(),
            session: None,
        }
    }
}

impl<'a, M> ListDatabases<'a, M> {
    session_setter! {}

    option_setters! { ListDatabasesOptions {
        timeout: Duration,
        authorized_databases: bool,
        filter: Document,
    } into { comment: Bson, } }
}

impl<'a> DropDatabase<'a> {
    session_setter! {}

    option_setters! { DropDatabaseOptions {
        timeout: Duration,
        write_concern: WriteConcern,
    } into { comment: Bson, } }
}

action! { impl['a] ListDatabases<'a, ListSpecifications>
    => Result<Vec<DatabaseSpecification>>, |self| {
    let mut operation = operation::ListDatabases::specifications(self.options, self.client.concerns().timeout);
    let mut databases = exec::execute_in(self.client.executor(), handle(&self.session), &mut operation).await?;
    let mut specifications = Vec::new();
    while databases.advance()? {
        if let Some(database) = databases.current() {
            let specification = bson::deserialize_from_slice(database.as_bytes());
            specifications.push(specification.map_err(|error| {
                Error::invalid_response("a listed database is of the wrong shape")
                    .with_source(error.into())
            })?);
        }
    }
    Ok(specifications)
} }

action! { impl['a] ListDatabases<'a, ListNames> => Result<Vec<String>>, |self| {
    let mut operation = operation::ListDatabases::names(self.options, self.client.concerns().timeout);
    let mut databases = exec::execute_in(self.client.executor(), handle(&self.session), &mut operation).await?;
    let mut names = Vec::new();
    while databases.advance()? {
        if let Some(database) = databases.current() {
            names.push(operation::listed_name(database)?);
        }
    }
    Ok(names)
} }

action! { impl['a] DropDatabase<'a> => Result<()>, |self| {
    let Self { database, options, session } = self;
    let scope = within(&session, database.scope());
    let mut operation = operation::DropDatabase::new(scope, options);
    exec::execute_in(database.client().executor(), handle(&session), &mut operation).await
} }
