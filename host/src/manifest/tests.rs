use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Manifest, SettingsError> {
    Manifest::parse(text, Path::new("/plugins"))
}

#[track_caller]
fn refused(text: &str, words: &[&str]) {
    let error = parse(text).expect_err(text).to_string();
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
}

#[test]
fn an_empty_manifest_is_no_manifest() {
    assert_eq!(parse(""), Ok(Manifest::default()));
    assert_eq!(parse("# nothing yet\n[limits]\n[grants]\n"), Ok(Manifest::default()));
}

#[test]
fn a_manifest_says_who_how_much_and_what() {
    let manifest = parse(
        r#"
        service = "calc"
        version = "1.2.0"
        description = "Adds."
        accept-breaking-change = true
        limits = { memory = "64 MiB", deadline = "250 ms", queue = 7 }
        [instances]
        strategy = "reuse"
        calls = 100
        [grants]
        env = { MODE = "fast", TOKEN = { from-env = "CALC_TOKEN" } }
        dirs = [{ host = "data", guest = "/data" }, { host = "/var/x", guest = "/x", write = true }]
        network = ["db.internal:5432"]
        http = ["api.example.com"]
        config = { depth = "3" }
        keyvalue = { default = "sessions" }
        "#,
    )
    .unwrap();
    assert_eq!(manifest.service.unwrap().as_str(), "calc");
    assert_eq!(manifest.version.unwrap(), semver::Version::new(1, 2, 0));
    assert!(manifest.accept_breaking_change);
    assert_eq!(manifest.limits.memory.unwrap().value, 64 << 20);
    assert_eq!(manifest.limits.queue.unwrap().value, 7);
    let calls = NonZeroU32::new(100).unwrap();
    assert_eq!(manifest.instances, Some(Instances::Reuse { calls }));
    let grants = manifest.grants;
    assert_eq!(grants.env["MODE"], EnvValue::Text("fast".into()));
    assert_eq!(grants.env["TOKEN"], EnvValue::FromHost("CALC_TOKEN".into()));
    assert_eq!(grants.dirs[0].host, Path::new("/plugins/data"));
    assert_eq!(grants.dirs[0].access, Access::Read);
    assert_eq!(grants.dirs[1].host, Path::new("/var/x"));
    assert_eq!(grants.dirs[1].access, Access::Write);
    assert_eq!(grants.network[0].to_string(), "db.internal:5432");
    assert_eq!(grants.http.unwrap()[0].to_string(), "api.example.com");
    assert_eq!(grants.config.unwrap()["depth"], "3");
    assert_eq!(grants.keyvalue.unwrap()["default"], "sessions");
}

#[test]
fn an_unknown_key_gets_its_place_and_the_nearest_name() {
    refused("servce = \"x\"", &["line 1, column 1", "unknown key `servce`", "`service`"]);
    refused("[limits]\nmemroy = 1", &["line 2, column 1", "`limits.memroy`", "`memory`"]);
    refused("[grants]\n[grant]", &["line 2, column 2", "`grants`"]);
    refused("[grants]\ndirs = [{ hots = \"a\" }]", &["`grants.dirs[0].hots`", "`host`"]);
    refused("[limits]\nzzzzzzzz = 1", &["there is: ", "memory"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let error = parse("version = 3\nx = 1\n[limits]\nmemory = \"12\"").unwrap_err();
    let lines: Vec<_> = error.problems().iter().map(|problem| problem.place.line).collect();
    assert_eq!(lines, [1, 2, 4]);
}

#[test]
fn a_value_out_of_range_is_told_the_range_and_why() {
    refused("limits.memory = \"1 KiB\"", &["64 KiB", "4 GiB", "wasm page"]);
    refused("limits.deadline = \"25 h\"", &["1 ms to 24 h", "a day"]);
    refused("limits.concurrency = 0", &["from 1 to"]);
    refused("limits.concurrency = -1", &["from 1 to"]);
    refused("limits.handles = 99999999999999999999999999", &["from 8 to 1000000"]);
    refused("limits.memory = 64.0", &["a size such as \"64 MiB\"", "fraction"]);
    refused("limits.deadline = 5", &["a duration such as \"250 ms\""]);
}

#[test]
fn a_strategy_is_one_of_four_and_counts_calls_only_where_it_reuses() {
    assert_eq!(
        parse("instances.strategy = \"single\"").unwrap().instances,
        Some(Instances::Single)
    );
    refused("instances.strategy = \"reus\"", &["did you mean \"reuse\"?", "fresh, reuse"]);
    refused("instances.strategy = \"reuse\"", &["calls = 100"]);
    refused("instances = { strategy = \"single\", calls = 3 }", &["\"reuse\" alone"]);
    refused("instances.calls = 3", &["\"reuse\" alone"]);
    refused("instances = { strategy = \"reuse\", calls = 0 }", &["from 1 to"]);
}

#[test]
fn grants_that_make_no_sense_are_refused() {
    refused("grants.env = { \"A=B\" = \"x\" }", &["no `=`"]);
    refused("grants.env = { A = { from_env = \"x\" } }", &["`from-env`"]);
    refused("grants.env = { A = {} }", &["from-env"]);
    refused("grants.dirs = [{ host = \"a\" }]", &["give both"]);
    refused("grants.dirs = [{ host = \"a\", guest = \"data\" }]", &["begin with `/`"]);
    refused("grants.dirs = [{ host = \"a\", guest = \"/a/../b\" }]", &["`..`"]);
    let twice =
        "grants.dirs = [{ host = \"a\", guest = \"/a\" }, { host = \"b\", guest = \"/a\" }]";
    refused(twice, &["`grants.dirs[1]`", "two directories"]);
    refused("grants.network = [\"db:99999\"]", &["`grants.network[0]`", "65535"]);
    refused("grants.http = [\"https://a.example\"]", &["host alone"]);
    refused("grants.keyvalue = { default = \"../etc\" }", &["store's name"]);
    refused("service = \"jackfield\"", &["choose another"]);
    refused("version = \"1.2\"", &["three numbers"]);
}

#[test]
fn text_that_is_no_toml_says_where() {
    refused("service = calc", &["line 1, column 11"]);
    refused("[limits\n", &["line 1"]);
    refused(&"x".repeat(MAX_TEXT + 1), &["the limit is 65536"]);
}

#[test]
fn grants_of_the_host_and_of_the_manifest_add_up_and_the_manifest_wins() {
    let base = parse("grants = { env = { A = \"host\", B = \"host\" }, http = [\"a.example\"] }");
    let own = parse("grants = { env = { A = \"own\" }, http = [\"b.example\"] }").unwrap().grants;
    let all = own.over(&base.unwrap().grants);
    assert_eq!(all.env["A"], EnvValue::Text("own".into()));
    assert_eq!(all.env["B"], EnvValue::Text("host".into()));
    assert_eq!(all.http.unwrap().len(), 2);
    assert_eq!(all.config, None);
}

#[test]
fn effects_last_where_something_outside_the_guest_can_change() {
    for (text, lasting) in [
        ("", false),
        ("grants.env = { A = \"x\" }", false),
        ("grants.config = { a = \"x\" }", false),
        ("grants.http = []", false),
        ("grants.dirs = [{ host = \"a\", guest = \"/a\" }]", false),
        ("grants.dirs = [{ host = \"a\", guest = \"/a\", write = true }]", true),
        ("grants.network = [\"a\"]", true),
        ("grants.http = [\"a\"]", true),
        ("grants.keyvalue = { default = \"a\" }", true),
    ] {
        assert_eq!(parse(text).unwrap().grants.have_lasting_effects(), lasting, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_manifest_panic(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_bytes_make_a_manifest_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_value_of_any_key_makes_a_manifest_panic(
        key in proptest::sample::select(keys()),
        value in proptest::sample::select(VALUES.to_vec()),
    ) {
        let _ = parse(&format!("{key} = {value}"));
        let _ = HostFile::parse(&format!("plugins.{key} = {value}"), Path::new("/"));
    }
}

const DOCUMENT: &str = include_str!("../../../docs/plugins.md");

/// The examples of the document that begin with this word.
fn examples(kind: &str) -> Vec<&'static str> {
    let begin = format!("```toml {kind}\n");
    let after = DOCUMENT.split(&begin).skip(1);
    after.map(|rest| rest.split("```").next().expect("a split has a first part")).collect()
}

#[test]
fn every_example_of_the_document_holds() {
    let host = crate::limits::HostLimits::default();
    let manifests = examples("manifest");
    assert!(manifests.len() > 5, "{}", manifests.len());
    for text in manifests {
        let manifest = parse(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        manifest.resolve(&host, &PluginDefaults::default()).unwrap_or_else(|e| panic!("{e}"));
    }
    for text in examples("host") {
        HostFile::parse(text, Path::new("/")).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    }
    let blocks = DOCUMENT.matches("```toml").count();
    assert_eq!(blocks, examples("manifest").len() + examples("host").len());
}

#[test]
fn every_key_is_in_the_document_and_so_is_its_default() {
    let (_, host) = Reader::read_keys("", |table| HostFile::alone(table, Path::new("/")));
    let words = crate::limits::HostLimits::default().in_words();
    for key in host.iter().filter_map(|key| key.strip_prefix("host.")) {
        assert!(words.iter().any(|(word, _)| *word == key), "{key} has no words");
    }
    for key in keys().into_iter().chain(host) {
        let name = key.rsplit('.').next().unwrap_or(&key);
        let row = DOCUMENT.contains(&format!("| `{name}` |"));
        assert!(row || DOCUMENT.contains(&format!("[{key}]")), "{key} is not in the document");
    }
    for (key, value) in crate::limits::HostLimits::default().in_words() {
        let row = format!("| `{key}` | {value} |");
        assert!(DOCUMENT.contains(&row), "{row:?} is not in the document");
    }
    let settings = Manifest::default()
        .resolve(&crate::limits::HostLimits::default(), &PluginDefaults::default())
        .expect("it asks for nothing");
    for (key, value) in settings.limits_in_words() {
        let value = match key {
            "concurrency" | "queue" => "the host's",
            _ => value.trim_end_matches(" per second"),
        };
        let row = format!("| `{key}` | {value} |");
        assert!(DOCUMENT.contains(&row), "{row:?} is not in the document");
    }
}

#[test]
fn a_text_with_nothing_right_in_it_is_told_so_in_some_lines() {
    let unknown: String = (0..4000).map(|n| format!("key-{n} = 1\n")).collect();
    let long = "x".repeat(60_000);
    let many: Vec<_> = (0..2000).map(|_| "\"a b\"").collect();
    for text in [
        unknown,
        format!("{long} = 1"),
        format!("version = \"{long}\""),
        format!("service = \"{long}\""),
        format!("instances.strategy = \"{long}\""),
        format!("limits.memory = \"{long}\""),
        format!("limits.deadline = \"1 {long}\""),
        format!("grants.network = [\"{long}\"]"),
        format!("grants.network = [{}]", many.join(", ")),
        format!("grants.http = [\"https://{long}\"]"),
        format!("grants.env = {{ {long} = \"\" }}"),
        format!("grants.env = {{ A = {{ from-env = \"{long}\" }} }}"),
        format!("grants.dirs = [{{ host = \"{long}\", guest = \"/\" }}]"),
        format!("grants.keyvalue = {{ a = \"{long}\" }}"),
        format!("version = \"{}\"", "\\u0001".repeat(9000)),
    ] {
        let error = parse(&text).expect_err("it is wrong");
        assert!(error.problems().len() <= 20);
        let said = error.to_string();
        assert!(said.len() < 4000, "{} bytes: {said}", said.len());
    }
    let error = parse(&(0..25).map(|n| format!("key-{n} = 1\n")).collect::<String>());
    let said = error.expect_err("it is wrong").to_string();
    assert!(said.ends_with("; and 5 more"), "{said}");
}

#[test]
fn the_manifest_of_the_example_plugin_holds() {
    let manifest = parse(include_str!("../../../plugins/calc/calc.toml")).expect("it holds");
    assert_eq!(manifest.limits.memory.expect("it gives one").value, 16 << 20);
}

/// The paths of all keys that a manifest may have.
fn keys() -> Vec<String> {
    let (read, keys) = Reader::read_keys("", |table| Manifest::read(table, Path::new("/")));
    read.expect("an empty manifest holds");
    keys
}

const VALUES: [&str; 22] = [
    "1",
    "-1",
    "0",
    "1e308",
    "inf",
    "nan",
    "0xffffffffffffffff",
    "true",
    "\"\"",
    "\"\\u0000\"",
    "\"-1 MiB\"",
    "\"9e99 GiB\"",
    "\"1e400 s\"",
    "\"::\"",
    "\"[\"",
    "1979-05-27",
    "[]",
    "[\"\", \":\", \"*.\", \"[::1]:\"]",
    "[[]]",
    "[{}]",
    "{}",
    "{ a = \"\", \"\" = \"b\", c = { from-env = 1 } }",
];
