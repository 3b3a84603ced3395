//! Instructions by part, as a file that people review.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, ensure};

use crate::guard::BLESS;

/// What each part takes, and which compiler and which counter say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) tools: String,
    pub(crate) parts: BTreeMap<String, u64>,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    Slower,
    Faster,
    /// Not in the file.
    New,
    /// In the file alone.
    Gone,
}

/// One part: what it took, and what it takes now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    name: &'a str,
    verdict: Verdict,
    old: u64,
    new: u64,
}

impl Counts {
    /// How `now` stands to this.
    pub(crate) fn compare<'a>(&'a self, now: &'a Self) -> Vec<Row<'a>> {
        let tolerance = if self.tools == now.tools { TOLERANCE } else { OTHER_TOOLS };
        let names: BTreeSet<_> = self.parts.keys().chain(now.parts.keys()).collect();
        let row = |name: &'a String| {
            let (old, new) = (self.parts.get(name).copied(), now.parts.get(name).copied());
            let verdict = match (old, new) {
                (Some(old), Some(new)) => judge(old, new, tolerance),
                (None, _) => Verdict::New,
                (_, None) => Verdict::Gone,
            };
            Row { name, verdict, old: old.unwrap_or_default(), new: new.unwrap_or_default() }
        };
        names.into_iter().map(row).collect()
    }
}

impl Row<'_> {
    /// Whether the guard lets nobody past with it.
    pub(crate) fn fails(&self) -> bool {
        matches!(self.verdict, Verdict::Slower | Verdict::New | Verdict::Gone)
    }
}

/// Percent are exact enough in whole numbers.
fn judge(old: u64, new: u64, percent: u64) -> Verdict {
    let slack = (old * percent / 100).max(FEW);
    if new > old + slack {
        Verdict::Slower
    } else if new + slack < old {
        Verdict::Faster
    } else {
        Verdict::Same
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Same => "",
            Verdict::Slower => "  SLOWER",
            Verdict::Faster => "  faster: keep the gain with --bless",
            Verdict::New => "  NEW",
            Verdict::Gone => "  GONE",
        };
        write!(f, "{:>10} -> {:>10}  {}{word}", self.old, self.new, self.name)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Instructions that each part takes, as callgrind counts them: {BLESS}")?;
        writeln!(f, "{TOOLS}{}", self.tools)?;
        self.parts.iter().try_for_each(|(name, count)| writeln!(f, "{count:>10}  {name}"))
    }
}

impl FromStr for Counts {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let tools = text.lines().find_map(|line| line.strip_prefix(TOOLS)).unwrap_or_default();
        let mut parts = BTreeMap::new();
        for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.starts_with('#')) {
            let pair = line.trim_start().split_once("  ");
            let (count, name) =
                pair.with_context(|| format!("line {number}: no count and name"))?;
            let count = count.parse().with_context(|| format!("line {number}: {count:?}"))?;
            let again = parts.insert(name.to_owned(), count);
            ensure!(again.is_none(), "line {number}: {name:?} is there twice");
        }
        Ok(Self { tools: tools.to_owned(), parts })
    }
}

const TOOLS: &str = "# Counted with ";

/// Percent by which a count may differ. Runs of one binary differed by up to 2.3, builds with changes
/// elsewhere by up to 3.3; machines may by another one or two, by what their C library picks for copying.
const TOLERANCE: u64 = 10;

/// Another compiler inlines differently, another valgrind shows the program another processor.
/// Still half as much again is noticed.
const OTHER_TOOLS: u64 = 30;

/// A difference that no percentage makes meaningful.
const FEW: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(tools: &str, parts: &[(&str, u64)]) -> Counts {
        let parts = parts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Counts { tools: tools.into(), parts }
    }

    fn verdicts(old: &Counts, new: &Counts) -> Vec<(String, Verdict)> {
        old.compare(new).into_iter().map(|row| (row.name.to_owned(), row.verdict)).collect()
    }

    #[test]
    fn what_is_written_can_be_read() {
        let all = counts("rustc 1.95.0", &[("frames: read", 1200), ("a pick", 7)]);
        assert_eq!(all.to_string().parse::<Counts>().unwrap(), all);
        assert!("12".parse::<Counts>().is_err());
        assert!("  1  a\n  2  a\n".parse::<Counts>().is_err());
    }

    #[test]
    fn more_than_the_tolerance_is_slower_and_a_part_cannot_hide() {
        let old = counts("a", &[("x", 1000), ("y", 1000), ("z", 1000), ("tiny", 10), ("left", 1)]);
        let new = counts("a", &[("x", 1101), ("y", 1100), ("z", 899), ("tiny", 29), ("came", 1)]);
        let expected = [
            ("came", Verdict::New),
            ("left", Verdict::Gone),
            ("tiny", Verdict::Same),
            ("x", Verdict::Slower),
            ("y", Verdict::Same),
            ("z", Verdict::Faster),
        ];
        assert_eq!(verdicts(&old, &new), expected.map(|(name, verdict)| (name.into(), verdict)));
        let failing: Vec<_> = old.compare(&new).into_iter().filter(Row::fails).collect();
        assert_eq!(failing.len(), 3);
        assert_eq!(failing[2].to_string(), "      1000 ->       1101  x  SLOWER");
    }

    #[test]
    fn counts_of_other_tools_are_compared_loosely() {
        let old = counts("a", &[("x", 1000), ("y", 1000)]);
        let new = counts("b", &[("x", 1300), ("y", 1301)]);
        let verdicts = verdicts(&old, &new).into_iter().map(|(_, verdict)| verdict);
        assert!(verdicts.eq([Verdict::Same, Verdict::Slower]));
    }
}
