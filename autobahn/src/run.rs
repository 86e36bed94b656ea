//! One run: the suite on one side, the program under test on the other.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cases::CaseId;
use crate::error::{Context, Error, Result};
use crate::process::{POLL, Process, free_port};
use crate::progress::Progress;
use crate::role::Role;
use crate::spec::{REPORT_FOLDER, spec};
use crate::suite::Suite;

/// What to run, and where its files go.
pub(crate) struct Run<'a> {
    pub(crate) role: Role,
    pub(crate) suite: &'a Suite,
    pub(crate) program: &'a Path,
    pub(crate) cases: &'a [CaseId],
    /// Emptied first: a report must not be an older run's.
    pub(crate) folder: &'a Path,
    pub(crate) time_limit: Duration,
}

impl Run<'_> {
    /// The folder of the suite's report.
    pub(crate) fn report(&self) -> PathBuf {
        self.folder.join(REPORT_FOLDER)
    }

    /// Runs to the end, or to the time limit.
    ///
    /// # Errors
    ///
    /// What went wrong besides the cases. The suite has then reported on the cases that it reached, if it could.
    pub(crate) fn run(&self) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(self.folder).context(|| format!("cannot remove {}", self.folder.display()))?;
        }
        fs::create_dir_all(self.folder).context(|| format!("cannot write {}", self.folder.display()))?;
        match self.role {
            Role::Server => self.run_server(),
            Role::Client => self.run_client(),
        }
    }

    /// The suite connects to our server once for each case, writes its report and ends.
    fn run_server(&self) -> Result<()> {
        let mut server = self.start_program(&["--port", "0"])?;
        let port = await_listening(&mut server)?;
        let mut suite = self.start_suite(port)?;
        let mut progress = Progress::of(self.role, self.cases.len());
        let deadline = Instant::now() + self.time_limit;
        let mut problem = None;
        let status = loop {
            if let Some(line) = suite.line(POLL) {
                progress.see(&line);
            } else if let Some(status) = suite.ended()? {
                break Some(status);
            }
            if problem.is_none() && server.ended()?.is_some() {
                problem = Some(server.error("ended before the suite"));
            }
            if Instant::now() >= deadline {
                problem = Some(self.timed_out(&progress));
                // Refused connections make the suite write a report about the cases that it has run.
                server.kill();
                break suite.ended_within(REPORTING)?;
            }
        };
        drop(progress);
        match (problem, status) {
            (Some(problem), _) => Err(problem),
            (None, Some(status)) if status.success() => Ok(()),
            (None, Some(status)) => Err(suite.error(format!("failed: {status}"))),
            (None, None) => Err(suite.error("did not end")),
        }
    }

    /// Our client connects to the suite once for each case, asks for the report and ends.
    fn run_client(&self) -> Result<()> {
        let port = free_port()?;
        let mut suite = self.start_suite(port)?;
        await_answer(&mut suite, port)?;
        let mut client = self.start_program(&["--url", &format!("ws://127.0.0.1:{port}")])?;
        let mut progress = Progress::of(self.role, self.cases.len());
        let deadline = Instant::now() + self.time_limit;
        let mut problem = None;
        loop {
            if let Some(line) = suite.line(POLL) {
                progress.see(&line);
            } else if let Some(status) = client.ended()? {
                if !status.success() {
                    problem = Some(client.error(format!("failed: {status}")));
                }
                break;
            }
            if suite.ended()?.is_some() {
                return Err(suite.error("ended before the client"));
            }
            if Instant::now() >= deadline {
                problem = Some(self.timed_out(&progress));
                client.kill();
                break;
            }
        }
        drop(progress);
        if !self.report().join("index.json").exists() {
            problem.get_or_insert_with(|| client.error("did not ask for the report"));
        }
        // Asked for once more by us: it holds whatever ran when the client has failed, and it is complete when the suite has
        // ended, which the client's own request does not tell us.
        request_report(port).context(|| "cannot ask the suite for its report".to_owned())?;
        if suite.ended_within(REPORTING)?.is_none() {
            problem.get_or_insert_with(|| suite.error("did not end"));
        }
        problem.map_or(Ok(()), Err)
    }

    fn start_program(&self, arguments: &[&str]) -> Result<Process> {
        let name = self.role.program();
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(self.folder);
        Process::start(name, command, &self.folder.join(format!("{name}.log")))
    }

    fn start_suite(&self, port: u16) -> Result<Process> {
        let spec = spec(self.role, self.suite.host(self.role), port, self.cases);
        let path = self.folder.join(SPEC_FILE);
        fs::write(&path, format!("{spec:#}\n")).context(|| format!("cannot write {}", path.display()))?;
        self.suite.start(self.role, self.folder, SPEC_FILE, port)
    }

    fn timed_out(&self, progress: &Progress) -> Error {
        let limit = self.time_limit.as_secs();
        Error::new(match progress.last() {
            Some(case) => format!("stopped at the time limit of {limit} s (--timeout), in case {case}"),
            None => format!(
                "stopped at the time limit of {limit} s (--timeout), before any opening handshake was done"
            ),
        })
    }
}

/// Waits for the server's line `listening on 127.0.0.1:PORT`.
fn await_listening(server: &mut Process) -> Result<u16> {
    let deadline = Instant::now() + STARTING;
    while Instant::now() < deadline {
        match server.line(POLL) {
            Some(line) => {
                if let Some(port) = port_of(&line) {
                    return Ok(port);
                }
            }
            None if server.ended()?.is_some() => return Err(server.error("ended before it listened")),
            None => {}
        }
    }
    Err(server.error("did not print `listening on 127.0.0.1:PORT`"))
}

fn port_of(line: &str) -> Option<u16> {
    line.strip_prefix("listening on 127.0.0.1:")?.parse().ok()
}

/// Waits until the suite takes connections. It says that it is ready before it is, and does not mind a connection without a
/// request.
fn await_answer(suite: &mut Process, port: u16) -> Result<()> {
    let deadline = Instant::now() + STARTING;
    while Instant::now() < deadline {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        if suite.ended()?.is_some() {
            return Err(suite.error("ended before it listened"));
        }
        std::thread::sleep(POLL);
    }
    Err(suite.error(format!("does not answer on port {port}")))
}

/// Has the suite write its report and end. The opening handshake is all that it needs to see.
fn request_report(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(REPORTING))?;
    write!(
        stream,
        "GET /updateReports?agent=runner&shutdownOnComplete=true HTTP/1.1\r\n\
         Host: 127.0.0.1:{port}\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    )?;
    // The suite ends without a closing handshake, so the connection may end as it likes once the report is written.
    let _ = stream.read_to_end(&mut Vec::new());
    Ok(())
}

const SPEC_FILE: &str = "spec.json";

/// How long a program may take until it listens: Python reads all of the suite first, perhaps from a cold disk.
const STARTING: Duration = Duration::from_secs(60);

/// How long the suite may take to write its report; about a second for all cases.
const REPORTING: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_line_of_the_server() {
        assert_eq!(port_of("listening on 127.0.0.1:9001"), Some(9001));
        assert_eq!(port_of("listening on 127.0.0.1:"), None);
        assert_eq!(port_of("hello"), None);
    }
}
