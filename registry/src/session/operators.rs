//! Whose orders are obeyed.

use jackfield_transport::{Identity, PeerId, Role};

use crate::core::Refused;

/// Those who may give orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operators {
    /// Every client: whoever has an identity of a private authority is this user on this machine.
    Clients,
    /// These.
    Named(Vec<PeerId>),
}

impl Operators {
    /// As configured: names, or every client where the registry's own identity is a private one.
    ///
    /// A name is a whole `spiffe://` one, or a client's within the registry's domain.
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

    pub(super) fn include(&self, peer: &PeerId) -> bool {
        match self {
            Self::Clients => peer.role() == Role::Client,
            Self::Named(names) => names.contains(peer),
        }
    }

    pub(super) fn refusal(&self, peer: &PeerId) -> Refused {
        let how = match self {
            Self::Named(names) if !names.is_empty() => {
                "use an identity that the registry was started with --operator for"
            }
            Self::Clients => "use a client's identity",
            Self::Named(_) => {
                "start the registry with --operator NAME, the name in the operator's certificate"
            }
        };
        Refused::NotAnOperator { peer: peer.to_string(), action: "give orders", how }
    }
}
