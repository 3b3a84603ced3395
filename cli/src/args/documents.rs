//! Every command that a document or a file of `deploy/` shows is read as if it were typed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;

use super::{Cli, rest};
use crate::config::{self, Section};

#[test]
fn every_command_of_the_documents_can_be_typed() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for page in files(&root(), "md") {
        for line in shell_lines(&read(&page)) {
            for words in commands(&line) {
                count += 1;
                wrong.extend(
                    refused(&words).map(|why| format!("{}: {line}\n{why}", page.display())),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 80, "only {count} commands were found");
}

#[test]
fn every_command_of_the_deployments_can_be_typed() {
    let deploy = root().join("deploy");
    let mut found = BTreeSet::new();
    for file in
        files(&deploy, "").iter().filter(|file| file.extension().is_none_or(|e| e != "toml"))
    {
        let text = read(file);
        let lines = text.lines().map(|line| line.trim_start_matches(['#', ' ']));
        let mut typed: Vec<Vec<String>> = lines.flat_map(commands).collect();
        // Of a container the arguments are given alone, as a JSON array.
        for key in ["command: [", "args: ["] {
            let arrays = text.split(key).skip(1).filter_map(|rest| rest.split(']').next());
            let arrays = arrays.map(|array| serde_json::from_str(&format!("[{array}]")).unwrap());
            let ours = arrays.filter(|words: &Vec<String>| {
                words.first().is_some_and(|word| Cli::command().find_subcommand(word).is_some())
            });
            typed.extend(ours.map(|words| [vec!["jackfield".to_owned()], words].concat()));
        }
        for words in typed {
            found.insert(words[1].clone());
            let shown = format!("{}: {}", file.display(), words.join(" "));
            assert_eq!(refused(&words), None, "{shown}");
        }
    }
    for role in ["registry", "host", "gateway", "identity"] {
        assert!(found.contains(role), "no {role} among {found:?}");
    }
}

#[test]
fn every_variable_of_the_deployments_is_one() {
    let cli = Cli::command();
    let fixed = cli.get_subcommands().flat_map(clap::Command::get_arguments);
    let fixed = fixed.chain(cli.get_arguments()).filter_map(|arg| arg.get_env());
    let mut known: BTreeSet<String> = fixed.map(|name| name.to_string_lossy().into()).collect();
    for section in Section::ALL {
        known
            .extend(section.options().iter().filter_map(|arg| section.variable(&config::key(arg))));
    }
    // Compose's own, for the folder that it mounts; and what Kubernetes makes of a service's name.
    known.extend(["JACKFIELD_PLUGINS", "JACKFIELD_REGISTRY_"].map(String::from));
    for file in files(&root().join("deploy"), "") {
        for rest in read(&file).split("JACKFIELD_").skip(1) {
            let end =
                rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(rest.len());
            let name = format!("JACKFIELD_{}", &rest[..end]);
            assert!(known.contains(&name), "{}: {name} is no variable", file.display());
        }
    }
}

#[test]
fn every_settings_file_of_the_deployments_holds() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("kubernetes.toml");
    let yaml = read(&root().join("deploy/kubernetes/jackfield.yaml"));
    let text = yaml.split("jackfield.toml: |\n").nth(1).unwrap();
    let text = text.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    fs::write(&inside, text.map(str::trim).collect::<Vec<_>>().join("\n")).unwrap();
    let mut all = files(&root().join("deploy"), "toml");
    all.push(inside);
    assert!(all.len() >= 3, "{all:?}");
    for path in all {
        let file = config::ConfigFile::read(&path).unwrap_or_else(|e| panic!("{path:?}: {e:?}"));
        assert!(config::contradictions(&file).is_empty(), "{}", path.display());
        assert!(file.count(Section::Host) > 0, "{}", path.display());
    }
}

/// Why a command line is refused, if it is. Names that stand for others are no fault of it.
fn refused(words: &[String]) -> Option<String> {
    let mut command = Cli::command();
    command.build();
    let typed = words.iter().map(Into::into).collect();
    let split = match rest::split(typed, &command) {
        Ok(split) => split,
        Err(error) => return Some(error.to_string()),
    };
    let name = rest::name_of_command(&split.for_clap, &command);
    let mut laid = config::lay(Cli::command(), &name, None);
    if rest::last_typed(&split.for_clap, "--config").is_some() && name == "host" {
        // Its folder is in that file.
        laid = laid.mut_subcommand("host", |host| host.mut_args(|arg| arg.required(false)));
    }
    match laid.try_get_matches_from(split.for_clap) {
        Ok(_) => None,
        Err(error) if !error.use_stderr() => None,
        Err(error) => Some(error.to_string()),
    }
}

/// The lines of blocks that a reader would paste into a shell.
fn shell_lines(page: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut block = "";
    let mut goes_on = false;
    for line in page.lines() {
        if let Some(head) = line.trim_start().strip_prefix("```") {
            block = if block.is_empty() && !head.is_empty() { head } else { "" };
            goes_on = false;
            continue;
        }
        let typed = match block.split(' ').next().unwrap_or_default() {
            "sh" | "bash" => Some(line),
            "console" => line.strip_prefix("$ "),
            _ => None,
        };
        let Some(typed) = typed else { continue };
        let (text, more) = match typed.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (typed, false),
        };
        match lines.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(text),
            None => lines.push(text.to_owned()),
        }
        goes_on = more;
    }
    lines
}

/// The commands of ours in a line of a shell, word by word.
fn commands(line: &str) -> Vec<Vec<String>> {
    let ours = |words: Vec<String>| {
        let at = words.iter().position(|word| {
            word == "jackfield" || word.ends_with("/jackfield") && !word.contains('=')
        })?;
        // Before it stand variables, `ExecStart=` and words that run a command.
        let prefix = |word: &String| {
            word.contains('=')
                || ["sudo", "time", "exec", "||", "&&", "done"].contains(&word.as_str())
        };
        let fits = words[..at].iter().all(prefix) && words.len() > at + 1;
        let whole = !words[at..].iter().any(|word| word.contains('…') || word.contains("$("));
        (fits && whole).then(|| {
            let mut words = words[at..].to_vec();
            words[0] = "jackfield".into();
            words
        })
    };
    let line = line.trim().strip_prefix("ExecStart=").unwrap_or(line);
    simple_commands(line).into_iter().filter_map(ours).collect()
}

/// A line in commands, each in words, as a shell parts them: quotes, comments, pipes, redirections.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, '#') if word.is_none() => break,
            (None, '|' | ';' | '&' | '>' | '<' | '(' | ')') => {
                end(&mut all, &mut word);
                // What a redirection names is no word of the command.
                all.push(if matches!(c, '>' | '<') {
                    vec!["redirected".into()]
                } else {
                    Vec::new()
                });
            }
            (None, c) if c.is_whitespace() => end(&mut all, &mut word),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    end(&mut all, &mut word);
    all
}

fn end(all: &mut [Vec<String>], word: &mut Option<String>) {
    if let (Some(last), Some(word)) = (all.last_mut(), word.take()) {
        last.push(word);
    }
}

/// Every file with this ending, or of any with none; not those of tools and builds.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        if name.starts_with('.') || name.starts_with("target") || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if ending.is_empty() || path.extension().is_some_and(|end| end == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn a_line_is_parted_as_a_shell_does() {
    let parted = |line| commands(line).into_iter().map(|words| words.join("·")).collect::<Vec<_>>();
    assert_eq!(
        parted("A=1 jackfield call a.b '[1, 2]' | jq . # all"),
        ["jackfield·call·a.b·[1, 2]"]
    );
    assert_eq!(
        parted("cd x && jackfield ls -l > out; jackfield ls"),
        ["jackfield·ls·-l", "jackfield·ls"]
    );
    assert_eq!(parted("ExecStart=/usr/local/bin/jackfield host d"), ["jackfield·host·d"]);
    assert_eq!(parted("cargo install jackfield"), Vec::<String>::new());
}
