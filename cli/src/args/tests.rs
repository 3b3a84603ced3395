//! What is typed, and what is understood.

use super::*;
use std::time::Duration;

fn read(line: &str) -> Result<Cli, clap::Error> {
    let typed = line.split(' ').map(OsString::from).collect();
    Cli::read(typed).map_err(|unread| match unread {
        Unread::Usage(error) => error,
        Unread::Settings(problem) => panic!("{line}: {problem:?}"),
    })
}

fn call(line: &str) -> RequestArgs {
    match read(line).map(|cli| cli.command) {
        Ok(Command::Call(call)) => call.request,
        other => panic!("{line}: {other:?}"),
    }
}

/// Whether the command's own `-v` was seen.
fn verbose(line: &str) -> bool {
    match read(line).map(|cli| cli.command) {
        Ok(Command::Call(call)) => call.verbose,
        other => panic!("{line}: {other:?}"),
    }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn words_may_be_negative_numbers() {
    let call = call("jackfield call calc.add -1 -.5 -inf -");
    assert_eq!(call.target.to_string(), "calc.add");
    assert_eq!(call.words, ["-1", "-.5", "-inf", "-"]);
}

#[test]
fn options_stand_before_and_behind_the_words() {
    let line = "jackfield --log debug call -v calc.add 1 --deadline 2s 2 --registry [::1]:1";
    assert!(verbose(line));
    let call = call(line);
    assert_eq!(call.words, ["1", "2"]);
    assert_eq!(call.deadline, Some(Duration::from_secs(2)));
    assert_eq!(call.registry.registry, ["[::1]:1"]);
}

#[test]
fn what_is_no_option_is_a_parameter() {
    let call = call("jackfield call calc.add 1 --b=2 --c -3 --state /x");
    assert_eq!(call.words, ["1"]);
    assert_eq!(call.named, [pair("b", "2"), pair("c", "-3")]);
}

#[test]
fn a_parameter_named_like_an_option_is_reached_by_param() {
    let call = call("jackfield call q.pop --param deadline=5 --param=param=1");
    assert_eq!(call.named, [pair("deadline", "5"), pair("param", "1")]);
    assert_eq!(call.deadline, None);
}

#[test]
fn a_bench_takes_what_a_call_takes_and_its_own_options_anywhere() {
    let line = "jackfield bench -c 8 calc.add -1 --b=2 -n100 --rate 2.5 --param count=3 --json 4";
    let Ok(Command::Bench(bench)) = read(line).map(|cli| cli.command) else { panic!("not read") };
    assert_eq!(bench.request.target.to_string(), "calc.add");
    assert_eq!(bench.request.words, ["-1", "4"]);
    assert_eq!(bench.request.named, [pair("count", "3"), pair("b", "2")]);
    assert_eq!((bench.load.concurrency, bench.load.count), (8, Some(100)));
    assert_eq!((bench.load.rate, bench.load.json), (Some(2.5), true));
}

#[test]
fn two_dashes_end_the_options() {
    let line = "jackfield call greeter.greet -- --help -v --";
    assert!(!verbose(line));
    let call = call(line);
    assert_eq!(call.words, ["--help", "-v", "--"]);
}

#[test]
fn data_takes_whatever_follows() {
    assert_eq!(call("jackfield call a.b -d -").data.as_deref(), Some("-"));
    assert_eq!(call("jackfield call a.b -vd [-1]").data.as_deref(), Some("[-1]"));
    assert_eq!(call("jackfield call a.b --data=[1]").data.as_deref(), Some("[1]"));
}

#[test]
fn a_parameter_without_value_is_told_how_to_give_one() {
    for line in ["jackfield call a.b --loud", "jackfield call a.b --loud --c 1"] {
        let error = read(line).unwrap_err().to_string();
        assert!(error.contains("--loud=VALUE"), "{error}");
    }
    let error = read("jackfield call a.b --verbos").unwrap_err().to_string();
    assert!(error.contains("--verbose?"), "{error}");
}

#[test]
fn an_unknown_short_option_is_no_word() {
    let error = read("jackfield call a.b -x").unwrap_err();
    assert!(error.to_string().contains("\"-x\" is no option"), "{error}");
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn a_target_is_checked_while_reading() {
    let error = read("jackfield call calc").unwrap_err();
    assert!(error.to_string().contains("SERVICE.METHOD"), "{error}");
    assert!(read("jackfield call").is_err());
}

#[test]
fn registries_are_separated_by_commas_or_repeated() {
    let Ok(Command::Ls(ls)) =
        read("jackfield ls --registry a:1,b:2 --registry c:3").map(|c| c.command)
    else {
        panic!("not read");
    };
    assert_eq!(ls.registry.registry, ["a:1", "b:2", "c:3"]);
}

#[test]
fn an_address_needs_a_port() {
    for text in ["localhost", "::1", "[::1]", "a:", "a:x", ":1", "a:0", "::1:9999", "a:70000"] {
        assert!(address(text).is_err(), "{text}");
    }
    for text in ["localhost:1", "[::1]:9999", "127.0.0.1:65535"] {
        assert!(address(text).is_ok(), "{text}");
    }
}

#[test]
fn help_is_found_anywhere_before_two_dashes() {
    let error = read("jackfield call calc.add 1 --help").unwrap_err();
    assert_eq!(error.exit_code(), 0);
}

#[test]
fn every_command_for_people_shows_examples() {
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let help = command.get_after_help().map(ToString::to_string);
        assert!(help.is_some_and(|help| help.contains("Examples:")), "{}", command.get_name());
    }
}

#[test]
fn the_long_help_has_the_exit_codes_and_the_environment() {
    let help = Cli::command().render_long_help().to_string();
    assert!(help.contains("143  ended by SIGTERM"), "{help}");
    assert!(help.contains("JACKFIELD_REGISTRY"), "{help}");
}
