//! Real servers: started, disturbed, and gone afterwards.
#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share are test code as well"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bson::doc;
use motorcade_testserver::{Deployment, Role, TlsMode};

/// The end of somebody else's process is no event that reaches us, so this looks again and again.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(
            Instant::now() < deadline,
            "within 30 s it was not so that {what}"
        );
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The process ids and arguments of all processes whose arguments mention a folder.
fn processes_of(folder: &Path) -> Vec<(u32, String)> {
    let mention = folder.display().to_string();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let arguments = std::fs::read(entry.path().join("cmdline")).ok()?;
            let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
            arguments.contains(&mention).then_some((pid, arguments))
        })
        .collect()
}

/// The binary, started with a temporary folder of its own, and the URI it printed.
fn start_binary(temporary: &Path, arguments: &[&str]) -> (Child, String) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_testserver"))
        .args(arguments)
        .env("TMPDIR", temporary)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("mongodb://127.0.0.1:"), "{line:?}");
    (process, line.trim().to_owned())
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// The folders in which deployments of the calling test have kept logs.
fn kept_logs() -> Vec<PathBuf> {
    let test = std::thread::current()
        .name()
        .unwrap()
        .replace(|c: char| !c.is_alphanumeric(), "-");
    let prefix = format!("{test}-{}-", std::process::id());
    let folders = std::fs::read_dir(std::env::temp_dir().join("motorcade-logs"));
    let folders = folders
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    folders
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(&prefix)
        })
        .collect()
}

#[test]
fn a_standalone_answers_and_leaves_nothing() {
    let deployment = Deployment::standalone().ipv6().start().unwrap();
    let member = deployment.member(0);
    assert_eq!(member.role().unwrap(), Role::Standalone);
    assert_eq!(deployment.uri(), format!("mongodb://{}/", member.address()));
    assert!(member.socket_path().exists());
    TcpStream::connect(("::1", member.port())).unwrap();
    let fail_point = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    deployment.run_admin_command(0, &fail_point).unwrap();
    let (pid, log) = (member.pid().unwrap(), member.log_path());
    drop(member);
    drop(deployment);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!log.parent().unwrap().exists());
}

#[test]
fn a_paused_server_is_silent_until_it_is_resumed() {
    let deployment = Deployment::standalone().start().unwrap();
    let member = deployment.member(0);
    member.pause().unwrap();
    assert!(member.role().is_err());
    member.resume().unwrap();
    eventually("the resumed server answers", || member.role().is_ok());
    member.shut_down().unwrap();
    assert_eq!(member.pid(), None);
    assert!(member.pause().is_err());
    let port = member.port();
    member.restart().unwrap();
    assert_eq!(member.port(), port);
}

#[test]
fn a_replica_set_elects_anew_and_takes_a_restarted_member_back() {
    let deployment = Deployment::replica_set(3).start().unwrap();
    let roles: Vec<_> = deployment
        .members()
        .iter()
        .map(|m| m.role().unwrap())
        .collect();
    assert_eq!(roles, [Role::Primary, Role::Secondary, Role::Secondary]);
    let uri = format!("mongodb://{}/?replicaSet=rs0", deployment.hosts().join(","));
    assert_eq!(deployment.uri(), uri);
    let insert = doc! { "insert": "c", "$db": "test", "documents": [{ "_id": 1 }],
    "writeConcern": { "w": 3 } };
    deployment.run_admin_command(0, &insert).unwrap();

    deployment.member(0).kill();
    assert_ne!(deployment.wait_for_primary().unwrap(), 0);
    deployment.wait_until_ready().unwrap();
    deployment.member(0).restart().unwrap();
    deployment.wait_until_ready().unwrap();
    let count = doc! { "count": "c", "$db": "test", "$readPreference": { "mode": "nearest" } };
    let reply = deployment.run_admin_command(0, &count).unwrap();
    assert_eq!(reply.get_i32("n").unwrap(), 1);
}

#[test]
fn a_spawned_member_joins_by_reconfiguration() {
    let deployment = Deployment::replica_set(2)
        .hidden(1)
        .arbiters(1)
        .start()
        .unwrap();
    assert_eq!(deployment.member(2).role().unwrap(), Role::Arbiter);
    let spawned = deployment.spawn_member().unwrap();
    assert_eq!(spawned.role().unwrap(), Role::Uninitiated);
    let reply = deployment
        .run_admin_command(0, &doc! { "replSetGetConfig": 1 })
        .unwrap();
    let mut config = reply.get_document("config").unwrap().clone();
    config.insert("version", config.get_i32("version").unwrap() + 1);
    let member = doc! { "_id": 3, "host": spawned.address(), "priority": 0, "votes": 0 };
    config.get_array_mut("members").unwrap().push(member.into());
    deployment
        .run_admin_command(0, &doc! { "replSetReconfig": config })
        .unwrap();
    eventually("the spawned member is a secondary", || {
        spawned.role().unwrap() == Role::Secondary
    });
}

#[test]
fn access_control_refuses_commands_without_authentication() {
    let deployment = Deployment::replica_set(2)
        .auth_root("ro:ot", "p@ss")
        .start()
        .unwrap();
    assert!(
        deployment
            .uri()
            .starts_with("mongodb://ro%3Aot:p%40ss@127.0.0.1:")
    );
    for index in 0..2 {
        let refusal = deployment.run_admin_command(index, &doc! { "listDatabases": 1 });
        assert_eq!(refusal.unwrap_err().code(), Some(13));
    }
}

#[test]
fn a_server_that_requires_tls_answers_nothing_else() {
    let deployment = Deployment::standalone()
        .tls(TlsMode::Required)
        .start()
        .unwrap();
    let member = deployment.member(0);
    assert_eq!(member.role().unwrap(), Role::Standalone);
    let mut plain = TcpStream::connect(member.address()).unwrap();
    plain
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let hello = [
        &[26, 0, 0, 0][..],
        &[0; 8],
        &[0xdd, 7, 0, 0],
        &[0; 5],
        &[5, 0, 0, 0, 0],
    ]
    .concat();
    plain.write_all(&hello).unwrap();
    let mut reply = Vec::new();
    let end = plain.read_to_end(&mut reply);
    let timed_out = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    assert!(
        reply.is_empty() && !end.as_ref().is_err_and(timed_out),
        "{end:?} {reply:?}"
    );
}

#[test]
fn members_reach_each_other_over_tls_with_certificates() {
    let mode = TlsMode::ClientCertificateRequired;
    let deployment = Deployment::replica_set(2).tls(mode).start().unwrap();
    let files = deployment.tls().unwrap();
    for path in [files.ca_file(), files.client_certificate_key_file()] {
        assert!(
            std::fs::read_to_string(path)
                .unwrap()
                .contains("BEGIN CERTIFICATE")
        );
    }
    assert!(deployment.uri().contains("tls=true&tlsCAFile=%2F"));
}

#[test]
fn nothing_survives_an_owner_that_is_killed() {
    let temporary = tempfile::tempdir().unwrap();
    let (mut owner, _) = start_binary(temporary.path(), &["--replica-set", "1"]);
    let running = processes_of(temporary.path());
    let server = running
        .iter()
        .find(|(_, arguments)| arguments.contains("--dbpath"))
        .unwrap()
        .0;
    // A stopped server can't end by itself.
    let stopped = Command::new("kill")
        .args(["-STOP", &server.to_string()])
        .status()
        .unwrap();
    assert!(stopped.success());
    owner.kill().unwrap();
    owner.wait().unwrap();
    let is_gone = || processes_of(temporary.path()).is_empty();
    eventually("server and watcher have ended", is_gone);
    assert!(is_empty(temporary.path()));
}

#[test]
fn the_binary_stops_cleanly_when_asked_to() {
    let temporary = tempfile::tempdir().unwrap();
    let (mut process, _) = start_binary(temporary.path(), &["--parameter", "ttlMonitorEnabled=0"]);
    let asked = Command::new("kill")
        .args(["-INT", &process.id().to_string()])
        .status()
        .unwrap();
    assert!(asked.success());
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert!(is_empty(temporary.path()) && processes_of(temporary.path()).is_empty());
}

#[test]
fn deployments_of_several_processes_do_not_collide() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path();
    let (others, own) = std::thread::scope(|scope| {
        let others: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| start_binary(path, &[])))
            .collect();
        let own: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| Deployment::standalone().start().unwrap()))
            .collect();
        let others: Vec<_> = others
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect();
        (
            others,
            own.into_iter()
                .map(|start| start.join().unwrap())
                .collect::<Vec<_>>(),
        )
    });
    let mut uris: Vec<_> = own.iter().map(Deployment::uri).collect();
    for (mut process, uri) in others {
        uris.push(uri);
        process.kill().unwrap();
        process.wait().unwrap();
    }
    eventually("the killed ones have ended", || {
        processes_of(path).is_empty()
    });
    uris.sort_unstable();
    uris.dedup();
    assert_eq!(uris.len(), 6, "{uris:?}");
    assert!(
        own.iter()
            .all(|deployment| deployment.member(0).role().is_ok())
    );
}

#[test]
fn the_logs_of_a_panicking_test_are_kept() {
    let unwound = std::panic::catch_unwind(|| {
        let _deployment = Deployment::standalone().start().unwrap();
        panic!("a failure on purpose");
    });
    assert!(unwound.is_err());
    let kept = kept_logs();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let logs = std::fs::read_dir(&kept[0]).unwrap().flatten();
    let text: String = logs
        .map(|log| std::fs::read_to_string(log.path()).unwrap())
        .collect();
    assert!(text.contains("Waiting for connections"), "{text}");
    std::fs::remove_dir_all(&kept[0]).unwrap();
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let error = Deployment::standalone()
        .parameter("noSuchParameter", "1")
        .start()
        .unwrap_err();
    assert!(error.to_string().contains("noSuchParameter"), "{error}");
    for folder in kept_logs() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}
