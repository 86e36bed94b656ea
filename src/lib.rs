//! WebSockets (RFC 6455): a protocol core without I/O, and thin layers that move octets.
//!
//! ```text
//!   your HTTP server                          your runtime
//!        │ parsed headers                          │ octets
//!        ▼                                         ▼
//!  ┌───────────┐  Negotiated   ┌──────────────────────────────────────┐
//!  │ handshake │ ────────────► │ stream (tokio)   blocking (std::io)  │  move octets, decide nothing
//!  └───────────┘               ├──────────────────────────────────────┤
//!                              │ connection                           │  messages, closing, deadlines
//!                              │   receive ── Pong, Close, fail ──►   │
//!                              │                             send     │
//!                              ├──────────────────────────────────────┤
//!                              │ frame                                │  one frame, no history
//!                              └──────────────────────────────────────┘
//! ```
//!
//! # The least you need
//!
//! A server whose requests nobody has read yet, on tokio:
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//! loop {
//!     let (tcp, _) = listener.accept().await?;
//!     tokio::spawn(async move {
//!         let mut socket = sansocket::stream::accept(tcp).await?;
//!         while let Some(message) = socket.receive().await? {
//!             socket.send(message).await?;
//!         }
//!         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//!     });
//! }
//! # }
//! ```
//!
//! A client:
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! # async fn talk() -> Result<(), Box<dyn std::error::Error>> {
//! use sansocket::CloseCode;
//!
//! let mut socket = sansocket::stream::connect("ws://127.0.0.1:9001/").await?;
//! socket.send("hello").await?;
//! println!("{:?}", socket.receive().await?);
//! let report = socket.close(CloseCode::NORMAL, "").await?;
//! assert!(report.clean);
//! # Ok(())
//! # }
//! ```
//!
//! Behind an HTTP server that has parsed the request, give its headers to [`handshake::accept`], let it send the
//! response, and make a [`stream::WebSocket`] from what it hands back. No code path of this crate reads a request again.
//!
//! # What to know
//!
//! - `send` returns when the message's last octet has been handed to the transport; `feed` queues, and what is queued
//!   leaves before the next read. See [`stream::WebSocket`].
//! - `receive` ends with `None` only after a closing handshake. A transport that just ends is an error, always.
//! - Pings are answered whenever any method is polled. A program whose own work takes long must keep polling.
//! - Everything can be dropped at any await: the docs of each method say what that means.
//! - Limits are on by default: see [`Limits`] and [`Config`]. What all connections hold together is bounded by a [`Budget`],
//!   if there is one.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `tokio` | yes | [`stream`]: WebSockets over tokio, [`stream::accept`], [`stream::connect`] |
//! | `std` | yes | masking-keys from the operating system, heads of HTTP messages as octets, `blocking` |
//! | `deflate` | no | `deflate`: permessage-deflate (RFC 7692), for who asks for it |
//! | `http` | no | [`handshake::Headers`] for `http::HeaderMap`, plans as `http::Response` |
//! | `hyper` | no | `stream::hyper`: upgrades of requests that a hyper 1 server has read |
//! | `rustls` | no | `wss://` for [`stream::connect`] |
//! | `test-util` | no | `test_util`: a network and a peer that do what a test says |
//!
//! Without any, [`frame`], [`connection`] and [`handshake`] need only `alloc`.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "tokio"),
    allow(rustdoc::broken_intra_doc_links, reason = "what they name is not there")
)]

extern crate alloc;

#[cfg(feature = "std")]
pub mod blocking;
mod budget;
mod close_code;
mod config;
pub mod connection;
mod copy;
#[cfg(feature = "deflate")]
pub mod deflate;
mod error;
pub mod frame;
pub mod handshake;
mod role;
mod simd;
#[cfg(feature = "tokio")]
pub mod stream;
#[cfg(feature = "test-util")]
pub mod test_util;
#[cfg(feature = "std")]
mod transport_error;
mod utf8;

/// The examples of the README are compiled with the tests.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "std")]
pub use budget::Budget;
pub use close_code::{CloseCode, InvalidCloseCode};
pub use config::{Config, Limits};
pub use connection::{Message, MessageKind};
pub use error::{Failure, ProtocolError, SendError};
pub use role::Role;
pub use utf8::Utf8Bytes;
