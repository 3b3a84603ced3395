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

/// What there is now, after everything was removed.
async fn anew(store: &mut EtcdStore) -> Stored {
    loop {
        if let News::Anew(stored) = heard(store).await {
            return stored;
        }
    }
}

#[tokio::test]
async fn where_everything_was_removed_all_front_ends_begin_anew_and_go_on() {
    let Some(cluster) = Cluster::start(1) else { return };
    let ((mut one, before), (mut two, _)) = (open(&cluster, 1), open(&cluster, 2));
    one.keep(registration(0, "a", 3)).await.unwrap();
    cluster.ctl(&["del", "--prefix", EtcdConfig::DEFAULT_PREFIX]);
    let (here, there) = (anew(&mut one).await, anew(&mut two).await);
    assert_ne!(here.epoch, before.epoch);
    assert_eq!((here.epoch, here.revision, here.records.len()), (there.epoch, 0, 0));
    // Its own key was among what was removed.
    assert_eq!(heard_alone(&mut one).await, [true, false]);
    one.keep(registration(0, "a", 1)).await.unwrap();
    while !matches!(heard(&mut two).await, News::Kept(change) if change.revision == 1) {}
    drop((one, two));
    let again = open(&cluster, 3).1;
    assert_eq!((again.epoch, again.records.len()), (here.epoch, 1));
}

/// Whether it was taken for dead, twice.
async fn heard_alone(store: &mut EtcdStore) -> Vec<bool> {
    let mut told = Vec::new();
    while told.len() < 2 {
        if let News::Alone(alone) = heard(store).await {
            told.push(alone);
        }
    }
    told
}

#[tokio::test]
async fn members_that_lost_their_data_are_noticed() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    let (mut store, before) = open(&cluster, 1);
    for n in 0..20 {
        store.keep(registration(n, &format!("h{n}"), 1)).await.unwrap();
    }
    cluster.kill(0);
    cluster.wipe(0);
    cluster.restart(0);
    let stored = anew(&mut store).await;
    assert!(stored.epoch != before.epoch && stored.records.is_empty());
}

#[tokio::test]
async fn registries_with_different_prefixes_share_a_cluster_and_nothing_else() {
    let Some(cluster) = Cluster::start(1) else { return };
    let mut config = EtcdConfig::new(cluster.addresses());
    config.prefix = "/other/".into();
    let (mut other, _) = EtcdStore::open(&config, Front(1), 7, TTL).unwrap();
    other.keep(registration(0, "a", 3)).await.unwrap();
    let (mut store, stored) = open(&cluster, 1);
    assert_eq!((stored.records.len(), stored.others.len()), (0, 0));
    store.keep(registration(0, "b", 1)).await.unwrap();
    let keys = cluster.ctl(&["get", "--prefix", "/other/", "--keys-only"]);
    assert_eq!(keys.matches("/other/instance/").count(), 3, "{keys}");
    drop(other);
    let (_other, stored) = EtcdStore::open(&config, Front(2), 7, TTL).unwrap();
    assert_eq!(stored.records.len(), 3);
    config.prefix = "other".into();
    let Err(error) = EtcdStore::open(&config, Front(3), 7, TTL) else { panic!("opened") };
    assert!(error.to_string().contains("with a / at its end"), "{error}");
}

#[tokio::test]
async fn a_cluster_that_wants_certificates_gets_them_and_one_that_has_the_wrong_ones_is_refused() {
    let Some(cluster) = Cluster::start_secured() else { return };
    let mut config = EtcdConfig::new(cluster.addresses());
    let refused = |config: &EtcdConfig| match EtcdStore::open(config, Front(1), 7, TTL) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("opened"),
    };
    assert!(refused(&config).contains("trusted by a certificate, and none was given"));
    config.ca = Some(cluster.file("ca.pem"));
    let stranger = refused(&config);
    assert!(stranger.contains("cannot be used"), "{stranger}");
    config.certificate = Some((cluster.file("cert.pem"), cluster.file("key.pem")));
    let (mut store, _) = EtcdStore::open(&config, Front(1), 7, TTL).unwrap();
    store.keep(registration(0, "a", 3)).await.unwrap();
    store.close().await;
    config.ca = Some(cluster.file("other.pem"));
    let impostor = refused(&config);
    assert!(impostor.contains("certificate"), "{impostor}");
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
