//! Callers that call all the time, while something happens around them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jackfield_client::{CallError, Client};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Callers of `greeter.greet`, each with one call after another.
pub struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: watch::Sender<bool>,
    callers: JoinSet<()>,
}

/// What a caller says of repeating its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Nothing: only a call that was certainly not executed is repeated.
    OnlyIfNotExecuted,
    /// Executing it twice does no harm.
    Always,
}

/// What the callers got.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many calls were answered.
    pub answered: u64,
    /// The text of every failure.
    pub failures: Vec<String>,
    /// How often each answer came since [`Load::forget_answers`].
    pub answers: BTreeMap<String, u64>,
}

impl Load {
    /// Starts `callers` of them.
    pub fn start(client: &Client, callers: usize, repeat: Repeat) -> Self {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (stop, stopped) = watch::channel(false);
        let mut set = JoinSet::new();
        for _ in 0..callers {
            set.spawn(call_until(client.clone(), repeat, tally.clone(), stopped.clone()));
        }
        Self { tally, stop, callers: set }
    }

    /// What came until now.
    pub fn tally(&self) -> Tally {
        self.tally.lock().expect("no caller panics with the lock held").clone()
    }

    /// Starts [`Tally::answers`] afresh.
    pub fn forget_answers(&self) {
        self.tally.lock().expect("no caller panics with the lock held").answers.clear();
    }

    /// Lets every caller finish its call, and says what came.
    pub async fn stop(mut self) -> Tally {
        // No caller left to tell is as good as told.
        let _ = self.stop.send(true);
        while self.callers.join_next().await.is_some() {}
        self.tally()
    }
}

async fn call_until(
    client: Client,
    repeat: Repeat,
    tally: Arc<Mutex<Tally>>,
    stopped: watch::Receiver<bool>,
) {
    while !*stopped.borrow() {
        let answer = greet(&client, repeat).await;
        let mut tally = tally.lock().expect("no caller panics with the lock held");
        match answer {
            Ok(text) => {
                tally.answered += 1;
                *tally.answers.entry(text).or_default() += 1;
            }
            Err(error) => tally.failures.push(error.to_string()),
        }
    }
}

async fn greet(client: &Client, repeat: Repeat) -> Result<String, CallError> {
    let request = client.request("greeter.greet")?.args(&["Ada"])?;
    let request = match repeat {
        Repeat::OnlyIfNotExecuted => request,
        Repeat::Always => request.idempotent(),
    };
    request.send().await?.decode()
}
