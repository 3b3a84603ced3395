//! `top`: how services, methods and hosts fare, live or once.
//!
//! The hosts are asked by `jackfield.stats`, which counts in any case: looking changes nothing.

mod live;
mod model;
mod state;
mod view;

use jackfield_client::Client;

use crate::args::{Column, Common, TopArgs};
use crate::discover::{self, Via};
use crate::exit::Exit;
use crate::json;
use crate::problem::{Outcome, Problem};
use crate::table::{Cell, Table};
use crate::terminal::{Style, Terminal};
use clap::ValueEnum as _;
use model::{Model, Order, Row};

/// Shows it.
pub(crate) fn run(args: TopArgs, common: &Common, terminal: Terminal) -> Outcome {
    let is_live = !args.once && !args.json;
    if is_live && !terminal.is_dialogue() {
        return Err(Problem::usage("top shows itself on a terminal, and this is none")
            .next("one table: jackfield top --once")
            .next("for programs: jackfield top --json"));
    }
    let via = Via::new(&args.registry, args.direct.as_deref());
    discover::with_client(common, via, async |client| {
        discover::ready(client, via).await?;
        match is_live {
            true => live::run(client, &args, &terminal).await,
            false => once(client, &args, &terminal).await,
        }
    })
}

/// Two looks, and what is between them.
async fn once(client: &Client, args: &TopArgs, terminal: &Terminal) -> Outcome {
    let mut model = Model::default();
    model.look(&client.stats(args.every.max(live::PATIENCE)).await);
    tokio::time::sleep(args.every).await;
    model.look(&client.stats(args.every.max(live::PATIENCE)).await);
    let picture = model.picture();
    if args.json {
        let text = serde_json::to_string(picture)
            .map_err(|error| Problem::internal(format!("no JSON form: {error}")))?;
        terminal.out(json::show(&text, terminal))?;
    } else {
        let order = Order { by: args.sort, is_reversed: false };
        let rows = picture.rows(args.view, args.filter.as_deref().unwrap_or_default(), order);
        for line in table(&rows, args).render(terminal, terminal.width()) {
            terminal.out(line)?;
        }
    }
    let silent: Vec<&Row> = picture.hosts.iter().filter(|row| row.trouble.is_some()).collect();
    for row in &silent {
        let trouble = row.trouble.as_deref().unwrap_or_default();
        terminal.err(format!("{}: {trouble}", row.name))?;
    }
    match (picture.hosts.len(), picture.silent) {
        (0, _) => Ok(terminal.err("no host serves anything yet: jackfield host DIR")?),
        (hosts, silent) if hosts == silent => {
            Err(Problem::new(Exit::Unavailable, "no host answered")
                .next("see which there are, and where: jackfield ls"))
        }
        _ => Ok(()),
    }
}

fn table(rows: &[&Row], args: &TopArgs) -> Table {
    let columns = &Column::value_variants()[1..];
    let headings = std::iter::once(view::heading(args.view));
    let mut table =
        Table::new(headings.chain(columns.iter().map(|c| view::title(*c))).collect::<Vec<_>>());
    for row in rows {
        let style = if row.trouble.is_some() { Style::Bad } else { Style::Strong };
        let numbers = columns.iter().map(|c| Cell::plain(view::number(&row.figures, *c)));
        let cells = std::iter::once(Cell::new(&row.name, style)).chain(numbers);
        table.row(cells.collect::<Vec<_>>());
    }
    table
}
