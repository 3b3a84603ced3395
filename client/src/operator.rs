//! What operators do with a registry: look at what it holds, and give orders.

use jackfield_transport::Identity;
use jackfield_wire::InstanceId;
use jackfield_wire::registry::{
    InstancePatch, ListQuery, Listing, Override, Reply, Request, ServicePatch, ServiceSettings,
};

use crate::asker::{Asker, RegistryError};
use crate::place::Place;

/// A connection over which orders are given. Whether they are obeyed is the registry's decision, by
/// the name in the identity.
#[derive(Debug)]
pub struct Operator {
    asker: Asker,
}

impl Operator {
    /// Connects to the first of `registries`, each `HOST:PORT`, that answers.
    ///
    /// # Errors
    /// When none does; with the last one's reason.
    pub async fn connect(
        identity: &Identity,
        registries: &[String],
    ) -> Result<Self, RegistryError> {
        let places: Vec<Place> =
            registries.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        Ok(Self { asker: Asker::connect(identity, &places).await? })
    }

    /// Everything that `query` asks for, however many parts it comes in.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn list(&self, query: ListQuery) -> Result<Listing, RegistryError> {
        let mut whole = self.part(query.clone()).await?;
        while whole.more {
            let after = whole.instances.last().map(|instance| instance.id.clone());
            let next = ListQuery { after, since: None, wait_ms: None, ..query.clone() };
            let part = self.part(next).await?;
            whole.more = part.more && !part.instances.is_empty();
            whole.instances.extend(part.instances);
        }
        Ok(whole)
    }

    /// Orders something about an instance; says what holds now.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn set_instance(&self, patch: InstancePatch) -> Result<Override, RegistryError> {
        match self.asker.ask(&Request::SetInstance(patch)).await? {
            Reply::InstanceSet(order) => Ok(order),
            _ => Err(RegistryError::OffTopic),
        }
    }

    /// Orders how a service is called by those who do not say it themselves; says what holds now.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn set_service(&self, patch: ServicePatch) -> Result<ServiceSettings, RegistryError> {
        match self.asker.ask(&Request::SetService(patch)).await? {
            Reply::ServiceSet(settings) => Ok(settings),
            _ => Err(RegistryError::OffTopic),
        }
    }

    /// Takes instances back, whoever registered them; says how many there were. A host that lives
    /// registers its own again: [disable](InstancePatch::disabled) those.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn deregister(&self, ids: Vec<InstanceId>) -> Result<u32, RegistryError> {
        match self.asker.ask(&Request::Deregister(ids)).await? {
            Reply::Deregistered(count) => Ok(count),
            _ => Err(RegistryError::OffTopic),
        }
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.asker.close().await;
    }

    async fn part(&self, query: ListQuery) -> Result<Listing, RegistryError> {
        match self.asker.ask(&Request::List(query)).await? {
            Reply::Listed(part) => Ok(part),
            _ => Err(RegistryError::OffTopic),
        }
    }
}
