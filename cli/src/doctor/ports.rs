//! Ports: free, or whose.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::finding::Finding;
use super::settings::Settings;
use crate::args::Role;

pub(super) fn look(settings: &Settings) -> Vec<Finding> {
    let addresses = settings.addresses().into_iter();
    addresses.map(|(role, address, said)| port(role, address, said)).collect()
}

fn port(role: Role, address: SocketAddr, said: bool) -> Finding {
    let name = role.command();
    let (kind, bound) = match role {
        Role::Gateway => ("TCP", TcpListener::bind(address).map(drop)),
        _ => ("UDP", UdpSocket::bind(address).map(drop)),
    };
    let place = format!("{kind} {address} of a {name}");
    let Err(error) = bound else {
        return Finding::ok(ABOUT, format!("{place} is free"));
    };
    if error.kind() == ErrorKind::AddrInUse {
        return taken(&place, name, kind, address.port(), said);
    }
    let finding = Finding::fail(ABOUT, format!("{place} cannot be listened on: {error}"));
    match error.kind() {
        ErrorKind::PermissionDenied => {
            finding.mend(format!("jackfield {name} -p PORT, above 1023"))
        }
        _ => finding.mend("ip -brief address").mend(format!("jackfield {name} -l ADDR")),
    }
}

fn taken(place: &str, role: &str, kind: &str, port: u16, said: bool) -> Finding {
    let holder = Holder::of(kind, port);
    let whose = match &holder {
        Some(Holder::Process { id, name }) => format!("{name}, process {id}"),
        Some(Holder::User(user)) => format!("a process of user {user}"),
        None => "a process that cannot be seen from here".into(),
    };
    let what = format!("{place} is taken by {whose}");
    match holder {
        Some(Holder::Process { name, .. }) if name.starts_with("jackfield") => {
            Finding::ok(ABOUT, what)
        }
        _ => {
            let option = if kind == "TCP" { "-ltnp" } else { "-lunp" };
            let found = match said {
                true => Finding::fail(ABOUT, what),
                false => Finding::warn(ABOUT, what),
            };
            found
                .mend(format!("sudo ss {option} 'sport = :{port}'"))
                .mend(format!("or choose another: jackfield {role} -p PORT"))
        }
    }
}

/// Who holds a port.
enum Holder {
    Process {
        id: u32,
        name: String,
    },
    /// Somebody else's, whose files cannot be seen.
    User(u32),
}

impl Holder {
    /// By the tables of Linux; elsewhere nobody is found.
    fn of(kind: &str, port: u16) -> Option<Self> {
        let kind = kind.to_lowercase();
        let tables = [format!("/proc/net/{kind}"), format!("/proc/net/{kind}6")];
        let text: String = tables.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
        let (user, inode) = text.lines().find_map(|line| entry(line, port))?;
        let process = process(inode).map(|(id, name)| Self::Process { id, name });
        Some(process.unwrap_or(Self::User(user)))
    }
}

/// The user and the inode of a socket that listens on the port.
fn entry(line: &str, port: u16) -> Option<(u32, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let (_, remote) = fields.get(2)?.rsplit_once(':')?;
    let listens = u16::from_str_radix(local, 16).ok()? == port && remote == "0000";
    listens.then_some((fields.get(7)?.parse().ok()?, fields.get(9)?.parse().ok()?))
}

fn process(inode: u64) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let files = fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
        let mut links = files.filter_map(|file| fs::read_link(file.path()).ok());
        if links.any(|link| link.as_os_str() == wanted.as_str()) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some((id, name.trim().to_owned()));
        }
    }
    None
}

const ABOUT: &str = "port";

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn who_holds_a_port_is_named() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let found = port(Role::Registry, address, true);
        assert!(found.what.contains(&format!("process {}", std::process::id())), "{found:?}");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = port(Role::Gateway, listener.local_addr().unwrap(), false);
        assert!(taken.what.contains(&format!("process {}", std::process::id())), "{taken:?}");
    }

    #[test]
    fn an_address_of_another_machine_cannot_be_listened_on() {
        let found = port(Role::Host, "192.0.2.1:4433".parse().unwrap(), true);
        assert_eq!(found.level, Level::Fail);
        assert!(found.mend.iter().any(|mend| mend.contains("ip -brief")), "{found:?}");
    }
}
