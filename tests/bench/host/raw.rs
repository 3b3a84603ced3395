//! A caller without a deadline of its own: what it waits is what the host takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jackfield_transport::{Connection, Dialer, Protocol, Role, TransportLimits};
use jackfield_wire::{AnswerHead, CallHead, FrameKind, Status, from_cbor, to_cbor};

use crate::place::HostProcess;

/// One connection.
#[derive(Clone)]
pub(crate) struct Raw {
    connection: Arc<Connection>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Status,
    pub(crate) message: String,
    pub(crate) after: Duration,
}

impl Raw {
    pub(crate) async fn connect(host: &HostProcess) -> Result<Self> {
        let limits = TransportLimits::default();
        let dialer = Dialer::new(host.identity(), Protocol::Call, limits)?;
        let connection = Arc::new(dialer.dial(host.address, Role::Host).await?);
        Ok(Self { connection })
    }

    /// Calls, and waits for the host's word however long it takes.
    pub(crate) async fn call(
        &self,
        service: &str,
        method: &str,
        arguments: &str,
        deadline: Duration,
    ) -> Result<Ended> {
        let deadline_ms = Some(u32::try_from(deadline.as_millis())?);
        let (trace, key, idempotent) = (None, None, false);
        let head =
            to_cbor(&CallHead { service, method, deadline_ms, trace, key, idempotent, hops: 0 });
        let mut exchange = self.connection.open().await?;
        let began = Instant::now();
        let frames = [(FrameKind::Head, &head[..]), (FrameKind::Positional, arguments.as_bytes())];
        exchange.send_last(&frames).await?;
        let head = exchange.recv().await?.context("an answer has a head")?;
        let after = began.elapsed();
        let head: AnswerHead<'_> = from_cbor(&head.payload)?;
        let message = head.message.unwrap_or_default().to_owned();
        Ok(Ended { status: head.status, message, after })
    }
}
