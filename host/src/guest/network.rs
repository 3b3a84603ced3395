//! The network of one store: which addresses it may talk to, and which names it may look up.
//!
//! A name is granted, not the addresses behind it: those are learned when the guest looks the name
//! up, by this store and for it alone. Nothing listens, ever.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup;
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, subscribe};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsView as _};

use super::Guest;
use super::resolve::{LookUpError, Resolver};
use crate::manifest::{HostName, NetworkHost};

/// What one plugin may talk to.
pub(super) struct Granted {
    hosts: Vec<NetworkHost>,
    resolver: Resolver,
}

impl Granted {
    pub(super) fn new(hosts: &[NetworkHost], resolver: Resolver) -> Self {
        Self { hosts: hosts.to_vec(), resolver }
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
}

/// Addresses that names of grants turned out to have.
#[derive(Default)]
struct Learned {
    /// Never held across an await.
    places: Mutex<Vec<NetworkHost>>,
}

impl Network {
    pub(super) fn new(granted: Option<Arc<Granted>>) -> Self {
        Self { granted, learned: Arc::default() }
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

    /// Begins to look `name` up, if that is granted.
    fn look_up(&self, name: &str) -> Option<Looking> {
        let granted = self.granted.as_ref()?;
        let grants = granted.of_name(name);
        if grants.is_empty() {
            return None;
        }
        let name = name.to_owned();
        let resolver = granted.resolver.clone();
        let look_up = async move {
            let found = resolver.look_up(name.clone()).await;
            found.inspect_err(|error| tracing::debug!(name, "not reached: {error}"))
        };
        Some(Looking { state: State::Under(Box::pin(look_up)), grants })
    }
}

/// A look-up that a guest has begun.
struct Looking {
    state: State,
    /// Those that its name has.
    grants: Vec<NetworkHost>,
}

enum State {
    Under(Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, LookUpError>> + Send>>),
    Found(std::vec::IntoIter<IpAddr>),
    Failed(ErrorCode),
}

impl Looking {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let State::Under(look_up) = &mut self.state {
            let Poll::Ready(found) = look_up.as_mut().poll(context) else { return Poll::Pending };
            self.state = match found {
                Ok(addresses) => State::Found(addresses.into_iter()),
                Err(LookUpError::Unknown(_)) => State::Failed(ErrorCode::NameUnresolvable),
                Err(LookUpError::Inside(_)) => State::Failed(ErrorCode::PermanentResolverFailure),
                Err(LookUpError::Late) => State::Failed(ErrorCode::TemporaryResolverFailure),
            };
        }
        Poll::Ready(())
    }

    /// What it has found, as far as it has come.
    fn next(&mut self) -> Result<Option<IpAddr>, ErrorCode> {
        // Whoever wants to be woken subscribes.
        let _ = self.poll(&mut Context::from_waker(Waker::noop()));
        match &mut self.state {
            State::Under(_) => Err(ErrorCode::WouldBlock),
            State::Found(addresses) => Ok(addresses.next()),
            State::Failed(code) => Err(*code),
        }
    }
}

#[async_trait]
impl Pollable for Looking {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll(context)).await;
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

type Stream = Resource<ip_name_lookup::ResolveAddressStream>;

/// What `stream` stands for: the interface has a type of its own, which nobody else can make.
fn looking(stream: &Stream) -> Resource<Looking> {
    Resource::new_borrow(stream.rep())
}

impl ip_name_lookup::Host for Lookup<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<ip_name_lookup::Network>,
        name: String,
    ) -> Result<Stream, SocketError> {
        self.0.sockets().table.get(&network)?;
        let Some(looking) = self.0.network().look_up(&name) else {
            return Err(ErrorCode::PermanentResolverFailure.into());
        };
        let looking = self.0.sockets().table.push(looking)?;
        Ok(Resource::new_own(looking.rep()))
    }
}

impl ip_name_lookup::HostResolveAddressStream for Lookup<'_> {
    fn resolve_next_address(&mut self, stream: Stream) -> Result<Option<IpAddress>, SocketError> {
        let learned = Arc::clone(&self.0.network().learned);
        let looking = self.0.sockets().table.get_mut(&looking(&stream))?;
        let next = looking.next()?;
        if let Some(address) = next {
            learned.add(address, &looking.grants);
        }
        Ok(next.map(IpAddress::from))
    }

    fn subscribe(&mut self, stream: Stream) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.0.sockets().table, looking(&stream))
    }

    fn drop(&mut self, stream: Stream) -> wasmtime::Result<()> {
        let looking: Resource<Looking> = Resource::new_own(stream.rep());
        self.0.sockets().table.delete(looking)?;
        Ok(())
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
        Granted::new(&grants.network, Resolver::system())
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
