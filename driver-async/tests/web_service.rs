//! Drives the example web service: many requests one by one, then many at once.

#[path = "../examples/web_service/service.rs"]
mod service;

use std::time::{Duration, Instant};

use motorcade::{
    Client,
    bson::{Bson, Document, doc},
    options::ClientOptions,
};
use motorcade_testserver::Deployment;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

const REQUESTS: usize = 2_000;
const AT_ONCE: usize = 100;
const MAX_POOL_SIZE: usize = 10;
const APP_NAME: &str = "web-service-test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_thousands_of_requests_over_a_bounded_pool_and_leaves_no_connection() {
    let deployment = tokio::task::spawn_blocking(|| Deployment::standalone().start());
    let deployment = deployment.await.unwrap().unwrap();
    let uri = format!(
        "{}?appName={APP_NAME}&maxPoolSize={MAX_POOL_SIZE}",
        deployment.uri()
    );
    let client = Client::with_options(ClientOptions::parse(&uri).await.unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let serving = tokio::spawn(service::serve(listener, client, shutdown));

    let mut browser = Browser::connect(address).await;
    assert_eq!(
        browser.request("GET", "/health", "").await,
        (200, "ok".to_owned())
    );
    for round in 0..REQUESTS / 5 {
        life_of_a_note(&mut browser, round).await;
    }
    assert_eq!(browser.request("GET", "/notes/nonsense", "").await.0, 400);

    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|task| {
            tokio::spawn(async move {
                let mut browser = Browser::connect(address).await;
                for round in 0..REQUESTS / AT_ONCE / 5 {
                    life_of_a_note(&mut browser, task * 1_000 + round).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let pooled = connections(&deployment);
    // Beside the pool, a monitor has its own two.
    assert!(pooled <= MAX_POOL_SIZE + 2, "{pooled} connections");
    assert!(pooled > 1, "the parallel requests used one connection only");

    drop(browser);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while connections(&deployment) > 0 {
        assert!(
            Instant::now() < deadline,
            "{} connections left",
            connections(&deployment)
        );
        tokio::task::yield_now().await;
    }
}

/// Five requests: create, read, update, list, delete.
async fn life_of_a_note(browser: &mut Browser, number: usize) {
    let (status, body) = browser
        .request("POST", "/notes", &format!(r#"{{"text":"note {number}"}}"#))
        .await;
    assert_eq!(status, 201, "{body}");
    let note: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let path = format!("/notes/{}", note["id"].as_str().expect("an id"));
    let (status, body) = browser.request("GET", &path, "").await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(&format!("note {number}")), "{body}");
    assert_eq!(
        browser
            .request("PUT", &path, r#"{"text":"changed"}"#)
            .await
            .0,
        200
    );
    let (status, body) = browser.request("GET", "/notes", "").await;
    assert_eq!(status, 200, "{body}");
    // Others create notes at the same time, so this one may be too old for the listing.
    let listed: Vec<serde_json::Value> = serde_json::from_str(&body).expect("JSON");
    assert!((1..=50).contains(&listed.len()), "{} notes", listed.len());
    assert_eq!(browser.request("DELETE", &path, "").await.0, 204);
}

/// How many connections of the service the server has.
fn connections(deployment: &Deployment) -> usize {
    let pipeline = [
        doc! { "$currentOp": { "allUsers": true, "idleConnections": true } },
        doc! { "$match": { "appName": APP_NAME } },
    ];
    let command = doc! { "aggregate": 1, "pipeline": pipeline.to_vec(), "cursor": {} };
    let reply = deployment
        .run_admin_command(0, &command)
        .expect("the server tells its connections");
    let batch = reply
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"));
    let mut connections: Vec<_> = batch
        .expect("a batch")
        .iter()
        .filter_map(Bson::as_document)
        .filter_map(|op: &Document| op.get_str("client").ok().map(str::to_owned))
        .collect();
    connections.sort();
    connections.dedup();
    connections.len()
}

/// A very small HTTP client over one kept-alive connection.
struct Browser {
    stream: BufReader<TcpStream>,
}

impl Browser {
    async fn connect(address: std::net::SocketAddr) -> Self {
        Self {
            stream: BufReader::new(
                TcpStream::connect(address)
                    .await
                    .expect("the service listens"),
            ),
        }
    }

    async fn request(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream
            .write_all(request.as_bytes())
            .await
            .expect("the service answers");
        let mut line = String::new();
        self.stream
            .read_line(&mut line)
            .await
            .expect("the service answers");
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("the service answers in HTTP");
        let mut length = 0;
        loop {
            line.clear();
            self.stream
                .read_line(&mut line)
                .await
                .expect("the service answers");
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream
            .read_exact(&mut body)
            .await
            .expect("the service answers");
        (status, String::from_utf8(body).expect("text"))
    }
}
