//! Connections with TLS: whom the client trusts, how it shows itself, and that all else goes on as
//! without. The letter T stands for what the list of behaviours has no line for.

use std::path::Path;
use std::sync::OnceLock;

use conformance_tests::behaviour::Deployment;
use motorcade_testserver::{self as testserver, TlsFiles, TlsMode};

use super::recorder::Event;
use super::support::{Observed, in_parallel};
use crate::flavor::driver::Client;
use crate::flavor::driver::bson::doc;
use crate::flavor::driver::error::ErrorKind;
use crate::flavor::driver::options::{ClientOptions, Tls, TlsOptions};
use crate::flavor::{collect, go, wait};

conformance_tests::behaviours! {
    T1 a_server_of_the_given_authority_is_trusted: Standalone, Shared;
    T2 a_server_of_an_unknown_authority_is_refused: Standalone, Shared;
    T2 a_server_of_another_authority_is_refused: Standalone, Shared;
    T2 a_server_of_an_unknown_authority_may_be_allowed: Standalone, Shared;
    T3 a_server_of_another_name_is_refused: Standalone, Shared;
    T3 a_server_of_another_name_may_be_allowed: Standalone, Shared;
    T4 a_client_without_tls_is_refused: Standalone, Shared;
    T4 a_server_without_tls_is_told: Standalone, Shared;
    T5 a_client_certificate_is_shown: Standalone, Shared;
    T5 a_missing_client_certificate_is_told: Standalone, Shared;
    T6 a_certificate_logs_in: Standalone, Shared;
    T6 a_certificate_without_its_user_is_refused: Standalone, Shared;
    T7 many_large_documents_go_and_come: Standalone, Shared;
    T8 monitoring_goes_on_over_tls: Standalone, Shared;
    T9 a_replica_set_with_tls_and_access_control_is_read_and_written: ReplicaSet, Shared;
    R29 fifty_cold_operations_over_tls_make_two_connections_at_a_time: Standalone, Shared;
}

/// A standalone that accepts TLS only and has access control; the user is `root`, the password
/// `secret`.
fn encrypted() -> &'static testserver::Deployment {
    static ENCRYPTED: OnceLock<testserver::Deployment> = OnceLock::new();
    ENCRYPTED.get_or_init(|| {
        testserver::Deployment::standalone()
            .auth_root("root", "secret")
            .tls(TlsMode::Required)
            .start()
            .expect("starts a server with TLS")
    })
}

/// A standalone that accepts clients with a certificate only.
fn exacting() -> &'static testserver::Deployment {
    static EXACTING: OnceLock<testserver::Deployment> = OnceLock::new();
    EXACTING.get_or_init(|| {
        testserver::Deployment::standalone()
            .tls(TlsMode::ClientCertificateRequired)
            .start()
            .expect("starts a server that demands certificates")
    })
}

fn files(server: &testserver::Deployment) -> &TlsFiles {
    server.tls().expect("the server has TLS")
}

/// An option whose value is a file, as in `tlsCAFile=...`.
fn file(option: &str, path: &Path) -> String {
    let path = path.to_str().expect("the path is UTF-8");
    format!("{option}={}", path.replace('/', "%2F"))
}

/// A client of that server; it gives up early, since a server that it does not trust is unknown.
fn client(
    deployment: &Deployment,
    server: &testserver::Deployment,
    login: &str,
    options: &str,
) -> Observed {
    at_host(
        deployment,
        &format!("{login}{}", server.member(0).address()),
        options,
    )
}

fn at_host(deployment: &Deployment, host: &str, options: &str) -> Observed {
    let app_name = deployment.app_name();
    let uri =
        format!("mongodb://{host}/?appName={app_name}&serverSelectionTimeoutMS=1000&{options}");
    Observed::at(deployment, &uri)
}

const ROOT: &str = "root:secret@";

#[track_caller]
fn assert_not_selected(subject: &Observed, advice: &str) {
    let error = subject.ping().expect_err("the server is not to be used");
    assert!(
        matches!(*error.kind, ErrorKind::ServerSelection { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(advice), "{error}");
    assert_eq!(subject.events.count(Event::is_connection_ready), 0);
}

fn a_server_of_the_given_authority_is_trusted(deployment: &Deployment) {
    let authority = file("tlsCAFile", files(encrypted()).ca_file());
    client(
        deployment,
        encrypted(),
        ROOT,
        &format!("tls=true&{authority}"),
    )
    .with_people(3);
    let tls = TlsOptions::builder().ca_file_path(files(encrypted()).ca_file().to_owned());
    let uri = format!("mongodb://{ROOT}{}/", encrypted().member(0).address());
    let subject = Observed::configured(deployment, &uri, |options: &mut ClientOptions| {
        options.tls = Some(Tls::Enabled(tls.build()));
    });
    let people = go!(subject.people().find(doc! {})).expect("finds");
    assert_eq!(collect!(people).expect("reads").len(), 3);
}

fn a_server_of_an_unknown_authority_is_refused(deployment: &Deployment) {
    let subject = client(deployment, encrypted(), ROOT, "tls=true");
    assert_not_selected(&subject, "set tlsCAFile");
}

fn a_server_of_another_authority_is_refused(deployment: &Deployment) {
    let other = file("tlsCAFile", files(exacting()).ca_file());
    let subject = client(deployment, encrypted(), ROOT, &format!("tls=true&{other}"));
    assert_not_selected(&subject, "set tlsCAFile");
}

fn a_server_of_an_unknown_authority_may_be_allowed(deployment: &Deployment) {
    for options in [
        "tls=true&tlsAllowInvalidCertificates=true",
        "tls=true&tlsInsecure=true",
    ] {
        let subject = client(deployment, encrypted(), ROOT, options);
        subject.ping().expect("pings");
    }
    let subject = client(
        deployment,
        encrypted(),
        ROOT,
        "tls=true&tlsAllowInvalidHostnames=true",
    );
    assert_not_selected(&subject, "set tlsCAFile");
}

/// The server's address in the form that maps IPv4 into IPv6: it leads to the same socket, and the
/// server's certificate does not name it.
fn unnamed() -> String {
    format!("[::ffff:127.0.0.1]:{}", encrypted().member(0).port())
}

fn a_server_of_another_name_is_refused(deployment: &Deployment) {
    let authority = file("tlsCAFile", files(encrypted()).ca_file());
    let host = format!("{ROOT}{}", unnamed());
    let subject = at_host(deployment, &host, &format!("tls=true&{authority}"));
    assert_not_selected(&subject, "certificate is not for");
}

fn a_server_of_another_name_may_be_allowed(deployment: &Deployment) {
    let authority = file("tlsCAFile", files(encrypted()).ca_file());
    let host = format!("{ROOT}{}", unnamed());
    for allowance in [
        "tlsAllowInvalidHostnames=true",
        "tlsAllowInvalidCertificates=true",
        "tlsInsecure=true",
    ] {
        let options = format!("tls=true&{authority}&{allowance}");
        let subject = at_host(deployment, &host, &options);
        subject.ping().expect("pings");
    }
}

fn a_client_without_tls_is_refused(deployment: &Deployment) {
    let subject = client(deployment, encrypted(), ROOT, "");
    assert_not_selected(&subject, "set tls=true");
}

fn a_server_without_tls_is_told(deployment: &Deployment) {
    let subject = client(
        deployment,
        deployment.servers(),
        "",
        "tls=true&tlsInsecure=true",
    );
    assert_not_selected(&subject, "TLS");
}

fn a_client_certificate_is_shown(deployment: &Deployment) {
    let files = files(exacting());
    let authority = file("tlsCAFile", files.ca_file());
    let certificate = file("tlsCertificateKeyFile", files.client_certificate_key_file());
    let options = format!("tls=true&{authority}&{certificate}");
    client(deployment, exacting(), "", &options).with_people(1);
}

fn a_missing_client_certificate_is_told(deployment: &Deployment) {
    let authority = file("tlsCAFile", files(exacting()).ca_file());
    let subject = client(deployment, exacting(), "", &format!("tls=true&{authority}"));
    assert_not_selected(&subject, "tlsCertificateKeyFile");
}

/// What a client shows that logs in with the certificate made for the server's clients.
fn with_certificate() -> String {
    let files = files(encrypted());
    let authority = file("tlsCAFile", files.ca_file());
    let certificate = file("tlsCertificateKeyFile", files.client_certificate_key_file());
    format!("tls=true&{authority}&{certificate}&authMechanism=MONGODB-X509")
}

fn a_certificate_logs_in(deployment: &Deployment) {
    let root = wait!(Client::with_uri_str(encrypted().uri())).expect("parses");
    let name = deployment.database_name();
    let subject_of_certificate = files(encrypted()).client_subject();
    let create = doc! {
        "createUser": subject_of_certificate,
        "roles": [{ "role": "readWrite", "db": name }],
    };
    go!(root.database("$external").run_command(create)).expect("creates a user");
    client(deployment, encrypted(), "", &with_certificate()).with_people(1);
    let encoded = subject_of_certificate
        .replace('=', "%3D")
        .replace(',', "%2C");
    let named = client(
        deployment,
        encrypted(),
        &format!("{encoded}@"),
        &with_certificate(),
    );
    assert_eq!(
        go!(named.people().count_documents(doc! {})).expect("counts"),
        1
    );
}

fn a_certificate_without_its_user_is_refused(deployment: &Deployment) {
    let other = client(
        deployment,
        encrypted(),
        "CN%3Dsomebody%2COU%3Delse@",
        &with_certificate(),
    );
    let error = other.ping().expect_err("the login is refused");
    assert!(
        matches!(*error.kind, ErrorKind::Authentication { .. }),
        "{error:?}"
    );
}

/// More than sockets and TLS records hold, in one command and in few replies.
fn many_large_documents_go_and_come(deployment: &Deployment) {
    let subject = Observed::at(deployment, &encrypted().uri());
    let text = |id: i32| format!("{id} ").repeat(300_000);
    let documents = (0..40).map(|id| doc! { "_id": id, "text": text(id) });
    go!(subject.people().insert_many(documents)).expect("inserts");
    assert_eq!(subject.events.commands_named("insert").len(), 1);
    let found = go!(subject.people().find(doc! {}).sort(doc! { "_id": 1 })).expect("finds");
    let found = collect!(found).expect("reads");
    assert_eq!(found.len(), 40);
    for (id, document) in (0..).zip(&found) {
        assert_eq!(document.get_i32("_id").ok(), Some(id));
        assert!(
            document.get_str("text").ok() == Some(text(id).as_str()),
            "document {id} changed on its way"
        );
    }
    go!(subject.people().drop()).expect("drops");
    deployment.observe(subject.events.command_names());
}

fn monitoring_goes_on_over_tls(deployment: &Deployment) {
    for mode in ["stream", "poll"] {
        let options = format!("serverMonitoringMode={mode}&heartbeatFrequencyMS=500");
        let uri = format!("{}&{options}", encrypted().uri());
        let subject = Observed::at(deployment, &uri);
        subject.ping().expect("pings");
        subject
            .events
            .wait_for_count("checks", 4, Event::is_heartbeat_success);
        let failures = |event: &Event| event.is_pool_cleared();
        assert_eq!(subject.events.count(failures), 0, "{mode}");
    }
}

fn a_replica_set_with_tls_and_access_control_is_read_and_written(deployment: &Deployment) {
    let set = testserver::Deployment::replica_set(2)
        .auth_root("root", "secret")
        .tls(TlsMode::Required)
        .start()
        .expect("starts a set");
    let subject = Observed::at(deployment, &set.uri());
    let document = doc! { "_id": 1 };
    go!(subject
        .people()
        .insert_one(document.clone())
        .write_concern(crate::flavor::driver::options::WriteConcern::nodes(2)))
    .expect("both members have it");
    for mode in ["primary", "secondary"] {
        let uri = format!("{}&readPreference={mode}", set.uri());
        let reader = Observed::at(deployment, &uri);
        let found = go!(reader.people().find_one(doc! {})).expect("finds");
        assert_eq!(found.as_ref(), Some(&document), "{mode}");
    }
}

fn fifty_cold_operations_over_tls_make_two_connections_at_a_time(deployment: &Deployment) {
    let subject = Observed::at(deployment, &encrypted().uri());
    for outcome in in_parallel(50, |_| subject.ping().map(drop)) {
        outcome.expect("pings");
    }
    let most = subject
        .events
        .most_at_once(Event::is_connection_created, |event| {
            event.is_connection_ready() || event.is_connection_closed()
        });
    assert!(most <= 2, "{most} at once");
    let created = subject.events.count(Event::is_connection_created);
    assert!(
        created <= 30,
        "{created} connections for 50 short operations"
    );
}
