//! The peer on the reference zlib, `interop/zlib_peer.py`, as a process behind a pipe.

use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use sansocket::Role;
use sansocket::deflate::Direction;

/// A process with any number of connections; it ends when this is dropped.
pub(crate) struct ZlibPeer {
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What a connection of the peer is like.
pub(crate) struct Settings {
    /// The peer's.
    pub(crate) role: Role,
    pub(crate) receives: Direction,
    pub(crate) sends: Direction,
    pub(crate) level: u8,
    pub(crate) memory_level: u8,
    pub(crate) strategy: &'static str,
}

/// How the peer makes a message: in the order of `WAYS` there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Plain,
    Sync,
    Full,
    Pieces,
    FinalInside,
    FinalAtEnd,
    BareFinalAtEnd,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            role: Role::Client,
            receives: Direction::UNLIMITED,
            sends: Direction::UNLIMITED,
            level: 6,
            memory_level: 8,
            strategy: "Z_DEFAULT_STRATEGY",
        }
    }
}

impl Way {
    pub(crate) const ALL: [Self; 7] = [
        Self::Plain,
        Self::Sync,
        Self::Full,
        Self::Pieces,
        Self::FinalInside,
        Self::FinalAtEnd,
        Self::BareFinalAtEnd,
    ];
}

impl ZlibPeer {
    /// # Panics
    ///
    /// If there is no Python 3.
    pub(crate) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/zlib_peer.py");
        let mut process = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "this test needs `python3` with its module zlib, the reference DEFLATE library: {error}"
                )
            });
        let commands = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, commands, answers }
    }

    pub(crate) fn open(&mut self, connection: usize, settings: &Settings) {
        let role = match settings.role {
            Role::Client => "client",
            Role::Server => "server",
        };
        let Settings { receives, sends, level, memory_level, strategy, .. } = settings;
        let json = format!(
            r#"{{"role": "{role}", "level": {level}, "memory_level": {memory_level}, "strategy": "{strategy}",
                "receive_window_bits": {}, "receive_takeover": {},
                "send_window_bits": {}, "send_takeover": {}}}"#,
            receives.max_window_bits,
            receives.context_takeover,
            sends.max_window_bits,
            sends.context_takeover,
        );
        self.run(b'O', connection, &[json.as_bytes()]);
    }

    /// What the peer makes of these octets: the messages, each with its opcode.
    pub(crate) fn receive(&mut self, connection: usize, octets: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let answer = self.run(b'R', connection, &[octets]);
        let (mut rest, mut messages) = (&answer[..], Vec::new());
        while let Some((&[opcode, a, b, c, d], behind)) = rest.split_first_chunk() {
            let (payload, behind) = behind.split_at(u32::from_le_bytes([a, b, c, d]) as usize);
            messages.push((opcode, payload.to_vec()));
            rest = behind;
        }
        messages
    }

    /// The frames of a message, and control frames between them.
    pub(crate) fn send(
        &mut self,
        connection: usize,
        way: Way,
        opcode: u8,
        seed: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        self.run(b'S', connection, &[&[way as u8, opcode], &seed.to_le_bytes(), payload])
    }

    fn run(&mut self, name: u8, connection: usize, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        let (number, len) = (connection as u32, body.len() as u32);
        let command = [&[name], &number.to_le_bytes()[..], &len.to_le_bytes(), &body].concat();
        let commands = self.commands.as_mut().expect("it is open until the end");
        commands.write_all(&command).and_then(|()| commands.flush()).expect("the peer reads");
        let mut head = [0; 5];
        self.answers
            .read_exact(&mut head)
            .expect("the peer answers: see what it wrote to the standard error");
        let [status, len @ ..] = head;
        let mut answer = vec![0; u32::from_le_bytes(len) as usize];
        self.answers.read_exact(&mut answer).expect("the peer answers");
        assert!(status == b'+', "the peer on zlib refuses:\n{}", String::from_utf8_lossy(&answer));
        answer
    }
}

impl Drop for ZlibPeer {
    fn drop(&mut self) {
        // It ends at the end of its input.
        self.commands = None;
        let _ = self.process.wait();
    }
}
