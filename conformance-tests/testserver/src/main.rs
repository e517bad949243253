//! Starts a deployment, prints its URI and stops it on Ctrl-C.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use motorcade_testserver::{Builder, Deployment, Secantus, TlsMode};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Starts a MongoDB deployment for tests, prints its connection string on standard output and
/// stops it on Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "testserver")]
struct Arguments {
    /// Starts a replica set with this many members instead of a standalone
    #[arg(long, value_name = "N")]
    replica_set: Option<usize>,
    /// Starts SecantusDB, a stand-in that speaks commands of MongoDB 8, instead of mongod
    #[arg(long, conflicts_with_all = ["auth", "tls", "version", "mongod", "parameter", "keep_logs"])]
    secantus: bool,
    /// Turns access control on, with the user `root` and the password `secret`
    #[arg(long)]
    auth: bool,
    /// Turns TLS on; the connection string names the certificate files
    #[arg(long)]
    tls: bool,
    /// Asks for a version of mongod, such as 4.2.6
    #[arg(long, value_name = "V")]
    version: Option<String>,
    /// Uses this mongod
    #[arg(long, value_name = "PATH")]
    mongod: Option<PathBuf>,
    /// Sets a server parameter; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    parameter: Vec<(String, String)>,
    /// Keeps the servers' logs when it stops
    #[arg(long)]
    keep_logs: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testserver: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    // Registered before the start, so that an early Ctrl-C also ends in an orderly way.
    let (mut stopped, stop) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::low_level::pipe::register(signal, stop.try_clone()?)?;
    }
    if arguments.secantus {
        let stand_in = match arguments.replica_set {
            None => Secantus::standalone()?,
            Some(1) => Secantus::replica_set()?,
            Some(_) => return Err("SecantusDB is a single node: --replica-set 1".into()),
        };
        return serve(
            &stand_in.uri(),
            "SecantusDB",
            Secantus::VERSION,
            &mut stopped,
        );
    }
    let keep_logs = arguments.keep_logs;
    let deployment = builder(arguments).start()?;
    if keep_logs {
        deployment.keep_logs();
    }
    serve(
        &deployment.uri(),
        "mongod",
        deployment.version(),
        &mut stopped,
    )
}

/// Tells the connection string, and waits until it is to stop.
fn serve(
    uri: &str,
    what: &str,
    version: &str,
    stopped: &mut UnixStream,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{uri}")?;
    output.flush()?;
    drop(output);
    eprintln!("{what} {version} runs; press Ctrl-C to stop");
    stopped.read_exact(&mut [0])?;
    Ok(())
}

fn builder(arguments: Arguments) -> Builder {
    let mut builder = match arguments.replica_set {
        Some(members) => Deployment::replica_set(members),
        None => Deployment::standalone(),
    };
    if arguments.auth {
        builder = builder.auth_root("root", "secret");
    }
    if arguments.tls {
        builder = builder.tls(TlsMode::Required);
    }
    if let Some(version) = arguments.version {
        builder = builder.version(version);
    }
    if let Some(mongod) = arguments.mongod {
        builder = builder.mongod(mongod);
    }
    for (name, value) in arguments.parameter {
        builder = builder.parameter(name, value);
    }
    builder
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
