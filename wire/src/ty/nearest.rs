//! The name that somebody probably meant.

/// The candidate nearest to `name`, when one is near enough to be worth telling.
///
/// Near enough is a Damerau-Levenshtein distance of at most a third of the longer name, rounded
/// up, and something in common at all: more than that suggests names that have nothing to do with
/// what was typed. Case and the difference between `_` and `-` cost nothing: both are common slips
/// with kebab-case names.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let name = fold(name);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (strsim::damerau_levenshtein(&name, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| near(*distance, name.len().max(candidate.len())))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn near(distance: usize, longer: usize) -> bool {
    distance <= longer.div_ceil(3) && distance < longer.max(1)
}

fn fold(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

/// Longer names come from no interface that people write, and the distance costs their product.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        let names = ["radius", "center", "is-open"];
        assert_eq!(nearest("raduis", names), Some("radius"));
        assert_eq!(nearest("Center", names), Some("center"));
        assert_eq!(nearest("is_open", names), Some("is-open"));
    }

    #[test]
    fn a_name_far_from_all_finds_none() {
        assert_eq!(nearest("quux", ["radius", "center"]), None);
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest("z", ["x", "y"]), None);
        assert_eq!(nearest(&"a".repeat(100_000), ["a"]), None);
    }
}
