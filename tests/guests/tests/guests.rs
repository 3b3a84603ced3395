//! The checked-in components, and what the library hands out.

use jackfield_guests::{Verdict, all_plugins, check, fixture, fixture_names, plugin};

#[test]
fn checked_in_components_match_their_sources() {
    match check() {
        Ok(Verdict::Rebuilt) => {}
        Ok(Verdict::RecordOnly(reason)) => {
            println!("skipped: building and comparing ({reason}); the recorded hashes match");
        }
        Err(error) => panic!("{error:#}"),
    }
}

#[test]
fn a_guest_is_found_under_its_own_name() {
    for name in ["calc", "greeter", "greeter-c", "greeter-v2", "echo"] {
        let path = plugin(name);
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(name));
        assert!(is_component(&std::fs::read(&path).expect("a component can be read")), "{name}");
    }
}

#[test]
fn all_plugins_leaves_out_the_fixtures() {
    let plugins = all_plugins();
    let stems: Vec<_> = plugins.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    assert_eq!(stems, ["calc", "greeter", "text", "shapes", "till", "greeter-c"]);
}

#[test]
fn every_fixture_is_webassembly_and_only_one_is_no_component() {
    let not_components: Vec<_> =
        fixture_names().into_iter().filter(|name| !is_component(&fixture(name))).collect();
    assert_eq!(not_components, ["core-module"]);
    assert!(fixture("core-module").starts_with(b"\0asm"));
}

#[test]
#[should_panic(expected = "no guest is called \"clac\"; there are calc, chatty")]
fn an_unknown_guest_is_answered_with_those_that_there_are() {
    plugin("clac");
}

/// Components carry layer 1 in their version, modules layer 0.
fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0")
}
