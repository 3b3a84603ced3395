//! Where the members are, and how to trust them.

use std::path::Path;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::config::EtcdConfig;
use crate::store::StoreError;

/// The members as the transport knows them.
pub(super) fn endpoints(config: &EtcdConfig) -> Result<Vec<Endpoint>, StoreError> {
    let bad = |what: String| StoreError::Unreachable { members: config.members.join(","), what };
    if config.members.is_empty() {
        return Err(bad("no member is named".into()));
    }
    let prefix = &config.prefix;
    if !prefix.ends_with('/') || prefix.chars().any(char::is_control) {
        return Err(bad(format!("the prefix {prefix:?} must be plain text with a / at its end")));
    }
    let tls = tls(config).map_err(bad)?;
    let endpoint = |member: &String| {
        let plain = !member.contains("://");
        let address = if plain { format!("http://{member}") } else { member.clone() };
        let endpoint = Endpoint::from_shared(address).map_err(|e| bad(format!("{member}: {e}")))?;
        match (&tls, member.starts_with("https://")) {
            (Some(tls), true) => {
                endpoint.tls_config(tls.clone()).map_err(|e| bad(format!("{member}: {e}")))
            }
            (None, true) => {
                Err(bad(format!("{member} is to be trusted by a certificate, and none was given")))
            }
            (_, false) => Ok(endpoint),
        }
    };
    config.members.iter().map(endpoint).collect()
}

fn tls(config: &EtcdConfig) -> Result<Option<ClientTlsConfig>, String> {
    let Some(ca) = &config.ca else { return Ok(None) };
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
    match &config.certificate {
        None => Ok(Some(tls)),
        Some((certificate, key)) => {
            Ok(Some(tls.identity(Identity::from_pem(read(certificate)?, read(key)?))))
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}
