//! The store against a real cluster.

use std::time::Duration;

use tokio::time::timeout;

use super::cluster::Cluster;
use super::{EtcdStore, Stored};
use crate::config::EtcdConfig;
use crate::core::fixture::{Bench, TTL, instance};
use crate::core::{Change, Front, Plan, Step};
use crate::store::{News, NotKept, Store as _, StoreError};

fn open(cluster: &Cluster, front: u64) -> (EtcdStore, Stored) {
    let config = EtcdConfig::new(cluster.addresses());
    EtcdStore::open(&config, Front(front), 7, TTL).unwrap()
}

/// The next news that is a change.
async fn heard(store: &mut EtcdStore) -> News {
    timeout(PATIENCE, store.hear()).await.expect("nothing was heard for a minute")
}

/// A registration of `n` services by a new host, planned on `revision`.
fn registration(revision: u64, host: &str, n: usize) -> Change {
    let mut bench = Bench::restored(Stored { revision, ..Stored::default() });
    let holder = bench.holder(host);
    let all = (0..n).map(|n| instance(&format!("s{n}"), host)).collect();
    let plan = bench.core.plan_register(bench.now, &holder, all, &Plan::default()).unwrap();
    bench.core.change(&plan).expect("it is new")
}

#[tokio::test]
async fn a_change_is_heard_by_the_others_as_it_was_made() {
    let Some(cluster) = Cluster::start(1) else { return };
    let ((mut one, _), (mut two, stored)) = (open(&cluster, 1), open(&cluster, 2));
    assert_eq!(stored.others, [Front(1)].into());
    assert_eq!(heard(&mut one).await, News::Came(Front(2)));
    let mut change = registration(0, "a", 3);
    one.keep(change.clone()).await.unwrap();
    assert_eq!(heard(&mut two).await, News::Kept(change.clone()));
    change.steps = vec![Step::Remove(crate::core::fixture::id("s1", "a"))];
    (change.revision, change.authoritative) = (4, true);
    two.keep(change.clone()).await.unwrap();
    assert_eq!(heard(&mut one).await, News::Kept(change));
}

#[tokio::test]
async fn of_two_that_write_at_once_one_must_hear_the_other_first() {
    let Some(cluster) = Cluster::start(1) else { return };
    let ((mut one, _), (mut two, _)) = (open(&cluster, 1), open(&cluster, 2));
    let first = registration(0, "a", 1);
    one.keep(first.clone()).await.unwrap();
    assert_eq!(two.keep(registration(0, "b", 1)).await, Err(NotKept::Behind));
    assert_eq!(heard(&mut two).await, News::Kept(first));
    two.keep(registration(1, "b", 1)).await.unwrap();
}

#[tokio::test]
async fn a_change_larger_than_a_transaction_is_kept_whole() {
    let Some(cluster) = Cluster::start(1) else { return };
    let ((mut one, _), (mut two, _)) = (open(&cluster, 1), open(&cluster, 2));
    one.keep(registration(0, "a", 64)).await.unwrap();
    let mut large = registration(64, "b", 64);
    for n in 2..6 {
        let more = registration(0, &format!("b{n}"), 64);
        large.steps.extend(more.steps);
        large.revision += more.revision;
    }
    one.keep(large.clone()).await.unwrap();
    let mut steps = Vec::new();
    while steps.len() < 64 + large.steps.len() {
        let News::Kept(change) = heard(&mut two).await else { continue };
        steps.extend(change.steps);
    }
    assert!(steps.ends_with(&large.steps));
    drop((one, two));
    assert_eq!(open(&cluster, 3).1.records.len(), 64 * 6);
}

#[tokio::test]
async fn a_front_end_whose_lease_ended_changes_nothing_until_it_has_another() {
    let Some(cluster) = Cluster::start(1) else { return };
    let ((mut one, _), (mut two, _)) = (open(&cluster, 1), open(&cluster, 2));
    heard(&mut one).await;
    let leases = cluster.ctl(&["get", "jackfield/registry/front/0000000000000001", "-w", "fields"]);
    let lease = leases.lines().find_map(|line| line.strip_prefix("\"Lease\" : ")).unwrap();
    let lease: u64 = lease.parse().unwrap();
    cluster.ctl(&["lease", "revoke", &format!("{lease:x}")]);
    assert_eq!(heard(&mut two).await, News::Went(Front(1)));
    let refused = one.keep(registration(0, "a", 1)).await.unwrap_err();
    assert!(matches!(&refused, NotKept::Failed(why) if why.contains("lease")), "{refused:?}");
    assert_eq!(heard(&mut one).await, News::Alone(true));
    assert_eq!(heard(&mut one).await, News::Alone(false));
    assert_eq!(heard(&mut two).await, News::Came(Front(1)));
    one.keep(registration(0, "a", 1)).await.unwrap();
}

#[tokio::test]
async fn a_front_end_that_leaves_is_gone_at_once() {
    let Some(cluster) = Cluster::start(1) else { return };
    let ((mut one, _), (two, _)) = (open(&cluster, 1), open(&cluster, 2));
    heard(&mut one).await;
    two.close().await;
    assert_eq!(heard(&mut one).await, News::Went(Front(2)));
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_named() {
    let config = EtcdConfig::new(["127.0.0.1:9"]);
    let Err(error) = EtcdStore::open(&config, Front(1), 7, TTL) else { panic!("opened") };
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:9/ cannot be reached"), "{error}");
}

#[tokio::test]
async fn what_a_newer_registry_wrote_is_refused() {
    let Some(cluster) = Cluster::start(1) else { return };
    cluster.ctl(&["put", "jackfield/registry/head", "\u{8}\u{2}"]);
    let config = EtcdConfig::new(cluster.addresses());
    let Err(error) = EtcdStore::open(&config, Front(1), 7, TTL) else { panic!("opened") };
    assert!(matches!(&error, StoreError::Strange { what, .. } if what == "version 2"), "{error}");
}

/// Far beyond anything that a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(60);
