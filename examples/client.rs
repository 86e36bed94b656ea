//! An interactive line client: `cargo run --example client -- ws://127.0.0.1:9001/echo`.
//!
//! Each line is sent as a text message, and what comes is printed as it comes. `/ping [TEXT]` sends a Ping,
//! `/close [CODE [REASON]]` begins the closing handshake, and the end of the input closes with 1000. The exit status says
//! whether the connection ended cleanly. `wss://` needs `--features rustls`.

use std::error::Error;
use std::io::BufRead;
use std::process::ExitCode;
use std::time::Instant;

use sansocket::CloseCode;
use sansocket::connection::{CloseReport, ClosedBy, Event};
use sansocket::handshake::ClientRequest;
use sansocket::stream::{self, ClientTransport, Connector, WebSocket};
use tokio::sync::mpsc;

const USAGE: &str = "usage: client [--subprotocol NAME]… [--header 'NAME: VALUE']… [--origin ORIGIN] URI";

type AnyError = Box<dyn Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let request = match request(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let (mut socket, _response) = match Connector::default().connect(&request).await {
        Ok(connected) => connected,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("connected, subprotocol: {}", socket.subprotocol().unwrap_or("none"));

    let outcome = converse(&mut socket, lines()).await;
    if let Err(error) = &outcome {
        eprintln!("{error}");
    }
    let report = socket.close_report();
    if let Some(report) = &report {
        print_report(report);
    }
    match report {
        Some(report) if report.clean => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn request(mut arguments: impl Iterator<Item = String>) -> Result<ClientRequest, AnyError> {
    let (mut uri, mut origin) = (None, None);
    let (mut subprotocols, mut headers) = (Vec::new(), Vec::new());
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} has no value"));
        match argument.as_str() {
            "--subprotocol" => subprotocols.push(value()?),
            "--header" => headers.push(value()?),
            "--origin" => origin = Some(value()?),
            _ if argument.starts_with('-') || uri.is_some() => {
                return Err(format!("unexpected {argument}").into());
            }
            _ => uri = Some(argument),
        }
    }
    let mut request = ClientRequest::new(&uri.ok_or("no URI")?)?.subprotocols(subprotocols)?;
    if let Some(origin) = origin {
        request = request.origin(&origin)?;
    }
    for header in headers {
        let (name, value) = header.split_once(':').ok_or("a header is NAME: VALUE")?;
        request = request.header(name, value.trim())?;
    }
    Ok(request)
}

/// The lines of the standard input. A thread waits for them, since reading a terminal cannot be given up: tokio's own
/// `stdin` would keep the program from ending until one more line was typed.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(Result::ok);
        lines.take_while(|line| sender.blocking_send(line.clone()).is_ok()).for_each(drop);
    });
    receiver
}

/// Waits for the peer and for the user at once, on one unsplit socket: `select!` drops the `receive_event` that did not
/// finish, and that loses nothing, since receiving can be given up at any await and begun again. Halves (`split`) are
/// for programs whose receiving must go on *while* a message is being sent; here the user waits for neither.
async fn converse(
    socket: &mut WebSocket<ClientTransport>,
    mut lines: mpsc::Receiver<String>,
) -> Result<(), stream::Error> {
    let mut input_open = true;
    let mut pinged = Instant::now();
    loop {
        tokio::select! {
            event = socket.receive_event() => match event?.map(|(event, _)| event) {
                Some(Event::Text(text)) => println!("< {}", printable(text)),
                Some(Event::Binary(payload)) => println!("< {} octets: {payload:02x?}", payload.len()),
                Some(Event::Pong(payload)) => {
                    let text = String::from_utf8_lossy(payload);
                    println!("pong {:?} after {:.1?}", printable(&text), pinged.elapsed());
                }
                // Answered already. Behind a Close only the end of the transport is to come.
                Some(Event::Ping(_) | Event::Close(_)) => {}
                None => return Ok(()),
            },
            line = lines.recv(), if input_open => {
                let done = match line.as_deref().map(command) {
                    Some(Ok(Command::Send(text))) => socket.send(text).await,
                    Some(Ok(Command::Ping(payload))) => {
                        pinged = Instant::now();
                        socket.ping(payload.as_bytes()).await
                    }
                    // Receiving goes on, and ends when the closing handshake is done.
                    Some(Ok(Command::Close(code, reason))) => socket.start_close(code, reason),
                    Some(Err(problem)) => {
                        eprintln!("{problem}");
                        Ok(())
                    }
                    None => {
                        input_open = false;
                        socket.start_close(CloseCode::NORMAL, "")
                    }
                };
                match done {
                    // A mistake of the caller's, such as a line behind `/close`: nothing was sent.
                    Err(stream::Error::Send(error)) if input_open => eprintln!("{error}"),
                    // The input has ended when a Close has been sent already.
                    Err(stream::Error::Send(_)) => {}
                    done => done?,
                }
            }
        }
    }
}

enum Command<'a> {
    Send(&'a str),
    Ping(&'a str),
    Close(Option<CloseCode>, &'a str),
}

fn command(line: &str) -> Result<Command<'_>, String> {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    match name {
        "/ping" => Ok(Command::Ping(rest)),
        "/close" if rest.is_empty() => Ok(Command::Close(None, "")),
        "/close" => {
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            let code = code.parse().ok().and_then(CloseCode::new).ok_or("no status code that may be sent")?;
            Ok(Command::Close(Some(code), reason))
        }
        _ => Ok(Command::Send(line)),
    }
}

fn print_report(report: &CloseReport) {
    let who = match report.closed_by {
        ClosedBy::Local => "this end",
        ClosedBy::Remote => "the peer",
    };
    let sent = match report.sent {
        Some(Some(code)) => code.to_string(),
        Some(None) => "an empty Close".to_owned(),
        None => "no Close".to_owned(),
    };
    let received = report.received.number();
    let reason = printable(&report.received_reason);
    let clean = if report.clean { "clean" } else { "not clean" };
    println!("closed by {who}: sent {sent}, received {received} {reason:?}, {clean}");
}

/// Without the control characters with which a peer could write all over the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}
