//! What is compared: crates and their settings, in groups of equal terms.

use std::rc::Rc;

use sansocket::deflate::{DeflateConfig, States};
use sansocket::handshake::ServerOptions;
use sansocket::stream::Acceptor;
use sockudo_ws::{CompressedWebSocketStream, Compression, DeflateWindowBits};
use tokio::runtime::Runtime;
use yawc::{CompressionLevel, DeflatePool, WebSocket};

use crate::endpoint::{Bound, Endpoint};
use crate::measure::{self, Load, Sample, Script, Traffic};
use crate::transport::Transport;
use crate::zlib::{Compressor, Decompressor, Terms};

/// One line of the tables.
pub(crate) struct Row {
    pub(crate) group: Group,
    pub(crate) name: &'static str,
    /// What was chosen, as the crate calls it.
    pub(crate) settings: &'static str,
    pub(crate) terms: Terms,
    pub(crate) measure: Measure,
    pub(crate) check: Check,
}

type Measure = Box<dyn Fn(&Traffic, Load) -> Sample>;
type Check = Box<dyn Fn(&Traffic)>;

/// Rows that can be compared with each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    SmallWindow,
    LargeWindow,
    NoTakeover,
    Presets,
}

impl Group {
    pub(crate) const ALL: [Self; 4] = [Self::SmallWindow, Self::LargeWindow, Self::NoTakeover, Self::Presets];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::SmallWindow => "level 6, windows of 4 KiB, context takeover",
            Self::LargeWindow => "level 6, windows of 32 KiB, context takeover",
            Self::NoTakeover => "level 6, windows of 32 KiB, no context takeover",
            Self::Presets => "each crate's own choice for many connections",
        }
    }
}

pub(crate) fn rows(runtime: &Rc<Runtime>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |row: Row| rows.push(row);
    for (group, terms) in [
        (Group::SmallWindow, takeover(12)),
        (Group::LargeWindow, takeover(15)),
        (Group::NoTakeover, NO_TAKEOVER),
    ] {
        add(sansocket_row(runtime, group, terms, States::Pooled));
        add(sansocket_row(runtime, group, terms, States::Dedicated));
        add(yawc_row(runtime, group, terms, "its own state for each connection", yawc_options(6)));
        add(sockudo_row(runtime, group, terms, "its own state for each connection", sockudo_settings(terms)));
        add(bound_row(runtime, group, terms));
    }
    let pooled = |level| {
        let options = yawc_options(level).server_no_context_takeover().client_no_context_takeover();
        // As its documentation recommends for many idle connections.
        options
            .with_deflate_pool(DeflatePool::new(64))
            .with_compression_threshold(64)
            .with_read_buffer_capacity(1024)
            .with_write_buffer_capacity(1024)
    };
    add(yawc_row(runtime, Group::NoTakeover, NO_TAKEOVER, "`DeflatePool`, buffers of 1 KiB", pooled(6)));
    add(sansocket_row(runtime, Group::Presets, takeover(12), States::Pooled));
    add(yawc_row(
        runtime,
        Group::Presets,
        NO_TAKEOVER,
        "\"many idle connections\": level 1, no takeover, `DeflatePool`, buffers of 1 KiB",
        pooled(1),
    ));
    let preset = Compression::Window4KB.to_deflate_config().expect("a mode that compresses");
    add(sockudo_row(
        runtime,
        Group::Presets,
        takeover(12),
        "`Compression::Window4KB`: level 3, windows of 4 KiB, takeover",
        preset,
    ));
    rows.sort_by_key(|row| Group::ALL.iter().position(|group| *group == row.group));
    rows
}

fn takeover(window_bits: u8) -> Terms {
    Terms { window_bits, context_takeover: true }
}

const NO_TAKEOVER: Terms = Terms { window_bits: 15, context_takeover: false };

fn sansocket_row(runtime: &Rc<Runtime>, group: Group, terms: Terms, states: States) -> Row {
    let settings = match states {
        States::Dedicated => "`States::Dedicated`",
        _ if group == Group::SmallWindow || group == Group::Presets => "as by default",
        _ => "states of the thread",
    };
    let deflate = DeflateConfig::default()
        .send_window_bits(terms.window_bits)
        .receive_window_bits(terms.window_bits)
        .send_context_takeover(terms.context_takeover)
        .receive_context_takeover(terms.context_takeover)
        .states(states);
    let options = ServerOptions::new().deflate(deflate);
    let make = async move |transport| {
        let acceptor = Acceptor::default().options(options.clone());
        acceptor.accept(transport).await.expect("a correct request")
    };
    let request = if terms.context_takeover { REQUEST } else { REQUEST_WITHOUT_TAKEOVER };
    row(runtime, (group, "sansocket", settings, terms), Script::Handshake(request), make)
}

const REQUEST: &str = "GET / HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

const REQUEST_WITHOUT_TAKEOVER: &str = "GET / HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; client_no_context_takeover; \
    server_no_context_takeover\r\n\r\n";

fn yawc_options(level: u32) -> yawc::Options {
    yawc::Options::default().with_compression_level(CompressionLevel::new(level)).with_utf8()
}

fn yawc_row(
    runtime: &Rc<Runtime>,
    group: Group,
    terms: Terms,
    settings: &'static str,
    options: yawc::Options,
) -> Row {
    let agreed = if terms.context_takeover {
        format!(
            "permessage-deflate; server_max_window_bits={0}; client_max_window_bits={0}",
            terms.window_bits
        )
    } else {
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover".to_owned()
    };
    let make = async move |transport| {
        WebSocket::from_stream_with_extensions(transport, yawc::Role::Server, Some(&agreed), options.clone())
            .expect("terms that it knows")
    };
    row(runtime, (group, "yawc", settings, terms), Script::Frames, make)
}

fn sockudo_settings(terms: Terms) -> sockudo_ws::DeflateConfig {
    let bits = DeflateWindowBits::try_from(terms.window_bits).expect("9 to 15");
    sockudo_ws::DeflateConfig {
        server_max_window_bits: bits,
        client_max_window_bits: bits,
        server_no_context_takeover: !terms.context_takeover,
        client_no_context_takeover: !terms.context_takeover,
        ..Default::default()
    }
}

fn sockudo_row(
    runtime: &Rc<Runtime>,
    group: Group,
    terms: Terms,
    settings: &'static str,
    deflate: sockudo_ws::DeflateConfig,
) -> Row {
    let make = async move |transport| {
        CompressedWebSocketStream::server(transport, sockudo_ws::Config::default(), deflate.clone())
    };
    row(runtime, (group, "sockudo-ws", settings, terms), Script::Frames, make)
}

fn bound_row(runtime: &Rc<Runtime>, group: Group, terms: Terms) -> Row {
    let make = async move |transport| Bound {
        transport,
        compressor: Compressor::new(6, terms),
        decompressor: Decompressor::new(terms),
        read: Vec::new(),
        buffer: Vec::new(),
    };
    row(runtime, (group, "zlib-rs alone", "no WebSocket around it", terms), Script::Payloads, make)
}

fn row<E, F>(
    runtime: &Rc<Runtime>,
    (group, name, settings, terms): (Group, &'static str, &'static str, Terms),
    script: Script,
    make: F,
) -> Row
where
    E: Endpoint,
    F: AsyncFn(Transport) -> E + 'static,
{
    let make = Rc::new(make);
    let (runtime, maker) = (runtime.clone(), make.clone());
    let check_runtime = runtime.clone();
    Row {
        group,
        name,
        settings,
        terms,
        measure: Box::new(move |traffic, load| {
            measure::measure(&runtime, &*maker, script, terms, traffic, load)
        }),
        check: Box::new(move |traffic| measure::check(&check_runtime, &*make, script, terms, traffic)),
    }
}
