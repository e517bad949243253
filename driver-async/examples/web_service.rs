//! A web service over one shared client: create, read, update, delete and list, and a health
//! endpoint, with a graceful shutdown.
//!
//! ```text
//! cargo run -p motorcade --example web_service
//! curl -s localhost:8080/health
//! curl -s -X POST localhost:8080/notes -H 'content-type: application/json' -d '{"text":"hi"}'
//! ```
//!
//! Listens on `LISTEN` (127.0.0.1:8080 by default). Starts a server by itself, or uses the one
//! that `MONGODB_URI` names. Ctrl-C ends it: requests under way are answered first.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[path = "web_service/service.rs"]
mod service;

use std::error::Error;

use motorcade::Client;
use motorcade_testserver::Deployment;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Kept until the end: dropping it stops the server.
    let (uri, _deployment) = match std::env::var("MONGODB_URI") {
        Ok(uri) => (uri, None),
        Err(_) => {
            println!("Starting a server (set MONGODB_URI to use your own) ...");
            let start = || Deployment::standalone().start();
            let deployment = tokio::task::spawn_blocking(start).await??;
            (deployment.uri(), Some(deployment))
        }
    };
    let client = Client::with_uri_str(&uri).await?;
    let address = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("Listening on http://{}", listener.local_addr()?);
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("Ctrl-C cannot be listened to: {error}");
        }
    };
    service::serve(listener, client, interrupted).await?;
    println!("Every request was answered and every connection closed.");
    Ok(())
}
