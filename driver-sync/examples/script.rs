//! Reads newline-delimited JSON into a collection, then prints a summary by aggregation.
//!
//! ```text
//! cargo run -p motorcade-sync --example script [-- FILE [--group-by FIELD]]
//! printf '{"kind":"a"}\n{"kind":"b"}\n' | cargo run -p motorcade-sync --example script -- -
//! ```
//!
//! With no FILE it makes a small data set of its own; `-` reads standard input. Starts a server
//! by itself, or uses the one that `MONGODB_URI` names.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    error::Error,
    fs::File,
    io::{self, BufRead, BufReader, Cursor},
    process::ExitCode,
};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use motorcade_sync::{
    Client, Collection, Run,
    bson::{Bson, Document, doc},
};
use motorcade_testserver::Deployment;

/// How many documents go into one command.
const BATCH: usize = 1_000;

/// Reads newline-delimited JSON into a collection, then prints a summary by aggregation.
#[derive(Parser)]
struct Arguments {
    /// The file to read, or - for standard input; a small data set of its own when absent.
    file: Option<String>,
    /// The field that the summary groups by.
    #[arg(long, default_value = "kind")]
    group_by: String,
    /// The database and collection to fill; what the collection held before is dropped.
    #[arg(long, default_value = "motorcade_script.records")]
    namespace: motorcade_sync::Namespace,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (input, size) = open(arguments.file.as_deref())?;
    // Kept until the end: dropping it stops the server.
    let (uri, _deployment) = match std::env::var("MONGODB_URI") {
        Ok(uri) => (uri, None),
        Err(_) => {
            println!("Starting a server (set MONGODB_URI to use your own) ...");
            let deployment = Deployment::standalone().start()?;
            (deployment.uri(), Some(deployment))
        }
    };
    let client = Client::with_uri_str(uri)?;
    let database = client.database(&arguments.namespace.db);
    let records = database.collection::<Document>(&arguments.namespace.coll);
    records.drop().run()?;
    let count = load(input, size, &records)?;
    println!("Loaded {count} documents into {}.", records.namespace());
    summarise(&records, &arguments.group_by)?;
    client.shutdown().run();
    Ok(())
}

/// The lines to read, and how many bytes they are, where that is known.
fn open(file: Option<&str>) -> io::Result<(Box<dyn BufRead>, Option<u64>)> {
    match file {
        Some("-") => Ok((Box::new(io::stdin().lock()), None)),
        Some(path) => {
            let file = File::open(path)
                .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
            let size = file.metadata()?.len();
            Ok((Box::new(BufReader::new(file)), Some(size)))
        }
        None => {
            let kinds = ["sedan", "van", "limousine", "motorcycle"];
            let lines: String = (0..20_000)
                .map(|n| format!("{{\"kind\":\"{}\",\"number\":{n}}}\n", kinds[n * n % 7 % 4]))
                .collect();
            let size = u64::try_from(lines.len()).ok();
            Ok((Box::new(Cursor::new(lines)), size))
        }
    }
}

fn load(
    input: Box<dyn BufRead>,
    size: Option<u64>,
    records: &Collection<Document>,
) -> Result<usize, Box<dyn Error>> {
    let progress = match size {
        Some(size) => ProgressBar::new(size).with_style(ProgressStyle::with_template(
            "{bar:40} {percent:>3} % {bytes}/{total_bytes} {elapsed}",
        )?),
        None => ProgressBar::new_spinner(),
    };
    let mut batch = Vec::with_capacity(BATCH);
    let mut count = 0;
    for (number, line) in input.lines().enumerate() {
        let line = line?;
        progress.inc(u64::try_from(line.len() + 1)?);
        if line.trim().is_empty() {
            continue;
        }
        let document: Document = serde_json::from_str(&line)
            .map_err(|error| format!("line {}: not a JSON object: {error}", number + 1))?;
        batch.push(document);
        if batch.len() == BATCH {
            count += records
                .insert_many(batch.drain(..))
                .run()?
                .inserted_ids
                .len();
        }
    }
    if !batch.is_empty() {
        count += records.insert_many(&batch).run()?.inserted_ids.len();
    }
    progress.finish_and_clear();
    Ok(count)
}

fn summarise(records: &Collection<Document>, field: &str) -> Result<(), Box<dyn Error>> {
    let pipeline = [
        doc! { "$group": { "_id": format!("${field}"), "count": { "$sum": 1 } } },
        doc! { "$sort": { "count": -1, "_id": 1 } },
        doc! { "$limit": 20 },
    ];
    println!("\n{field:<24} {:>10}", "count");
    println!("{}", "-".repeat(35));
    for group in records.aggregate(pipeline).run()? {
        let group = group?;
        let name = match group.get("_id") {
            Some(Bson::String(name)) => name.clone(),
            Some(Bson::Null) | None => "(absent)".to_owned(),
            Some(other) => other.to_string(),
        };
        println!(
            "{name:<24} {:>10}",
            group.get("count").unwrap_or(&Bson::Null)
        );
    }
    Ok(())
}
