//! Drives the example web service: many requests one by one, then many at once.

#[path = "../examples/web_service/service.rs"]
mod service;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

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

const FILE: usize = 700_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_files_as_browsers_ask_for_them() {
    let deployment = tokio::task::spawn_blocking(|| Deployment::standalone().start());
    let deployment = deployment.await.unwrap().unwrap();
    let client = Client::with_uri_str(deployment.uri()).await.unwrap();
    let bucket = client.database("web_service").gridfs_bucket(None);
    let content: Vec<u8> = (0..FILE).map(|at| (at % 251) as u8).collect();
    let id = bucket.upload_from_reader("film", &*content).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let serving = tokio::spawn(service::serve(listener, client.clone(), shutdown));
    let mut browser = Browser::connect(address).await;

    let whole = browser.ask("GET", "/files/film", "").await;
    assert_eq!(
        (whole.status, whole.header("accept-ranges")),
        (200, "bytes")
    );
    assert!(whole.body == content);
    let tag = whole.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", id.as_object_id().unwrap()));
    let head = browser.ask("HEAD", "/files/film", "").await;
    assert_eq!((head.status, head.header("etag")), (200, &*tag));
    assert_eq!(head.header("content-length"), FILE.to_string());
    let known = format!("if-none-match: \"other\", {tag}\r\n");
    let known = browser.ask("GET", "/files/film", &known).await;
    assert_eq!((known.status, known.header("etag")), (304, &*tag));
    assert_eq!(browser.ask("GET", "/files/none", "").await.status, 404);

    for (range, start, end) in [
        ("0-0", 0, 1),
        ("261119-261121", 261_119, 261_122),
        ("300000-", 300_000, FILE),
        ("-9", FILE - 9, FILE),
        ("699990-9999999", 699_990, FILE),
    ] {
        let asked = format!("range: bytes={range}\r\nif-range: {tag}\r\n");
        let part = browser.ask("GET", "/files/film", &asked).await;
        assert_eq!(part.status, 206, "{range}");
        let told = format!("bytes {start}-{}/{FILE}", end - 1);
        assert_eq!(part.header("content-range"), told, "{range}");
        assert!(part.body == content[start..end], "{range}");
    }
    let beyond = browser
        .ask("GET", "/files/film", "range: bytes=700000-\r\n")
        .await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), format!("bytes */{FILE}"));

    bucket
        .upload_from_reader("film", &content[..9])
        .await
        .unwrap();
    let old = format!("range: bytes=5-\r\nif-range: {tag}\r\n");
    let new = browser.ask("GET", "/files/film", &old).await;
    assert_eq!(
        (new.status, &new.body[..]),
        (200, &content[..9]),
        "it is another file"
    );

    drop((browser, bucket, client));
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
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
        let headers = format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
        let reply = self.send(method, path, &headers, body).await;
        (reply.status, String::from_utf8(reply.body).expect("text"))
    }

    /// A request without a body; `headers` end in line ends.
    async fn ask(&mut self, method: &str, path: &str, headers: &str) -> Reply {
        self.send(method, path, headers, "").await
    }

    async fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n{body}");
        self.stream
            .write_all(request.as_bytes())
            .await
            .expect("the service answers");
        let first = self.line().await;
        let status = first
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("the service answers in HTTP");
        let mut headers = HashMap::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map(|length| length.parse());
        let has_body = method != "HEAD" && status != 304;
        let length = length
            .filter(|_| has_body)
            .map_or(0, |it| it.expect("a length"));
        let mut body = vec![0; length];
        self.stream
            .read_exact(&mut body)
            .await
            .expect("the service answers");
        Reply {
            status,
            headers,
            body,
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream
            .read_line(&mut line)
            .await
            .expect("the service answers");
        line.trim_end().to_owned()
    }
}

/// What the service answered.
struct Reply {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}
