//! Drops futures that work in a session, and the session with them.

use std::time::Duration;

use futures_util::{FutureExt, future::BoxFuture};
use motorcade::{
    Client, ClientSession,
    bson::{Document, doc},
    error::Result,
};
use motorcade_testserver::Deployment;

use crate::{
    dropped::{MOST_POLLS, check_answers, fill, people, polled},
    ledger::Ledger,
    servers::{eventually, open_cursors, options, turn},
};

/// How long the servers may take to learn that a transaction was given up.
const LIMIT: Duration = Duration::from_secs(10);

type Operation = fn(Client) -> BoxFuture<'static, Result<()>>;

/// What is dropped with each is the session, too.
const OPERATIONS: [(&str, Operation); 6] = [
    ("insert and find in a session", |client| {
        async move {
            let mut session = client.start_session().await?;
            insert(&client, &mut session).await?;
            find(&client, &mut session).await
        }
        .boxed()
    }),
    ("commit", |client| {
        async move {
            let mut session = client.start_session().await?;
            session.start_transaction().await?;
            insert(&client, &mut session).await?;
            find(&client, &mut session).await?;
            session.commit_transaction().await
        }
        .boxed()
    }),
    ("abort", |client| {
        async move {
            let mut session = client.start_session().await?;
            session.start_transaction().await?;
            insert(&client, &mut session).await?;
            session.abort_transaction().await?;
            find(&client, &mut session).await
        }
        .boxed()
    }),
    ("a transaction by a callback", |client| {
        async move {
            let mut session = client.start_session().await?;
            session
                .start_transaction()
                .and_run(client.clone(), |session, client| {
                    async move {
                        insert(client, session).await?;
                        find(client, session).await
                    }
                    .boxed()
                })
                .await
        }
        .boxed()
    }),
    ("several transactions", |client| {
        async move {
            let mut session = client.start_session().await?;
            for _ in 0..3 {
                session.start_transaction().await?;
                insert(&client, &mut session).await?;
                session.commit_transaction().await?;
            }
            Ok(())
        }
        .boxed()
    }),
    ("a session that is left to the background", |client| {
        async move {
            let mut session = client.start_session().await?;
            session.start_transaction().await?;
            insert(&client, &mut session).await
        }
        .boxed()
    }),
];

async fn insert(client: &Client, session: &mut ClientSession) -> Result<()> {
    let written = client
        .database("dropped")
        .collection::<Document>("in_sessions");
    written.insert_one(doc! {}).session(session).await.map(drop)
}

async fn find(client: &Client, session: &mut ClientSession) -> Result<()> {
    let people = people(client);
    let find = people.find(doc! { "_id": { "$lt": 5 } }).batch_size(2);
    let mut cursor = find.session(&mut *session).await?;
    assert_eq!(cursor.to_vec(session).await?.len(), 5);
    Ok(())
}

/// How many transactions are open on the primary.
fn open_transactions(deployment: &Deployment) -> i64 {
    let primary = deployment.wait_for_primary().expect("there is a primary");
    let status = deployment
        .run_admin_command(primary, &doc! { "serverStatus": 1 })
        .expect("the server tells its status");
    let transactions = status.get_document("transactions").expect("transactions");
    transactions
        .get_i64("currentOpen")
        .expect("a number of transactions")
}

async fn no_transaction_is_open(deployment: &Deployment, case: &str) {
    let look = || open_transactions(deployment);
    eventually(case, LIMIT, look, |open| *open == 0).await;
}

/// A client that has connections and the collections that are written to.
async fn warm_client(deployment: &Deployment, app_name: &str, most: u32) -> (Client, Ledger) {
    let mut options = options(deployment, app_name).await;
    fill(options.clone()).await;
    options.max_pool_size = Some(most);
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    let mut session = client.start_session().await.unwrap();
    insert(&client, &mut session).await.unwrap();
    drop(session);
    check_answers(&client, app_name).await;
    (client, ledger)
}

#[tokio::test]
async fn a_future_dropped_at_any_await_leaves_no_transaction_open() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let (client, ledger) = warm_client(&deployment, "dropped-sessions", 10).await;
    for (name, operation) in OPERATIONS {
        for polls in 1.. {
            assert!(polls < MOST_POLLS, "{name} makes no progress");
            let case = format!("{name}, dropped after {polls} polls");
            let outcome = polled(operation(client.clone()), polls).await;
            no_transaction_is_open(&deployment, &case).await;
            ledger.at_rest(&case).await;
            check_answers(&client, &case).await;
            if let Some(outcome) = outcome {
                outcome.unwrap_or_else(|error| panic!("{case}: {error}"));
                assert!(polls > 1, "{name} never waited");
                break;
            }
        }
    }
    client.shutdown().await;
    let counts = ledger.at_rest("after the shutdown").await;
    assert_eq!((counts.created, counts.idle), (counts.closed, 0));
    ledger.check_free_sessions();
}

/// With one connection, and that in use, the end of the transaction is not on its way yet.
#[tokio::test]
async fn an_end_dropped_in_the_queue_leaves_no_transaction_open() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let (client, ledger) = warm_client(&deployment, "dropped-ends", 1).await;
    for (commits, goes_on) in [(true, false), (false, false), (true, true), (false, true)] {
        let case = format!("commits: {commits}, goes on: {goes_on}");
        let mut session = client.start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        insert(&client, &mut session).await.unwrap();
        assert_eq!(open_transactions(&deployment), 1, "{case}");
        let busy = people(&client);
        let mut holder = Box::pin(async move { busy.find_one(doc! {}).await.map(drop) });
        assert!(polled(&mut holder, 1).await.is_none());
        let end = match commits {
            true => polled(session.commit_transaction().into_future(), 1).await,
            false => polled(session.abort_transaction().into_future(), 1).await,
        };
        assert!(end.is_none(), "{case}");
        holder.await.unwrap();
        if goes_on {
            find(&client, &mut session).await.unwrap();
        }
        drop(session);
        no_transaction_is_open(&deployment, &case).await;
        ledger.at_rest(&case).await;
    }
    client.shutdown().await;
    ledger.check_free_sessions();
}

/// A find whose future is dropped when the server has made its cursor, but the reply was not read.
#[tokio::test]
async fn a_find_dropped_before_its_reply_leaves_no_cursor_when_its_session_ends() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let (client, ledger) = warm_client(&deployment, "dropped-find", 10).await;
    let before = open_cursors(&deployment);
    let look = || open_cursors(&deployment);
    let mut session = client.start_session().await.unwrap();
    let people = people(&client);
    let find = people.find(doc! {}).batch_size(2).session(&mut session);
    let mut find = Box::pin(find.into_future());
    assert!(polled(&mut find, 1).await.is_none());
    eventually("it is open", LIMIT, look, |open| *open == before + 1).await;
    drop(find);
    insert(&client, &mut session).await.unwrap();
    drop(session);
    eventually("it is closed", LIMIT, look, |open| *open == before).await;
    ledger.at_rest("find").await;
}

#[tokio::test]
async fn thousands_of_tasks_aborted_in_sessions_leave_exact_counts() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let (client, ledger) = warm_client(&deployment, "dropped-crowd", 20).await;
    // A linear congruence: the same in each run, and as good as chance here.
    let mut chance: u32 = 1;
    for _ in 0..25 {
        let mut tasks = Vec::new();
        for number in 0..100 {
            let (_, operation) = OPERATIONS[number % OPERATIONS.len()];
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let polls = usize::try_from(chance >> 27).unwrap() + 1;
            let work = operation(client.clone());
            tasks.push(tokio::spawn(async move { polled(work, polls).await }));
        }
        for task in tasks {
            if let Some(outcome) = task.await.unwrap() {
                outcome.unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
    ledger.at_rest("crowd").await;
    no_transaction_is_open(&deployment, "after the crowd").await;
    check_answers(&client, "after the crowd").await;
    assert!(
        ledger.interrupted() > 200,
        "hardly a command was interrupted"
    );
    client.shutdown().await;
    let counts = ledger.at_rest("after the shutdown").await;
    assert_eq!((counts.created, counts.idle), (counts.closed, 0));
    ledger.check_free_sessions();
}
