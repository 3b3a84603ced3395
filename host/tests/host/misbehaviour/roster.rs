//! Which test is whose: a fixture without a test fails here, a test that is gone does not compile.

use std::collections::BTreeSet;

use super::storms;
use crate::{calls, folder, misbehaviour, replacing};

/// Each fixture with a sin, and a test that meets it.
const ROSTER: &[(&str, fn())] = &[
    ("bad-answer", misbehaviour::answers_that_break_their_own_types_are_traps),
    ("chatty", misbehaviour::a_chatty_guest_does_not_hold_anyone_up),
    ("core-module", folder::each_kind_of_bad_file_is_refused_with_what_to_do),
    ("counter", storms::no_memory_table_or_global_of_one_call_is_seen_by_the_next),
    ("empty", folder::each_kind_of_bad_file_is_refused_with_what_to_do),
    ("giant-answer", misbehaviour::giant_answers_cost_their_call_alone),
    ("grower", misbehaviour::a_guest_that_takes_all_memory_gets_no_more_than_its_limit),
    ("handle-flood", misbehaviour::a_guest_that_hoards_handles_gets_no_more_than_its_limit),
    ("import-everything", misbehaviour::a_guest_that_wants_all_there_is_is_refused_with_every_name),
    ("nosy", misbehaviour::a_nosy_guest_finds_nothing),
    ("panicking", misbehaviour::a_panic_tells_its_message),
    (
        "poll-never",
        misbehaviour::a_guest_that_waits_for_what_never_comes_is_stopped_by_its_deadline,
    ),
    ("recursion", misbehaviour::endless_recursion_is_a_trap_that_names_the_limit),
    ("resource", calls::functions_over_resources_are_listed_with_the_reason_and_refused),
    ("sleeper", misbehaviour::a_sleeping_guest_is_stopped_by_its_deadline),
    ("spin", misbehaviour::a_loop_without_end_is_stopped_by_its_deadline_and_others_go_on),
    ("spin-in-copy", misbehaviour::long_steps_within_one_instruction_do_not_outlive_the_deadline),
    ("spin-in-post-return", misbehaviour::a_loop_outside_the_method_itself_is_stopped_too),
    ("spin-in-realloc", misbehaviour::a_loop_outside_the_method_itself_is_stopped_too),
    ("spin-in-start", replacing::a_version_that_fails_its_own_test_does_not_serve),
    (
        "table-grower",
        misbehaviour::a_guest_that_takes_all_table_elements_gets_no_more_than_its_limit,
    ),
    ("trap", misbehaviour::a_trap_ends_one_call_and_says_what_it_was),
    ("trap-in-start", replacing::a_version_that_fails_its_own_test_does_not_serve),
    ("twins", calls::a_name_in_two_interfaces_needs_its_qualified_form),
    ("type-import", folder::an_interface_of_types_alone_needs_nobody_to_provide_it),
    ("unknown-import", folder::each_kind_of_bad_file_is_refused_with_what_to_do),
];

/// Fixtures that behave: every type of WIT, a second version of a plugin, what manifests grant.
const BEHAVING: [&str; 3] = ["echo", "greeter-v2", "reacher"];

#[test]
fn every_fixture_has_a_test() {
    let tested: BTreeSet<_> = ROSTER.iter().map(|(fixture, _)| *fixture).chain(BEHAVING).collect();
    let there = jackfield_guests::fixture_names();
    let there: BTreeSet<_> = there.iter().map(String::as_str).collect();
    assert_eq!(there, tested, "plugins/fixtures on the left, the roster on the right");
}
