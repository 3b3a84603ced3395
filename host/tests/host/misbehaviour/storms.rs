//! Many guests that misbehave at once: the host stays up, and the neighbours are served.

use jackfield_wire::{Executed, Status};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::rig::{Answer, Rig, fixture};

/// Calls `target` from `callers` connections' worth of tasks, `each` times one after another.
async fn storm(rig: &Rig, target: &'static str, callers: usize, each: usize) -> Vec<Answer> {
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let caller = rig.caller.clone();
        tasks.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..each {
                answers.push(caller.call(target, json!([])).await);
            }
            answers
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// The neighbour's answers while `others` goes on.
async fn neighbour_during<T>(rig: &Rig, others: impl Future<Output = T>) -> T {
    let mut others = std::pin::pin!(others);
    loop {
        tokio::select! {
            done = &mut others => return done,
            reply = rig.call("neighbour.version", json!([])) => {
                assert_eq!(reply.ok(), json!(7));
            }
        }
    }
}

#[tokio::test]
async fn a_storm_of_traps_is_nobody_elses_weather() {
    let rig = Rig::beside_neighbour(&[("trap.wasm", fixture("trap"))], |_| {}).await;
    let answers = neighbour_during(&rig, storm(&rig, "trap.unreachable", 16, 40)).await;
    assert_eq!(answers.len(), 640);
    let trapped = answers.iter().filter(|answer| answer.status == Status::Trapped).count();
    assert!(trapped > 0);
    // Whoever is not let in any more is told that the method did not run.
    for answer in answers.iter().filter(|answer| answer.status != Status::Trapped) {
        assert_eq!(answer.executed, Executed::No, "{answer:?}");
    }
    rig.is_unharmed().await;
}

#[tokio::test]
async fn memory_bombs_at_once_each_run_into_their_own_limit() {
    let files = [("grower.wasm", fixture("grower"))];
    let rig = Rig::beside_neighbour(&files, |config| config.limits.plugin.memory = 4 << 20).await;
    let answers = neighbour_during(&rig, storm(&rig, "grower.grow-for-ever", 32, 4)).await;
    for answer in answers {
        match answer.status {
            Status::Trapped => answer.failed(
                Status::Trapped,
                Executed::Yes,
                &["memory limit", "4194304 bytes allowed"],
            ),
            _ => assert_eq!(answer.executed, Executed::No, "{answer:?}"),
        }
    }
    rig.is_unharmed().await;
}

#[tokio::test]
pub(crate) async fn no_memory_table_or_global_of_one_call_is_seen_by_the_next() {
    let files = [("counter.wasm", fixture("counter"))];
    let rig = Rig::beside_neighbour(&files, |_| {}).await;
    for target in ["counter.next", "counter.next-in-memory"] {
        for answer in storm(&rig, target, 16, 30).await {
            assert_eq!(answer.ok(), json!(1), "{target}");
        }
    }
    rig.is_unharmed().await;
}

#[tokio::test]
async fn spinning_guests_fill_their_own_places_and_no_others() {
    let rig = Rig::beside_neighbour(&[("spin.wasm", fixture("spin"))], |_| {}).await;
    let mut spinning = Vec::new();
    for _ in 0..8 {
        spinning.push(rig.caller.start("spin.spin", &[], None).await);
    }
    crate::rig::eventually("they spin", async || rig.host.load().in_flight == 8).await;
    for _ in 0..50 {
        assert_eq!(rig.call("neighbour.version", json!([])).await.ok(), Value::from(7));
    }
    drop(spinning);
    rig.is_unharmed().await;
}
