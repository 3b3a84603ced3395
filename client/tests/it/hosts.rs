//! What hosts say of their work, asked of all at once.

use jackfield_wire::Status;

use crate::fleet::Fleet;
use crate::harness::{Authority, PATIENCE};

#[tokio::test]
async fn every_host_is_asked_and_one_that_is_gone_is_named() {
    let mut fleet = Fleet::of(&["a", "b", "c"]).await;
    assert_eq!(fleet.client.hosts().len(), 3);
    fleet.hosts.remove(1).kill().await;
    let answers = fleet.client.stats(PATIENCE / 4).await;
    let names: Vec<_> = answers.iter().map(|answer| answer.host.as_deref()).collect();
    assert_eq!(names, [Some("a"), Some("b"), Some("c")]);
    for at in [0, 2] {
        let report = answers[at].report.as_ref().unwrap();
        assert_eq!(Some(report.host.as_str()), names[at]);
    }
    let error = answers[1].report.as_ref().unwrap_err();
    assert!(matches!(error.status(), Status::Unavailable | Status::DeadlineExceeded), "{error}");
}

#[tokio::test]
async fn a_host_at_a_known_place_is_asked_without_a_registry() {
    let authority = Authority::new();
    let host = authority.host("alone").await;
    let client = authority.direct(&host).await;
    let answers = client.stats(PATIENCE).await;
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].host.as_deref(), answers[0].address), (Some("alone"), host.address()));
    assert_eq!(answers[0].report.as_ref().unwrap().concurrency, 8);
    assert_eq!(client.stats_at(host.address()).await.unwrap().host, "alone");
    assert_eq!(client.hosts(), []);
}
