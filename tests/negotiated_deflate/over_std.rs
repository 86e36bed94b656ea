//! Over `std::io`.

use super::frames::to;
use super::{COMPRESSED_HELLO, COMPRESSED_TEXT, request, response, text};
use sansocket::blocking::{Acceptor, Connector, WebSocket};
use sansocket::deflate::DeflateConfig;
use sansocket::handshake::{ClientRequest, ServerOptions};
use sansocket::{Message, Role};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    // A test that waits for what never comes fails instead.
    far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (near, far)
}

fn acceptor() -> Acceptor {
    Acceptor::default().options(ServerOptions::new().deflate(DeflateConfig::default()))
}

fn chat() -> ClientRequest {
    ClientRequest::new("ws://server.example.com/chat").unwrap().deflate(DeflateConfig::default())
}

fn read_head(io: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(read_octet(io));
    }
    head
}

fn read_octet(io: &mut TcpStream) -> u8 {
    let mut octet = [0];
    io.read_exact(&mut octet).unwrap();
    octet[0]
}

#[test]
fn client_and_server_compress_what_they_send_each_other() {
    // 7692-5-11
    let (near, far) = tcp_pair();
    let server = thread::spawn(move || {
        let mut server = acceptor().accept(far).unwrap();
        while let Some(message) = server.receive().unwrap() {
            server.feed(message).unwrap();
            assert!(server.queued() < 1000, "{} octets", server.queued());
        }
    });
    let (mut client, _) = Connector::default().connect_over(near, &chat()).unwrap();
    for message in [Message::text(text()), Message::from(vec![7; 100_000]), Message::text("")] {
        client.feed(message.clone()).unwrap();
        assert!(client.queued() < 1000, "{} octets", client.queued());
        assert_eq!(client.receive().unwrap(), Some(message));
    }
    assert!(client.close(None, "").unwrap().clean);
    server.join().unwrap();
}

#[test]
fn client_receives_a_compressed_message_right_behind_the_101() {
    // 7692-5-11 7692-5-9 6455-9.1-6
    let hello = to(Role::Client, COMPRESSED_TEXT, COMPRESSED_HELLO);
    for (answer, first) in [(Some("permessage-deflate"), COMPRESSED_TEXT), (None, 0x81)] {
        let (near, mut far) = tcp_pair();
        let connecting = thread::spawn(move || Connector::default().connect_over(near, &chat()).unwrap().0);
        let request = read_head(&mut far);
        far.write_all(&[response(&request, answer), hello.clone()].concat()).unwrap();
        let mut client: WebSocket<TcpStream> = connecting.join().unwrap();
        client.send(text()).unwrap();
        assert_eq!(read_octet(&mut far), first);
        far.shutdown(Shutdown::Write).unwrap();
        match answer {
            Some(_) => assert_eq!(client.receive().unwrap(), Some(Message::text("Hello"))),
            None => assert!(client.receive().is_err()),
        }
    }
}

#[test]
fn server_receives_a_compressed_message_right_behind_the_request() {
    // 7692-5-11 7692-5-9 7692-8-1
    let hello = to(Role::Server, COMPRESSED_TEXT, COMPRESSED_HELLO);
    for (declines, first) in [(false, COMPRESSED_TEXT), (true, 0x81)] {
        let (near, mut far) = tcp_pair();
        far.write_all(&[request("permessage-deflate"), hello.clone()].concat()).unwrap();
        let incoming = acceptor().receive_request(near).unwrap();
        let mut acceptance = incoming.judge().unwrap();
        if declines {
            acceptance.decline_deflate();
        }
        let mut server = incoming.accept_as(acceptance).unwrap();
        let head = String::from_utf8(read_head(&mut far)).unwrap();
        assert_eq!(head.contains("Sec-WebSocket-Extensions: permessage-deflate\r\n"), !declines);
        server.send(text()).unwrap();
        assert_eq!(read_octet(&mut far), first);
        far.shutdown(Shutdown::Write).unwrap();
        match declines {
            false => assert_eq!(server.receive().unwrap(), Some(Message::text("Hello"))),
            true => assert!(server.receive().is_err()),
        }
    }
}
