//! The parts of a crate, measured two ways.
//!
//! ```text
//! cargo bench --workspace --bench parts      # nanoseconds, by criterion
//! cargo test --workspace --bench parts       # each once, to see that it works
//! tests/parts.sh                             # instructions, against benches/parts.counts of each crate
//! tests/parts.sh --bless                     # takes those of now as the new ones
//! ```
//!
//! A count of instructions is the same on a busy machine as on an idle one, so it can fail a build
//! where a time cannot. It says nothing of system calls, caches and waiting: for those there are
//! the benchmarks of whole processes.

mod counts;
mod guard;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use criterion::Criterion;

/// One part, by name.
pub struct Part {
    name: String,
    run: Box<dyn FnMut()>,
}

impl Part {
    /// `run` does it once.
    pub fn new<T>(name: impl Into<String>, mut run: impl FnMut() -> T + 'static) -> Self {
        let run = Box::new(move || drop(std::hint::black_box(run())));
        Self { name: name.into(), run }
    }
}

/// Does with the parts of the crate in `folder` what the command line says.
pub fn main(folder: &str, parts: impl FnOnce() -> Vec<Part>) -> ExitCode {
    let file = Path::new(folder).join("benches/parts.counts");
    let done = match std::env::args().nth(1).as_deref() {
        Some("--guard") => guard::check(&file),
        Some("--bless") => guard::bless(&file),
        Some(guard::COUNT) => guard::run(parts()),
        _ => {
            time(parts());
            return ExitCode::SUCCESS;
        }
    };
    done.unwrap_or_else(|error| {
        say(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

fn time(parts: Vec<Part>) {
    let criterion = Criterion::default().warm_up_time(WARM_UP).measurement_time(MEASURE);
    let mut criterion = criterion.configure_from_args();
    for Part { name, mut run } in parts {
        criterion.bench_function(&name, |bencher| bencher.iter(&mut run));
    }
    criterion.final_summary();
}

#[expect(clippy::print_stdout, reason = "printing is what a benchmark is for")]
fn say(text: &str) {
    println!("{text}");
}

/// Enough for caches and branch predictors: a part takes microseconds.
const WARM_UP: Duration = Duration::from_millis(300);

const MEASURE: Duration = Duration::from_secs(1);
