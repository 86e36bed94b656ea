//! An echo server with a thread for each connection: `cargo run --example blocking_echo -- 9001`.

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).map_or(Ok(9001), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("echoing at ws://{}/", listener.local_addr()?);
    for tcp in listener.incoming() {
        let tcp = tcp?;
        thread::spawn(move || match serve(tcp) {
            Ok(()) => println!("closed"),
            Err(error) => println!("{error}"),
        });
    }
    Ok(())
}

fn serve(tcp: TcpStream) -> Result<(), Box<dyn Error>> {
    tcp.set_nodelay(true)?;
    let mut socket = sansocket::blocking::accept(tcp)?;
    // The replies to all messages that came with one read leave with one write.
    while let Some((message, mut outgoing)) = socket.receive_ref()? {
        outgoing.feed(message)?;
    }
    Ok(())
}
