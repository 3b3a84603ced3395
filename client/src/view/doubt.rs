//! What a client does not take from a registry on trust: addresses, texts, and how much of them. Pure.

use std::net::SocketAddr;

use jackfield_wire::registry::{Instance, Kind};
use jackfield_wire::status::is_printable;

use crate::place::Place;

/// The instance's address, or what is wrong with the instance. An endpoint from outside may have a
/// name, which is for those who speak with it to look up.
///
/// Its texts reach terminals and logs by way of listings and errors; an honest registry refuses
/// control characters in them.
pub(super) fn check(instance: &Instance) -> Result<Option<SocketAddr>, &'static str> {
    let is_plain = |text: &str| is_printable(text) && !text.contains(['\n', '\t']);
    if !is_plain(instance.id.as_str()) || !is_plain(&instance.host) {
        return Err("its name holds control characters");
    }
    if !texts(instance).all(is_printable) {
        return Err("its texts hold control characters");
    }
    match (instance.address.parse(), instance.kind) {
        (Ok(address), Kind::Plugin) => Ok(Some(address)),
        (Err(_), Kind::Plugin) => Err("its address is not an IP address and a port"),
        (_, Kind::Endpoint) if instance.address.parse::<Place>().is_ok() => Ok(None),
        (_, Kind::Endpoint) => Err("its address is not a host and a port"),
    }
}

/// About how many bytes of memory instances take.
pub(crate) fn size_of(instances: &[Instance]) -> usize {
    instances.iter().map(size).sum()
}

pub(super) fn size(instance: &Instance) -> usize {
    let texts: usize = texts(instance).map(|text| text.len() + PER_TEXT).sum();
    std::mem::size_of::<Instance>()
        + 2 * instance.id.as_str().len()
        + instance.address.len()
        + texts
}

/// Every text that stands in an instance for people, or for nobody knows whom.
fn texts(instance: &Instance) -> impl Iterator<Item = &str> {
    let methods = instance.methods.iter().flat_map(|method| [&method.name, &method.wit]);
    let metadata = instance.metadata.iter().flat_map(|(key, value)| [key, value]);
    let note = instance.operator.as_ref().and_then(|operator| operator.note.as_ref());
    let own = [Some(&instance.host), instance.version.as_ref(), instance.zone.as_ref(), note];
    let own = own.into_iter().flatten();
    own.chain(methods).chain(metadata).map(String::as_str)
}

/// What a string costs beside its bytes: its own three words and the allocator's.
const PER_TEXT: usize = 40;
