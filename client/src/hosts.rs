//! Asks every host that is known for its numbers, all at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_wire::reflect::HostReport;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::{Client, Source};
use crate::error::CallError;
use crate::request::Request;
use crate::snapshot::Endpoint;

/// What one host said of its work, or why it said nothing.
#[derive(Debug)]
pub struct HostAnswer {
    /// The host's name as the registry has it; in direct mode as its certificate has it, and `None`
    /// while it has not been reached.
    pub host: Option<String>,
    /// Where it is.
    pub address: SocketAddr,
    /// Its numbers. One of an older Jackfield that does not know the question fails with `not-found`.
    pub report: Result<HostReport, CallError>,
}

impl Client {
    /// Every host that serves something, with its address, by name; none in direct mode. Costs no
    /// round trip.
    pub fn hosts(&self) -> Vec<(String, SocketAddr)> {
        let snapshot = self.snapshot();
        let endpoints = snapshot.all_endpoints();
        let named = |endpoint: &Endpoint| Some((endpoint.instance.host.clone(), endpoint.address?));
        let mut hosts: Vec<_> = endpoints.filter_map(named).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// What the host at `address` has done since it started, and has in hand: `jackfield.stats()`.
    ///
    /// # Errors
    /// As any call: `not-found` from a host of an older Jackfield.
    ///
    /// # Cancel safety
    /// It changes nothing and may be dropped at any time.
    pub async fn stats_at(&self, address: SocketAddr) -> Result<HostReport, CallError> {
        self.builtin("stats").at(address).idempotent().send().await?.decode()
    }

    /// The same of every host that is known now, in the order of their names; in direct mode of the
    /// one. Asks 64 at a time, each for at most `within` from its turn: with one turn for all,
    /// this takes no longer than that.
    ///
    /// # Errors
    /// None as a whole: a host that does not answer says so in its place.
    ///
    /// # Cancel safety
    /// As [`stats_at`](Self::stats_at).
    pub async fn stats(&self, within: Duration) -> Vec<HostAnswer> {
        if let Source::Direct(direct) = &self.inner.source {
            let question = self.builtin("stats").deadline(within).idempotent();
            let known = direct.addresses().first().copied();
            return ask(question).await.either(None, known).into_iter().collect();
        }
        let (turns, mut asked) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for (host, address) in self.hosts() {
            let question = self.builtin("stats").at(address).deadline(within).idempotent();
            let turns = Arc::clone(&turns);
            asked.spawn(async move {
                let _turn = turns.acquire().await;
                ask(question).await.either(Some(host), Some(address))
            });
        }
        let mut answers: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
        answers.sort_by(|a, b| (&a.host, a.address).cmp(&(&b.host, b.address)));
        answers
    }
}

/// What came of a question: who answered it and where, or why nobody did.
struct Asked(Result<(String, SocketAddr, HostReport), CallError>);

async fn ask(question: Request) -> Asked {
    let asked = async {
        let answer = question.send().await?;
        let report = answer.decode()?;
        Ok((answer.host, answer.address, report))
    };
    Asked(asked.await)
}

impl Asked {
    /// With what was known before.
    fn either(self, host: Option<String>, address: Option<SocketAddr>) -> Option<HostAnswer> {
        match self.0 {
            Ok((name, at, report)) => {
                Some(HostAnswer { host: host.or(Some(name)), address: at, report: Ok(report) })
            }
            Err(error) => Some(HostAnswer { host, address: address?, report: Err(error) }),
        }
    }
}

/// Hosts that are asked at a time: a fleet is asked in a few round trips, and its answers, some
/// kilobytes each, do not come all in one moment.
const AT_ONCE: usize = 64;
