//! Hosts of one service behind a registry, and a client that knows them.

use jackfield_client::{Client, ClientBuilder};
use jackfield_wire::registry::{Instance, MethodSummary};

use crate::harness::{Authority, Host};
use crate::registry::{FakeRegistry, eventually, hosts, instance};

pub(crate) struct Fleet {
    pub(crate) authority: Authority,
    pub(crate) registry: FakeRegistry,
    pub(crate) hosts: Vec<Host>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) client: Client,
}

impl Fleet {
    /// Hosts of these names that serve `calc`.
    pub(crate) async fn of(names: &[&str]) -> Self {
        Self::with(names, |builder| builder).await
    }

    pub(crate) async fn with(
        names: &[&str],
        set_up: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Self {
        let authority = Authority::new();
        let mut registry = FakeRegistry::start(&authority, 1).await;
        let mut all = Vec::new();
        for name in names {
            all.push(authority.host(name).await);
        }
        let instances: Vec<_> =
            names.iter().zip(&all).map(|(name, host)| instance("calc", name, host)).collect();
        registry.whole(&instances, true);
        let builder = authority.builder().registry(registry.address().to_string());
        let client = set_up(builder).build().await.expect("a client");
        eventually(&client, |known| hosts(known, "calc").len() == names.len()).await;
        Self { authority, registry, hosts: all, instances, client }
    }

    /// The same, after every host registered with other methods.
    pub(crate) async fn relisted(mut self, methods: &[&str]) -> Self {
        let summary = |name: &&str| MethodSummary { name: (*name).into(), wit: String::new() };
        for instance in &mut self.instances {
            instance.methods = methods.iter().map(summary).collect();
        }
        self.registry.change(&self.instances, &[]);
        let revised = |known: &jackfield_client::Snapshot| {
            let names = |i: &Instance| i.methods.iter().map(|m| m.name.clone()).collect::<Vec<_>>();
            known.instances().all(|i| names(i) == methods)
        };
        eventually(&self.client, revised).await;
        self
    }

    pub(crate) async fn who(&self) -> String {
        self.client.call("calc.who", ()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Calls that reached any host.
    pub(crate) fn calls(&self) -> usize {
        self.hosts.iter().map(Host::calls).sum()
    }
}
