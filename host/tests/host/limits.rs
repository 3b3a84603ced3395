//! A host that is full, and limits that callers meet.

use std::time::Duration;

use jackfield_host::HostFile;
use jackfield_wire::{Executed, Status};
use serde_json::json;

use crate::rig::{Rig, answer, eventually, fixture, plugin, wat};

async fn narrow(queue: u32) -> Rig {
    let files = [("sleeper.wasm", plugin("sleeper"))];
    Rig::tuned(&files, |config| {
        config.limits.concurrency = 1;
        config.limits.queue = queue;
    })
    .await
}

/// On the only thread of this test: a host that checked them there could not be seen at it.
#[tokio::test]
async fn long_arguments_are_checked_beside_the_threads_that_serve() {
    let rig = Rig::with(&[("take.wasm", fixture("spin-in-realloc"))]).await;
    let text = "\n".repeat(1_500_000);
    let caller = rig.caller.clone();
    let mut call =
        std::pin::pin!(async move { caller.call("take.take", json!([text, "too many"])).await });
    let mut seen = false;
    let reply = loop {
        tokio::select! {
            biased;
            reply = &mut call => break reply,
            () = tokio::task::yield_now() => seen |= rig.host.load().in_flight == 1,
        }
    };
    reply.failed(Status::InvalidArgument, Executed::No, &["too many arguments"]);
    assert!(seen, "others had their turn meanwhile");
}

#[tokio::test]
async fn a_full_queue_is_answered_at_once() {
    let rig = narrow(1).await;
    let running = rig.caller.start("sleeper.sleep-for-ever", &[], None).await;
    eventually("one runs", async || rig.host.load().in_flight == 1).await;
    let mut waiting = rig.caller.start("sleeper.ping", &[], None).await;
    eventually("one waits", async || rig.host.load().queued == 1).await;
    let reply = rig.call("sleeper.ping", json!([])).await;
    reply.failed(Status::ResourceExhausted, Executed::No, &["this host is full", "1 wait"]);
    assert!(reply.retry_after_ms.is_some());
    drop(running);
    assert_eq!(answer(&mut waiting).await.ok(), json!(1));
}

#[tokio::test]
async fn a_deadline_also_ends_the_wait_for_a_place() {
    let rig = narrow(8).await;
    let _running = rig.caller.start("sleeper.sleep-for-ever", &[], None).await;
    eventually("one runs", async || rig.host.load().in_flight == 1).await;
    let reply = rig.caller.call_within("sleeper.ping", json!([]), Duration::from_millis(50)).await;
    reply.failed(Status::DeadlineExceeded, Executed::No, &["waited"]);
    assert_eq!(rig.host.load().queued, 0);
}

#[tokio::test]
async fn a_caller_that_waits_and_goes_away_gives_its_place_up() {
    let rig = narrow(8).await;
    let _running = rig.caller.start("sleeper.sleep-for-ever", &[], None).await;
    let waiting = rig.caller.start("sleeper.ping", &[], None).await;
    eventually("one waits", async || rig.host.load().queued == 1).await;
    drop(waiting);
    eventually("nobody waits", async || rig.host.load().queued == 0).await;
}

#[tokio::test]
async fn a_wait_for_a_place_ends_with_a_hint_long_before_its_deadline() {
    let rig = Rig::tuned(&[("sleeper.wasm", plugin("sleeper"))], |config| {
        config.limits.concurrency = 1;
        config.limits.queue_time = Duration::from_millis(50);
    })
    .await;
    let _running = rig.caller.start("sleeper.sleep-for-ever", &[], None).await;
    eventually("one runs", async || rig.host.load().in_flight == 1).await;
    let reply = rig.call("sleeper.ping", json!([])).await;
    reply.failed(Status::ResourceExhausted, Executed::No, &["no free place", "50ms"]);
    assert!(reply.retry_after_ms.is_some());
    assert_eq!(rig.host.load().queued, 0);
}

#[tokio::test]
async fn a_plugin_that_takes_all_it_gets_leaves_places_to_others() {
    let files = [("busy.wasm", plugin("sleeper")), ("calm.wasm", plugin("sleeper"))];
    let rig = Rig::tuned(&files, |config| {
        config.limits.concurrency = 4;
        config.limits.queue = 4;
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(rig.caller.start("busy.sleep-for-ever", &[], None).await);
    }
    eventually("it has its share", async || {
        let load = rig.host.load();
        (load.in_flight, load.queued) == (3, 2)
    })
    .await;
    let reply = rig.call("busy.ping", json!([])).await;
    reply.failed(Status::ResourceExhausted, Executed::No, &["busy on this host is full: 3 calls"]);
    assert_eq!(rig.call("calm.ping", json!([])).await.ok(), json!(1));
    let stats = rig.host.stats();
    let busy = &stats.services[0];
    assert_eq!((busy.load.in_flight, busy.load.queued), (3, 2), "{stats:?}");
}

#[tokio::test]
async fn a_full_host_serves_plugins_in_turn() {
    let files = [("busy.wasm", plugin("sleeper")), ("calm.wasm", plugin("sleeper"))];
    let rig = Rig::tuned(&files, |config| {
        config.limits.concurrency = 1;
        config.limits.queue = 8;
    })
    .await;
    let running = rig.caller.start("busy.sleep-for-ever", &[], None).await;
    eventually("one runs", async || rig.host.load().in_flight == 1).await;
    let second = rig.caller.start("busy.sleep-for-ever", &[], None).await;
    eventually("one waits", async || rig.host.load().queued == 1).await;
    let mut calm = rig.caller.start("calm.ping", &[], None).await;
    eventually("two wait", async || rig.host.load().queued == 2).await;
    drop(running);
    // The second busy one came first, but its plugin had the last turn.
    assert_eq!(answer(&mut calm).await.ok(), json!(1));
    drop(second);
}

#[tokio::test]
async fn no_caller_gets_more_time_than_the_cap() {
    let files = [("sleeper.wasm", plugin("sleeper"))];
    let cap = Duration::from_millis(100);
    let rig = Rig::tuned(&files, |config| config.limits.plugin.deadline_cap = cap).await;
    let hour = Duration::from_secs(3600);
    let reply = rig.caller.call_within("sleeper.sleep-for-ever", json!([]), hour).await;
    reply.failed(Status::DeadlineExceeded, Executed::Yes, &["100ms"]);
}

#[tokio::test]
async fn a_caller_that_does_not_finish_its_request_is_told_so() {
    let files = [("sleeper.wasm", plugin("sleeper"))];
    let rig = Rig::tuned(&files, |config| {
        config.limits.request_timeout = Duration::from_millis(50);
    })
    .await;
    let head = jackfield_wire::to_cbor(&("sleeper", "ping"));
    let mut exchange = rig.caller.connection().open().await.unwrap();
    exchange.send(&[(jackfield_wire::FrameKind::Head, &head)]).await.unwrap();
    let reply = answer(&mut exchange).await;
    reply.failed(Status::DeadlineExceeded, Executed::No, &["not whole"]);
}

#[tokio::test]
async fn a_result_over_the_limit_is_an_error_that_names_it() {
    let files = [("echo.wasm", plugin("greeter"))];
    let rig = Rig::tuned(&files, |config| config.limits.plugin.result = 20).await;
    let reply = rig.call("echo.greet", json!(["somebody with a long name"])).await;
    reply.failed(Status::ResourceExhausted, Executed::Yes, &["20 bytes"]);
}

/// `memories` linear memories, and a function that never returns.
fn spinner(memories: usize) -> Vec<u8> {
    wat(&format!(
        r#"(component
            (core module $m {} (func (export "spin") (loop (br 0))))
            (core instance $i (instantiate $m))
            (func (export "spin") (canon lift (core func $i "spin"))))"#,
        "(memory 1)".repeat(memories)
    ))
}

#[tokio::test]
async fn whoever_has_a_place_finds_room_for_an_instance_of_the_largest_kind() {
    let files = [("one.wasm", spinner(8)), ("two.wasm", spinner(8))];
    let rig = Rig::tuned(&files, |config| config.limits.concurrency = 4).await;
    let within = Duration::from_secs(1);
    let (one, two) = ("one.spin", "two.spin");
    let calls =
        [one, one, one, two].map(|target| rig.caller.call_within(target, json!([]), within));
    let [a, b, c, d] = calls;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    for reply in [a, b, c, d] {
        assert_eq!(reply.status, Status::DeadlineExceeded, "{reply:?}");
    }
}

#[tokio::test]
async fn an_instance_of_the_largest_kind_has_room_even_for_one_call_at_a_time() {
    let rig = Rig::tuned(&[("wide.wasm", spinner(8))], |config| {
        config.limits.concurrency = 1;
    })
    .await;
    let reply = rig.caller.call_within("wide.spin", json!([]), Duration::from_millis(200)).await;
    reply.failed(Status::DeadlineExceeded, Executed::Yes, &[]);
}

#[tokio::test]
async fn what_a_host_refuses_a_check_refuses_with_the_same_words() {
    let greedy = wat(r#"(component
        (core module $m (memory 20000) (func (export "f")))
        (core instance $i (instantiate $m))
        (func (export "f") (canon lift (core func $i "f"))))"#);
    let rig = Rig::with(&[("greedy.wasm", greedy)]).await;
    let said = rig.host.rejected().remove(0).reason;
    match rig.place.check("greedy.wasm", &HostFile::default()).await {
        jackfield_host::CheckReport::Rejected(rejection) => {
            assert_eq!(rejection.to_string(), said);
        }
        other => panic!("{other:?}, but: {said}"),
    }
}

#[tokio::test]
async fn more_functions_than_the_limit_are_refused() {
    let exports: String = (0..4097).map(|n| format!(r#"(export "f-{n}" (func $f))"#)).collect();
    let crowd = wat(&format!(
        r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            {exports})"#
    ));
    let rig = Rig::with(&[("crowd.wasm", crowd)]).await;
    assert!(rig.host.rejected()[0].reason.contains("4097 functions"), "{:?}", rig.host.rejected());
}
