//! Looks up names for guests: some at a time, for so long, and never to a place inside of what the
//! host itself is part of.
//!
//! A manifest grants a name, and whoever runs the name's DNS says where it leads. That must not be
//! the host's own machine, its neighbours on the link, or what tells a cloud's machines their
//! secrets: those are reached by granting their addresses. Private networks are reached by names,
//! because that is where databases are.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Looks names up. Clones share their bounds.
#[derive(Clone)]
pub(crate) struct Resolver {
    system: Arc<System>,
    host: Arc<Semaphore>,
    plugin: Arc<Semaphore>,
}

/// What asks the system, on a thread that may wait.
type System = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// A name without an address for the guest.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookUpError {
    #[error("it has no address: {0}")]
    Unknown(io::Error),
    #[error(
        "it leads to {0}, which is inside of this machine or of its surroundings; if that is meant, \
         grant the address itself"
    )]
    Inside(IpAddr),
    #[error("it was not looked up within {LONGEST:?}")]
    Late,
}

impl Resolver {
    /// The system's.
    pub(crate) fn system() -> Self {
        Self::new(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
    }

    /// One that asks `system`.
    pub(super) fn new(
        system: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        let (host, plugin) = (Semaphore::new(AT_ONCE), Semaphore::new(AT_ONCE_PER_PLUGIN));
        Self { system: Arc::new(system), host: Arc::new(host), plugin: Arc::new(plugin) }
    }

    /// The same for another plugin, which gets a share of what the host looks up at once.
    pub(super) fn for_plugin(&self) -> Self {
        Self { plugin: Arc::new(Semaphore::new(AT_ONCE_PER_PLUGIN)), ..self.clone() }
    }

    /// The addresses of `name` that a guest may have, one at least; an address is its own.
    ///
    /// # Cancel safety
    /// Dropping it ends the wait. The system's look-up cannot be ended: it goes on, and takes its
    /// place until it ends.
    ///
    /// # Errors
    /// See [`LookUpError`].
    pub(super) async fn look_up(self, name: String) -> Result<Vec<IpAddr>, LookUpError> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(vec![address.to_canonical()]);
        }
        let is_local = is_localhost(&name);
        let found = timeout(LONGEST, self.ask(name)).await.map_err(|_| LookUpError::Late)?;
        let found = found.map_err(LookUpError::Unknown)?;
        let mut addresses: Vec<_> = found.iter().map(IpAddr::to_canonical).collect();
        addresses.retain(|address| !is_inside(*address) || is_local && address.is_loopback());
        match (addresses.is_empty(), found.first()) {
            (false, _) => Ok(addresses),
            (true, Some(first)) => Err(LookUpError::Inside(*first)),
            (true, None) => Err(LookUpError::Unknown(io::ErrorKind::NotFound.into())),
        }
    }

    async fn ask(self, name: String) -> io::Result<Vec<IpAddr>> {
        let open = "nobody closes it";
        // In this order: whoever waits for its own share holds nothing of the host's.
        let plugin = self.plugin.acquire_owned().await.expect(open);
        let host = self.host.acquire_owned().await.expect(open);
        let system = self.system;
        let asked = tokio::task::spawn_blocking(move || {
            let _until_the_end = (plugin, host);
            system(&name)
        });
        asked.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// The names that mean this machine wherever they are written (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether only this machine, its link or its cloud has this address; also in the form in which an
/// IPv6 network translates it.
fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => is_inside_v4(ip),
        IpAddr::V6(ip) => {
            let special = ip.is_loopback() || ip.is_unspecified() || ip.is_multicast();
            let embedded = embedded(ip).is_some_and(is_inside_v4);
            special || ip.is_unicast_link_local() || METADATA_V6.contains(&ip) || embedded
        }
    }
}

fn is_inside_v4(ip: Ipv4Addr) -> bool {
    // Linux takes all of 0.0.0.0/8 for no address or for itself.
    let this = ip.octets()[0] == 0 || ip.is_loopback() || ip.is_link_local();
    this || ip.is_multicast() || ip.is_broadcast() || METADATA_V4.contains(&ip)
}

/// The IPv4 address that NAT64, 6to4 or the deprecated compatible form has in an IPv6 one.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let bytes = ip.octets();
    let at =
        |from: usize| Ipv4Addr::new(bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]);
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0, ..] => Some(at(12)),
        [0x2002, ..] => Some(at(2)),
        _ => None,
    }
}

/// Where clouds tell machines their secrets, beside 169.254.169.254: Alibaba, Azure.
const METADATA_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];

/// The same: Amazon, Google.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Threads that wait for the system's answers at once, of the 512 that a runtime has for whatever
/// may wait: files of guests and of the host are read on the same ones.
const AT_ONCE: usize = 32;

/// Of those, for one plugin: names that nobody answers for keep no other plugin from its own.
const AT_ONCE_PER_PLUGIN: usize = 4;

/// A resolver that answers takes milliseconds, and asks again after five seconds.
const LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc;

    fn answering(addresses: &[&str]) -> Resolver {
        let all: Vec<IpAddr> = addresses.iter().map(|text| text.parse().expect("one")).collect();
        Resolver::new(move |_| Ok(all.clone()))
    }

    #[tokio::test]
    async fn a_name_does_not_lead_inside() {
        for inside in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "::127.0.0.1",
        ] {
            let found = answering(&[inside]).look_up("evil.example".into()).await;
            assert!(matches!(found, Err(LookUpError::Inside(_))), "{inside}: {found:?}");
        }
        let mixed = answering(&["127.0.0.1", "10.0.0.7", "192.0.2.1", "fd12::7"]);
        let found = mixed.look_up("db.internal".into()).await.expect("private ones are left");
        assert_eq!(
            found,
            ["10.0.0.7", "192.0.2.1", "fd12::7"].map(|ip| ip.parse::<IpAddr>().unwrap())
        );
    }

    #[tokio::test]
    async fn localhost_is_this_machine_and_nothing_else_inside() {
        let found = answering(&["127.0.0.1", "::1"]).look_up("localhost".into()).await;
        assert_eq!(found.expect("both").len(), 2);
        let found = answering(&["169.254.169.254"]).look_up("a.localhost".into()).await;
        assert!(matches!(found, Err(LookUpError::Inside(_))), "{found:?}");
        let unknown = answering(&[]).look_up("nowhere".into()).await;
        assert!(matches!(unknown, Err(LookUpError::Unknown(_))), "{unknown:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_plugin_whose_names_nobody_answers_for_keeps_no_other_one_waiting() {
        let (answer, answers) = mpsc::channel::<()>();
        let answers = Mutex::new(answers);
        let resolver = Resolver::new(move |name| {
            if name == "slow" {
                // Until the test ends.
                let _ = answers.lock().map(|waits| waits.recv());
            }
            Ok(vec![IpAddr::from([192, 0, 2, 1])])
        });
        let [slow, other] = [resolver.for_plugin(), resolver.for_plugin()];
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE * 2 {
            waiting.spawn(slow.clone().look_up("slow".into()));
        }
        other.look_up("fast".into()).await.expect("it has its own share");
        // Again and again: time does not pass by itself while threads wait, and a look-up's begins
        // when it is first looked at.
        while !waiting.is_empty() {
            tokio::time::advance(LONGEST).await;
            while let Some(ended) = waiting.try_join_next() {
                assert!(matches!(ended.expect("no panic"), Err(LookUpError::Late)));
            }
        }
        assert_eq!(slow.plugin.available_permits(), 0, "they go on");
        drop(answer);
    }
}
