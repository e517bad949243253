//! Starts a deployment, prints its URI and stops it on Ctrl-C.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use motorcade_testserver::{Builder, Deployment, TlsMode};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Starts a MongoDB deployment for tests, prints its connection string on standard output and
/// stops it on Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "testserver")]
struct Arguments {
    /// Starts a replica set with this many members instead of a standalone
    #[arg(long, value_name = "N")]
    replica_set: Option<usize>,
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
    let keep_logs = arguments.keep_logs;
    let deployment = builder(arguments).start()?;
    if keep_logs {
        deployment.keep_logs();
    }
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", deployment.uri())?;
    output.flush()?;
    drop(output);
    eprintln!("mongod {} runs; press Ctrl-C to stop", deployment.version());
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
