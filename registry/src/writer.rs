//! The one task that changes the core: plans, lets the store keep it, applies, tells watchers.
//!
//! Readers lock the core for moments and never wait for the store. The task ends when it is
//! aborted; what it had not acknowledged by then did not happen.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jackfield_wire::InstanceId;
use jackfield_wire::registry::Instance;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::core::{Core, Holder, LeaseId, Moment, Plan, Refused};
use crate::store::Store;

/// The core, its clock, and the sign that it changed. For readers.
#[derive(Debug)]
pub(crate) struct View {
    /// Locked for moments only, never across an `.await`.
    core: Mutex<Core>,
    clock: Instant,
    pulse: watch::Sender<()>,
}

impl View {
    /// The view of a core whose time began at `clock`.
    pub(crate) fn new(core: Core, clock: Instant) -> Self {
        Self { core: Mutex::new(core), clock, pulse: watch::Sender::new(()) }
    }

    /// Reads the core at this moment.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Core, Moment) -> T) -> T {
        let now = self.now();
        read(&self.lock(), now)
    }

    /// The registry has its socket.
    pub(crate) fn bound_to(&self, address: SocketAddr) {
        self.lock().bound_to(address);
    }

    /// Says when the core has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.pulse.subscribe()
    }

    fn now(&self) -> Moment {
        Moment::since_start(self.clock.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        // A panic under the lock has ended the task that had it; readers can still be served.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a peer wants changed.
#[derive(Debug)]
pub(crate) enum Ask {
    Register(Vec<Instance>),
    Heartbeat(Vec<InstanceId>),
    Deregister(Vec<InstanceId>),
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Registered,
    /// These have to be registered again.
    Alive(Vec<InstanceId>),
    /// So many were there.
    Deregistered(u32),
}

/// Where sessions put what they want changed. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    letters: mpsc::UnboundedSender<Letter>,
    /// Bounds the letters that wait. Lost connections need none: they are as many as connections.
    room: Arc<Semaphore>,
}

#[derive(Debug)]
enum Letter {
    Ask {
        holder: Arc<Holder>,
        ask: Ask,
        answer: oneshot::Sender<Result<Done, Refused>>,
        _room: OwnedSemaphorePermit,
    },
    Lost(LeaseId),
}

impl Mailbox {
    /// Waits until the change is made and kept.
    ///
    /// Dropped before its end, the change may or may not be made.
    pub(crate) async fn ask(&self, holder: &Arc<Holder>, ask: Ask) -> Result<Done, Refused> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.map_err(|_| Refused::ShuttingDown)?;
        let (answer, answered) = oneshot::channel();
        let letter = Letter::Ask { holder: Arc::clone(holder), ask, answer, _room: room };
        self.letters.send(letter).map_err(|_| Refused::ShuttingDown)?;
        answered.await.map_err(|_| Refused::ShuttingDown)?
    }

    /// The connection of this lease is gone.
    pub(crate) fn lost(&self, lease: LeaseId) {
        // Without a reader the registry is going down, and its core with it.
        let _closed = self.letters.send(Letter::Lost(lease));
    }
}

/// The task's state.
#[derive(Debug)]
pub(crate) struct Writer<S> {
    view: Arc<View>,
    store: S,
    inbox: mpsc::UnboundedReceiver<Letter>,
    /// Lost leases that the store did not take.
    lost: Vec<LeaseId>,
    /// After a failure of the store.
    not_before: Option<Instant>,
    authoritative: bool,
}

impl<S: Store> Writer<S> {
    pub(crate) fn new(view: Arc<View>, store: S) -> (Self, Mailbox) {
        let (letters, inbox) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(MAX_LETTERS));
        let (lost, not_before, authoritative) = (Vec::new(), None, false);
        let writer = Self { view, store, inbox, lost, not_before, authoritative };
        (writer, Mailbox { letters, room })
    }

    /// Works until nobody can send any more.
    pub(crate) async fn run(mut self) {
        loop {
            let wake = self.next_wake();
            tokio::select! {
                letter = self.inbox.recv() => match letter {
                    Some(letter) => self.read(letter).await,
                    None => return,
                },
                () = sleep_until(wake) => self.tick().await,
            }
        }
    }

    fn next_wake(&self) -> Instant {
        let due = self.view.clock + self.view.lock().next_tick().elapsed();
        self.not_before.map_or(due, |not_before| due.max(not_before))
    }

    async fn read(&mut self, letter: Letter) {
        match letter {
            Letter::Ask { holder, ask, answer, _room } => {
                let outcome = self.obey(&holder, ask).await;
                // Whoever asked may have gone away; what it asked for is done.
                let _gone = answer.send(outcome);
            }
            Letter::Lost(lease) => self.lose(lease).await,
        }
    }

    async fn obey(&mut self, holder: &Holder, ask: Ask) -> Result<Done, Refused> {
        let now = self.view.now();
        match ask {
            Ask::Register(instances) => {
                let plan = self.view.lock().plan_register(now, holder, instances)?;
                self.commit(plan, &holder.peer).await?;
                Ok(Done::Registered)
            }
            Ask::Heartbeat(ids) => self.view.lock().heartbeat(now, holder, ids).map(Done::Alive),
            Ask::Deregister(ids) => {
                let (plan, count) = self.view.lock().plan_deregister(now, holder, ids)?;
                self.commit(plan, &holder.peer).await?;
                Ok(Done::Deregistered(count))
            }
        }
    }

    async fn lose(&mut self, lease: LeaseId) {
        let plan = self.view.lock().plan_lost(lease);
        if self.commit(plan, &"a lost connection").await.is_err() {
            self.lost.push(lease);
        }
    }

    async fn tick(&mut self) {
        self.not_before = None;
        for lease in std::mem::take(&mut self.lost) {
            self.lose(lease).await;
        }
        let now = self.view.now();
        let plan = self.view.lock().plan_tick(now);
        // Expired instances come due again; `commit` has said why and put the next try off.
        let _later = self.commit(plan, &"expiry").await;
        let authoritative = self.view.read(Core::is_authoritative);
        if authoritative != self.authoritative {
            self.authoritative = authoritative;
            self.view.pulse.send_replace(());
        }
    }

    async fn commit(
        &mut self,
        plan: Plan,
        cause: &(impl fmt::Display + Sync),
    ) -> Result<(), Refused> {
        let change = self.view.lock().change(&plan);
        if let Some(change) = &change
            && let Err(error) = self.store.keep(change).await
        {
            tracing::error!(%error, %cause, "the store did not keep a change");
            self.not_before = Some(Instant::now() + STORE_RETRY);
            return Err(Refused::Store(error.to_string()));
        }
        self.view.lock().apply(plan);
        if let Some(change) = change {
            tracing::debug!(revision = change.revision, %cause, "changed");
            self.view.pulse.send_replace(());
        }
        Ok(())
    }
}

/// Letters that wait at once. Beyond that, sessions wait before they send theirs.
const MAX_LETTERS: usize = 1024;
/// A store that failed is not asked again by the registry itself before this, lest a full disk
/// turn into a busy loop and a log flood. Peers' requests still reach it.
const STORE_RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fixture::{TTL, id, instance, peer, rules};
    use crate::core::{Change, Stored};
    use jackfield_wire::Status;
    use jackfield_wire::registry::{Health, ListQuery};
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
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
        Hangs,
    }

    impl Store for Switched {
        type Error = &'static str;

        async fn keep(&mut self, change: &Change) -> Result<(), &'static str> {
            let mode = *self.works.wait_for(|mode| *mode != Mode::Hangs).await.expect("a switch");
            if mode == Mode::Fails {
                return Err("disk full");
            }
            self.kept.send(change.clone()).expect("the test listens");
            Ok(())
        }
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
            let (writer, mailbox) =
                Writer::new(Arc::clone(&view), Switched { works, kept: sender });
            let mut tasks = JoinSet::new();
            tasks.spawn(writer.run());
            Self { view, mailbox, switch, kept, _tasks: tasks }
        }

        fn health(&self) -> Option<Health> {
            let all = ListQuery { all: true, ..ListQuery::default() };
            let listing = self.view.read(|core, _| core.list(&all));
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
        Arc::new(Holder { lease: LeaseId(1), peer: peer("a"), address })
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_store_does_not_keep_is_refused_and_did_not_happen() {
        let shell = Shell::new();
        shell.switch.send_replace(Mode::Fails);
        let refused = shell.register(&holder()).await.unwrap_err();
        assert_eq!(refused.status(), Status::Unavailable);
        assert!(refused.to_string().contains("disk full"), "{refused}");
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
    async fn a_loss_that_the_store_did_not_keep_is_tried_again() {
        let shell = Shell::new();
        shell.register(&holder()).await.unwrap();
        shell.switch.send_replace(Mode::Fails);
        shell.mailbox.lost(LeaseId(1));
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
        let revisions = [shell.kept.recv().await, shell.kept.recv().await]
            .map(|change| change.expect("two changes").revision);
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
}
