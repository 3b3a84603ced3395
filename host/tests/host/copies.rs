//! How files come into a folder when things go wrong on the way: cut short, slowly, in storms.
//!
//! Whatever happens, a call of the version that serves is answered.

use std::io::Write as _;
use std::process::{Command, Stdio};

use jackfield_host::{HostEvent, HostFile};
use serde_json::json;

use crate::rig::{Caller, Place, Rig, eventually, plugin, versioned};

/// A host that serves version 1 of `v`.
async fn serving_one() -> Rig {
    Rig::with(&[("v.wasm", versioned(1))]).await
}

/// Version `number` of `v` in a file of some size: an unused function carries `seed`.
fn large(number: u32, seed: u32) -> Vec<u8> {
    let body: String = (0..2000).map(|n| format!("(drop (i32.const {}))", seed + n)).collect();
    crate::rig::wat(&format!(
        r#"(component
            (core module $m
                (func (export "unused") {body})
                (func (export "version") (result i32) (i32.const {number})))
            (core instance $i (instantiate $m))
            (func (export "version") (result u32) (canon lift (core func $i "version"))))"#
    ))
}

#[tokio::test]
async fn a_file_that_is_cut_anywhere_leaves_what_serves() {
    let mut rig = serving_one().await;
    let whole = large(2, 7);
    for part in 0..64 {
        rig.place.put("v.wasm", &whole[..whole.len() * part / 64]);
        let reason = rig.rejection().await;
        assert!(reason.contains("empty") || reason.contains("copy it again"), "{part}: {reason}");
        assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(1), "{part} of 64");
        // What serves already is put back, so that the next cut is news again.
        rig.place.put("v.wasm", versioned(1));
        eventually("it is cleared", async || rig.host.rejected().is_empty()).await;
    }
    rig.place.put("v.wasm", whole);
    rig.replaced().await;
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(2));
}

#[tokio::test]
async fn real_plugins_that_are_cut_serve_whole_or_not_at_all() {
    let mut random = Random(SEED);
    let mut files = Vec::new();
    for name in ["calc", "text", "greeter-c"] {
        let whole = plugin(name);
        let cuts = (0..64).map(|part| whole.len() * part / 64).collect::<Vec<_>>();
        let anywhere = (0..16).map(|_| random.below(whole.len())).collect::<Vec<_>>();
        for length in cuts.into_iter().chain(anywhere) {
            files.push((format!("{name}-{length}.wasm"), whole[..length].to_vec()));
        }
    }
    files.sort();
    files.dedup();
    let named: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let rig = Rig::beside_neighbour(&named, |_| {}).await;
    // Where a cut takes only sections that say nothing about code, the rest is a whole component.
    let serving = rig.host.services();
    let place = Place::new();
    for info in serving.iter().filter(|info| info.service.as_str() != "neighbour") {
        let (name, _) = info.service.as_str().rsplit_once('-').expect("NAME-LENGTH");
        let file = format!("{name}.wasm");
        place.put(&file, std::fs::read(jackfield_guests::plugin(name)).expect("it was built"));
        let whole = place.check(&file, &HostFile::default()).await;
        let jackfield_host::CheckReport::Serves(whole) = whole else { panic!("{whole:?}") };
        let names = |info: &jackfield_wire::reflect::ServiceInfo| {
            info.methods.iter().map(|method| method.qualified.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(info), names(&whole.info), "seed {SEED}: {}", info.service);
    }
    assert_eq!(rig.host.rejected().len() + serving.len(), files.len() + 1, "seed {SEED}");
    assert!(serving.len() < 40, "most cuts leave nothing that serves: {}", serving.len());
    rig.is_unharmed().await;
}

#[tokio::test]
async fn a_copy_that_pauses_is_refused_at_each_pause_and_served_at_its_end() {
    let mut rig = serving_one().await;
    let whole = large(2, 7);
    let mut copy = std::fs::File::create(rig.place.path("v.wasm")).unwrap();
    let pieces: Vec<_> = whole.chunks(whole.len() / 4 + 1).collect();
    let (last, others) = pieces.split_last().expect("a file has pieces");
    for piece in others {
        copy.write_all(piece).unwrap();
        // The host has looked, found the file still, and found it wanting.
        rig.rejection().await;
        assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(1));
    }
    copy.write_all(last).unwrap();
    drop(copy);
    rig.replaced().await;
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(2));
    assert!(rig.host.rejected().is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn a_copier_that_is_killed_leaves_what_serves_and_the_next_one_is_taken() {
    let mut rig = serving_one().await;
    let (whole, path) = (large(2, 7), rig.place.path("v.wasm"));
    let half = whole.len() / 2;
    let mut copier = Command::new("sh")
        .args(["-c", "exec cat > \"$0\""])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    copier.stdin.as_mut().unwrap().write_all(&whole[..half]).unwrap();
    let there = || std::fs::metadata(&path).is_ok_and(|file| file.len() == half as u64);
    eventually("half of it is written", async || there()).await;
    copier.kill().unwrap();
    copier.wait().unwrap();
    let reason = rig.rejection().await;
    assert!(reason.contains("copy it again"), "{reason}");
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(1));
    std::fs::write(&path, &whole).unwrap();
    rig.replaced().await;
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(2));
}

#[tokio::test]
async fn a_storm_of_renames_ends_with_the_last_one_and_no_call_fails() {
    let mut rig = serving_one().await;
    let caller = rig.caller.clone();
    let calling = call_until(&caller, STORM);
    let renaming = async {
        for number in 2..=STORM {
            rig.place.put("v.wasm", versioned(number));
            tokio::task::yield_now().await;
        }
    };
    let (seen, ()) = tokio::join!(calling, renaming);
    assert!(seen.is_sorted(), "never back to an older version: {seen:?}");
    eventually("old versions go", async || rig.host.draining() == 0).await;
    eventually("no store is left", async || rig.host.stores() == 0).await;
    assert!(rig.host.rejected().is_empty());
    // Loads that are overtaken are left out: what was never looked at was never compiled.
    let mut loads = 0;
    while let Ok(event) = rig.events.try_recv() {
        loads += u32::from(matches!(event, HostEvent::Replaced { .. }));
    }
    assert!(loads <= STORM, "{loads} loads");
}

/// Calls `v.version` until it gives `last`; gives all that came. No call may fail.
async fn call_until(caller: &Caller, last: u32) -> Vec<u64> {
    let mut seen = Vec::new();
    let calls = async {
        while seen.last() != Some(&u64::from(last)) {
            let value = caller.call("v.version", json!([])).await.ok();
            seen.push(value.as_u64().expect("a number"));
        }
    };
    tokio::time::timeout(crate::rig::PATIENCE, calls).await.expect("the last version serves");
    seen
}

/// Replacements of one storm, as fast as the disk takes them: far more than 100 in a second.
const STORM: u32 = 400;

/// Where the random cuts are. In a failure's text, to try again.
const SEED: u64 = 0x6a61_636b;

/// Marsaglia's xorshift64: enough to cut files.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("less than a length")
    }
}
