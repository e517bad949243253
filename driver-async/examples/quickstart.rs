//! Inserts, finds and aggregates on a real server, and shows what happened.
//!
//! ```text
//! cargo run -p motorcade --example quickstart [-- --replica-set]
//! ```
//!
//! Starts a server by itself, or uses the one that `MONGODB_URI` names. With `--replica-set` it
//! starts three members, has the primary step down, and shows that writes go on.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    error::Error,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use motorcade::{
    Client, Collection,
    bson::{Document, doc},
};
use motorcade_testserver::Deployment;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Car {
    plate: String,
    maker: String,
    seats: i32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let with_replica_set = std::env::args().any(|argument| argument == "--replica-set");
    // Kept until the end: dropping it stops the servers.
    let (uri, _deployment) = deployment(with_replica_set).await?;
    let client = Client::with_uri_str(&uri).await?;
    let database = client.database("motorcade_quickstart");
    database.drop().await?;

    let build = client
        .database("admin")
        .run_command(doc! { "buildInfo": 1 })
        .await?;
    println!(
        "Connected to MongoDB {} at {}",
        build.get_str("version")?,
        redacted(&uri)
    );

    let cars = database.collection::<Car>("cars");
    insert_and_find(&cars).await?;
    aggregate(&cars).await?;
    if with_replica_set {
        step_down(&client, &cars).await?;
    }

    database.drop().await?;
    client.shutdown().await;
    println!("\nThe database was dropped and the client shut down.");
    Ok(())
}

async fn insert_and_find(cars: &Collection<Car>) -> Result<(), Box<dyn Error>> {
    let fleet = [
        ("M-1", "Tatra", 7),
        ("M-2", "Tatra", 5),
        ("M-3", "Zil", 7),
        ("M-4", "Aero", 2),
    ];
    let fleet = fleet.map(|(plate, maker, seats)| Car {
        plate: plate.to_owned(),
        maker: maker.to_owned(),
        seats,
    });
    let inserted = cars.insert_many(&fleet).await?;
    println!(
        "\nInserted {} cars. Those with five seats or more:",
        inserted.inserted_ids.len()
    );
    let mut found = cars
        .find(doc! { "seats": { "$gte": 5 } })
        .sort(doc! { "plate": 1 })
        .await?;
    while let Some(car) = found.try_next().await? {
        println!("  {:<4} {:<6} {} seats", car.plate, car.maker, car.seats);
    }
    let updated = cars
        .update_one(doc! { "plate": "M-4" }, doc! { "$set": { "seats": 4 } })
        .await?;
    println!("Gave {} car two more seats.", updated.modified_count);
    Ok(())
}

async fn aggregate(cars: &Collection<Car>) -> Result<(), Box<dyn Error>> {
    println!("\nSeats by maker, by aggregation:");
    let pipeline = [
        doc! { "$group": { "_id": "$maker", "cars": { "$sum": 1 }, "seats": { "$sum": "$seats" } } },
        doc! { "$sort": { "seats": -1, "_id": 1 } },
    ];
    let makers: Vec<Document> = cars.aggregate(pipeline).await?.try_collect().await?;
    for maker in makers {
        let (name, cars) = (maker.get_str("_id")?, maker.get_i32("cars")?);
        println!("  {name:<6} {:>2} seats in {cars}", maker.get_i32("seats")?);
    }
    Ok(())
}

/// Has the primary step down in the midst of a row of writes.
async fn step_down(client: &Client, cars: &Collection<Car>) -> Result<(), Box<dyn Error>> {
    const WRITES: i32 = 20;
    println!("\nThe primary steps down, and {WRITES} writes go on meanwhile:");
    println!("  primary before: {}", primary(client).await?);
    let command = doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5, "force": true };
    client.database("admin").run_command(command).await?;
    let mut slowest = Duration::ZERO;
    for number in 0..WRITES {
        let started = Instant::now();
        let plate = format!("S-{number}");
        cars.insert_one(Car {
            plate,
            maker: "Skoda".to_owned(),
            seats: 4,
        })
        .await?;
        slowest = slowest.max(started.elapsed());
    }
    let count = cars.count_documents(doc! { "maker": "Skoda" }).await?;
    println!("  primary after:  {}", primary(client).await?);
    println!(
        "  {count} of {WRITES} writes done; the slowest waited {slowest:.1?} for the election"
    );
    Ok(())
}

async fn primary(client: &Client) -> Result<String, Box<dyn Error>> {
    let hello = client
        .database("admin")
        .run_command(doc! { "hello": 1 })
        .await?;
    Ok(hello.get_str("primary").unwrap_or("none yet").to_owned())
}

async fn deployment(
    with_replica_set: bool,
) -> Result<(String, Option<Deployment>), Box<dyn Error>> {
    if let Ok(uri) = std::env::var("MONGODB_URI") {
        return Ok((uri, None));
    }
    let builder = if with_replica_set {
        Deployment::replica_set(3)
    } else {
        Deployment::standalone()
    };
    println!("Starting a server (set MONGODB_URI to use your own) ...");
    let deployment = tokio::task::spawn_blocking(move || builder.start()).await??;
    Ok((deployment.uri(), Some(deployment)))
}

/// The connection string without a password that it may hold.
fn redacted(uri: &str) -> String {
    match (uri.find("://"), uri.rfind('@')) {
        (Some(scheme), Some(at)) => format!("{}<redacted>{}", &uri[..scheme + 3], &uri[at..]),
        _ => uri.to_owned(),
    }
}
