//! The file that tells the suite what to run.

use serde_json::{Value, json};

use crate::cases::CaseId;
use crate::role::Role;

/// The name under which a server's results stand in the report.
const AGENT: &str = "sansocket";

/// Where the suite writes its report, relative to the folder it runs in, so that it holds inside a container too.
pub(crate) const REPORT_FOLDER: &str = "report";

/// The contents of the file for the suite's side of a run: `host` and `port` are where it connects to or listens.
pub(crate) fn spec(role: Role, host: &str, port: u16, cases: &[CaseId]) -> Value {
    let url = format!("ws://{host}:{port}");
    let cases: Vec<_> = cases.iter().map(ToString::to_string).collect();
    let mut spec = json!({
        // The suite's own default: it fails connections with a Close frame, as RFC 6455 says.
        "options": { "failByDrop": false },
        "outdir": REPORT_FOLDER,
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    match role {
        Role::Server => spec["servers"] = json!([{ "agent": AGENT, "url": url }]),
        Role::Client => spec["url"] = url.into(),
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Vec<CaseId> {
        ["1.1.1", "2.7"].map(|id| id.parse().unwrap()).to_vec()
    }

    #[test]
    fn a_server_is_named_with_its_address_and_its_agent() {
        assert_eq!(
            spec(Role::Server, "127.0.0.1", 9001, &cases()).to_string(),
            r#"{"cases":["1.1.1","2.7"],"exclude-agent-cases":{},"exclude-cases":[],"options":{"failByDrop":false},"outdir":"report","servers":[{"agent":"sansocket","url":"ws://127.0.0.1:9001"}]}"#
        );
    }

    #[test]
    fn for_a_client_the_suite_gets_the_address_to_listen_on() {
        assert_eq!(
            spec(Role::Client, "127.0.0.1", 9001, &cases()).to_string(),
            r#"{"cases":["1.1.1","2.7"],"exclude-agent-cases":{},"exclude-cases":[],"options":{"failByDrop":false},"outdir":"report","url":"ws://127.0.0.1:9001"}"#
        );
    }
}
