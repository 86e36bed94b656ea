//! A server as a process of its own: started, pinned, asked, ended.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::servers::Server;
use crate::transport::Calls;

/// How a server is started.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    pub(crate) threads: usize,
    /// Whether it counts calls and allocations.
    pub(crate) count: bool,
    /// Whether it stays on the server's CPU.
    pub(crate) is_pinned: bool,
}

impl Start {
    pub(crate) const PINNED: Self = Self { threads: 1, count: false, is_pinned: true };
    pub(crate) const COUNTING: Self = Self { count: true, ..Self::PINNED };
}

/// A server that runs. It ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    port: u16,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What a server has used since it began.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    /// Processor time, of user and system together.
    pub(crate) time: Duration,
    pub(crate) allocations: u64,
    pub(crate) calls: Calls,
    /// Octets of the future of one connection.
    pub(crate) future_len: u64,
}

impl Process {
    /// This program again, as a server.
    pub(crate) fn start(server: Server, start: Start) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", server.name(), &start.threads.to_string()]);
        if start.count {
            command.arg("--count");
        }
        if start.is_pinned {
            command.arg("--pinned");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = child.stdin.take();
        let answers = child.stdout.take().map(BufReader::new).ok_or(io::ErrorKind::BrokenPipe)?;
        let mut process = Self { child, port: 0, questions, answers };
        process.port = process.answer()?.parse().map_err(io::Error::other)?;
        Ok(process)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn used(&mut self) -> io::Result<Used> {
        self.questions.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write_all(b"\n")?;
        let answer = self.answer()?;
        let numbers: Vec<u64> = answer.split(' ').filter_map(|number| number.parse().ok()).collect();
        let [nanoseconds, allocations, reads, waits, writes, future_len] = numbers[..] else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, answer));
        };
        let time = Duration::from_nanos(nanoseconds);
        Ok(Used { time, allocations, calls: Calls { reads, waits, writes }, future_len })
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Octets of memory of its own that are resident.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends with its stdin.
        self.questions = None;
        let _ = self.child.wait();
    }
}
