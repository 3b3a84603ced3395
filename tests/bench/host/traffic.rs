//! Callers that call all the time, at a pace or as fast as they are answered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use jackfield_client::{Answer, CallError, Client};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is called, by how many, how often.
#[derive(Clone)]
pub(crate) struct Traffic {
    /// `SERVICE.METHOD`; of several each caller takes one after the other.
    pub(crate) targets: Vec<String>,
    /// Arguments as a JSON array.
    pub(crate) arguments: &'static str,
    pub(crate) callers: u32,
    /// Of all callers together; `None` for as fast as they are answered.
    pub(crate) per_second: Option<u32>,
}

/// What came of it.
pub(crate) struct Tally {
    times: Histogram<u64>,
    /// How often each failure was met.
    pub(crate) failures: BTreeMap<String, u64>,
    span: Duration,
}

/// Callers at work.
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    callers: JoinSet<Tally>,
}

impl Traffic {
    /// One target without arguments.
    pub(crate) fn of(target: &str, callers: u32) -> Self {
        let targets = vec![target.to_owned()];
        Self { targets, arguments: "[]", callers, per_second: None }
    }

    /// The same at a pace.
    pub(crate) fn at(self, per_second: u32) -> Self {
        Self { per_second: Some(per_second), ..self }
    }

    /// Starts the callers; `seen` is shown every answer.
    pub(crate) fn start(
        &self,
        client: &Client,
        seen: impl Fn(&Answer) + Clone + Send + 'static,
    ) -> Running {
        let (stop, stopped) = watch::channel(false);
        let mut callers = JoinSet::new();
        for number in 0..self.callers {
            let caller = Caller {
                client: client.clone(),
                traffic: self.clone(),
                next: number as usize,
                stopped: stopped.clone(),
            };
            callers.spawn(caller.run(seen.clone()));
        }
        Running { stop, callers }
    }

    /// Calls for `span`.
    pub(crate) async fn during(&self, client: &Client, span: Duration) -> Result<Tally> {
        let running = self.start(client, |_| {});
        tokio::time::sleep(span).await;
        running.end().await
    }
}

impl Running {
    /// Lets every caller finish its call.
    pub(crate) async fn end(mut self) -> Result<Tally> {
        // No caller left to tell is as good as told.
        let _ = self.stop.send(true);
        let mut all = Tally::new();
        while let Some(tally) = self.callers.join_next().await {
            all.add(tally?);
        }
        Ok(all)
    }
}

struct Caller {
    client: Client,
    traffic: Traffic,
    next: usize,
    stopped: watch::Receiver<bool>,
}

impl Caller {
    async fn run(mut self, seen: impl Fn(&Answer)) -> Tally {
        let mut tally = Tally::new();
        let start = Instant::now();
        let gap = self.traffic.per_second.map(|rate| {
            Duration::from_secs(1).mul_f64(f64::from(self.traffic.callers) / f64::from(rate))
        });
        // So that paced callers do not all call at the same moments.
        let share =
            f64::from(u32::try_from(self.next).unwrap_or(0)) / f64::from(self.traffic.callers);
        let mut due = start + gap.unwrap_or_default().mul_f64(share);
        while !*self.stopped.borrow() {
            let from = match gap {
                None => Instant::now(),
                // A call that the one before held up has waited since it was due.
                Some(_) if Instant::now() > due => due,
                Some(_) => {
                    tokio::time::sleep_until(due.into()).await;
                    Instant::now()
                }
            };
            due += gap.unwrap_or_default();
            match self.call().await {
                Ok(answer) => {
                    seen(&answer);
                    tally.took(from.elapsed());
                }
                Err(error) => *tally.failures.entry(error.to_string()).or_default() += 1,
            }
        }
        tally.span = start.elapsed();
        tally
    }

    async fn call(&mut self) -> Result<Answer, CallError> {
        let targets = &self.traffic.targets;
        let target = &targets[self.next % targets.len()];
        self.next += self.traffic.callers as usize;
        let request = self.client.request(target)?;
        request.positional_json(self.traffic.arguments).send().await
    }
}

impl Tally {
    fn new() -> Self {
        let times = Histogram::new(3).expect("three digits are allowed");
        Self { times, failures: BTreeMap::new(), span: Duration::ZERO }
    }

    fn took(&mut self, time: Duration) {
        // It grows as it needs to.
        let _ = self.times.record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn add(&mut self, other: Self) {
        // Both grow as they need to.
        let _ = self.times.add(&other.times);
        for (text, count) in other.failures {
            *self.failures.entry(text).or_default() += count;
        }
        self.span = self.span.max(other.span);
    }

    pub(crate) fn answered(&self) -> u64 {
        self.times.len()
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    pub(crate) fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
        let answered = self.answered() as f64;
        answered / self.span.as_secs_f64()
    }

    /// The time that this share of the answers took at most.
    pub(crate) fn at(&self, share: f64) -> Duration {
        Duration::from_nanos(self.times.value_at_quantile(share))
    }
}

/// What this share of `times` is at most.
pub(crate) fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 to the length"
    )]
    let rank = (times.len() as f64 * share).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
