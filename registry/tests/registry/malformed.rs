//! Streams that bring no request: each costs itself, and the peer is told why.

use jackfield_wire::registry::{ListQuery, Request};
use jackfield_wire::{FrameKind, Status, to_cbor};

use crate::harness::{World, instance, refusal};

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_connection_goes_on() {
    let world = World::new();
    let client = world.client().await;
    let list = to_cbor(&Request::List(ListQuery::default()));
    let truncated = &list[..list.len() - 1];
    let too_long = vec![0; (1 << 20) + 1];
    let bomb = [0x9f_u8; 200_000];
    let cases: [&[(FrameKind, &[u8])]; 8] = [
        &[],
        &[(FrameKind::Message, b"")],
        &[(FrameKind::Message, b"\xff\xffgarbage")],
        &[(FrameKind::Message, truncated)],
        &[(FrameKind::Message, &too_long)],
        &[(FrameKind::Message, &bomb)],
        &[(FrameKind::Head, &list)],
        &[(FrameKind::Message, &list), (FrameKind::Message, &list)],
    ];
    for frames in cases {
        let refusal = refusal(client.send(frames).await);
        assert_eq!(refusal.status, Status::InvalidArgument, "{refusal}");
        assert!(refusal.message.contains("one message frame"), "{refusal}");
    }
    client.list(ListQuery::default()).await;
    let status = world.registry.status();
    assert_eq!((status.malformed, status.refused), (8, 8));
}

#[tokio::test]
async fn an_instance_that_cannot_be_is_named_in_the_refusal() {
    let world = World::new();
    let host = world.host("left").await;
    let mut bad = instance("text", "left");
    bad.address = "0.0.0.0:80".into();
    let request = Request::Register(vec![instance("calc", "left"), bad]);
    let refusal = host.refused(&request).await;
    assert_eq!(refusal.status, Status::InvalidArgument);
    assert!(refusal.message.contains("text@left"), "{refusal}");
    assert!(host.list(ListQuery::default()).await.instances.is_empty());
}

#[tokio::test]
async fn a_service_name_that_is_none_does_not_reach_the_registry() {
    let world = World::new();
    let host = world.host("left").await;
    let good = to_cbor(&Request::Register(vec![instance("calc", "left")]));
    let bad: Vec<u8> = good.iter().map(|byte| if *byte == b'k' { b'\n' } else { *byte }).collect();
    let at = good.windows(4).position(|w| w == b"calc").expect("the name is in there");
    let mut bad = bad;
    bad[at] = 0x1b;
    let refusal = refusal(host.send(&[(FrameKind::Message, &bad)]).await);
    assert_eq!(refusal.status, Status::InvalidArgument);
    assert!(!refusal.message.chars().any(char::is_control), "{refusal}");
}
