//! What an instance must be like to be listed. Everything here came from the network and goes to
//! other peers' terminals and dialers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jackfield_wire::InstanceId;
use jackfield_wire::name::BUILTIN_SERVICE;
use jackfield_wire::registry::{Edit, Instance, InstancePatch, Kind, MethodSummary, ServicePatch};

/// What is wrong with an instance, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("the id must be {expected}, the service and the host that it names")]
    Id { expected: InstanceId },
    #[error("no plugin may be called {BUILTIN_SERVICE:?}, every host's own service: rename it")]
    BuiltinService,
    #[error("address {0:?} is not a literal one: advertise IP:PORT, such as 192.0.2.7:4433")]
    AddressNotLiteral(String),
    #[error(
        "address {0:?} is neither IP:PORT nor NAME:PORT: advertise one of them, such as \
         models.example:8000"
    )]
    AddressNoPlace(String),
    #[error(
        "{0} means another machine to whoever looks it up elsewhere, and it registers from {1}: \
         advertise a name that clients reach"
    )]
    LocalName(String, IpAddr),
    #[error("address {0} has port 0: advertise the port that the host is bound to")]
    PortZero(SocketAddr),
    #[error("nobody can connect to {0}: advertise an address of the host that clients reach")]
    NotConnectable(SocketAddr),
    #[error(
        "{0} reaches the host only from its own machine or link, and it registers from {1}: \
         advertise an address that clients reach"
    )]
    OnlyLocal(SocketAddr, IpAddr),
    #[error("{0} is the registry's own address: advertise the host's")]
    RegistryItself(SocketAddr),
    #[error("it has {count} methods and may have {limit}: split the plugin")]
    Methods { count: usize, limit: usize },
    #[error("it has {count} metadata keys and may have {limit}: send fewer")]
    MetadataKeys { count: usize, limit: usize },
    #[error("its metadata has {bytes} bytes and may have {limit}: send less")]
    MetadataBytes { bytes: usize, limit: usize },
    #[error("its {field} has {bytes} bytes and may have {limit}: shorten it")]
    TooLong { field: &'static str, bytes: usize, limit: usize },
    #[error("its {field} holds the control character {character:?}: send plain text")]
    Control { field: &'static str, character: char },
    #[error("its {field} is {value} and may be {largest} at most: give less")]
    TooMuch { field: &'static str, value: u32, largest: u32 },
    #[error("a timeout of 0 leaves no time for any call: give more, or unset it")]
    NoTime,
    #[error("it takes {bytes} bytes and may take {limit}: shorten methods or metadata")]
    TooLarge { bytes: usize, limit: usize },
}

/// Where a registration comes from, and where it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Surroundings {
    pub(super) registrant: SocketAddr,
    pub(super) registry: Option<SocketAddr>,
}

/// Looks for the first thing wrong with `instance`.
pub(super) fn check(instance: &Instance, surroundings: Surroundings) -> Result<(), Flaw> {
    if instance.service.as_str() == BUILTIN_SERVICE {
        return Err(Flaw::BuiltinService);
    }
    let expected = InstanceId::of(&instance.key(), &instance.host);
    if instance.id != expected {
        return Err(Flaw::Id { expected });
    }
    match instance.kind {
        Kind::Plugin => check_address(&instance.address, surroundings)?,
        Kind::Endpoint => check_outside(&instance.address, surroundings)?,
    }
    check_text("host", &instance.host, MAX_WORD)?;
    if let Some(version) = &instance.version {
        check_text("version", version, MAX_WORD)?;
    }
    if let Some(zone) = &instance.zone {
        check_text("zone", zone, MAX_WORD)?;
    }
    check_weight(instance.weight)?;
    check_metadata(&instance.metadata)?;
    check_methods(&instance.methods)
}

/// Looks for the first thing wrong with an order about an instance.
pub(super) fn check_order(patch: &InstancePatch) -> Result<(), Flaw> {
    if let Edit::Set(weight) = patch.weight {
        check_weight(weight)?;
    }
    match &patch.note {
        Edit::Set(note) => check_text("note", note, MAX_NOTE),
        _ => Ok(()),
    }
}

/// Looks for the first thing wrong with settings of a service.
pub(super) fn check_settings(patch: &ServicePatch) -> Result<(), Flaw> {
    for (field, edit, largest) in [
        ("timeout", &patch.timeout_ms, MAX_TIMEOUT_MS),
        ("retry delay", &patch.retry_delay_ms, MAX_TIMEOUT_MS),
        ("max retries", &patch.max_retries, MAX_RETRIES),
    ] {
        match *edit {
            Edit::Set(value) if value > largest => {
                return Err(Flaw::TooMuch { field, value, largest });
            }
            _ => {}
        }
    }
    if patch.timeout_ms == Edit::Set(0) {
        return Err(Flaw::NoTime);
    }
    match &patch.picker {
        Edit::Set(picker) => check_text("picker", picker, MAX_PICKER),
        _ => Ok(()),
    }
}

fn check_weight(weight: u32) -> Result<(), Flaw> {
    if weight > MAX_WEIGHT {
        return Err(Flaw::TooMuch { field: "weight", value: weight, largest: MAX_WEIGHT });
    }
    Ok(())
}

fn check_address(text: &str, surroundings: Surroundings) -> Result<(), Flaw> {
    let address: SocketAddr =
        text.parse().map_err(|_| Flaw::AddressNotLiteral(text.chars().take(MAX_WORD).collect()))?;
    if address.port() == 0 {
        return Err(Flaw::PortZero(address));
    }
    let ip = address.ip().to_canonical();
    if is_nowhere(ip) || METADATA.contains(&ip) {
        return Err(Flaw::NotConnectable(address));
    }
    let from = surroundings.registrant.ip().to_canonical();
    if is_only_local(ip) && !is_only_local(from) {
        return Err(Flaw::OnlyLocal(address, from));
    }
    let plain = |address: SocketAddr| (address.ip().to_canonical(), address.port());
    if surroundings.registry.map(plain) == Some(plain(address)) {
        return Err(Flaw::RegistryItself(address));
    }
    Ok(())
}

/// An outside endpoint may also have a name, which whoever connects looks up.
fn check_outside(text: &str, surroundings: Surroundings) -> Result<(), Flaw> {
    let flaw = || Flaw::AddressNoPlace(text.chars().take(MAX_WORD).collect());
    let (host, port) = text.rsplit_once(':').ok_or_else(flaw)?;
    let is_named = host.chars().any(|c| c.is_ascii_alphabetic()) && !host.contains(':');
    if !is_named {
        return check_address(text, surroundings);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let port: u16 = port.parse().map_err(|_| flaw())?;
    if host.len() > MAX_HOST_NAME || !host.chars().all(plain) || port == 0 {
        return Err(flaw());
    }
    let from = surroundings.registrant.ip().to_canonical();
    if is_local_name(host) && !is_only_local(from) {
        return Err(Flaw::LocalName(host.into(), from));
    }
    Ok(())
}

/// RFC 6761: `localhost` and everything below it is the machine that asks.
fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// Addresses that nobody can be at.
fn is_nowhere(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::from([255; 4])
}

/// Addresses that mean another machine to whoever reads them elsewhere.
fn is_only_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

/// Whether the registry may dial what a registrant's name turned out to mean; `all_local` where all
/// registrants are on its own machine.
pub(crate) fn may_be_dialled(ip: IpAddr, all_local: bool) -> bool {
    let ip = ip.to_canonical();
    let local = ip.is_loopback() && all_local;
    !is_nowhere(ip) && !METADATA.contains(&ip) && (local || !is_only_local(ip))
}

fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), Flaw> {
    if metadata.len() > MAX_METADATA_KEYS {
        return Err(Flaw::MetadataKeys { count: metadata.len(), limit: MAX_METADATA_KEYS });
    }
    let bytes = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_METADATA_BYTES {
        return Err(Flaw::MetadataBytes { bytes, limit: MAX_METADATA_BYTES });
    }
    metadata.iter().try_for_each(|(key, value)| {
        check_text("metadata key", key, MAX_METADATA_BYTES)?;
        check_text("metadata value", value, MAX_METADATA_BYTES)
    })
}

fn check_methods(methods: &[MethodSummary]) -> Result<(), Flaw> {
    if methods.len() > MAX_METHODS {
        return Err(Flaw::Methods { count: methods.len(), limit: MAX_METHODS });
    }
    methods.iter().try_for_each(|method| {
        check_text("method name", &method.name, MAX_METHOD_NAME)?;
        check_text("method signature", &method.wit, MAX_SIGNATURE)
    })
}

fn check_text(field: &'static str, text: &str, limit: usize) -> Result<(), Flaw> {
    if text.len() > limit {
        return Err(Flaw::TooLong { field, bytes: text.len(), limit });
    }
    match text.chars().find(|c| is_harmful(*c)) {
        Some(character) => Err(Flaw::Control { field, character }),
        None => Ok(()),
    }
}

/// Where clouds serve machines their credentials: nearly all of them; Amazon's containers; Alibaba;
/// Amazon by IPv6.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Characters that move a terminal's cursor, colour it, or turn its text around. Signatures of
/// several lines are taken.
fn is_harmful(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Host names, zones and versions, in bytes; a version with build metadata fits, a document does not.
const MAX_WORD: usize = 128;
/// The longest name of a host, by RFC 1035.
const MAX_HOST_NAME: usize = 253;
/// A remark, not a document.
const MAX_NOTE: usize = 512;
/// Sums of weights over any set stay far from overflow, and shares of a percent can be said.
const MAX_WEIGHT: u32 = 1_000_000;
/// A day: longer is no bound at all.
const MAX_TIMEOUT_MS: u32 = 24 * 60 * 60 * 1000;
/// More repetitions than this only add to an outage.
const MAX_RETRIES: u32 = 100;
/// The name of a picker.
const MAX_PICKER: usize = 64;
/// As Kubernetes' labels: enough for zone, rack, owner and the like.
const MAX_METADATA_KEYS: usize = 32;
/// Keys and values together.
const MAX_METADATA_BYTES: usize = 4 << 10;
/// A generated client library of a large API has a few hundred.
const MAX_METHODS: usize = 1024;
/// A qualified method name has three names and a version.
const MAX_METHOD_NAME: usize = 512;
/// A signature that names every field of its records.
const MAX_SIGNATURE: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_means_a_private_place_of_the_registry_is_not_dialled() {
        let may = |ip: &str, all_local| may_be_dialled(ip.parse().unwrap(), all_local);
        for ip in ["169.254.169.254", "::ffff:169.254.1.1", "fe80::1", "100.100.100.200"] {
            assert!(!may(ip, true) && !may(ip, false), "{ip}");
        }
        for ip in ["fd00:ec2::254", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255"] {
            assert!(!may(ip, true) && !may(ip, false), "{ip}");
        }
        for ip in ["127.0.0.1", "::1"] {
            assert!(may(ip, true) && !may(ip, false), "{ip}");
        }
        assert!(["192.0.2.7", "10.0.0.1", "2001:db8::1"].iter().all(|ip| may(ip, false)));
    }
    use crate::core::fixture::instance;

    fn local() -> Surroundings {
        Surroundings {
            registrant: "127.0.0.1:50000".parse().unwrap(),
            registry: Some("127.0.0.1:9999".parse().unwrap()),
        }
    }

    fn flaw_of_address(address: &str, surroundings: Surroundings) -> Flaw {
        let instance = Instance { address: address.into(), ..instance("calc", "a") };
        check(&instance, surroundings).unwrap_err()
    }

    #[test]
    fn an_ordinary_instance_has_no_flaw() {
        assert_eq!(check(&instance("calc", "a"), local()), Ok(()));
        let v6 = Instance { address: "[::1]:4433".into(), ..instance("calc", "a") };
        assert_eq!(check(&v6, local()), Ok(()));
    }

    #[test]
    fn addresses_that_nobody_can_dial_are_refused() {
        for address in ["localhost:80", "127.0.0.1", "::1:80", "", "127.0.0.1:66000", " 1.2.3.4:5"]
        {
            assert!(matches!(flaw_of_address(address, local()), Flaw::AddressNotLiteral(_)));
        }
        assert!(matches!(flaw_of_address("127.0.0.1:0", local()), Flaw::PortZero(_)));
        for address in ["0.0.0.0:80", "[::]:80", "[::ffff:0.0.0.0]:80", "224.0.0.1:80"] {
            assert!(matches!(flaw_of_address(address, local()), Flaw::NotConnectable(_)));
        }
        for address in ["127.0.0.1:9999", "[::ffff:127.0.0.1]:9999"] {
            assert!(matches!(flaw_of_address(address, local()), Flaw::RegistryItself(_)));
        }
    }

    fn outside(address: &str) -> Instance {
        Instance { kind: Kind::Endpoint, address: address.into(), ..instance("model", "a") }
    }

    #[test]
    fn an_outside_endpoint_may_have_a_name() {
        for address in ["models.example:8000", "gpu-1:80", "127.0.0.1:8000", "[::1]:8000"] {
            assert_eq!(check(&outside(address), local()), Ok(()), "{address}");
        }
        for address in ["models", "models:0", "a b:80", ":80", "mod\u{1b}els:80", "0.0.0.0:80"] {
            assert!(check(&outside(address), local()).is_err(), "{address}");
        }
        let remote = Surroundings { registrant: "192.0.2.9:50000".parse().unwrap(), ..local() };
        for address in ["localhost:80", "a.LOCALHOST.:80", "127.0.0.1:80"] {
            assert!(check(&outside(address), remote).is_err(), "{address}");
        }
    }

    #[test]
    fn a_remote_registrant_cannot_list_a_local_address() {
        let remote = Surroundings { registrant: "192.0.2.9:50000".parse().unwrap(), ..local() };
        for address in ["127.0.0.1:80", "[::1]:80", "169.254.1.1:80", "[fe80::1]:80"] {
            assert!(matches!(flaw_of_address(address, remote), Flaw::OnlyLocal(..)), "{address}");
        }
    }

    #[test]
    fn an_id_that_names_another_service_is_refused() {
        let instance = Instance { id: instance("text", "a").id, ..instance("calc", "a") };
        let error = check(&instance, local()).unwrap_err();
        assert!(error.to_string().contains("calc@a"), "{error}");
    }

    #[test]
    fn the_hosts_own_service_cannot_be_registered() {
        let flaw = check(&instance(BUILTIN_SERVICE, "a"), local()).unwrap_err();
        assert_eq!(flaw, Flaw::BuiltinService);
    }

    #[test]
    fn metadata_is_bounded_in_keys_and_bytes() {
        let many = (0..33).map(|n| (n.to_string(), String::new())).collect();
        let many = Instance { metadata: many, ..instance("calc", "a") };
        assert_eq!(check(&many, local()), Err(Flaw::MetadataKeys { count: 33, limit: 32 }));
        let large = BTreeMap::from([("k".into(), "v".repeat(4096))]);
        let large = Instance { metadata: large, ..instance("calc", "a") };
        assert_eq!(check(&large, local()), Err(Flaw::MetadataBytes { bytes: 4097, limit: 4096 }));
    }

    #[test]
    fn text_that_could_steer_a_terminal_is_refused() {
        for version in ["\u{1b}[2J", "1\r2", "\u{202e}1"] {
            let instance = Instance { version: Some(version.into()), ..instance("calc", "a") };
            let flaw = check(&instance, local()).unwrap_err();
            assert!(matches!(flaw, Flaw::Control { field: "version", .. }), "{flaw}");
            assert!(!flaw.to_string().chars().any(is_harmful), "{flaw}");
        }
    }

    #[test]
    fn methods_are_bounded_in_number_and_length() {
        let method = MethodSummary { name: "m".into(), wit: "m: func()".into() };
        let many = Instance { methods: vec![method; 1025], ..instance("calc", "a") };
        assert_eq!(check(&many, local()), Err(Flaw::Methods { count: 1025, limit: 1024 }));
        let long = MethodSummary { name: "m".into(), wit: "x".repeat(MAX_SIGNATURE + 1) };
        let long = Instance { methods: vec![long], ..instance("calc", "a") };
        assert!(matches!(check(&long, local()), Err(Flaw::TooLong { .. })));
    }
}
