//! Child processes that do not outlive us.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Context, Error, Result};

/// A running program. It is killed when this is dropped, on every way out.
pub(crate) struct Process {
    name: String,
    child: Child,
    watchdog: Option<Watchdog>,
    /// A container is not a child of ours: killing the `docker` that started it leaves it running.
    container: Option<String>,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its whole output going to the file `log`, and the lines of its standard output to us as well.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let failed = || format!("cannot write {}", log.display());
        let file = File::options().create(true).append(true).open(log).context(failed)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file.try_clone().context(failed)?);
        let mut child =
            command.spawn().context(|| format!("cannot start {}", command.get_program().display()))?;
        let watchdog = Watchdog::over(&child);
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || copy_lines(stdout, file, &sender));
        }
        Ok(Self { name: name.to_owned(), child, watchdog, container: None, lines, log: log.to_owned() })
    }

    /// Has the named container killed together with the process.
    #[must_use]
    pub(crate) fn with_container(mut self, container: Option<String>) -> Self {
        self.container = container;
        self
    }

    /// The next line of standard output, if one comes within `patience`.
    pub(crate) fn line(&self, patience: Duration) -> Option<String> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            // The end of output comes before the end of the process: without this pause, a loop around us would spin.
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(patience.min(POLL));
                None
            }
        }
    }

    /// How the process ended, or `None` while it runs.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait().context(|| format!("cannot wait for {}", self.name))?;
        if status.is_some() {
            // The number of an ended process can be given to another one.
            self.watchdog = None;
        }
        Ok(status)
    }

    /// How the process ended, or `None` when it has not within `patience`.
    pub(crate) fn ended_within(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            let status = self.ended()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().context(|| format!("cannot wait for {}", self.name))?;
        self.watchdog = None;
        Ok(status)
    }

    /// An error about this process that says where its output is.
    pub(crate) fn error(&self, what: impl AsRef<str>) -> Error {
        Error::new(format!("{} {} (its output: {})", self.name, what.as_ref(), self.log.display()))
    }

    pub(crate) fn kill(&mut self) {
        if let Some(container) = self.container.take() {
            let mut command = Command::new("docker");
            command.args(["kill", &container]);
            // It is usually gone already, with its process.
            let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        // Both fail only for a process that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.watchdog = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A free port of the loopback interface. It is free for the moment: nothing keeps others from taking it.
pub(crate) fn free_port() -> Result<u16> {
    let listener =
        std::net::TcpListener::bind(("127.0.0.1", 0)).context(|| "cannot open a port".to_owned())?;
    Ok(listener.local_addr().context(|| "cannot open a port".to_owned())?.port())
}

/// The standard output of a command that is expected to succeed within a moment; `None` when it fails or does not exist.
pub(crate) fn output_of(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A shell that kills a process when we are gone: being killed outright leaves no time for `Drop`, but closes our pipes.
struct Watchdog {
    shell: Child,
}

impl Watchdog {
    fn over(child: &Child) -> Option<Self> {
        if !cfg!(unix) {
            return None;
        }
        let mut command = Command::new("sh");
        command.args(["-c", "read _; kill -9 \"$0\"", &child.id().to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A help for the rare case: a machine without `sh` does without.
        command.spawn().ok().map(|shell| Self { shell })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Killed before its pipe closes, so that it does not bite.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn copy_lines(stdout: ChildStdout, mut log: File, sender: &mpsc::Sender<String>) {
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    while stdout.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
        // A full disk or a receiver that has lost interest must not stop the process on a full pipe.
        let _ = log.write_all(&line);
        let _ = sender.send(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
}

pub(crate) const POLL: Duration = Duration::from_millis(20);

/// Held by tests that start processes or write scripts: a script that is open for writing while another thread forks cannot
/// be run until that child is gone ("text file busy").
#[cfg(test)]
pub(crate) static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn log(name: &str) -> PathBuf {
        let log = std::env::temp_dir().join(format!("sansocket-{}-{name}.log", std::process::id()));
        let _ = std::fs::remove_file(&log);
        log
    }

    fn runs(id: &str) -> bool {
        sh("kill -0 \"$0\" 2>/dev/null").arg(id).status().unwrap().success()
    }

    #[test]
    fn a_dropped_process_is_dead() {
        let _guard = ONE_AT_A_TIME.lock();
        let log = log("drop");
        let process = Process::start("sleeper", sh("echo $$; exec sleep 100"), &log).unwrap();
        let id = process.line(Duration::from_secs(10)).unwrap();
        assert!(runs(&id));
        drop(process);
        assert!(!runs(&id));
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_watchdog_bites_when_its_pipe_closes() {
        let _guard = ONE_AT_A_TIME.lock();
        let mut child = sh("exec sleep 100").stdin(Stdio::null()).spawn().unwrap();
        let mut watchdog = Watchdog::over(&child).unwrap();
        // What the system does when we are killed.
        drop(watchdog.shell.stdin.take());
        assert!(watchdog.shell.wait().unwrap().success());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn output_is_logged_and_lines_of_standard_output_are_handed_on() {
        let _guard = ONE_AT_A_TIME.lock();
        let log = log("lines");
        let mut process = Process::start("writer", sh("echo one; echo two >&2; echo three"), &log).unwrap();
        assert_eq!(process.line(Duration::from_secs(10)).as_deref(), Some("one"));
        assert_eq!(process.line(Duration::from_secs(10)).as_deref(), Some("three"));
        assert_eq!(process.line(Duration::from_millis(1)), None);
        assert!(process.ended_within(Duration::from_secs(10)).unwrap().unwrap().success());
        let logged = std::fs::read_to_string(&log).unwrap();
        assert!(["one\n", "two\n", "three\n"].iter().all(|line| logged.contains(line)), "{logged}");
        std::fs::remove_file(log).unwrap();
    }
}
