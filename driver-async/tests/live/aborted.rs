//! Very many short-lived tasks, many of them aborted at random.

use std::process::Command;

use futures_util::TryStreamExt;
use motorcade::{
    Client, Collection,
    bson::{Document, doc},
    error::Result,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::{
    ledger::Ledger,
    servers::{options, standalone, turn},
};

const TASKS: i32 = 2_000;
/// As many as close more connections than there may be files.
const TASKS_WITH_FEW_FILES: i32 = 6_000;
const AT_ONCE: usize = 60;
const MAX_POOL_SIZE: u32 = 20;
/// The most files that may be open in one of the tests; a test server has some, too.
const FILES: usize = 256;
/// Is set in a process that may have no more.
const FEW_FILES: &str = "MOTORCADE_TEST_FEW_FILES";
const SEED: u64 = 0x0051_ED5E_ED00;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_tasks_aborted_at_random_leave_exact_counts() {
    let _turn = turn();
    let (count, least_closed) = match std::env::var_os(FEW_FILES) {
        Some(_) => (TASKS_WITH_FEW_FILES, FILES),
        None => (TASKS, 5),
    };
    let mut options = options(standalone(), "aborted").await;
    options.max_pool_size = Some(MAX_POOL_SIZE);
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    let numbers: Collection<Document> = client.database("aborted").collection("numbers");
    numbers.drop().await.unwrap();
    let documents = (0..count).map(|id| doc! { "_id": id });
    numbers.insert_many(documents).await.unwrap();

    let mut random = SmallRng::seed_from_u64(SEED);
    let mut tasks = Vec::new();
    let (mut done, mut aborted) = (0, 0);
    for number in 0..count {
        tasks.push(tokio::spawn(life(numbers.clone(), number)));
        for _ in 0..random.random_range(0..4) {
            tokio::task::yield_now().await;
        }
        if tasks.len() < AT_ONCE && number < count - 1 {
            continue;
        }
        let keep = if number < count - 1 { AT_ONCE / 2 } else { 0 };
        while tasks.len() > keep {
            let task = tasks.swap_remove(random.random_range(0..tasks.len()));
            if random.random_bool(0.6) {
                task.abort();
            }
            match task.await {
                Ok(outcome) => {
                    outcome.unwrap_or_else(|error| panic!("seed {SEED:#x}: {error}"));
                    done += 1;
                }
                Err(error) if error.is_cancelled() => aborted += 1,
                Err(error) => panic!("seed {SEED:#x}: {error}"),
            }
        }
    }
    assert!(done > 50 && aborted > 50, "{done} done, {aborted} aborted");
    assert!(
        ledger.interrupted() > 5,
        "{} interrupted",
        ledger.interrupted()
    );
    let counts = ledger.at_rest("after the last task").await;
    assert!(
        ledger.most_open() <= MAX_POOL_SIZE as usize,
        "{} connections",
        ledger.most_open()
    );
    assert!(counts.closed > least_closed, "{counts:?}");
    let bound = ledger.interrupted() + AT_ONCE;
    assert!(ledger.sessions() <= bound, "{} sessions", ledger.sessions());

    life(numbers, 1).await.unwrap();
    client.shutdown().await;
    let counts = ledger.at_rest("after the shutdown").await;
    assert_eq!((counts.created, counts.idle), (counts.closed, 0));
}

/// In a process of its own, in which hardly more files may be open than a full pool needs. Leaked
/// sockets use that up, because more connections are closed than there may be files.
#[test]
fn the_same_passes_with_few_files() {
    let _turn = turn();
    let test = std::env::current_exe().unwrap();
    let command = format!("ulimit -n {FILES}; exec \"$0\" --exact \"$1\"");
    let name = "aborted::thousands_of_tasks_aborted_at_random_leave_exact_counts";
    let limited = Command::new("sh")
        .args(["-c", &command])
        .arg(test)
        .arg(name)
        .env(FEW_FILES, "1")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&limited.stdout);
    assert!(limited.status.success(), "{output}");
    assert!(output.contains("1 passed"), "{output}");
}

/// Three operations whose answers name the task's own number.
async fn life(numbers: Collection<Document>, number: i32) -> Result<()> {
    let found = numbers.find_one(doc! { "_id": number }).await?;
    assert_eq!(found.and_then(|it| it.get_i32("_id").ok()), Some(number));
    let counted = numbers
        .count_documents(doc! { "_id": { "$lt": number } })
        .await?;
    assert_eq!(counted, u64::try_from(number).expect("not negative"));
    let filter = doc! { "_id": { "$gt": number - 3, "$lte": number } };
    let found: Vec<Document> = numbers
        .find(filter)
        .batch_size(2)
        .await?
        .try_collect()
        .await?;
    assert_eq!(
        found.len(),
        usize::try_from(number + 1).expect("not negative").min(3)
    );
    Ok(())
}
