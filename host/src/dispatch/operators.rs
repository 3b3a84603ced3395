//! Who may change what a host serves.

use jackfield_transport::{Identity, PeerId, Role};
use jackfield_wire::{Failure, Status};

/// Those who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operators {
    /// Every client: whoever has an identity of a private authority is this user on this machine.
    Clients,
    /// These.
    Named(Vec<PeerId>),
}

impl Operators {
    /// As configured: names, or every client where the host's own identity is a private one.
    ///
    /// # Errors
    /// What is wrong with a name.
    pub(crate) fn new(names: &[String], identity: &Identity) -> Result<Self, String> {
        if names.is_empty() && !identity.is_deliberate() {
            return Ok(Self::Clients);
        }
        let parse = |name: &String| match name.contains("://") {
            true => name.parse().map_err(|error| format!("{error}")),
            false => PeerId::new(identity.id().domain(), Role::Client, name)
                .map_err(|error| format!("{error}")),
        };
        names.iter().map(parse).collect::<Result<_, _>>().map(Self::Named)
    }

    /// # Errors
    /// A refusal that says what would help.
    pub(super) fn check(&self, peer: &PeerId) -> Result<(), Failure> {
        let how = match self {
            Self::Clients if peer.role() == Role::Client => return Ok(()),
            Self::Named(names) if names.contains(peer) => return Ok(()),
            Self::Clients => "use a client's identity",
            Self::Named(names) if names.is_empty() => {
                "start the host with --operator NAME, the name in the operator's certificate"
            }
            Self::Named(_) => "use an identity that the host was started with --operator for",
        };
        let text = format!("{peer} may not change what this host serves; {how}");
        Err(Failure::not_executed(Status::PermissionDenied, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_names_every_client_may_and_with_names_only_those() {
        let peer = |text: &str| text.parse::<PeerId>().unwrap();
        let (ada, bob) = (peer("spiffe://local/client/ada"), peer("spiffe://local/client/bob"));
        let host = peer("spiffe://local/host/h");
        assert!(Operators::Clients.check(&ada).is_ok());
        assert!(Operators::Clients.check(&host).is_err());
        let named = Operators::Named(vec![ada.clone()]);
        assert!(named.check(&ada).is_ok());
        assert!(named.check(&bob).unwrap_err().message.contains("started with --operator for"));
        let nobody = Operators::Named(Vec::new()).check(&ada).unwrap_err();
        assert_eq!(nobody.status, Status::PermissionDenied);
        assert!(nobody.message.contains("--operator NAME"));
    }
}
