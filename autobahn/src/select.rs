//! Choosing cases by pattern.

use crate::cases::{self, CaseId};
use crate::error::{Error, Result};

/// The cases that match one of `wanted` (all of them when it is empty) and none of `excluded`, in the suite's order;
/// with `short_compression` none of the [long ones about compression](is_long_compression).
///
/// A pattern is the number of a case (`7.1.6`), of a group or section (`7.1`, `7`), or has `*` for any run of characters
/// (`7.*`, `*.1`). We resolve patterns ourselves and give the suite plain numbers: its own patterns match at the start only.
///
/// # Errors
///
/// A pattern that matches no case, or nothing left to run: both are typing errors, and a run of no cases would pass.
pub(crate) fn select(wanted: &[String], excluded: &[String], short_compression: bool) -> Result<Vec<CaseId>> {
    for pattern in wanted.iter().chain(excluded) {
        if !cases::all().any(|case| matches(pattern, &case.to_string())) {
            return Err(Error::new(format!(
                "no case matches `{pattern}`; a section is asked for as \"7.*\""
            )));
        }
    }
    let selected: Vec<_> = cases::all()
        .filter(|case| {
            let id = case.to_string();
            (wanted.is_empty() || wanted.iter().any(|pattern| matches(pattern, &id)))
                && !excluded.iter().any(|pattern| matches(pattern, &id))
                && !(short_compression && is_long_compression(*case))
        })
        .collect();
    if selected.is_empty() {
        return Err(Error::new("every case is excluded"));
    }
    Ok(selected)
}

/// Whether the case is about compression and one of the last ten of its group: messages of 64 KiB and more, and the sizes
/// from 8 KiB once more in fragments. They take most of the time of a whole run; the first eight have every offer, every
/// kind of data, and messages up to 32 KiB.
fn is_long_compression(case: CaseId) -> bool {
    COMPRESSION_SECTIONS.contains(&case.section()) && case.number() > SHORT_COMPRESSION_CASES
}

const COMPRESSION_SECTIONS: [u8; 2] = [12, 13];

const SHORT_COMPRESSION_CASES: u8 = 8;

fn matches(pattern: &str, id: &str) -> bool {
    if pattern.contains('*') {
        glob(pattern.as_bytes(), id.as_bytes())
    } else {
        // Whole numbers only: `7.1` means 7.1.1 to 7.1.6, and not 7.13.1.
        id.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| glob(rest, &text[skipped..])),
        Some((literal, rest)) => {
            text.split_first().is_some_and(|(first, text)| first == literal && glob(rest, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(wanted: &[&str], excluded: &[&str]) -> Vec<String> {
        let owned = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        let selected = select(&owned(wanted), &owned(excluded), false).unwrap();
        selected.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn no_pattern_and_a_star_mean_every_case() {
        assert_eq!(selected(&[], &[]).len(), 517);
        assert_eq!(selected(&["*"], &[]).len(), 517);
    }

    #[test]
    fn a_section_does_not_reach_into_the_sections_that_start_with_its_digit() {
        assert_eq!(selected(&["1.*"], &[]).len(), 16);
        assert_eq!(selected(&["1"], &[]).len(), 16);
        assert_eq!(selected(&["7.1"], &[]), ["7.1.1", "7.1.2", "7.1.3", "7.1.4", "7.1.5", "7.1.6"]);
        assert_eq!(selected(&["7.1*"], &[]).len(), 8);
    }

    #[test]
    fn a_plain_number_is_that_case_alone() {
        assert_eq!(selected(&["2.1"], &[]), ["2.1"]);
        assert_eq!(selected(&["1.1.1"], &[]), ["1.1.1"]);
    }

    #[test]
    fn patterns_add_up_once_and_in_the_order_of_the_suite() {
        assert_eq!(selected(&["10.*", "3.7", "3.*", "10.1.1"], &[]).len(), 8);
        assert_eq!(selected(&["10.*", "3.7"], &[]), ["3.7", "10.1.1"]);
    }

    #[test]
    fn excluded_cases_are_taken_away() {
        assert_eq!(selected(&[], &["12.*", "13.*"]).len(), 301);
        assert_eq!(selected(&["4.1.*"], &["*.1", "4.1.5"]), ["4.1.2", "4.1.3", "4.1.4"]);
    }

    #[test]
    fn short_compression_leaves_eight_cases_of_each_of_its_groups_and_all_others() {
        let short = select(&[], &[], true).unwrap();
        assert_eq!(short.len(), 301 + 12 * 8);
        let compression: Vec<_> = short.iter().filter(|case| [12, 13].contains(&case.section())).collect();
        assert_eq!(compression.len(), 12 * 8);
        assert_eq!(compression[7].to_string(), "12.1.8");
        assert_eq!(compression[8].to_string(), "12.2.1");
        assert_eq!(select(&["6.22.*".to_owned()], &[], true).unwrap().len(), 34);
        assert!(select(&["12.1.9".to_owned()], &[], true).is_err());
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_an_error() {
        for pattern in ["8.*", "7.1.7", "", "1.1.", "a"] {
            assert!(select(&[pattern.to_owned()], &[], false).is_err(), "{pattern}");
            assert!(select(&[], &[pattern.to_owned()], false).is_err(), "{pattern}");
        }
        assert!(select(&["7.*".to_owned()], &["*".to_owned()], false).is_err());
    }
}
