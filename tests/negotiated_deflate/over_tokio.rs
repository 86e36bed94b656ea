//! Over tokio.

use super::frames::{Frame, frames, to};
use super::{COMPRESSED_HELLO, COMPRESSED_TEXT, request, response, text};
use sansocket::deflate::DeflateConfig;
use sansocket::handshake::{ClientRequest, ServerOptions};
use sansocket::stream::{Acceptor, ClientTransport, Connector, Error, WebSocket};
use sansocket::{Message, ProtocolError, Role};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;

fn acceptor(config: DeflateConfig) -> Acceptor {
    Acceptor::default().options(ServerOptions::new().deflate(config))
}

fn chat(config: DeflateConfig) -> ClientRequest {
    ClientRequest::new("ws://server.example.com/chat").unwrap().deflate(config)
}

async fn read_head<S: AsyncRead + Unpin>(io: &mut S) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.expect("a whole head"));
    }
    head
}

/// A client, and the other end of its transport, which has answered this and sent these octets behind it.
async fn client(
    config: DeflateConfig,
    answer: Option<&str>,
    behind: &[u8],
) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (near, mut far) = duplex(64 << 10);
    let server = async {
        let request = read_head(&mut far).await;
        far.write_all(&[&response(&request, answer), behind].concat()).await.unwrap();
    };
    let (connector, request) = (Connector::default(), chat(config));
    let (connected, ()) = tokio::join!(connector.connect_over(near, &request), server);
    (connected.unwrap().0, far)
}

/// What a role has sent in these many octets.
async fn sent(role: Role, far: &mut DuplexStream, len: usize) -> Vec<Frame> {
    let mut octets = vec![0; len];
    far.read_exact(&mut octets).await.unwrap();
    frames(role, &octets)
}

async fn both_ways<S, T>(client: &mut WebSocket<S>, server: &mut WebSocket<T>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    for message in [Message::text(text()), Message::from(vec![7; 100_000]), Message::text("")] {
        client.send(message.clone()).await.unwrap();
        assert_eq!(server.receive().await.unwrap(), Some(message.clone()));
        server.send(message.clone()).await.unwrap();
        assert_eq!(client.receive().await.unwrap(), Some(message));
    }
}

#[tokio::test]
async fn client_and_server_compress_what_they_send_each_other() {
    // 7692-5-11
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/chat", listener.local_addr().unwrap());
    let configs = [
        DeflateConfig::default(),
        DeflateConfig::default().send_window_bits(15).receive_window_bits(9),
        DeflateConfig::default().send_context_takeover(false).receive_context_takeover(false),
    ];
    for config in configs {
        let request = ClientRequest::new(&uri).unwrap().deflate(config);
        let connector = Connector::default();
        let (connected, accepted) = tokio::join!(connector.connect(&request), async {
            acceptor(DeflateConfig::default()).accept(listener.accept().await.unwrap().0).await
        });
        let mut client: WebSocket<ClientTransport> = connected.unwrap().0;
        let mut server = accepted.unwrap();
        both_ways(&mut client, &mut server).await;
        client.feed(text()).await.unwrap();
        assert!(client.queued() < 1000, "{} octets", client.queued());
        server.feed(text()).await.unwrap();
        assert!(server.queued() < 1000, "{} octets", server.queued());
        let (closed, end) = tokio::join!(client.close(None, ""), async {
            assert_eq!(server.receive().await.unwrap(), Some(Message::text(text())));
            server.receive().await
        });
        assert!(closed.unwrap().clean);
        assert_eq!(end.unwrap(), None);
    }
}

#[tokio::test]
async fn client_receives_a_compressed_message_right_behind_the_101() {
    // 7692-5-11 7692-9-1
    let hello = to(Role::Client, COMPRESSED_TEXT, COMPRESSED_HELLO);
    let (mut client, mut far) = client(DeflateConfig::default(), Some("permessage-deflate"), &hello).await;
    assert_eq!(client.receive().await.unwrap(), Some(Message::text("Hello")));
    client.send(text()).await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), COMPRESSED_TEXT);
}

#[tokio::test]
async fn client_sends_nothing_compressed_when_the_server_did_not_agree() {
    // 7692-5-9 6455-9.1-6
    let hello = to(Role::Client, COMPRESSED_TEXT, COMPRESSED_HELLO);
    let (mut client, mut far) = client(DeflateConfig::default(), None, &hello).await;
    client.send(text()).await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), 0x81);
    // Nor does it take what is.
    far.shutdown().await.unwrap();
    let error = client.receive().await.unwrap_err();
    assert!(matches!(error, Error::Protocol(ProtocolError::ReservedBits)), "{error:?}");
}

#[tokio::test]
async fn client_sends_nothing_compressed_when_its_window_is_to_have_8_bits() {
    // 7692-7.1.2-1 CM-66
    let hello = to(Role::Client, COMPRESSED_TEXT, COMPRESSED_HELLO);
    let answer = "permessage-deflate; client_max_window_bits=8";
    let (mut client, mut far) = client(DeflateConfig::default(), Some(answer), &hello).await;
    assert_eq!(client.receive().await.unwrap(), Some(Message::text("Hello")));
    client.send(text()).await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), 0x81);
}

#[tokio::test]
async fn client_that_hinted_sends_equal_messages_as_equal_octets() {
    // 7692-7.1.1.2-2
    for (config, takes_over) in
        [(DeflateConfig::default().send_context_takeover(false), false), (DeflateConfig::default(), true)]
    {
        let (mut client, mut far) = client(config, Some("permessage-deflate"), b"").await;
        client.feed(text()).await.unwrap();
        let len = client.queued();
        client.feed(text()).await.unwrap();
        let all = client.queued();
        client.flush().await.unwrap();
        let first = sent(Role::Client, &mut far, len).await;
        let second = sent(Role::Client, &mut far, all - len).await;
        assert_eq!(first[0].0, COMPRESSED_TEXT);
        assert_eq!(first != second, takes_over);
    }
}

#[tokio::test]
async fn server_receives_a_compressed_message_right_behind_the_request() {
    // 7692-5-11 7692-7.1.1.2-6: the hint in a declined offer changes nothing.
    let (near, mut far) = duplex(64 << 10);
    let offer = "permessage-deflate; client_no_context_takeover; foo, permessage-deflate";
    let hello = to(Role::Server, COMPRESSED_TEXT, COMPRESSED_HELLO);
    // RFC 7692 §7.2.3.2: the same again, as a reference to the first.
    let again = to(Role::Server, COMPRESSED_TEXT, b"\xf2\x00\x11\x00\x00");
    far.write_all(&[request(offer), hello, again].concat()).await.unwrap();
    let mut server = acceptor(DeflateConfig::default()).accept(near).await.unwrap();
    let head = String::from_utf8(read_head(&mut far).await).unwrap();
    assert!(head.contains("\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"), "{head}");
    assert_eq!(server.receive().await.unwrap(), Some(Message::text("Hello")));
    assert_eq!(server.receive().await.unwrap(), Some(Message::text("Hello")));
    server.send(text()).await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), COMPRESSED_TEXT);
}

#[tokio::test]
async fn server_that_declines_sends_nothing_compressed() {
    // 7692-8-1 7692-5-8 7692-5-9
    let (near, mut far) = duplex(64 << 10);
    far.write_all(&request("permessage-deflate")).await.unwrap();
    let incoming = acceptor(DeflateConfig::default()).receive_request(near).await.unwrap();
    let mut acceptance = incoming.judge().unwrap();
    assert!(acceptance.deflate().is_some());
    acceptance.decline_deflate();
    let mut server = incoming.accept_as(acceptance).await.unwrap();
    let head = String::from_utf8(read_head(&mut far).await).unwrap();
    assert!(!head.contains("Sec-WebSocket-Extensions"), "{head}");
    server.send(text()).await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), 0x81);
}

#[tokio::test]
async fn halves_compress_and_decompress() {
    // 7692-5-11
    let hello = to(Role::Client, COMPRESSED_TEXT, COMPRESSED_HELLO);
    let (client, mut far) = client(DeflateConfig::default(), Some("permessage-deflate"), &hello).await;
    let (mut receiver, sender) = client.split();
    assert_eq!(receiver.receive().await.unwrap(), Some(Message::text("Hello")));
    sender.send(text()).await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), COMPRESSED_TEXT);
}

#[cfg(feature = "hyper")]
#[tokio::test]
async fn server_behind_hyper_compresses() {
    // 7692-5-11
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use sansocket::Config;
    use sansocket::stream::hyper::upgrade;

    let (near, far) = duplex(64 << 10);
    let service = service_fn(|mut request| async move {
        let options = ServerOptions::new().deflate(DeflateConfig::default());
        let (response, upgrade) = upgrade(&mut request, &options).unwrap();
        tokio::spawn(async move {
            let mut server = upgrade.complete(&Config::default()).await.unwrap();
            while let Some(message) = server.receive().await.unwrap() {
                server.feed(message).await.unwrap();
                assert!(server.queued() < 1000, "{} octets", server.queued());
            }
        });
        Ok::<_, std::convert::Infallible>(response.map(|()| String::new()))
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades());
    let (mut client, response) =
        Connector::default().connect_over(near, &chat(DeflateConfig::default())).await.unwrap();
    let answer = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12";
    assert!(response.headers.contains(&("sec-websocket-extensions".into(), answer.into())));
    client.send(text()).await.unwrap();
    assert_eq!(client.receive().await.unwrap(), Some(Message::text(text())));
    assert!(client.close(None, "").await.unwrap().clean);
}
