//! The examples as programs: what they print, what they answer, how they end.
//!
//! `cargo test` builds them first. With `--test examples` cargo does not: then they are as old as their last build.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests: a panic is how they fail")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sansocket::CloseCode;
use sansocket::connection::{ClosedBy, ReceivedClose};
use sansocket::stream::{Acceptor, accept, connect};
use tokio::net::TcpListener;

/// The program that cargo has built of this example: beside the folder of this test.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).expect("cargo's folder of this profile");
    let program = folder.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{name} is not built: run `cargo test`, or `cargo build --examples` first");
    program
}

/// A program that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(piped.spawn().unwrap())
    }

    /// What it printed until it ended, within ten seconds.
    fn finish(mut self) -> Output {
        let deadline = Instant::now() + Duration::from_secs(10);
        let status = loop {
            match self.0.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "the program does not end"),
            }
            sleep(Duration::from_millis(5));
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        if let Some(mut pipe) = self.0.stdout.take() {
            pipe.read_to_end(&mut stdout).unwrap();
        }
        if let Some(mut pipe) = self.0.stderr.take() {
            pipe.read_to_end(&mut stderr).unwrap();
        }
        Output { status, stdout, stderr }
    }
}

/// An example that serves.
struct Server {
    program: Running,
    port: u16,
    /// Open as long as the server runs, since it goes on printing.
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn echo() -> Self {
        Self::start("echo_server", &["--port", "0"])
    }

    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut program = Running::start(Command::new(example(name)).args(arguments));
        let mut stdout = BufReader::new(program.0.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let (_, address) = line.split_once("listening on ").expect("the address is printed first");
        let (_, port) = address.trim().trim_end_matches("/echo").rsplit_once(':').unwrap();
        let port = port.parse().unwrap();
        Self { program, port, stdout }
    }

    fn uri(&self, resource: &str) -> String {
        format!("ws://127.0.0.1:{}{resource}", self.port)
    }

    fn connect(&self) -> TcpStream {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        tcp
    }

    /// The whole answer to this request, up to the end of the stream.
    fn answer(&self, request: &str) -> String {
        let mut tcp = self.connect();
        tcp.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// An upgrade of this resource, with these further header lines.
fn upgrade(resource: &str, headers: &str) -> String {
    format!(
        "GET {resource} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// RFC 6455 §5.7: a masked text message, "Hello"; and a Close with 1000.
const FRAMES: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x82\0\0\0\0\x03\xe8";

/// The client example against this URI, with this input.
fn client(arguments: &[&str], input: &str) -> Output {
    let mut client = Running::start(Command::new(example("client")).args(arguments));
    let mut stdin = client.0.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    client.finish()
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn echo_server_sends_its_page_to_plain_http() {
    let server = Server::echo();
    let answer = server.answer("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    let page = include_str!("../examples/echo_server.html");
    assert!(body == page, "another page; or an old program: run `cargo build --examples` first");
    // Nothing is fetched from anywhere else.
    for elsewhere in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!body.contains(elsewhere), "{elsewhere}");
    }
}

#[test]
fn echo_server_refuses_with_the_right_status_and_no_101() {
    // CM-9 CM-10 CM-11 WS-14
    let server = Server::echo();
    let origin = |origin: &str| upgrade("/echo", &format!("Origin: {origin}\r\n"));
    let port = server.port;
    let table = [
        ("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 404),
        ("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 426),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
        (upgrade("/", ""), 404),
        (upgrade("/nowhere", ""), 404),
        (upgrade("/close", ""), 400),
        (upgrade("/close?code=1006", ""), 400),
        (upgrade("/close?code=1010", ""), 400),
        (origin("https://evil.example"), 403),
        (origin(&format!("http://127.0.0.1.evil.example:{port}")), 403),
        (origin(&format!("https://127.0.0.1:{port}")), 403),
        (origin("null"), 403),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n".to_owned(), 400),
    ];
    for (request, status) in table {
        let answer = server.answer(&request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{answer}");
    }
}

#[test]
fn echo_server_accepts_its_own_page_and_programs_without_an_origin() {
    // CM-2 CM-10: the frames stand in one segment with the request.
    let server = Server::echo();
    let port = server.port;
    let own = ["127.0.0.1", "localhost"].map(|host| format!("Origin: http://{host}:{port}\r\n"));
    for headers in ["", &own[0], &own[1]] {
        let mut tcp = server.connect();
        tcp.write_all(&[upgrade("/echo", headers).as_bytes(), FRAMES].concat()).unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).unwrap();
        let expected = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05Hello\x88\x02\x03\xe8";
        assert_eq!(answer, expected, "{headers}");
    }
}

#[cfg(feature = "http")]
#[test]
fn parsed_headers_echoes_behind_another_http_server() {
    // CM-1 CM-2 CM-9
    let server = Server::start("parsed_headers", &["0"]);
    let mut tcp = server.connect();
    tcp.write_all(&[upgrade("/echo", "").as_bytes(), FRAMES].concat()).unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert!(answer.ends_with(b"\r\n\r\n\x81\x05Hello\x88\x02\x03\xe8"));
    for (request, status) in [
        (upgrade("/nowhere", "Connection: close\r\n"), 404),
        (upgrade("/echo", "Connection: close\r\n").replace("Version: 13", "Version: 8"), 426),
    ] {
        let answer = server.answer(&request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn echo_server_measures_the_round_trip_of_its_pings() {
    // WS-13
    let server = Server::echo();
    let mut socket = connect(&server.uri("/ping")).await.unwrap();
    let message = socket.receive().await.unwrap().unwrap();
    let microseconds: u64 = message.as_text().unwrap().parse().unwrap();
    assert!(microseconds < 5_000_000, "{microseconds}");
    assert!(socket.close(CloseCode::NORMAL, "").await.unwrap().clean);
}

#[tokio::test]
async fn echo_server_closes_with_the_code_that_it_is_asked_for() {
    // WS-4
    let server = Server::echo();
    for code in [1000, 1011, 3000, 4001, 4999] {
        let mut socket = connect(&server.uri(&format!("/close?code={code}"))).await.unwrap();
        assert_eq!(socket.receive().await.unwrap(), None);
        let report = socket.close_report().unwrap();
        assert_eq!(report.received, ReceivedClose::Code(CloseCode::new(code).unwrap()));
        assert_eq!(&*report.received_reason, "as you asked");
        assert_eq!((report.closed_by, report.clean), (ClosedBy::Remote, true));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn echo_server_says_goodbye_to_every_connection_when_it_is_interrupted() {
    let mut server = Server::echo();
    let mut sockets = Vec::new();
    for resource in ["/echo", "/echo", "/ping"] {
        sockets.push(connect(&server.uri(resource)).await.unwrap());
    }
    // Browsers open connections that say nothing: nobody waits for these.
    let _silent = server.connect();
    sleep(Duration::from_millis(50));
    let interrupt = Command::new("kill").args(["-INT", &server.program.0.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    for socket in &mut sockets {
        while socket.receive().await.unwrap().is_some() {}
        let report = socket.close_report().unwrap();
        assert_eq!(report.received, ReceivedClose::Code(CloseCode::GOING_AWAY));
        assert!(report.clean);
    }
    let asked = Instant::now();
    let mut printed = String::new();
    server.stdout.read_to_string(&mut printed).unwrap();
    assert!(printed.contains("shutting down"), "{printed}");
    assert!(server.program.finish().status.success());
    assert!(asked.elapsed() < Duration::from_secs(4), "all have said goodbye: {:?}", asked.elapsed());
}

#[test]
fn client_prints_echo_pong_and_report() {
    // WS-8: the Close does not overtake what was sent before it.
    let server = Server::echo();
    let output = client(&[&server.uri("/echo")], "hello\n/ping are you there\n/close 4000 bye\n");
    let printed = stdout(&output);
    assert!(printed.contains("\n< hello\n"), "{printed}");
    assert!(printed.contains("\npong \"are you there\" after "), "{printed}");
    assert!(
        printed.ends_with("closed by this end: sent 4000, received 4000 \"\", clean\n"),
        "{printed}{}",
        stderr(&output)
    );
    assert!(output.status.success());
}

#[test]
fn client_closes_with_1000_at_the_end_of_its_input() {
    let server = Server::echo();
    let output = client(&[&server.uri("/echo")], "one\n/close 1006\ntwo");
    let printed = stdout(&output);
    assert!(printed.contains("< one\n< two\n"), "{printed}");
    assert!(printed.ends_with("closed by this end: sent 1000, received 1000 \"\", clean\n"), "{printed}");
    assert_eq!(stderr(&output), "no status code that may be sent\n");
    assert!(output.status.success());
}

#[tokio::test]
async fn client_says_that_a_line_behind_its_close_was_not_sent() {
    // WS-6 WS-9
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let mut client = Running::start(Command::new(example("client")).arg(&uri));
    client.0.stdin.take().unwrap().write_all(b"/close\ntoo late\n").unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    let mut socket = accept(tcp).await.unwrap();
    // The server answers the Close only now, so that the second line cannot come behind the end.
    let mut line = String::new();
    BufReader::new(client.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "data after the close frame\n");
    assert_eq!(socket.receive().await.unwrap(), None);
    drop(socket);
    let output = client.finish();
    let report = "closed by this end: sent an empty Close, received 1005 \"\", clean\n";
    assert!(stdout(&output).ends_with(report), "{}", stdout(&output));
    assert!(output.status.success());
}

#[test]
fn client_ends_when_the_server_closes_whatever_the_user_does() {
    let server = Server::echo();
    let uri = server.uri("/close?code=4001");
    // The input stays open: nobody types anything, and the program ends.
    let output = Running::start(Command::new(example("client")).arg(&uri)).finish();
    let report = "closed by the peer: sent 4001, received 4001 \"as you asked\", clean\n";
    assert!(stdout(&output).ends_with(report), "{}", stdout(&output));
    assert!(output.status.success());
}

#[test]
fn client_refused_by_the_server_says_so_and_fails() {
    let server = Server::echo();
    let output = client(&["--origin", "https://evil.example", &server.uri("/echo")], "");
    assert_eq!(stderr(&output), "the opening handshake failed: server answered with status 403, not 101\n");
    assert_eq!(output.status.code(), Some(1));
    // WS-16: only ws and wss are WebSocket URIs here.
    let wrong =
        [&["http://localhost/"][..], &[], &["--header", "no colon", "ws://a/"], &["ws://a/", "ws://b/"]];
    for arguments in wrong {
        let output = client(arguments, "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("usage: client"), "{arguments:?}");
    }
}

#[tokio::test]
async fn client_sends_its_options_and_fails_when_the_transport_breaks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let arguments =
        ["--subprotocol", "chat", "--header", "Cookie: a=b", "--origin", "http://a.example", &uri];
    let client = Running::start(Command::new(example("client")).args(arguments));
    let (tcp, _) = listener.accept().await.unwrap();
    let incoming = Acceptor::default().receive_request(tcp).await.unwrap();
    for header in [("Sec-WebSocket-Protocol", "chat"), ("Cookie", "a=b"), ("Origin", "http://a.example")] {
        let expected = (header.0, header.1.as_bytes());
        assert!(incoming.request().headers().any(|header| header == expected), "{header:?}");
    }
    let mut acceptance = incoming.judge().unwrap();
    acceptance.select_subprotocol("chat").unwrap();
    let mut socket = incoming.accept_as(acceptance).await.unwrap();
    socket.send("\u{1b}[2Jred").await.unwrap();
    socket.send(&[1, 2, 255]).await.unwrap();
    drop(socket);
    let output = client.finish();
    // What a peer sends cannot command the terminal.
    assert_eq!(
        stdout(&output),
        "connected, subprotocol: chat\n< \u{fffd}[2Jred\n< 3 octets: [01, 02, ff]\n\
         closed by the peer: sent no Close, received 1006 \"\", not clean\n"
    );
    assert_eq!(stderr(&output), "the transport ended without a close frame\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn sans_io_talks_to_itself_and_closes_cleanly() {
    let output = Running::start(&mut Command::new(example("sans_io"))).finish();
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = stdout(&output);
    assert!(
        printed.starts_with("echoed: 5 octets\nechoed: 3 octets\nechoed: 100000 octets\nPong:"),
        "{printed}"
    );
    assert_eq!(printed.matches("clean: true").count(), 2, "{printed}");
}

#[test]
fn blocking_servers_echo() {
    for (name, arguments) in [("sans_io", &["--port", "0"][..]), ("blocking_echo", &["0"])] {
        let mut program = Running::start(Command::new(example(name)).args(arguments));
        let mut line = String::new();
        BufReader::new(program.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (_, uri) = line.trim().split_once(" at ").expect("the address is printed first");
        let mut socket = sansocket::blocking::connect(uri).unwrap();
        socket.send("hello").unwrap();
        assert_eq!(socket.receive().unwrap().unwrap().as_text(), Some("hello"), "{name}");
        assert!(socket.close(CloseCode::NORMAL, "").unwrap().clean, "{name}");
    }
}
