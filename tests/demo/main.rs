//! The demo: what Jackfield is for, shown by itself in one terminal.
//!
//! Every line that starts with `$` is a command that really runs. Ends with 0, or with 1 and the
//! step that failed. Fails too when README.md shows other steps or commands than these.

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use jackfield_harness::{Load, PluginFolder, Process, Repeat, Stage, eventually};

fn main() -> ExitCode {
    if is_for_another_test() {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let mut show = Show { step: 0, title: "building the plugins" };
    let done = runtime.block_on(run(&mut show));
    match done.and_then(|()| readme_shows_the_same()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("\ndemo failed at step {} ({}): {error:#}", show.step, show.title));
            ExitCode::FAILURE
        }
    }
}

/// `cargo test NAME` passes NAME to every test, this one too.
fn is_for_another_test() -> bool {
    std::env::args()
        .skip(1)
        .any(|word| word == "--list" || !word.starts_with('-') && word != "demo")
}

async fn run(show: &mut Show) -> Result<()> {
    let stage = Stage::new(env!("CARGO_BIN_EXE_jackfield"))?;
    let (left, right) = (stage.folder("host-a")?, stage.folder("host-b")?);
    for folder in [&left, &right] {
        folder.add("calc")?;
        folder.add("greeter")?;
    }
    let begin = Instant::now();

    show.next("a registry and two hosts, each a process of its own");
    let registry = stage.registry()?;
    say(&format!("$ jackfield registry                      # {}", registry.address()));
    let first = stage.host(&left, registry.address())?;
    say(&format!("$ jackfield host ./host-a                 # {}", first.address()));
    let second = stage.host(&right, registry.address())?;
    say(&format!("$ jackfield host ./host-b                 # {}", second.address()));
    let cast = Cast { stage: &stage, registry: &registry };
    cast.wait_for("both hosts", "calc", 2).await;

    show.next("what there is");
    cast.command(&["ls"])?;
    cast.command(&["describe", "greeter"])?;

    show.next("typed calls");
    cast.command(&["call", "calc.add", "1", "2"])?;
    cast.command(&["call", "calc.add", "1", "2", "--c", "0.5"])?;
    cast.command(&["call", "greeter.greet", "Ada", "--greeting", "Good morning"])?;
    cast.refused(&["call", "calc.add", "1", "two"])?;
    cast.refused(&["call", "calc.div", "1", "0"])?;

    replace(show, &cast, &[&left, &right]).await?;
    add(show, &cast, &left).await?;
    kill(show, &cast, first).await?;

    say(&format!("\nall of it worked, in {:.1} s", begin.elapsed().as_secs_f32()));
    Ok(())
}

async fn replace(show: &mut Show, cast: &Cast<'_>, folders: &[&PluginFolder]) -> Result<()> {
    show.next("a plugin is replaced while 16 callers call it");
    let client = cast.stage.client(cast.registry.address()).await?;
    let load = Load::start(&client, 16, Repeat::OnlyIfNotExecuted);
    let old = one_answer(&load, "an answer of the old plugin").await;
    say(&format!("greeter.greet(\"Ada\") → {old:?}"));
    say("$ mv greeter-v2.wasm host-a/greeter.wasm; cp … host-b/");
    for folder in folders {
        folder.put_fixture("greeter", "greeter-v2")?;
    }
    let new = eventually("only the new plugin answers", async || {
        load.forget_answers();
        let answer = one_answer(&load, "an answer").await;
        (answer != old && load.tally().answers.len() == 1).then_some(answer)
    })
    .await;
    let tally = load.stop().await;
    say(&format!("greeter.greet(\"Ada\") → {new:?}"));
    say(&format!("{} calls meanwhile, failed calls: {}", tally.answered, tally.failures.len()));
    ensure!(tally.failures.is_empty(), "calls failed: {:?}", tally.failures.first());
    Ok(())
}

async fn add(show: &mut Show, cast: &Cast<'_>, folder: &PluginFolder) -> Result<()> {
    show.next("a new plugin is dropped into a folder");
    say("$ cp shapes.wasm host-a/");
    folder.add("shapes")?;
    cast.wait_for("the new service", "shapes", 1).await;
    cast.command(&[
        "call",
        "shapes.area",
        r#"{"circle": {"center": {"x": 0, "y": 0}, "radius": 2}}"#,
    ])
}

async fn kill(show: &mut Show, cast: &Cast<'_>, host: Process) -> Result<()> {
    show.next("one host is killed while 16 callers call, who say that repeating does no harm");
    let client = cast.stage.client(cast.registry.address()).await?;
    let load = Load::start(&client, 16, Repeat::Always);
    one_answer(&load, "an answer before").await;
    say(&format!("$ kill -9 (the host at {})", host.address()));
    host.kill()?;
    cast.wait_for("the registry notices", "calc", 1).await;
    load.forget_answers();
    one_answer(&load, "an answer after").await;
    let tally = load.stop().await;
    say(&format!("{} calls meanwhile, failed calls: {}", tally.answered, tally.failures.len()));
    ensure!(tally.failures.is_empty(), "calls failed: {:?}", tally.failures.first());
    cast.command(&["ls"])
}

async fn one_answer(load: &Load, what: &str) -> String {
    eventually(what, async || load.tally().answers.into_keys().next()).await
}

/// Who is on the stage.
struct Cast<'a> {
    stage: &'a Stage,
    registry: &'a Process,
}

impl Cast<'_> {
    /// Waits until `count` instances of `service` may be called.
    async fn wait_for(&self, what: &str, service: &str, count: usize) {
        eventually(what, async || {
            let list = self.stage.run_at(self.registry.address(), &["ls", "--json"]).ok()?;
            let list: serde_json::Value = serde_json::from_str(&list.stdout).ok()?;
            let instances = list.as_array()?;
            let found = instances.iter().filter(|i| {
                i["service"] == service && i["health"] == "healthy" && i["enabled"] == true
            });
            (found.count() == count).then_some(())
        })
        .await;
    }

    /// Runs a command that must work, and shows what it prints.
    fn command(&self, args: &[&str]) -> Result<()> {
        let text =
            self.shown(args)?.ok().with_context(|| format!("jackfield {}", args.join(" ")))?;
        say(text.trim_end());
        Ok(())
    }

    /// Runs a command that must fail, and shows what it says.
    fn refused(&self, args: &[&str]) -> Result<()> {
        let done = self.shown(args)?;
        ensure!(done.code != Some(0), "jackfield {} should have failed", args.join(" "));
        say(done.stderr.trim_end());
        Ok(())
    }

    fn shown(&self, args: &[&str]) -> Result<jackfield_harness::Finished> {
        let quoted: Vec<_> = args.iter().map(|arg| shell_quoted(arg)).collect();
        say(&format!("$ jackfield {}", quoted.join(" ")));
        self.stage.run_at(self.registry.address(), args)
    }
}

fn shell_quoted(arg: &str) -> String {
    if arg.contains([' ', '"', '{']) { format!("'{arg}'") } else { arg.into() }
}

/// The numbered headings.
struct Show {
    step: u32,
    title: &'static str,
}

impl Show {
    fn next(&mut self, title: &'static str) {
        self.step += 1;
        self.title = title;
        say(&format!("\n{}. {title}", self.step));
    }
}

#[expect(clippy::print_stdout, reason = "printing is what the demo is for")]
fn say(text: &str) {
    println!("{text}");
    SAID.lock().expect("nobody panics while saying").push_str(&format!("{text}\n"));
}

/// Compares headings and commands; addresses, counts and times differ each time.
fn readme_shows_the_same() -> Result<()> {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).context("cannot read README.md")?;
    let shown = readme.split_once("```console\n").and_then(|(_, rest)| rest.split_once("\n```"));
    let (shown, _) = shown.context("README.md has no ```console block")?;
    let said = SAID.lock().expect("nobody panics while saying");
    let (shown, said) = (outline(shown), outline(&said));
    let stale = shown.iter().zip(&said).find(|(shown, said)| shown != said);
    ensure!(
        stale.is_none() && shown.len() == said.len(),
        "README.md shows another demo; paste this one's output there: {stale:?}"
    );
    Ok(())
}

fn outline(text: &str) -> Vec<&str> {
    let is_heading =
        |line: &str| line.starts_with(|c: char| c.is_ascii_digit()) && line.contains(". ");
    let counted = |line: &str| line.contains(" calls meanwhile");
    text.lines()
        .filter(|line| line.starts_with('$') || is_heading(line) && !counted(line))
        .map(|line| {
            line.split('#')
                .next()
                .unwrap_or(line)
                .split("(the host")
                .next()
                .unwrap_or(line)
                .trim_end()
        })
        .collect()
}

/// Everything that was said, for the comparison at the end.
static SAID: Mutex<String> = Mutex::new(String::new());
