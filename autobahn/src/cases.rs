//! The cases of the suite as a table: what can be asked for, and so what must be in a report.

use std::fmt;
use std::str::FromStr;

/// The number of a case: `1.1.8`, or `2.7` in a section without groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CaseId {
    section: u8,
    /// `UNGROUPED` where ids have two numbers.
    group: u8,
    number: u8,
}

impl CaseId {
    /// The first number: 7 for `7.1.6`.
    pub(crate) fn section(self) -> u8 {
        self.section
    }

    /// The last number: 6 for `7.1.6`.
    pub(crate) fn number(self) -> u8 {
        self.number
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            UNGROUPED => write!(f, "{}.{}", self.section, self.number),
            group => write!(f, "{}.{group}.{}", self.section, self.number),
        }
    }
}

/// The text is not the number of a case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidCaseId;

impl FromStr for CaseId {
    type Err = InvalidCaseId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = [0; 3];
        let mut count = 0;
        for part in text.split('.') {
            *numbers.get_mut(count).ok_or(InvalidCaseId)? = part.parse().map_err(|_| InvalidCaseId)?;
            count += 1;
        }
        match (numbers, count) {
            ([section, number, _], 2) => Ok(Self { section, group: UNGROUPED, number }),
            ([section, group, number], 3) if group != UNGROUPED => Ok(Self { section, group, number }),
            _ => Err(InvalidCaseId),
        }
    }
}

/// A section of the suite and how many cases each of its groups has.
pub(crate) struct Section {
    pub(crate) number: u8,
    pub(crate) title: &'static str,
    /// Group and number of cases; they count from 1 without gaps.
    groups: &'static [(u8, u8)],
}

/// Every case of the suite, in its order.
pub(crate) fn all() -> impl Iterator<Item = CaseId> {
    SECTIONS.iter().flat_map(|section| {
        section.groups.iter().flat_map(move |&(group, cases)| {
            (1..=cases).map(move |number| CaseId { section: section.number, group, number })
        })
    })
}

/// The title of a section, or nothing where the suite has no such section.
pub(crate) fn title(section: u8) -> &'static str {
    SECTIONS.iter().find(|known| known.number == section).map_or("", |known| known.title)
}

const UNGROUPED: u8 = 0;

// Numbering as in the pinned version of the suite (suite.rs). A case that the suite does not have makes it stop at once; one
// that is not listed here can never be asked for, so the total is held by a test.
const SECTIONS: &[Section] = &[
    Section { number: 1, title: "framing", groups: &[(1, 8), (2, 8)] },
    Section { number: 2, title: "pings and pongs", groups: &[(UNGROUPED, 11)] },
    Section { number: 3, title: "reserved bits", groups: &[(UNGROUPED, 7)] },
    Section { number: 4, title: "opcodes", groups: &[(1, 5), (2, 5)] },
    Section { number: 5, title: "fragmentation", groups: &[(UNGROUPED, 20)] },
    Section {
        number: 6,
        title: "UTF-8",
        groups: &[
            (1, 3),
            (2, 4),
            (3, 2),
            (4, 4),
            (5, 5),
            (6, 11),
            (7, 4),
            (8, 2),
            (9, 4),
            (10, 3),
            (11, 5),
            (12, 8),
            (13, 5),
            (14, 10),
            (15, 1),
            (16, 3),
            (17, 5),
            (18, 5),
            (19, 5),
            (20, 7),
            (21, 8),
            (22, 34),
            (23, 7),
        ],
    },
    Section { number: 7, title: "closing", groups: &[(1, 6), (3, 6), (5, 1), (7, 13), (9, 9), (13, 2)] },
    Section {
        number: 9,
        title: "limits and speed",
        groups: &[(1, 6), (2, 6), (3, 9), (4, 9), (5, 6), (6, 6), (7, 6), (8, 6)],
    },
    Section { number: 10, title: "automatic fragments", groups: &[(1, 1)] },
    Section {
        number: 12,
        title: "compression: data",
        groups: &[(1, 18), (2, 18), (3, 18), (4, 18), (5, 18)],
    },
    Section {
        number: 13,
        title: "compression: offers",
        groups: &[(1, 18), (2, 18), (3, 18), (4, 18), (5, 18), (6, 18), (7, 18)],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_has_517_cases_and_216_of_them_are_about_compression() {
        assert_eq!(all().count(), 517);
        assert_eq!(all().filter(|case| matches!(case.section(), 12 | 13)).count(), 216);
    }

    #[test]
    fn cases_stand_in_numeric_order() {
        assert!(all().is_sorted());
        assert!("6.9.1".parse::<CaseId>().unwrap() < "6.10.1".parse().unwrap());
    }

    #[test]
    fn an_id_survives_text_and_back() {
        for case in all() {
            assert_eq!(case.to_string().parse(), Ok(case));
        }
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in ["", "1", "1.", "1.1.1.1", "1.a", "1.0.1", "-1.1", "1.256"] {
            assert_eq!(text.parse::<CaseId>(), Err(InvalidCaseId), "{text}");
        }
    }
}
