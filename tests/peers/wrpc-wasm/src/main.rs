//! wRPC over QUIC with a component: a fresh instance for each call out of a pool.
//!
//! The component is Jackfield's own `greeter`, served as wRPC's command line serves one: every export
//! by `ServeExt::serve_function`, in a store that is made for the call.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures::StreamExt as _;
use peer_load::{Keys, Peer, Server};
use quinn::Endpoint;
use tokio::task::JoinSet;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wrpc_runtime_wasmtime::{ServeExt as _, SharedResourceTable, WrpcCtx, WrpcCtxView, WrpcView};
use wrpc_transport::InvokeExt as _;
use wrpc_transport::frame::tcp;

fn main() -> Result<()> {
    peer_load::main(serve, connect)
}

async fn serve(_variant: String, keys: Keys) -> Result<Server> {
    let endpoint = Endpoint::server(keys.quic_server()?, ([127, 0, 0, 1], 0).into())?;
    let address = endpoint.local_addr()?;
    let (engine, component) = component()?;
    let server = Arc::new(wrpc_transport_quic::Server::new());
    let Some(ComponentItem::ComponentFunc(ty)) =
        component.component().component_type().get_export(&engine, "greet")
    else {
        bail!("the component exports no function `greet`");
    };
    let store = move || Store::new(&engine, State::new());
    let none = Arc::new(HashMap::new());
    let mut calls = Box::pin(server.serve_function(store, component, none, ty, "", "greet").await?);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut handlers = JoinSet::new();
        while let Some(Ok(((), call))) = calls.next().await {
            handlers.spawn(async move {
                if let Err(error) = call.await {
                    eprintln!("wRPC: {error:#}");
                }
            });
            while handlers.try_join_next().is_some() {}
        }
    });
    tasks.spawn(async move {
        let mut connections: JoinSet<Result<()>> = JoinSet::new();
        while let Some(incoming) = endpoint.accept().await {
            let server = server.clone();
            connections.spawn(async move {
                let connection = wrpc_transport_quic::Client::from(incoming.await?);
                loop {
                    server.accept(&connection).await?;
                }
            });
        }
    });
    Ok(Server { address, tasks })
}

/// The component with everything that is done once, in an engine with wasmtime's pool.
fn component() -> Result<(Engine, InstancePre<State>)> {
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new()));
    let engine = Engine::new(&config).map_err(anyhow::Error::from)?;
    let component = Component::new(&engine, GREETER).map_err(anyhow::Error::from)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(anyhow::Error::from)?;
    let ready = linker.instantiate_pre(&component).map_err(anyhow::Error::from);
    Ok((engine, ready.context("the component does not link")?))
}

/// What a guest has. It calls nobody, so the client that wRPC wants is never used.
struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    wrpc: Nobody,
}

impl State {
    fn new() -> Self {
        let wrpc = Nobody { client: "127.0.0.1:1".into(), shared: SharedResourceTable::default() };
        Self { table: ResourceTable::new(), wasi: WasiCtx::builder().build(), wrpc }
    }
}

struct Nobody {
    client: tcp::Client<&'static str>,
    shared: SharedResourceTable,
}

impl WrpcCtx<tcp::Client<&'static str>> for Nobody {
    fn context(&self) {}

    fn client(&self) -> &tcp::Client<&'static str> {
        &self.client
    }

    fn shared_resources(&mut self) -> &mut SharedResourceTable {
        &mut self.shared
    }
}

impl WrpcView for State {
    type Invoke = tcp::Client<&'static str>;

    fn wrpc(&mut self) -> WrpcCtxView<'_, Self::Invoke> {
        WrpcCtxView { ctx: &mut self.wrpc, table: &mut self.table }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

async fn connect(_variant: String, address: SocketAddr, keys: Keys) -> Result<Wrpc> {
    let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into())?;
    let connection = endpoint.connect_with(keys.quic_client()?, address, Keys::SERVER)?.await?;
    Ok(Wrpc(connection.into()))
}

#[derive(Clone)]
struct Wrpc(wrpc_transport_quic::Client);

impl Peer for Wrpc {
    async fn greet(&self, name: &str) -> Result<usize> {
        let none: [[Option<usize>; 0]; 0] = [];
        let (greeting,): (String,) =
            self.0.invoke_values_blocking((), "", "greet", (name, None::<String>), none).await?;
        Ok(greeting.len())
    }

    async fn echo(&self, _bytes: &Bytes) -> Result<usize> {
        bail!("this peer is not asked")
    }
}

const GREETER: &[u8] = include_bytes!("../../../../plugins/greeter/greeter.wasm");
