//! How costs grow with the set: a whole list, the beginning of a watch, one registration.

use std::time::{Duration, Instant};

use jackfield_wire::registry::Request;

use crate::crash::list;
use crate::memory::{fill, sized};
use crate::peer::Peer;
use crate::table::Table;
use crate::watchers::Watching;
use crate::{HOUR, Settings, plan};

pub(crate) async fn measure(settings: &Settings, table: &mut Table) {
    let mut steps = Vec::new();
    for instances in [1_000, 10_000, 100_000].map(|full| settings.scaled(full)) {
        let (_dir, plan) = plan("memory:", HOUR);
        let serving = plan.start();
        let mut last = None;
        for n in 0..instances.div_ceil(OF_HOST) {
            let peer = Peer::connect(&plan.state(), &format!("host-{n}"), serving.address).await;
            fill(&peer, 0, OF_HOST.min(instances)).await;
            last = Some(peer);
        }
        let began = Instant::now();
        list(&plan, serving.address).await;
        let listed = began.elapsed();
        let began = Instant::now();
        Watching::start(&plan, serving.address).await;
        let watched = began.elapsed();
        let peer = last.expect("one at least");
        let mut times = Vec::new();
        for n in 0..REGISTRATIONS {
            let mut changed = sized(&peer, n % 500);
            changed.version = Some(n.to_string());
            let began = Instant::now();
            peer.ask(&Request::Register(vec![changed])).await.expect("an answer");
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let figure = format!("{instances} instances: whole list / watch start / register one");
        let measured = format!("{listed:.1?} / {watched:.1?} / {:.0?}", times[REGISTRATIONS / 2]);
        table.row(&figure, &measured, "");
        steps.push((instances, [listed, watched, times[REGISTRATIONS / 2]]));
    }
    growth(&steps, table);
}

/// Which step grows, and what it costs for each instance.
fn growth(steps: &[(usize, [Duration; 3])], table: &mut Table) {
    let (Some((few, small)), Some((many, large))) = (steps.first(), steps.last()) else { return };
    let grown = |n: usize| large[n].as_secs_f64() / small[n].as_secs_f64();
    let each =
        |n: usize| (large[n] - small[n].min(large[n])) / u32::try_from(many - few).expect("few");
    let measured = format!(
        "list × {:.1}: {:.1?} more with each instance, to encode, send and decode it; watch start \
         × {:.1}: {:.1?}, the same; register × {:.1}",
        grown(0),
        each(0),
        grown(1),
        each(1),
        grown(2)
    );
    table.row(&format!("what grows from {few} to {many} instances"), &measured, "stated");
}

const OF_HOST: usize = 5_000;
const REGISTRATIONS: usize = 200;
