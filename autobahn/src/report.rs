//! Reading the suite's report, and judging it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use serde_json::Value;

use crate::cases::CaseId;
use crate::error::{Context, Error, Result};

/// What the suite says of a case, or of the way its connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Ok,
    NonStrict,
    Informational,
    Unimplemented,
    Unclean,
    WrongCode,
    FailedByClient,
    Failed,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NonStrict => "NON-STRICT",
            Self::Informational => "INFORMATIONAL",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Unclean => "UNCLEAN",
            Self::WrongCode => "WRONG CODE",
            Self::FailedByClient => "FAILED BY CLIENT",
            Self::Failed => "FAILED",
        }
    }

    const ALL: [Self; 8] = [
        Self::Ok,
        Self::NonStrict,
        Self::Informational,
        Self::Unimplemented,
        Self::Unclean,
        Self::WrongCode,
        Self::FailedByClient,
        Self::Failed,
    ];
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Verdict {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|verdict| verdict.name() == text);
        known.ok_or_else(|| Error::new(format!("the suite's report has a verdict we do not know: `{text}`")))
    }
}

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaseResult {
    pub(crate) behavior: Verdict,
    pub(crate) closing: Verdict,
    pub(crate) remote_close_code: Option<u64>,
    /// The file with all about this case, in the folder of the report.
    pub(crate) detail: String,
}

/// All results of a report.
pub(crate) type Report = BTreeMap<CaseId, CaseResult>;

/// Reads the report in `folder`. One that is not there has no results: its cases are missing then.
pub(crate) fn read(folder: &Path) -> Result<Report> {
    let path = folder.join("index.json");
    if !path.exists() {
        return Ok(Report::new());
    }
    let index = fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    parse(&index).context(|| format!("cannot read {}", path.display()))
}

/// Reads a report's index: agent, then case, then what was seen.
fn parse(index: &str) -> Result<Report> {
    let index: Value = serde_json::from_str(index).context(|| "not JSON".to_owned())?;
    let agents = index.as_object().ok_or_else(|| Error::new("not an object"))?;
    // A client that names itself differently from case to case would leave holes in each.
    if agents.len() > 1 {
        return Err(Error::new("more than one agent was tested"));
    }
    let mut report = Report::new();
    for (id, entry) in agents.values().filter_map(Value::as_object).flatten() {
        let text = |key: &str| {
            entry[key].as_str().ok_or_else(|| Error::new(format!("case {id} has no `{key}` that is a text")))
        };
        let case = id.parse().map_err(|_| Error::new(format!("`{id}` is not the number of a case")))?;
        let result = CaseResult {
            behavior: text("behavior")?.parse()?,
            closing: text("behaviorClose")?.parse()?,
            remote_close_code: entry["remoteCloseCode"].as_u64(),
            detail: text("reportfile")?.to_owned(),
        };
        report.insert(case, result);
    }
    Ok(report)
}

/// What a result means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Passed,
    Failed,
    /// Asked for, and not in the report.
    Missing,
}

/// Judges the result of a case that was asked for.
pub(crate) fn judge(case: CaseId, result: Option<&CaseResult>) -> Judgement {
    let Some(result) = result else { return Judgement::Missing };
    let informational = INFORMATIONAL_CASES.contains(&case.to_string().as_str());
    match (result.behavior, result.closing) {
        (Verdict::Ok, Verdict::Ok) => Judgement::Passed,
        (Verdict::Ok | Verdict::Informational, Verdict::Ok | Verdict::Informational) if informational => {
            Judgement::Passed
        }
        _ => Judgement::Failed,
    }
}

/// The parts of a case's own file that explain its result.
pub(crate) struct Detail {
    pub(crate) expectation: String,
    pub(crate) result: String,
    pub(crate) closing: String,
}

/// Reads what explains this result; empty texts where the suite has not written it.
pub(crate) fn detail(folder: &Path, result: &CaseResult) -> Detail {
    let file = fs::read_to_string(folder.join(&result.detail)).unwrap_or_default();
    let file: Value = serde_json::from_str(&file).unwrap_or_default();
    let text = |key: &str| plain(file[key].as_str().unwrap_or_default());
    let closing = match text("wasNotCleanReason") {
        reason if reason.is_empty() => text("resultClose"),
        reason => format!("{} ({reason})", text("resultClose")),
    };
    Detail { expectation: text("expectation"), result: text("result"), closing }
}

/// The suite's texts are made for its HTML pages: one line, without tags.
fn plain(text: &str) -> String {
    let text = text.replace("<br/>", " ").replace("<br>", " ");
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ")
}

// RFC 6455 leaves these open: data behind a Close (7.1.6), and close codes above 4999 (7.13.1, 7.13.2).
const INFORMATIONAL_CASES: [&str; 3] = ["7.1.6", "7.13.1", "7.13.2"];

#[cfg(test)]
mod tests {
    use super::*;

    fn index(case: &str, behavior: &str, closing: &str) -> String {
        format!(
            r#"{{"sansocket": {{"{case}": {{"behavior": "{behavior}", "behaviorClose": "{closing}",
                "duration": 2, "remoteCloseCode": 1000, "reportfile": "sansocket_case.json"}}}}}}"#
        )
    }

    fn judged(case: &str, behavior: &str, closing: &str) -> Judgement {
        let report = parse(&index(case, behavior, closing)).unwrap();
        let case = case.parse().unwrap();
        judge(case, report.get(&case))
    }

    #[test]
    fn a_report_is_read_as_the_suite_writes_it() {
        let index = r#"{
   "sansocket": {
      "1.1.1": {
         "behavior": "OK",
         "behaviorClose": "OK",
         "duration": 3,
         "remoteCloseCode": 1000,
         "reportfile": "sansocket_case_1_1_1.json"
      },
      "7.13.1": {
         "behavior": "INFORMATIONAL",
         "behaviorClose": "INFORMATIONAL",
         "duration": 0,
         "remoteCloseCode": null,
         "reportfile": "sansocket_case_7_13_1.json"
      }
   }
}"#;
        let report = parse(index).unwrap();
        assert_eq!(
            report[&"1.1.1".parse().unwrap()],
            CaseResult {
                behavior: Verdict::Ok,
                closing: Verdict::Ok,
                remote_close_code: Some(1000),
                detail: "sansocket_case_1_1_1.json".to_owned(),
            }
        );
        assert_eq!(report[&"7.13.1".parse().unwrap()].remote_close_code, None);
        assert_eq!(report.len(), 2);
    }

    #[test]
    fn a_report_without_agents_has_no_results() {
        assert!(parse("{}").unwrap().is_empty());
    }

    #[test]
    fn what_we_do_not_know_in_a_report_is_an_error() {
        for index in [
            "",
            "[]",
            r#"{"one": {}, "two": {}}"#,
            r#"{"one": {"1.1.1": {"behavior": "OK"}}}"#,
            &index("1.1.1", "SPLENDID", "OK"),
            &index("1.1.1", "OK", "ok"),
            &index("1", "OK", "OK"),
        ] {
            assert!(parse(index).is_err(), "{index}");
        }
    }

    #[test]
    fn ok_with_a_clean_close_passes_everywhere() {
        for case in ["1.1.1", "7.1.6", "12.1.1", "13.7.18"] {
            assert_eq!(judged(case, "OK", "OK"), Judgement::Passed, "{case}");
        }
    }

    #[test]
    fn non_strict_and_failed_fail() {
        assert_eq!(judged("6.4.1", "NON-STRICT", "OK"), Judgement::Failed);
        assert_eq!(judged("7.1.6", "NON-STRICT", "OK"), Judgement::Failed);
        assert_eq!(judged("1.1.1", "FAILED", "OK"), Judgement::Failed);
        assert_eq!(judged("12.1.1", "FAILED", "OK"), Judgement::Failed);
    }

    #[test]
    fn informational_passes_for_three_cases_alone() {
        for case in ["7.1.6", "7.13.1", "7.13.2"] {
            assert_eq!(judged(case, "INFORMATIONAL", "INFORMATIONAL"), Judgement::Passed, "{case}");
            assert_eq!(judged(case, "INFORMATIONAL", "UNCLEAN"), Judgement::Failed, "{case}");
        }
        assert_eq!(judged("7.1.5", "INFORMATIONAL", "OK"), Judgement::Failed);
        assert_eq!(judged("7.1.5", "OK", "INFORMATIONAL"), Judgement::Failed);
    }

    #[test]
    fn unimplemented_fails_everywhere() {
        for case in ["3.1", "7.1.6", "12.1.1", "13.7.18"] {
            assert_eq!(judged(case, "UNIMPLEMENTED", "OK"), Judgement::Failed, "{case}");
        }
    }

    #[test]
    fn every_other_way_of_closing_fails() {
        for closing in ["UNCLEAN", "WRONG CODE", "FAILED BY CLIENT", "FAILED", "NON-STRICT", "UNIMPLEMENTED"]
        {
            assert_eq!(judged("1.1.1", "OK", closing), Judgement::Failed, "{closing}");
        }
    }

    #[test]
    fn a_case_that_is_not_in_the_report_is_missing() {
        let report = parse(&index("1.1.1", "OK", "OK")).unwrap();
        let case = "1.1.2".parse().unwrap();
        assert_eq!(judge(case, report.get(&case)), Judgement::Missing);
    }

    #[test]
    fn texts_are_put_on_one_line() {
        assert_eq!(plain("Send a\n   frame.<br><br/>Then\twait."), "Send a frame. Then wait.");
    }
}
