//! What the machine gives a process: files, addresses, room for datagrams.

use std::fs;

use jackfield_wire::units::show_size;
use rustix::process::{Resource, getrlimit};

use super::finding::Finding;

pub(super) fn look() -> Vec<Finding> {
    let proc = |path: &str| fs::read_to_string(path).ok();
    let mut all = vec![files(getrlimit(Resource::Nofile).current)];
    all.extend(addresses(getrlimit(Resource::As).current));
    let room = proc("/proc/sys/net/core/rmem_default").and_then(|text| text.trim().parse().ok());
    let dropped = proc("/proc/net/snmp").and_then(|text| dropped(&text));
    all.extend(room.map(|room| datagrams(room, dropped)));
    all
}

/// A host needs few; a gateway one for each HTTP connection. No limit is enough.
fn files(most: Option<u64>) -> Finding {
    match most {
        Some(most) if most < FILES => {
            Finding::warn("files", format!("a process may open {most} files; a gateway needs more"))
                .mend("ulimit -n 65536")
                .mend("in a systemd unit: LimitNOFILE=65536")
        }
        Some(most) => Finding::ok("files", format!("a process may open {most} files")),
        None => Finding::ok("files", "a process may open any number of files"),
    }
}

/// Only where somebody set a limit.
fn addresses(most: Option<u64>) -> Option<Finding> {
    let most = most?;
    let what = format!(
        "a process has {} of addresses: a host's instance pool reserves 8 GiB for each call that \
         runs at once, and gets smaller",
        show_size(most)
    );
    Some(Finding::warn("addresses", what).mend("ulimit -v unlimited"))
}

fn datagrams(room: u64, dropped: Option<u64>) -> Finding {
    let shown = show_size(room / 1024 * 1024);
    let wider = "sudo sysctl -w net.core.rmem_default=2097152 net.core.rmem_max=2097152";
    match dropped {
        Some(lost) if lost > 0 => {
            let what = format!(
                "{lost} datagrams were dropped since this machine started because a socket's room \
                 of {shown} was full; QUIC sends them again, later"
            );
            Finding::warn("datagrams", what).mend(wider)
        }
        _ if room < ROOM => {
            Finding::warn("datagrams", format!("a UDP socket holds {shown} alone")).mend(wider)
        }
        _ => Finding::ok("datagrams", format!("a UDP socket holds {shown}, and none was dropped")),
    }
}

/// `RcvbufErrors` of the table of UDP counters: a line of names, then one of numbers.
fn dropped(table: &str) -> Option<u64> {
    let mut lines = table.lines().filter(|line| line.starts_with("Udp:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|name| name == "RcvbufErrors")?;
    numbers.split_whitespace().nth(at)?.parse().ok()
}

/// What most systems give a process.
const FILES: u64 = 1024;

/// Linux's own default, which the measurements of docs/measured were made with.
const ROOM: u64 = 200 << 10;

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn few_files_and_few_addresses_are_told() {
        assert_eq!(files(Some(256)).level, Level::Warn);
        assert_eq!(files(Some(1024)).level, Level::Ok);
        assert_eq!(files(None).level, Level::Ok);
        assert!(addresses(Some(1 << 34)).unwrap().what.contains("16 GiB"));
        assert_eq!(addresses(None), None);
    }

    #[test]
    fn dropped_datagrams_are_read_from_the_table() {
        let table = "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\n\
                     Udp: 1 2 3 4 5 6\nUdpLite: InDatagrams RcvbufErrors\nUdpLite: 7 8";
        assert_eq!(dropped(table), Some(5));
        assert_eq!(dropped("Tcp: x\nTcp: 1"), None);
        assert_eq!(datagrams(212_992, Some(5)).level, Level::Warn);
        assert_eq!(datagrams(212_992, Some(0)).level, Level::Ok);
        assert_eq!(datagrams(65_536, None).level, Level::Warn);
    }
}
