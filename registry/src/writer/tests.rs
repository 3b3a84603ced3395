//! The writer with a store that can be switched off.

use super::*;
use crate::core::fixture::{TTL, id, instance, peer, rules};
use crate::core::{Change, LeaseId, Moment, Stored};
use crate::store::NotKept;
use jackfield_wire::Status;
use jackfield_wire::registry::{Health, ListQuery};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// A store that works while its switch is on, and passes on what it kept.
struct Switched {
    works: watch::Receiver<Mode>,
    kept: UnboundedSender<Change>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Works,
    Fails,
    Full,
    Hangs,
}

impl Store for Switched {
    async fn keep(&mut self, change: Change) -> Result<(), NotKept> {
        let mode = *self.works.wait_for(|mode| *mode != Mode::Hangs).await.expect("a switch");
        if mode == Mode::Fails {
            return Err(NotKept::Failed("disk broken".into()));
        }
        if mode == Mode::Full {
            return Err(NotKept::Full("disk full".into()));
        }
        self.kept.send(change).expect("the test listens");
        Ok(())
    }

    async fn close(self) {}
}

struct Shell {
    view: Arc<View>,
    mailbox: Mailbox,
    switch: watch::Sender<Mode>,
    kept: UnboundedReceiver<Change>,
    _tasks: JoinSet<()>,
}

impl Shell {
    fn new() -> Self {
        let core = Core::restore(rules(), Moment::default(), Stored::default());
        let view = Arc::new(View::new(core, Instant::now()));
        let (switch, works) = watch::channel(Mode::Works);
        let (sender, kept) = mpsc::unbounded_channel();
        let (writer, mailbox) = Writer::new(
            Arc::clone(&view),
            Switched { works, kept: sender },
            mpsc::unbounded_channel().0,
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run(CancellationToken::new()));
        Self { view, mailbox, switch, kept, _tasks: tasks }
    }

    fn health(&self) -> Option<Health> {
        let all = ListQuery { all: true, ..ListQuery::default() };
        let listing = self.view.read(|core, now| core.list(now, &all));
        listing.instances.first().map(|instance| instance.health)
    }

    /// Waits for changes until the only instance is as wanted.
    async fn until(&self, health: Option<Health>) {
        let mut changes = self.view.changes();
        while self.health() != health {
            changes.changed().await.expect("the view is there");
        }
    }

    async fn register(&self, holder: &Arc<Holder>) -> Result<Done, Refused> {
        self.mailbox.ask(holder, Ask::Register(vec![instance("calc", "a")])).await
    }
}

fn holder() -> Arc<Holder> {
    let address = "127.0.0.1:50000".parse().unwrap();
    Arc::new(Holder { lease: LeaseId::nth(1), peer: peer("a"), address, operator: false })
}

#[tokio::test(start_paused = true)]
async fn what_the_store_does_not_keep_is_refused_and_did_not_happen() {
    let shell = Shell::new();
    shell.switch.send_replace(Mode::Fails);
    let refused = shell.register(&holder()).await.unwrap_err();
    assert_eq!(refused.status(), Status::Unavailable);
    assert!(refused.to_string().contains("disk broken"), "{refused}");
    assert_eq!(shell.health(), None);
    assert_eq!(shell.view.read(|core, _| core.revision().number), 0);
    shell.switch.send_replace(Mode::Works);
    assert_eq!(shell.register(&holder()).await, Ok(Done::Registered));
}

#[tokio::test(start_paused = true)]
async fn heartbeats_do_not_reach_the_store() {
    let shell = Shell::new();
    shell.register(&holder()).await.unwrap();
    shell.switch.send_replace(Mode::Fails);
    let alive = shell.mailbox.ask(&holder(), Ask::Heartbeat(vec![id("calc", "a")])).await;
    assert_eq!(alive, Ok(Done::Alive(vec![])));
}

#[tokio::test(start_paused = true)]
async fn heartbeats_do_not_wait_for_the_store() {
    let shell = Shell::new();
    shell.register(&holder()).await.unwrap();
    shell.switch.send_replace(Mode::Hangs);
    let mut tasks = JoinSet::new();
    send(&shell, &mut tasks, "b", "calc");
    delivered().await;
    let alive = shell.mailbox.ask(&holder(), Ask::Heartbeat(vec![id("calc", "a")])).await;
    assert_eq!(alive, Ok(Done::Alive(vec![])));
    shell.switch.send_replace(Mode::Works);
    assert_eq!(tasks.join_all().await, [Ok(Done::Registered)]);
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_the_store_did_not_keep_is_tried_again() {
    let shell = Shell::new();
    shell.register(&holder()).await.unwrap();
    shell.switch.send_replace(Mode::Fails);
    shell.mailbox.lost(&holder());
    // The answer shows that the letter before was read.
    shell.mailbox.ask(&holder(), Ask::Heartbeat(vec![])).await.unwrap();
    assert_eq!(shell.health(), Some(Health::Healthy));
    shell.switch.send_replace(Mode::Works);
    shell.until(Some(Health::Suspect)).await;
    shell.until(None).await;
}

#[tokio::test(start_paused = true)]
async fn an_expiry_that_the_store_did_not_keep_is_tried_again() {
    let mut shell = Shell::new();
    shell.register(&holder()).await.unwrap();
    shell.switch.send_replace(Mode::Fails);
    tokio::time::advance(TTL * 2).await;
    shell.mailbox.ask(&holder(), Ask::Heartbeat(vec![])).await.unwrap();
    assert_eq!(shell.health(), Some(Health::Healthy));
    shell.switch.send_replace(Mode::Works);
    shell.until(None).await;
    let mut revisions = Vec::new();
    while let Ok(change) = shell.kept.try_recv() {
        // Between the two, the registry came to know everyone.
        revisions.extend((!change.steps.is_empty()).then_some(change.revision));
    }
    assert_eq!(revisions, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn readers_do_not_wait_for_the_store() {
    let shell = Shell::new();
    shell.register(&holder()).await.unwrap();
    shell.switch.send_replace(Mode::Hangs);
    let leaving = Ask::Deregister(vec![id("calc", "a")]);
    let holder = holder();
    let mut asked = std::pin::pin!(shell.mailbox.ask(&holder, leaving));
    tokio::select! {
        biased;
        done = &mut asked => panic!("acknowledged before it was kept: {done:?}"),
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    assert_eq!(shell.health(), Some(Health::Healthy));
    shell.switch.send_replace(Mode::Works);
    assert_eq!(asked.await, Ok(Done::Deregistered(1)));
    assert_eq!(shell.health(), Some(Health::Draining));
}

fn holder_of(host: &str) -> Arc<Holder> {
    Arc::new(Holder { peer: peer(host), ..(*holder()).clone() })
}

/// Sends letters without reading the answers.
fn send(shell: &Shell, tasks: &mut JoinSet<Result<Done, Refused>>, host: &str, service: &str) {
    let (mailbox, holder) = (shell.mailbox.clone(), holder_of(host));
    let ask = Ask::Register(vec![instance(service, host)]);
    tasks.spawn(async move { mailbox.ask(&holder, ask).await });
}

/// Until every letter that was sent has arrived.
async fn delivered() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_store_goes_to_it_together() {
    let mut shell = Shell::new();
    shell.switch.send_replace(Mode::Hangs);
    let mut tasks = JoinSet::new();
    send(&shell, &mut tasks, "a", "calc");
    delivered().await;
    for n in 0..64 {
        send(&shell, &mut tasks, &format!("h{n}"), "calc");
    }
    delivered().await;
    shell.switch.send_replace(Mode::Works);
    assert!(tasks.join_all().await.iter().all(|done| *done == Ok(Done::Registered)));
    let sizes = [shell.kept.recv().await, shell.kept.recv().await]
        .map(|change| change.expect("two changes").steps.len());
    assert_eq!(sizes, [1, 64]);
    assert_eq!(shell.view.read(|core, _| core.len()), 65);
}

#[tokio::test(start_paused = true)]
async fn the_letters_of_one_host_are_served_in_order() {
    let mut shell = Shell::new();
    shell.switch.send_replace(Mode::Hangs);
    let mut tasks = JoinSet::new();
    for service in ["one", "two", "three"] {
        send(&shell, &mut tasks, "a", service);
        send(&shell, &mut tasks, "b", service);
        delivered().await;
    }
    shell.switch.send_replace(Mode::Works);
    tasks.join_all().await;
    let mut of_a = Vec::new();
    while let Ok(change) = shell.kept.try_recv() {
        assert!(change.steps.len() <= 2, "one of each host at most: {change:?}");
        of_a.extend(change.steps.iter().filter_map(|step| match step {
            crate::core::Step::Put(record) => {
                let instance = record.instance();
                (instance.host == "a").then(|| instance.service.to_string())
            }
            _ => None,
        }));
    }
    assert_eq!(of_a, ["one", "two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_was_not_kept_is_refused_to_all_of_it() {
    let shell = Shell::new();
    shell.switch.send_replace(Mode::Full);
    let mut tasks = JoinSet::new();
    for host in ["a", "b", "c"] {
        send(&shell, &mut tasks, host, "calc");
    }
    for outcome in tasks.join_all().await {
        let refused = outcome.unwrap_err();
        assert_eq!(refused.status(), Status::ResourceExhausted);
        assert!(refused.to_string().contains("free space"), "{refused}");
    }
    assert_eq!(shell.view.read(|core, _| core.len()), 0);
}
