//! A network that loses packets: by way of it, commands come to a server late.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use motorcade::{
    Client,
    bson::{Document, doc},
    options::ClientOptions,
};
use motorcade_testserver::Deployment;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

use crate::{
    dropped::{check_answers, fill, people, polled},
    servers::{eventually, open_cursors, options, turn},
};

/// By how much the command is late.
const LATE: Duration = Duration::from_millis(300);
/// How long a server may take to learn of what was given up.
const LIMIT: Duration = Duration::from_secs(10);

/// A proxy that holds up each command of one name, also when the client has closed its connection
/// meanwhile.
struct Network {
    address: String,
    closed: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Network {
    async fn start(target: String, command: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let closed = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&closed);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(carry(client, server, command, Arc::clone(&counter)));
            }
        });
        Self {
            address,
            closed,
            accepting,
        }
    }

    /// A client that reaches the server by this way alone, and has a connection.
    async fn client(&self, mut options: ClientOptions) -> Client {
        fill(options.clone()).await;
        options.hosts = vec![self.address.parse().unwrap()];
        options.direct_connection = Some(true);
        let client = Client::with_options(options).unwrap();
        check_answers(&client, "to connect").await;
        client
    }

    /// Waits until the server is done with a command that came late, and has closed the connection.
    async fn has_closed(&self) {
        let look = || self.closed.load(Ordering::Acquire);
        eventually("it came late", LIMIT, look, |closed| *closed == 1).await;
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(client: TcpStream, server: TcpStream, late: &str, closed: Arc<AtomicUsize>) {
    let (requests, mut client) = client.into_split();
    let (mut answers, server) = server.into_split();
    let answering = tokio::spawn(async move {
        let _ = copy(&mut answers, &mut client).await;
        // A client that has gone gets no answers, and the end is to be seen all the same.
        let _ = copy(&mut answers, &mut sink()).await;
    });
    let mut came_late = false;
    let _ = carry_requests(requests, server, late, &mut came_late).await;
    answering.await.unwrap();
    if came_late {
        closed.fetch_add(1, Ordering::Release);
    }
}

async fn carry_requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    late: &str,
    came_late: &mut bool,
) -> io::Result<()> {
    loop {
        let length = client.read_i32_le().await?;
        let mut message = length.to_le_bytes().to_vec();
        message.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        client.read_exact(&mut message[4..]).await?;
        // Header, flags, and the kind of the first section.
        let command = Document::from_reader(&message[21..]).unwrap_or_default();
        if command.keys().next().is_some_and(|name| name == late) {
            *came_late = true;
            tokio::time::sleep(LATE).await;
        }
        server.write_all(&message).await?;
    }
}

#[tokio::test]
async fn a_dropped_find_that_comes_late_leaves_no_cursor_on_the_server() {
    let _turn = turn();
    let deployment = Deployment::standalone().start().unwrap();
    let network = Network::start(deployment.member(0).address(), "find").await;
    let client = network
        .client(options(&deployment, "late-find").await)
        .await;
    let people = people(&client);
    let mut find = Box::pin(people.find(doc! {}).batch_size(2).into_future());
    assert!(polled(&mut find, 1).await.is_none());
    drop(find);
    network.has_closed().await;
    let look = || open_cursors(&deployment);
    eventually("none is open", LIMIT, look, |open| *open == 0).await;
}

#[tokio::test]
async fn a_dropped_first_command_that_comes_late_leaves_no_transaction_open() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let network = Network::start(deployment.member(0).address(), "insert").await;
    let client = network
        .client(options(&deployment, "late-insert").await)
        .await;
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    let people = people(&client);
    let insert = people.insert_one(doc! { "late": true });
    let mut insert = Box::pin(insert.session(&mut session).into_future());
    assert!(polled(&mut insert, 1).await.is_none());
    drop(insert);
    drop(session);
    client.shutdown().await;
    network.has_closed().await;
    let status = deployment.run_admin_command(0, &doc! { "serverStatus": 1 });
    let status = status.unwrap();
    let transactions = status.get_document("transactions").unwrap();
    assert_eq!(transactions.get_i64("currentOpen").unwrap(), 0);
    assert_eq!(transactions.get_i64("totalStarted").unwrap(), 1);
}
