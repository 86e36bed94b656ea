//! The client under test: runs every case that the suite's server has, echoing, and asks for the report. It offers
//! compression; the suite accepts it in the cases about it.
//!
//! `autobahn-client --url ws://HOST:PORT`

use std::process::ExitCode;

use lexopt::prelude::*;
use sansocket::deflate::DeflateConfig;
use sansocket::handshake::ClientRequest;
use sansocket::stream::{ClientTransport, Connector, WebSocket};
use sansocket::{CloseCode, Config};

/// The name under which the suite files its report.
const AGENT: &str = "sansocket";

type AnyError = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = match url() {
        Ok(url) => url,
        Err(error) => {
            eprintln!("autobahn-client: {error}\nusage: autobahn-client --url ws://HOST:PORT");
            return ExitCode::from(2);
        }
    };
    match run(&url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn-client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn url() -> Result<String, lexopt::Error> {
    let mut url = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("url") => url = Some(arguments.value()?.string()?),
            other => return Err(other.unexpected()),
        }
    }
    url.ok_or_else(|| "the option '--url' is missing".into())
}

async fn run(url: &str) -> Result<(), AnyError> {
    let count = case_count(url).await?;
    println!("{count} cases");
    for case in 1..=count {
        // Whatever a case does, the next one has its turn.
        if let Err(error) = echo(&format!("{url}/runCase?case={case}&agent={AGENT}")).await {
            println!("case {case}: {error}");
        }
    }
    let mut socket = connect(&format!("{url}/updateReports?agent={AGENT}")).await?;
    while socket.receive().await?.is_some() {}
    Ok(())
}

async fn case_count(url: &str) -> Result<u32, AnyError> {
    let mut socket = connect(&format!("{url}/getCaseCount")).await?;
    let message = socket.receive().await?.ok_or("the suite tells no case count")?;
    let count = message.as_text().ok_or("the case count is no text")?.parse()?;
    socket.close(CloseCode::NORMAL, "").await?;
    Ok(count)
}

async fn connect(url: &str) -> Result<WebSocket<ClientTransport>, AnyError> {
    let request = ClientRequest::new(url)?.deflate(DeflateConfig::default());
    // The suite takes note of Pings that nobody asked for.
    let connector = Connector::default().config(Config::default().ping_interval(None));
    let (socket, _) = connector.connect(&request).await?;
    Ok(socket)
}

async fn echo(url: &str) -> Result<(), AnyError> {
    let mut socket = connect(url).await?;
    while let Some((message, mut outgoing)) = socket.receive_ref().await? {
        outgoing.feed(message)?;
    }
    Ok(())
}
