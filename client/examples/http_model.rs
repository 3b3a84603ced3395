//! A service that is no wasm host: a model server that speaks HTTP, registered from outside.
//!
//! The client chooses an instance, leaves out those that fail, repeats what was not executed, and
//! keeps to the deadline; how to speak with the instance is this program's own.
//!
//! `cargo run -p jackfield-client --example http_model -- 127.0.0.1:9999 "a prompt"`

use std::error::Error;
use std::time::Duration;

use jackfield_client::{CallError, CallOptions, Client, Fault, PickerKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Asks an instance of the service `model`.
pub(crate) async fn ask(client: &Client, prompt: &str) -> Result<String, CallError> {
    let options =
        CallOptions::new().deadline(Duration::from_secs(5)).picker(PickerKind::LeastLoaded);
    client
        .execute_with("model", options, |instance| async move {
            // Nothing was asked yet, so another instance may be.
            let stream =
                TcpStream::connect(&instance.address).await.map_err(Fault::not_executed)?;
            // From here on nobody knows, so `?` makes a fault that is not repeated.
            let (status, body) = post(stream, prompt).await?;
            match status {
                200 => Ok(body),
                429 | 503 => Err(Fault::busy(format!("the model has too much to do: {body}"))),
                _ => Err(Fault::application(format!("HTTP {status}: {body}"))),
            }
        })
        .await
}

/// As little HTTP as will do: one request, and an answer that ends with the connection.
async fn post(mut stream: TcpStream, prompt: &str) -> std::io::Result<(u16, String)> {
    let length = prompt.len();
    let request = format!(
        "POST /generate HTTP/1.1\r\nHost: model\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{prompt}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.unwrap_or(502), body.into()))
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for people")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let registry = words.next().unwrap_or_else(|| "127.0.0.1:9999".into());
    let prompt = words.next().unwrap_or_else(|| "Hello?".into());
    let client = Client::builder().registry(registry).build().await?;
    println!("{}", ask(&client, &prompt).await?);
    client.close().await;
    Ok(())
}
