//! Outgoing HTTP of one plugin: to the hosts that it was granted, and to no other.
//!
//! TLS is that of `ring` against the roots that browsers trust. A redirect is an answer like any
//! other; whoever follows it is held to the same list.

use std::sync::Arc;

use http::uri::Scheme;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_hooks};

use crate::manifest::HttpHost;

/// Sends requests to granted hosts.
pub(super) struct Outgoing {
    hosts: Arc<[HttpHost]>,
}

impl Outgoing {
    pub(super) fn new(hosts: Arc<[HttpHost]>) -> Self {
        Self { hosts }
    }

    fn takes(&self, uri: &http::Uri) -> bool {
        let Some(authority) = uri.authority() else { return false };
        let default = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
        let port = authority.port_u16().unwrap_or(default);
        // A user's name in front of the host: nothing sends it, and some read it as the host.
        let plain = !authority.as_str().contains('@');
        plain && self.hosts.iter().any(|host| host.takes(authority.host(), port, default))
    }
}

type Sent =
    Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        if !self.takes(request.uri()) {
            return Box::new(std::future::ready(Err(Error::HttpRequestDenied)));
        }
        default_hooks().send_request(request, options, processed)
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
        let outgoing = Outgoing::new(grants.http.unwrap().into());
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
            assert_eq!(outgoing.takes(&uri.parse().unwrap()), takes, "{uri}");
        }
    }
}
