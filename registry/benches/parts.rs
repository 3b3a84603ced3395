//! What the registry computes for its hosts and watchers: `cargo bench --bench parts`.

use std::process::ExitCode;

use jackfield_parts::Part;
use jackfield_registry::parts;

fn main() -> ExitCode {
    jackfield_parts::main(env!("CARGO_MANIFEST_DIR"), || {
        vec![
            Part::new("one of 1000 leases, renewed", parts::renew(1000)),
            Part::new("a change of one of 1000 instances, told to 1 watcher", parts::tell(1000, 1)),
            Part::new(
                "a change of one of 1000 instances, told to 100 watchers",
                parts::tell(1000, 100),
            ),
        ]
    })
}
