//! The private authority: first use, races, damage.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Barrier, thread};

use jackfield_transport::{Identity, IdentityError, Role, StateDir};

use crate::harness::{Machine, With, ask, echo, soon};

fn authority(machine: &Machine) -> PathBuf {
    machine.state.path().join("authority/authority.pem")
}

#[tokio::test]
async fn everyone_who_races_for_the_first_use_gets_the_same_authority() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let start = Barrier::new(16);
    let made: Vec<String> = thread::scope(|scope| {
        let racers: Vec<_> = (0..16)
            .map(|n| {
                let (state, start) = (&state, &start);
                scope.spawn(move || {
                    start.wait();
                    let state = StateDir::resolve(Some(state)).unwrap();
                    Identity::local(&state, Role::Host, &format!("host-{n}")).unwrap();
                    fs::read_to_string(state.path().join("authority/authority.pem")).unwrap()
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert!(made.iter().all(|one| *one == made[0]));
}

#[tokio::test]
async fn identities_made_at_different_times_trust_each_other() {
    let machine = Machine::new();
    let server = machine.serve(With(echo));
    let connection = machine.dial(server.local_addr()).await;
    assert_eq!(soon(ask(&connection, b"x")).await, b"x");
}

#[test]
fn the_key_is_private_to_the_user() {
    let machine = Machine::new();
    let mode = fs::metadata(authority(&machine)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn a_damaged_authority_is_named_with_the_remedy_and_never_replaced() {
    let machine = Machine::new();
    let file = authority(&machine);
    let whole = fs::read(&file).unwrap();
    for len in (0..whole.len()).step_by(97) {
        fs::write(&file, &whole[..len]).unwrap();
        let error = Identity::local(&machine.state, Role::Host, "a").err().unwrap();
        assert!(matches!(error, IdentityError::Authority { .. }), "{len}: {error:?}");
        let text = error.to_string();
        assert!(text.contains("authority.pem") && text.contains("delete that file"), "{text}");
        assert_eq!(fs::read(&file).unwrap(), whole[..len]);
    }
}

#[test]
fn an_authority_whose_key_belongs_to_another_is_refused() {
    let (one, other) = (Machine::new(), Machine::new());
    let cut = |machine: &Machine| {
        let text = fs::read_to_string(authority(machine)).unwrap();
        let (certificate, key) = text.split_once("-----BEGIN PRIVATE KEY").unwrap();
        (certificate.to_owned(), format!("-----BEGIN PRIVATE KEY{key}"))
    };
    fs::write(authority(&one), cut(&one).0 + &cut(&other).1).unwrap();
    let error = Identity::local(&one.state, Role::Host, "a").err().unwrap();
    assert!(matches!(error, IdentityError::Authority { .. }), "{error}");
}

#[test]
fn an_authority_that_others_may_read_is_refused() {
    let machine = Machine::new();
    fs::set_permissions(authority(&machine), fs::Permissions::from_mode(0o644)).unwrap();
    let error = Identity::local(&machine.state, Role::Host, "a").err().unwrap();
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn a_name_that_may_not_stand_in_a_certificate_is_refused() {
    let machine = Machine::new();
    for name in ["", "a/b", "a b", "é", &"n".repeat(129)] {
        let error = Identity::local(&machine.state, Role::Host, name).err().unwrap();
        assert!(matches!(error, IdentityError::Name(_)), "{error}");
    }
}
