//! Looks after kept instances while no call does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::lane::Lane;

/// Lets go of idle instances of what serves, until `stop`.
pub(crate) async fn tend(catalog: Arc<Catalog>, lane: Arc<Lane>, stop: CancellationToken) {
    let rounds = async {
        loop {
            tokio::time::sleep(ROUND).await;
            let (all, now) = (catalog.now(), Instant::now());
            // Taking down instances takes long when they hold much.
            let sweep = move || all.plugins().for_each(|plugin| plugin.keeper().sweep(now));
            if lane.block(sweep).await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(rounds).await;
}

/// A tenth of the time that an instance may be idle.
const ROUND: Duration = Duration::from_secs(3);
