//! Hosts of the network that grants name: `db.internal:5432`, `10.0.0.7`, `*.example.com`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use jackfield_wire::units::quoted;

/// Where a plugin may connect to: one host, and one port of it or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkHost {
    /// The host.
    pub host: HostName,
    /// The port; `None` for all.
    pub port: Option<u16>,
}

/// A host, by what somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// An address.
    Ip(IpAddr),
    /// A name, in lower case.
    Name(String),
}

/// Where wasi:http requests may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpHost {
    /// `*.`: every name that ends so.
    pub subdomains: bool,
    /// The host.
    pub host: HostName,
    /// The port; `None` for the scheme's own, 80 or 443.
    pub port: Option<u16>,
}

impl NetworkHost {
    /// Reads `HOST` or `HOST:PORT`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (host, port) = split(text)?;
        Ok(Self { host: HostName::parse(host)?, port })
    }

    /// Whether `address` is this place, by address alone: a name is none until it was resolved.
    pub fn is(&self, address: SocketAddr) -> bool {
        self.host == HostName::Ip(address.ip().to_canonical()) && self.takes(address.port())
    }

    /// Whether the port is granted.
    pub fn takes(&self, port: u16) -> bool {
        self.port.is_none_or(|granted| granted == port)
    }
}

impl HttpHost {
    /// Reads `HOST`, `HOST:PORT`, `*.HOST`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") || text.contains('/') {
            let url = quoted(text);
            return Err(format!("{url} is a URL; write its host alone, as in api.example.com"));
        }
        let (subdomains, text) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (host, port) = split(text)?;
        let host = HostName::parse(host)?;
        if subdomains && matches!(host, HostName::Ip(_)) {
            return Err("an address has no names below it; leave `*.` out".into());
        }
        Ok(Self { subdomains, host, port })
    }

    /// Whether a request to `host`, and to `port` of it, may go; `default` is its scheme's port.
    pub fn takes(&self, host: &str, port: u16, default: u16) -> bool {
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let same = match &self.host {
            HostName::Ip(ip) => host.parse::<IpAddr>().is_ok_and(|h| h.to_canonical() == *ip),
            HostName::Name(name) => {
                let host = host.to_ascii_lowercase();
                let below = || host.strip_suffix(name.as_str()).is_some_and(|h| h.ends_with('.'));
                if self.subdomains { below() } else { host == *name }
            }
        };
        same && port == self.port.unwrap_or(default)
    }
}

impl HostName {
    fn parse(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self::Ip(ip.to_canonical()));
        }
        let label = |label: &str| {
            let ordinary = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            !label.is_empty() && label.len() <= 63 && label.chars().all(ordinary)
        };
        if text.len() > 253 || !text.split('.').all(label) {
            return Err(format!("{} is no host; {HOW}", quoted(text)));
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

/// A host and its port.
fn split(text: &str) -> Result<(&str, Option<u16>), String> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok((text, None));
    }
    match text.rsplit_once(':') {
        None => Ok((text, None)),
        Some((host, port)) => match port.parse() {
            Ok(0) | Err(_) => Err(format!("{} is no port from 1 to 65535; {HOW}", quoted(port))),
            Ok(port) => Ok((host, Some(port))),
        },
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for NetworkHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        port(f, &self.host, self.port)
    }
}

impl fmt::Display for HttpHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.subdomains { "*." } else { "" })?;
        port(f, &self.host, self.port)
    }
}

fn port(f: &mut fmt::Formatter<'_>, host: &HostName, port: Option<u16>) -> fmt::Result {
    match port {
        Some(port) => write!(f, "{host}:{port}"),
        None => write!(f, "{host}"),
    }
}

const HOW: &str = "write HOST or HOST:PORT, as in db.internal:5432, 10.0.0.7 or [fd00::7]:443";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for (text, shown) in [
            ("DB.internal:5432", "db.internal:5432"),
            ("10.0.0.7", "10.0.0.7"),
            ("[fd00::7]:443", "[fd00::7]:443"),
            ("fd00::7", "[fd00::7]"),
            ("::ffff:10.0.0.7", "10.0.0.7"),
            ("localhost", "localhost"),
        ] {
            let parsed = NetworkHost::parse(text).map(|host| host.to_string());
            assert_eq!(parsed.as_deref(), Ok(shown), "{text}");
        }
        for text in ["", "a b", "a:", "a:0", "a:70000", "*.a", "a..b", "a/b", "[::1]:x"] {
            assert!(NetworkHost::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_matched_with_its_port_and_in_either_form() {
        let grant = NetworkHost::parse("127.0.0.1:80").unwrap();
        assert!(grant.is("127.0.0.1:80".parse().unwrap()));
        assert!(grant.is("[::ffff:127.0.0.1]:80".parse().unwrap()));
        assert!(!grant.is("127.0.0.1:81".parse().unwrap()));
        assert!(!grant.is("127.0.0.2:80".parse().unwrap()));
        assert!(NetworkHost::parse("::1").unwrap().is("[::1]:9".parse().unwrap()));
        assert!(!NetworkHost::parse("localhost").unwrap().is("127.0.0.1:80".parse().unwrap()));
    }

    #[test]
    fn an_http_host_means_its_schemes_port_unless_it_names_one() {
        let takes =
            |grant: &str, host: &str, port| HttpHost::parse(grant).unwrap().takes(host, port, 443);
        assert!(takes("api.example.com", "API.example.com", 443));
        assert!(!takes("api.example.com", "api.example.com", 8443));
        assert!(takes("api.example.com:8443", "api.example.com", 8443));
        assert!(!takes("example.com", "api.example.com", 443));
        assert!(takes("*.example.com", "a.b.example.com", 443));
        assert!(!takes("*.example.com", "example.com", 443));
        assert!(!takes("*.example.com", "evilexample.com", 443));
        assert!(takes("[::1]:443", "[::1]", 443));
        assert!(HttpHost::parse("https://example.com").unwrap_err().contains("host alone"));
        assert!(HttpHost::parse("*.127.0.0.1").is_err());
    }
}
