//! The servers' side: their state as seen from outside, fail points, and a server with users.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use conformance_tests::behaviour::Deployment;
use conformance_tests::deployments::DeploymentKind;
use motorcade_testserver as testserver;

use super::recorder::PATIENCE;
use crate::flavor::driver::Client;
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::driver::options::ServerAddress;
use crate::flavor::{go, wait};

const POLL: Duration = Duration::from_millis(20);

/// Looks at a server's state until `look` sees what it looks for.
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} within {PATIENCE:?}");
        std::thread::sleep(POLL);
    }
}

/// The member that accepts writes.
pub(crate) fn writable(deployment: &Deployment) -> usize {
    match deployment.kind() {
        DeploymentKind::Standalone => 0,
        _ => wait_until("primary", || deployment.servers().primary_index()),
    }
}

/// A member that does not accept writes.
pub(crate) fn secondary(deployment: &Deployment) -> usize {
    (writable(deployment) + 1) % deployment.servers().members().len()
}

pub(crate) fn address(deployment: &Deployment, member: usize) -> ServerAddress {
    ServerAddress::parse(deployment.servers().member(member).address()).expect("is an address")
}

/// A connection string of these hosts alone, with the case's application name.
pub(crate) fn uri_of(deployment: &Deployment, hosts: &[String], options: &str) -> String {
    with_options(
        deployment,
        &format!("mongodb://{}/", hosts.join(",")),
        options,
    )
}

/// The `$currentOp` entries of one member: operations, idle connections and idle cursors.
pub(crate) fn current_operations(server: &testserver::Member, filter: &Document) -> Vec<Document> {
    let everything = doc! { "allUsers": true, "idleConnections": true, "idleCursors": true };
    let reply = server
        .run_admin_command(&doc! {
            "aggregate": 1,
            "pipeline": [{ "$currentOp": everything }, { "$match": filter }],
            "cursor": { "batchSize": 10_000 },
            "$readPreference": { "mode": "primaryPreferred" },
        })
        .expect("the server tells its operations");
    let batch = reply
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"))
        .expect("the reply has a batch");
    batch
        .iter()
        .filter_map(Bson::as_document)
        .cloned()
        .collect()
}

/// What the case's clients do on one member now, by a filter on `$currentOp`.
pub(crate) fn operations(
    deployment: &Deployment,
    member: usize,
    mut filter: Document,
) -> Vec<Document> {
    filter.insert("appName", deployment.app_name());
    current_operations(&deployment.servers().member(member), &filter)
}

/// How many connections the case's clients have to one member, monitors included.
pub(crate) fn connections_to(deployment: &Deployment, member: usize) -> usize {
    operations(deployment, member, doc! { "type": "op" }).len()
}

/// How many connections the case's clients have to all running members, monitors included.
pub(crate) fn connections(deployment: &Deployment) -> usize {
    let members = deployment.servers().members();
    (0..members.len())
        .filter(|member| members[*member].pid().is_some())
        .map(|member| connections_to(deployment, member))
        .sum()
}

/// Waits until the case's clients have no connection to any member.
pub(crate) fn wait_until_disconnected(deployment: &Deployment) {
    wait_until("end of all connections", || {
        (connections(deployment) == 0).then_some(())
    });
}

/// How many cursors lie open in the case's database.
pub(crate) fn open_cursors(deployment: &Deployment) -> usize {
    let namespace = format!("^{}\\.", deployment.database_name());
    let filter = doc! { "type": "idleCursor", "ns": { "$regex": namespace } };
    deployment
        .servers()
        .members()
        .iter()
        .map(|member| current_operations(member, &filter).len())
        .sum()
}

/// A `failCommand` fail point for the case's application name, until it is dropped.
pub(crate) struct FailPoint {
    off: Box<dyn Fn()>,
}

impl FailPoint {
    /// Fails the next `times` matching commands on the member that accepts writes. `data` has
    /// the members of a fail point's `data`; it is for the case's application name, unless it
    /// names another one or a collection.
    pub(crate) fn times(deployment: &Deployment, times: i32, data: Document) -> Self {
        Self::on(
            deployment,
            writable(deployment),
            doc! { "times": times },
            data,
        )
    }

    /// Fails every matching command on that member.
    pub(crate) fn always(deployment: &Deployment, member: usize, data: Document) -> Self {
        Self::on(deployment, member, "alwaysOn", data)
    }

    pub(crate) fn on(
        deployment: &Deployment,
        member: usize,
        mode: impl Into<Bson>,
        data: Document,
    ) -> Self {
        let server = deployment.servers().member(member);
        server
            .run_admin_command(&fail_command(deployment, mode, data))
            .expect("sets a fail point");
        Self {
            off: Box::new(move || {
                let _ = server.run_admin_command(&fail_command_off());
            }),
        }
    }

    /// The same on the [`secured`] server.
    pub(crate) fn on_secured(
        deployment: &Deployment,
        mode: impl Into<Bson>,
        data: Document,
    ) -> Self {
        let root = wait!(Client::with_uri_str(secured().uri())).expect("parses");
        go!(root
            .database("admin")
            .run_command(fail_command(deployment, mode, data)))
        .expect("sets a fail point");
        Self {
            off: Box::new(move || {
                let _ = go!(root.database("admin").run_command(fail_command_off()));
            }),
        }
    }
}

impl Drop for FailPoint {
    fn drop(&mut self) {
        (self.off)();
    }
}

fn fail_command(deployment: &Deployment, mode: impl Into<Bson>, mut data: Document) -> Document {
    if !["appName", "namespace"]
        .iter()
        .any(|of| data.contains_key(of))
    {
        data.insert("appName", deployment.app_name());
    }
    doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data }
}

fn fail_command_off() -> Document {
    doc! { "configureFailPoint": "failCommand", "mode": "off" }
}

/// A standalone with access control that listens on IPv6 too, shared by the cases that need one.
/// The user is `root` with the password `secret`.
pub(crate) fn secured() -> &'static testserver::Deployment {
    static SECURED: OnceLock<testserver::Deployment> = OnceLock::new();
    SECURED.get_or_init(|| {
        testserver::Deployment::standalone()
            .auth_root("root", "secret")
            .ipv6()
            .start()
            .expect("starts a server with access control")
    })
}

/// A connection string of the [`secured`] server; `login` is as `root:secret`.
pub(crate) fn secured_uri(deployment: &Deployment, login: &str, options: &str) -> String {
    let host = secured().member(0).address();
    with_options(deployment, &format!("mongodb://{login}@{host}/"), options)
}

fn with_options(deployment: &Deployment, hosts: &str, options: &str) -> String {
    let separator = if options.is_empty() { "" } else { "&" };
    let app_name = deployment.app_name();
    format!("{hosts}?appName={app_name}{separator}{options}")
}
