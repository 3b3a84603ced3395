//! The word of processes to the service manager that started them.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use jackfield_harness::Stage;

use crate::stage;

/// A service manager that listens.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn at(stage: &Stage) -> Self {
        let path = stage.home().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path: path.to_string_lossy().into_owned() }
    }

    /// Waits for a message with this line.
    fn hears(&self, line: &str) {
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).unwrap();
            let said = String::from_utf8_lossy(&buffer[..length]);
            if said.lines().any(|one| one == line) {
                return;
            }
        }
    }
}

#[test]
fn every_server_says_when_it_is_ready_that_it_turns_and_when_it_stops() {
    let stage = stage();
    let folder = stage.folder("host-a").unwrap();
    let path = folder.path().to_string_lossy().into_owned();
    let registry = stage.registry().unwrap();
    let at = registry.address().to_string();
    for (name, args) in [
        ("registry-b", vec!["registry", "-p", "0"]),
        ("host-a", vec!["host", &path, "--registry", &at]),
        ("gateway", vec!["gateway", "-p", "0", "--registry", &at]),
    ] {
        let manager = Manager::at(&stage);
        let variables = [("NOTIFY_SOCKET", manager.path.as_str()), ("WATCHDOG_USEC", "200000")];
        let process = stage.spawn_with(name, &args, &variables).unwrap();
        manager.hears("READY=1");
        manager.hears("WATCHDOG=1");
        process.terminate().unwrap();
        manager.hears("STOPPING=1");
        assert!(process.wait().unwrap().success(), "{name}");
        std::fs::remove_file(&manager.path).unwrap();
    }
}

/// Only a broken process says nothing for so long.
const PATIENCE: Duration = Duration::from_secs(60);
