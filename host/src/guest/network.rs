//! The network of one store: which addresses it may talk to, and which names it may look up.
//!
//! A name is granted, not the addresses behind it: those are learned when the guest looks the name
//! up, by this store and for it alone. Nothing listens, ever.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup;
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress};
use wasmtime_wasi::p2::{DynPollable, SocketError};
use wasmtime_wasi::sockets::{
    SocketAddrUse, WasiSocketsCtx, WasiSocketsCtxView, WasiSocketsView as _,
};

use super::Guest;
use crate::manifest::{HostName, NetworkHost};

/// What one plugin may talk to.
pub(super) struct Granted {
    hosts: Vec<NetworkHost>,
    /// Looks up every name. Only [`Lookup`] uses it, after it has checked the name.
    resolver: WasiSocketsCtx,
}

impl Granted {
    pub(super) fn new(hosts: &[NetworkHost]) -> Self {
        let mut any = WasiCtxBuilder::new().allow_ip_name_lookup(true).build();
        Self { hosts: hosts.to_vec(), resolver: any.sockets().clone() }
    }

    /// The grants that `name` has.
    fn of_name(&self, name: &str) -> Vec<NetworkHost> {
        let bare = name.strip_suffix('.').unwrap_or(name);
        let same = |granted: &&NetworkHost| match &granted.host {
            HostName::Ip(ip) => bare.parse::<IpAddr>().is_ok_and(|bare| bare.to_canonical() == *ip),
            HostName::Name(granted) => granted.eq_ignore_ascii_case(bare),
        };
        self.hosts.iter().filter(same).cloned().collect()
    }
}

/// The network of one store.
pub(super) struct Network {
    granted: Option<Arc<Granted>>,
    learned: Arc<Learned>,
    /// The grants that each look-up under way has, by its handle.
    lookups: HashMap<u32, Vec<NetworkHost>>,
}

/// Addresses that names of grants turned out to have.
#[derive(Default)]
struct Learned {
    /// Never held across an await.
    places: Mutex<Vec<NetworkHost>>,
}

impl Network {
    pub(super) fn new(granted: Option<Arc<Granted>>) -> Self {
        Self { granted, learned: Arc::default(), lookups: HashMap::new() }
    }

    /// Opens the sockets of `builder` for what is granted, if anything is.
    pub(super) fn allow(&self, builder: &mut WasiCtxBuilder) {
        let Some(granted) = self.granted.clone() else { return };
        let learned = Arc::clone(&self.learned);
        builder.allow_tcp(true).allow_udp(true).socket_addr_check(move |address, purpose| {
            let allowed = allows(&granted, &learned, address, purpose);
            Box::pin(std::future::ready(allowed))
        });
    }
}

fn allows(
    granted: &Granted,
    learned: &Learned,
    address: SocketAddr,
    purpose: SocketAddrUse,
) -> bool {
    match purpose {
        // What a connection or a datagram goes out from, chosen by the system.
        SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => {
            address.ip().is_unspecified() && address.port() == 0
        }
        SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => {
            granted.hosts.iter().any(|host| host.is(address)) || learned.has(address)
        }
        SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
    }
}

impl Learned {
    fn has(&self, address: SocketAddr) -> bool {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().any(|place| place.is(address))
    }

    fn add(&self, ip: IpAddr, grants: &[NetworkHost]) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        for grant in grants {
            let place = NetworkHost { host: HostName::Ip(ip.to_canonical()), port: grant.port };
            if places.len() < MAX_LEARNED && !places.contains(&place) {
                places.push(place);
            }
        }
    }
}

/// Puts the look-up of granted names where that of all names was.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = ip_name_lookup::add_to_linker::<Guest, HasLookup>(linker, view);
    linker.allow_shadowing(false);
    added
}

struct HasLookup;

impl HasData for HasLookup {
    type Data<'a> = Lookup<'a>;
}

/// `wasi:sockets/ip-name-lookup` of one store.
struct Lookup<'a>(&'a mut Guest);

fn view(guest: &mut Guest) -> Lookup<'_> {
    Lookup(guest)
}

impl Lookup<'_> {
    /// Does `what` with a resolver that looks up every name.
    fn resolve<T>(
        &mut self,
        granted: &Granted,
        what: impl FnOnce(&mut WasiSocketsCtxView<'_>) -> T,
    ) -> T {
        let mut resolver = granted.resolver.clone();
        what(&mut WasiSocketsCtxView { ctx: &mut resolver, table: self.0.sockets().table })
    }
}

type Stream = Resource<ip_name_lookup::ResolveAddressStream>;

impl ip_name_lookup::Host for Lookup<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<ip_name_lookup::Network>,
        name: String,
    ) -> Result<Stream, SocketError> {
        let granted = self.0.network().granted.clone();
        let grants = granted.as_ref().map(|granted| granted.of_name(&name)).unwrap_or_default();
        let Some(granted) = granted.filter(|_| !grants.is_empty()) else {
            return Err(ErrorCode::PermanentResolverFailure.into());
        };
        let stream = self.resolve(&granted, |all| all.resolve_addresses(network, name))?;
        self.0.network().lookups.insert(stream.rep(), grants);
        Ok(stream)
    }
}

impl ip_name_lookup::HostResolveAddressStream for Lookup<'_> {
    fn resolve_next_address(&mut self, stream: Stream) -> Result<Option<IpAddress>, SocketError> {
        let rep = stream.rep();
        let next = self.0.sockets().resolve_next_address(stream)?;
        let network = self.0.network();
        if let (Some(address), Some(grants)) = (&next, network.lookups.get(&rep)) {
            network.learned.add(ip(address), grants);
        }
        Ok(next)
    }

    fn subscribe(&mut self, stream: Stream) -> wasmtime::Result<Resource<DynPollable>> {
        self.0.sockets().subscribe(stream)
    }

    fn drop(&mut self, stream: Stream) -> wasmtime::Result<()> {
        self.0.network().lookups.remove(&stream.rep());
        ip_name_lookup::HostResolveAddressStream::drop(&mut self.0.sockets(), stream)
    }
}

/// As everywhere else.
impl network::Host for Lookup<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.0.sockets().convert_error_code(error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.0.sockets().network_error_code(error)
    }
}

impl network::HostNetwork for Lookup<'_> {
    fn drop(&mut self, network: Resource<network::Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.0.sockets(), network)
    }
}

fn ip(address: &IpAddress) -> IpAddr {
    match *address {
        IpAddress::Ipv4((a, b, c, d)) => IpAddr::from([a, b, c, d]),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => IpAddr::from([a, b, c, d, e, f, g, h]),
    }
}

/// Addresses that one store learns: a name has some.
const MAX_LEARNED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use std::path::Path;

    fn granted(hosts: &str) -> Granted {
        let text = format!("grants.network = {hosts}");
        let grants = Manifest::parse(&text, Path::new("/")).expect("it holds").grants;
        Granted::new(&grants.network)
    }

    #[test]
    fn a_name_opens_its_addresses_only_once_they_are_learned_and_its_ports_alone() {
        let granted = granted(r#"["db.internal:5432", "10.0.0.7"]"#);
        let learned = Learned::default();
        let may = |address: &str| {
            allows(&granted, &learned, address.parse().unwrap(), SocketAddrUse::TcpConnect)
        };
        assert!(may("10.0.0.7:1") && !may("10.0.0.8:5432"));
        assert!(granted.of_name("other.internal").is_empty());
        learned.add("10.0.0.8".parse().unwrap(), &granted.of_name("DB.internal."));
        assert!(may("10.0.0.8:5432") && !may("10.0.0.8:5433"));
    }

    #[test]
    fn nothing_listens_and_nothing_is_bound_but_where_the_system_chooses() {
        let granted = granted(r#"["127.0.0.1"]"#);
        let learned = Learned::default();
        let may =
            |address: &str, purpose| allows(&granted, &learned, address.parse().unwrap(), purpose);
        for purpose in [SocketAddrUse::TcpBind, SocketAddrUse::UdpBind] {
            assert!(may("0.0.0.0:0", purpose) && may("[::]:0", purpose));
            assert!(!may("127.0.0.1:0", purpose) && !may("0.0.0.0:80", purpose));
        }
        for purpose in [SocketAddrUse::TcpListen, SocketAddrUse::TcpAccept] {
            assert!(!may("127.0.0.1:80", purpose));
        }
        assert!(may("127.0.0.1:80", SocketAddrUse::UdpReceive));
        assert!(!may("127.0.0.2:80", SocketAddrUse::UdpReceive));
    }
}
