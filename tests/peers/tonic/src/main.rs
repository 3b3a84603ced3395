//! gRPC by tonic, over plain HTTP/2 or TLS with certificates on both sides.
//!
//! Messages and service are written by hand in the form that tonic's generator gives them, so that no
//! machine needs `protoc`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::uri::PathAndQuery;
use peer_load::{Keys, Peer, Server, greeting};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{
    Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server as Transport, ServerTlsConfig,
};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Greeting {
    #[prost(string, tag = "1")]
    greeting: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Data {
    #[prost(bytes = "bytes", tag = "1")]
    data: Bytes,
}

fn main() -> Result<()> {
    peer_load::main(serve, connect)
}

async fn serve(variant: String, keys: Keys) -> Result<Server> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut transport = Transport::builder();
    if variant == "tls" {
        let identity = Identity::from_pem(keys.certificate("server")?, keys.key("server")?);
        let tls = ServerTlsConfig::new()
            .identity(identity)
            .client_ca_root(Certificate::from_pem(keys.certificate("ca")?));
        transport = transport.tls_config(tls)?;
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        if let Err(error) = transport.add_service(Greeter).serve_with_incoming(incoming).await {
            eprintln!("tonic: {error}");
        }
    });
    Ok(Server { address, tasks })
}

async fn connect(variant: String, address: SocketAddr, keys: Keys) -> Result<Tonic> {
    let is_tls = variant == "tls";
    let scheme = if is_tls { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?.tcp_nodelay(true);
    if is_tls {
        let tls = ClientTlsConfig::new()
            .domain_name(Keys::SERVER)
            .ca_certificate(Certificate::from_pem(keys.certificate("ca")?))
            .identity(Identity::from_pem(keys.certificate("client")?, keys.key("client")?));
        endpoint = endpoint.tls_config(tls)?;
    }
    Ok(Tonic(endpoint.connect().await?))
}

#[derive(Clone)]
struct Tonic(Channel);

impl Tonic {
    async fn unary<Q, A>(&self, path: &'static str, question: Q) -> Result<A>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.0.clone());
        grpc.ready().await.context("no connection")?;
        let path = PathAndQuery::from_static(path);
        let codec = ProstCodec::<Q, A>::default();
        Ok(grpc.unary(Request::new(question), path, codec).await?.into_inner())
    }
}

impl Peer for Tonic {
    async fn greet(&self, name: &str) -> Result<usize> {
        let name = Name { name: name.to_owned() };
        Ok(self.unary::<_, Greeting>(GREET, name).await?.greeting.len())
    }

    async fn echo(&self, bytes: &Bytes) -> Result<usize> {
        let data = Data { data: bytes.clone() };
        Ok(self.unary::<_, Data>(ECHO, data).await?.data.len())
    }
}

/// The service, as the generator would write it.
#[derive(Clone)]
struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "peers.Greeter";
}

impl Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match request.uri().path() {
            GREET => Box::pin(async move {
                let codec = ProstCodec::<Greeting, Name>::default();
                Ok(tonic::server::Grpc::new(codec).unary(Greet, request).await)
            }),
            ECHO => Box::pin(async move {
                let codec = ProstCodec::<Data, Data>::default();
                Ok(tonic::server::Grpc::new(codec).unary(Echo, request).await)
            }),
            _ => Box::pin(async { Ok(Status::new(Code::Unimplemented, "").into_http()) }),
        }
    }
}

struct Greet;

impl UnaryService<Name> for Greet {
    type Response = Greeting;
    type Future = BoxFuture<Response<Greeting>, Status>;

    fn call(&mut self, request: Request<Name>) -> Self::Future {
        Box::pin(async move {
            Ok(Response::new(Greeting { greeting: greeting(&request.into_inner().name) }))
        })
    }
}

struct Echo;

impl UnaryService<Data> for Echo {
    type Response = Data;
    type Future = BoxFuture<Response<Data>, Status>;

    fn call(&mut self, request: Request<Data>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(request.into_inner())) })
    }
}

const GREET: &str = "/peers.Greeter/Greet";
const ECHO: &str = "/peers.Greeter/Echo";
