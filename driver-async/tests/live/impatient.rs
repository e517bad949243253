//! Callers that stop waiting for their operations before the server has answered.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use motorcade::{
    Client, Collection,
    bson::{Binary, Bson, Document, doc},
    event::{EventHandler, command::CommandEvent},
};
use tokio::time::timeout;

use crate::servers::{eventually, options, standalone, turn};

const FINDS: usize = 30;
/// More time than all finds need, and much less than each would wait for the one before it.
const LIMIT: Duration = Duration::from_secs(10);

/// The sessions of the finds, and those that the server was told to end, command by command.
#[derive(Default)]
struct Sessions {
    finds: Vec<Binary>,
    killed: Vec<Vec<Binary>>,
}

fn id(session: &Document) -> Binary {
    match session.get("id") {
        Some(Bson::Binary(id)) => id.clone(),
        other => panic!("a session has no id, but {other:?}"),
    }
}

impl Sessions {
    fn note(&mut self, command: &Document) {
        if command.contains_key("find") {
            self.finds.push(id(command.get_document("lsid").unwrap()));
        } else if let Ok(sessions) = command.get_array("killSessions") {
            let sessions = sessions.iter().map(|it| id(it.as_document().unwrap()));
            self.killed.push(sessions.collect());
        }
    }
}

/// The server does not answer, and does not notice that nobody waits any more.
#[tokio::test]
async fn finds_that_are_given_up_leave_their_places_to_the_next_and_are_cleaned_up_together() {
    let _turn = turn();
    let deployment = standalone();
    let mut options = options(deployment, "impatient").await;
    options.max_pool_size = Some(2);
    let sessions: Arc<Mutex<Sessions>> = Arc::default();
    let noted = Arc::clone(&sessions);
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(it) = event {
            noted.lock().unwrap().note(&it.command);
        }
    }));
    let client = Client::with_options(options).unwrap();
    let people: Collection<Document> = client.database("impatient").collection("people");
    people.insert_one(doc! {}).await.unwrap();
    let data = doc! {
        "failCommands": ["find"], "blockConnection": true, "blockTimeMS": 2_000,
        "appName": "impatient",
    };
    let fail = |mode: Bson, data: &Document| {
        let fail = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
        deployment.run_admin_command(0, &fail).unwrap();
    };
    fail("alwaysOn".into(), &data);
    let finds = async {
        for sent in 1..=FINDS {
            let people = people.clone();
            let find = tokio::spawn(async move { people.find(doc! {}).await.map(drop) });
            let look = || sessions.lock().unwrap().finds.len();
            eventually("it is sent", LIMIT, look, |count| *count == sent).await;
            find.abort();
        }
    };
    timeout(LIMIT, finds)
        .await
        .expect("those that are given up hold up the next");
    client.shutdown().await;
    fail("off".into(), &doc! {});
    let sessions = sessions.lock().unwrap();
    let killed: Vec<_> = sessions.killed.concat();
    assert_eq!(killed.len(), FINDS, "each is killed once");
    let set = |ids: &[Binary]| ids.iter().map(|id| id.bytes.clone()).collect();
    let (found, killed): (HashSet<_>, HashSet<_>) = (set(&sessions.finds), set(&killed));
    assert_eq!(found, killed);
    let commands = sessions.killed.len();
    assert!(
        commands <= FINDS / 3,
        "{commands} commands for {FINDS} finds"
    );
}
