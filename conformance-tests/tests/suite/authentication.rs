//! Who may log in and how, on servers with access control. The letter A stands for what the list
//! of behaviours has no line for.

use std::time::{Duration, Instant};

use conformance_tests::behaviour::Deployment;
use conformance_tests::router_shim::RouterShim;

use super::recorder::Event;
use super::servers::{secured, secured_uri};
use super::support::Observed;
use crate::flavor::driver::Client;
use crate::flavor::driver::bson::doc;
use crate::flavor::driver::error::{Error, ErrorKind};
use crate::flavor::driver::event::command::CommandEvent;
use crate::flavor::driver::event::sdam::SdamEvent;
use crate::flavor::driver::options::{AuthMechanism, Credential};
use crate::flavor::{go, wait};

conformance_tests::behaviours! {
    A1 a_user_logs_in_by_each_mechanism_it_has: Standalone, Shared;
    A2 names_and_passwords_are_compared_as_saslprep_says: Standalone, Shared;
    A3 reserved_characters_are_written_percent_encoded: Standalone, Shared;
    A4 a_credential_in_code_logs_in: Standalone, Shared;
    A5 a_minimum_of_connections_is_logged_in_ahead: Standalone, Shared;
    A6 a_refused_login_behind_a_load_balancer_clears_the_pool_of_its_service:
        Standalone, Shared, since (4, 4);
    R18 an_unknown_user_is_told_at_once: Standalone, Shared;
    R18 no_error_or_debug_output_shows_the_password: Standalone, Shared;
    R19 auth_source_beats_the_path: Standalone, Shared;
    R19 without_a_path_the_users_of_admin_log_in: Standalone, Shared;
    R88 a_refused_sensitive_command_is_redacted_too: Standalone, Shared;
}

const BOTH: [&str; 2] = ["SCRAM-SHA-1", "SCRAM-SHA-256"];

fn root() -> Client {
    wait!(Client::with_uri_str(secured().uri())).expect("the connection string is valid")
}

/// Creates a user of the case's database who may read and write there.
fn create_user(deployment: &Deployment, name: &str, password: &str, mechanisms: &[&str]) {
    let database = deployment.database_name();
    let create = doc! {
        "createUser": name,
        "pwd": password,
        "roles": [{ "role": "readWrite", "db": database }],
        "mechanisms": mechanisms.to_vec(),
    };
    go!(root().database(database).run_command(create)).expect("creates a user");
}

/// Reads as the user that `login` names, as in `ada:lace`, of the case's database.
fn read_as(deployment: &Deployment, login: &str, options: &str) -> Result<(), Error> {
    let database = deployment.database_name();
    let options = format!("authSource={database}&{options}");
    let subject = Observed::at(deployment, &secured_uri(deployment, login, &options));
    go!(subject.people().find_one(doc! {})).map(drop)
}

#[track_caller]
fn assert_refused(outcome: Result<(), Error>) {
    let error = outcome.expect_err("the login is refused");
    assert!(
        matches!(*error.kind, ErrorKind::Authentication { .. }),
        "{error:?}"
    );
}

fn a_user_logs_in_by_each_mechanism_it_has(deployment: &Deployment) {
    create_user(deployment, "sha1", "pwd", &BOTH[..1]);
    create_user(deployment, "sha256", "pwd", &BOTH[1..]);
    create_user(deployment, "both", "pwd", &BOTH);
    for (user, has) in [
        ("sha1", &BOTH[..1]),
        ("sha256", &BOTH[1..]),
        ("both", &BOTH[..]),
    ] {
        let login = format!("{user}:pwd");
        read_as(deployment, &login, "").expect("negotiates");
        for mechanism in BOTH {
            let outcome = read_as(deployment, &login, &format!("authMechanism={mechanism}"));
            if has.contains(&mechanism) {
                outcome.unwrap_or_else(|error| panic!("{user} by {mechanism}: {error}"));
            } else {
                assert_refused(outcome);
            }
        }
        assert_refused(read_as(deployment, &format!("{user}:other"), ""));
    }
}

/// The cases of the authentication specification's prose test for SCRAM-SHA-256 and SASLprep.
fn names_and_passwords_are_compared_as_saslprep_says(deployment: &Deployment) {
    create_user(deployment, "IX", "IX", &BOTH[1..]);
    create_user(deployment, "\u{2168}", "\u{2163}", &BOTH[1..]);
    for login in [
        "IX:IX",
        "IX:I%C2%ADX",
        "%E2%85%A8:IV",
        "%E2%85%A8:I%C2%ADV",
        "\u{2168}:\u{2163}",
    ] {
        for options in ["", "authMechanism=SCRAM-SHA-256"] {
            read_as(deployment, login, options)
                .unwrap_or_else(|error| panic!("{login} with {options:?}: {error}"));
        }
    }
    assert_refused(read_as(deployment, "IX:IV", ""));
}

fn reserved_characters_are_written_percent_encoded(deployment: &Deployment) {
    create_user(deployment, "a:b@c/d%e$f", "p?#[]@:/%40 +", &BOTH);
    let login = "a%3Ab%40c%2Fd%25e%24f:p%3F%23%5B%5D%40%3A%2F%2540%20+";
    for options in [
        "",
        "authMechanism=SCRAM-SHA-1",
        "authMechanism=SCRAM-SHA-256",
    ] {
        read_as(deployment, login, options).expect("logs in");
    }
}

fn a_credential_in_code_logs_in(deployment: &Deployment) {
    create_user(deployment, "ada", "lace", &BOTH);
    let host = secured().member(0).address();
    let ping = |credential: Credential| {
        let subject = Observed::configured(deployment, &format!("mongodb://{host}/"), |options| {
            options.credential = Some(credential);
        });
        go!(subject.people().find_one(doc! {})).map(drop)
    };
    let credential = Credential::builder()
        .username("ada".to_owned())
        .password("lace".to_owned())
        .source(deployment.database_name().to_owned());
    ping(credential.clone().build()).expect("negotiates");
    ping(credential.mechanism(AuthMechanism::ScramSha1).build()).expect("logs in");
    let at_admin = Credential::builder()
        .username("ada".to_owned())
        .password("lace".to_owned());
    assert_refused(ping(at_admin.build()));
}

/// The handshake is over before the login, so the service is known, and it alone is in doubt.
fn a_refused_login_behind_a_load_balancer_clears_the_pool_of_its_service(deployment: &Deployment) {
    create_user(deployment, "ada", "pwd", &BOTH);
    let balancer = RouterShim::balancer(secured().member(0).address(), 2).expect("listens");
    let database = deployment.database_name();
    let login = |password: &str| {
        let host = &balancer.hosts()[0];
        let name = deployment.app_name();
        let uri = format!(
            "mongodb://ada:{password}@{host}/?loadBalanced=true&authSource={database}&appName={name}"
        );
        Observed::at(deployment, &uri)
    };
    let subject = login("other");
    for _ in 0..2 {
        assert_refused(go!(subject.people().find_one(doc! {})).map(drop));
    }
    let cleared: Vec<_> = subject
        .events
        .events()
        .iter()
        .filter_map(Event::cleared_service)
        .collect();
    assert!(cleared.iter().all(Option::is_some), "{cleared:?}");
    assert_eq!(cleared.len(), 2);
    assert_ne!(cleared[0], cleared[1], "connections go round the services");
    let changes = subject
        .events
        .count(|event| matches!(event.sdam(), Some(SdamEvent::ServerDescriptionChanged(_))));
    assert_eq!(changes, 1, "the balancer stays what it is");
    go!(login("pwd").people().find_one(doc! {})).expect("logs in");
}

fn a_minimum_of_connections_is_logged_in_ahead(deployment: &Deployment) {
    let uri = secured_uri(deployment, "root:secret", "minPoolSize=3");
    let subject = Observed::at(deployment, &uri);
    subject.ping().expect("pings");
    subject
        .events
        .wait_for_count("minimum", 3, Event::is_connection_ready);
    assert_eq!(subject.open_connections(), 3);
}

fn an_unknown_user_is_told_at_once(deployment: &Deployment) {
    let start = Instant::now();
    for options in [
        "",
        "authMechanism=SCRAM-SHA-1",
        "authMechanism=SCRAM-SHA-256",
    ] {
        assert_refused(read_as(deployment, "nobody:secret", options));
    }
    // A selection would last 30 seconds.
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

fn no_error_or_debug_output_shows_the_password(deployment: &Deployment) {
    let uri = secured_uri(deployment, "root:Hunter2", "");
    let subject = Observed::at(deployment, &uri);
    let error = subject.ping().expect_err("the password is wrong");
    let everything = format!(
        "{error} {error:?} {:?} {:?}",
        subject.client,
        subject.events.events()
    );
    assert!(!everything.contains("Hunter2"), "{everything}");
}

fn auth_source_beats_the_path(deployment: &Deployment) {
    create_user(deployment, "ada", "lace", &BOTH);
    let (host, database) = (secured().member(0).address(), deployment.database_name());
    let read = |path: &str, source: &str| {
        let uri = format!("mongodb://ada:lace@{host}/{path}?authSource={source}");
        go!(Observed::at(deployment, &uri).people().find_one(doc! {})).map(drop)
    };
    read("other", database).expect("logs in");
    assert_refused(read(database, "other"));
}

fn without_a_path_the_users_of_admin_log_in(deployment: &Deployment) {
    create_user(deployment, "ada", "lace", &BOTH);
    let host = secured().member(0).address();
    let subject = Observed::at(deployment, &format!("mongodb://root:secret@{host}"));
    subject.ping().expect("root is a user of admin");
    let subject = Observed::at(deployment, &format!("mongodb://ada:lace@{host}"));
    assert_refused(subject.ping().map(drop));
}

fn a_refused_sensitive_command_is_redacted_too(deployment: &Deployment) {
    let uri = secured_uri(deployment, "root:secret", "");
    let subject = Observed::at(deployment, &uri);
    let create = doc! { "createUser": "grace", "pwd": "Hopper1906", "roles": [] };
    go!(subject.database().run_command(create.clone())).expect("creates a user");
    let error = go!(subject.database().run_command(create)).expect_err("the user is there");
    assert_eq!(error.code(), Some(51003), "{error:?}");
    let failure = subject.events.wait_for("failure", |events| {
        events.iter().find_map(|event| match event {
            Event::Command(event) => match &**event {
                CommandEvent::Failed(event) => Some(event.failure.clone()),
                _ => None,
            },
            _ => None,
        })
    });
    assert_eq!(failure.code(), Some(51003));
    assert!(failure.server_response().is_none());
    assert!(!failure.to_string().contains("grace"), "{failure}");
    let everything = format!("{:?}", subject.events.events());
    assert!(!everything.contains("Hopper1906"), "{everything}");
}
