//! What to measure, and how much of it.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Figures of a host under fire.
#[derive(Debug, Parser)]
#[command(name = "host", disable_version_flag = true)]
pub(crate) struct Options {
    /// The parts to run; all of them without one.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// The least that shows that everything works; its figures mean nothing.
    #[arg(long)]
    quick: bool,
    /// How many calls, replacements and plugins, and how long each measurement, as a share of the
    /// full run.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Print one JSON object at the end.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print tables for docs/measured/host.md.
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    /// Given by this program to itself: be the host.
    #[arg(long, hide = true)]
    pub(crate) host: Option<String>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Replacements under load.
    Replace,
    /// Guests that misbehave.
    Fixtures,
    /// Many plugins in one folder.
    Many,
    /// Calls that are given up.
    Cancel,
    /// Ways to keep instances.
    Strategies,
    /// A small call beside calls that spin.
    Neighbour,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Fixtures => "fixtures",
            Self::Many => "many",
            Self::Cancel => "cancel",
            Self::Strategies => "strategies",
            Self::Neighbour => "neighbour",
        }
    }

    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Replace => "one plugin is replaced again and again under load",
            Self::Fixtures => "guests that misbehave, one after another, beside one that does not",
            Self::Many => "many plugins in one folder",
            Self::Cancel => "calls that are given up at random moments",
            Self::Strategies => "a fresh instance for each call, and the ways to keep one",
            Self::Neighbour => "a small call beside calls that spin",
        }
    }
}

impl Options {
    pub(crate) fn parts(&self) -> Vec<Part> {
        if self.parts.is_empty() { Part::value_variants().to_vec() } else { self.parts.clone() }
    }

    /// Whether figures are wanted, not only a look whether everything works.
    pub(crate) fn is_full(&self) -> bool {
        self.bench && !self.quick
    }

    /// `full` of something, or as many as a look needs.
    pub(crate) fn count(&self, full: u32, quick: u32) -> u32 {
        if !self.is_full() {
            return quick;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let scaled = (f64::from(full) * self.scale).round() as u32;
        scaled.max(quick)
    }

    /// How long to measure.
    pub(crate) fn span(&self, full: Duration) -> Duration {
        if self.is_full() { full.mul_f64(self.scale).max(LOOK) } else { LOOK }
    }
}

/// Enough for some calls.
const LOOK: Duration = Duration::from_millis(150);
