//! What the client computes for a call: `cargo bench --bench parts`.

use std::process::ExitCode;

use jackfield_client::{PickerKind, parts};
use jackfield_parts::Part;

fn main() -> ExitCode {
    jackfield_parts::main(env!("CARGO_MANIFEST_DIR"), all)
}

fn all() -> Vec<Part> {
    let pick =
        |kind: PickerKind| Part::new(format!("a pick of 100: {kind}"), parts::pick(kind, 100));
    let choice = |count| {
        let run = parts::choice(PickerKind::RoundRobin, count);
        Part::new(format!("an endpoint of {count}, chosen and told what became of it"), run)
    };
    PickerKind::ALL.into_iter().map(pick).chain([3, 1000].map(choice)).collect()
}
