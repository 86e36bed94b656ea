//! permessage-deflate, the compression of messages: RFC 7692.
//!
//! Nothing is compressed until both ends have asked for it in the opening handshake. A server agrees to what clients offer
//! by [`ServerOptions::deflate`](crate::handshake::ServerOptions::deflate), a client offers it by
//! [`ClientRequest::deflate`](crate::handshake::ClientRequest::deflate); what came of it is an [`Agreement`], a plain
//! value, which the layers that move octets hand over to the connection. Who drives a
//! [`Connection`](crate::connection::Connection) does so by
//! [`with_deflate`](crate::connection::Connection::with_deflate).
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use sansocket::Message;
//! use sansocket::deflate::{Compression, DeflateConfig};
//! use sansocket::handshake::{ClientRequest, ServerOptions};
//! use sansocket::stream::{Acceptor, Connector};
//!
//! # async fn serve(tcp: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//! let acceptor = Acceptor::default().options(ServerOptions::new().deflate(DeflateConfig::default()));
//! let mut server = acceptor.accept(tcp).await?;
//! # Ok(())
//! # }
//! # async fn talk() -> Result<(), Box<dyn std::error::Error>> {
//! let request = ClientRequest::new("ws://127.0.0.1:9001/")?.deflate(DeflateConfig::default());
//! let (mut client, _) = Connector::default().connect(&request).await?;
//! client.send("as the configuration says").await?;
//! client.send(Message::text("a secret").compression(Compression::Never)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is told to the peer, and what is not
//!
//! What limits this end when it sends, a smaller window or no context takeover, a peer need not know, and some fail the
//! connection when they are told unasked. What limits the peer saves memory here, so it is asked for: as a client by
//! `server_max_window_bits`, as a server by the answer to `client_max_window_bits`, which browsers offer (Firefox does
//! not, and then up to 32 KiB are kept for its connection).

mod agreement;
mod compress;
mod config;
mod inflate;
mod pool;
mod window;

pub use agreement::{Agreement, Direction};
pub(crate) use compress::{Compressed, Compressor, Part};
pub use config::{Compression, DeflateConfig, States};
pub(crate) use inflate::{Decompressor, Inflated};
