//! Outgoing HTTP of one plugin: to the hosts that it was granted, and to no other.
//!
//! TLS is that of `ring` against the roots that browsers trust. A redirect is an answer like any
//! other; whoever follows it is held to the same list. A name that leads inside is refused, and a
//! request without TLS goes to an address that was looked at: with TLS, nobody inside has the
//! certificate of the name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Uri;
use http::uri::{Authority, Scheme};
use tokio::net::TcpStream;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_hooks};

use super::resolve::{LookUpError, Resolver};
use crate::manifest::HttpHost;

/// Where one plugin's requests may go.
pub(super) struct Allowed {
    hosts: Vec<HttpHost>,
    resolver: Resolver,
}

/// Sends requests to granted hosts.
pub(super) struct Outgoing {
    allowed: Arc<Allowed>,
}

impl Allowed {
    pub(super) fn new(hosts: Vec<HttpHost>, resolver: Resolver) -> Self {
        Self { hosts, resolver }
    }

    fn takes(&self, uri: &Uri) -> bool {
        let Some(authority) = uri.authority() else { return false };
        let default = default_port(uri);
        let port = authority.port_u16().unwrap_or(default);
        // A user's name in front of the host: nothing sends it, and some read it as the host.
        let plain = !authority.as_str().contains('@');
        plain && self.hosts.iter().any(|host| host.takes(authority.host(), port, default))
    }

    /// The place to send a granted request to: where its name leads, as the name itself where TLS
    /// proves who is there.
    async fn place(&self, uri: &Uri) -> Result<Authority, Error> {
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        let name = authority.host();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        if bare.parse::<IpAddr>().is_ok() {
            return Ok(authority.clone());
        }
        let found = self.resolver.clone().look_up(bare.to_owned()).await;
        let found = found.map_err(|error| unreachable_name(bare, &error))?;
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Ok(authority.clone());
        }
        let port = authority.port_u16().unwrap_or(default_port(uri));
        let address = answering(&found, port).await?;
        address.to_string().parse().map_err(|_| Error::HttpRequestUriInvalid)
    }
}

/// The first of `addresses` that takes a connection; a single one need not be asked before.
async fn answering(addresses: &[IpAddr], port: u16) -> Result<SocketAddr, Error> {
    let all: Vec<_> = addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
    match all[..] {
        [only] => Ok(only),
        _ => {
            let stream = TcpStream::connect(&all[..]).await.map_err(Error::Connect)?;
            stream.peer_addr().map_err(Error::Connect)
        }
    }
}

fn unreachable_name(name: &str, error: &LookUpError) -> Error {
    tracing::debug!(name, "no request is sent: {error}");
    match error {
        LookUpError::Unknown(_) => Error::DnsError { rcode: None, info_code: None },
        LookUpError::Inside(_) => Error::DestinationIpProhibited,
        LookUpError::Late => Error::DnsTimeout,
    }
}

fn default_port(uri: &Uri) -> u16 {
    if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 }
}

impl Outgoing {
    pub(super) fn new(allowed: Arc<Allowed>) -> Self {
        Self { allowed }
    }
}

type Sent =
    Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        if !self.allowed.takes(request.uri()) {
            return Box::new(std::future::ready(Err(Error::HttpRequestDenied)));
        }
        let allowed = Arc::clone(&self.allowed);
        Box::new(async move {
            // The host's name stays in the header `host`, which is there already.
            let mut parts = request.uri().clone().into_parts();
            parts.authority = Some(allowed.place(request.uri()).await?);
            *request.uri_mut() =
                Uri::from_parts(parts).map_err(|_| Error::HttpRequestUriInvalid)?;
            Box::into_pin(default_hooks().send_request(request, options, processed)).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use std::path::Path;

    #[test]
    fn requests_go_to_granted_hosts_and_their_ports_alone() {
        let text = r#"grants.http = ["api.example.com", "127.0.0.1:8080"]"#;
        let grants = Manifest::parse(text, Path::new("/")).unwrap().grants;
        let allowed = Allowed::new(grants.http.unwrap(), Resolver::system());
        for (uri, takes) in [
            ("https://api.example.com/x", true),
            ("http://api.example.com/x", true),
            ("https://api.example.com:443/", true),
            ("https://api.example.com:80/", false),
            ("http://127.0.0.1:8080/", true),
            ("http://127.0.0.1/", false),
            ("https://evil.example/", false),
            ("https://api.example.com@evil.example/", false),
            ("https://user@api.example.com/", false),
            ("/no-host", false),
        ] {
            assert_eq!(allowed.takes(&uri.parse().unwrap()), takes, "{uri}");
        }
    }

    fn leading_to(addresses: &'static [[u8; 4]]) -> Allowed {
        let found = |_: &str| Ok(addresses.iter().copied().map(IpAddr::from).collect());
        Allowed::new(Vec::new(), Resolver::new(found))
    }

    async fn place(allowed: &Allowed, uri: &str) -> Result<String, Error> {
        Ok(allowed.place(&uri.parse().unwrap()).await?.to_string())
    }

    #[tokio::test]
    async fn a_request_without_tls_goes_to_an_address_that_was_looked_at() {
        let outside = leading_to(&[[127, 0, 0, 1], [192, 0, 2, 1]]);
        assert_eq!(place(&outside, "http://api.example.com/x").await.unwrap(), "192.0.2.1:80");
        let with_port = place(&outside, "http://api.example.com:8080/").await.unwrap();
        assert_eq!(with_port, "192.0.2.1:8080");
        // The certificate is that of the name.
        let with_tls = place(&outside, "https://api.example.com/").await.unwrap();
        assert_eq!(with_tls, "api.example.com");
        assert_eq!(place(&outside, "http://[::1]:80/").await.unwrap(), "[::1]:80");
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_gets_no_request() {
        let inside = leading_to(&[[169, 254, 169, 254]]);
        for uri in ["http://api.example.com/", "https://api.example.com/"] {
            let refused = place(&inside, uri).await;
            assert!(matches!(refused, Err(Error::DestinationIpProhibited)), "{uri}: {refused:?}");
        }
        let nowhere = place(&leading_to(&[]), "http://api.example.com/").await;
        assert!(matches!(nowhere, Err(Error::DnsError { .. })), "{nowhere:?}");
    }

    #[tokio::test]
    async fn of_several_addresses_the_one_that_answers_is_taken() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let all = leading_to(&[[127, 0, 0, 2], [127, 0, 0, 1]]);
        let found = place(&all, &format!("http://a.localhost:{port}/")).await.unwrap();
        assert_eq!(found, format!("127.0.0.1:{port}"));
    }
}
