//! The table of costs as a picture: a line for each cell, a dot for each server.

use std::fmt::Write;

use crate::measure::{Plan, Speeds};
use crate::report::ratio;
use crate::servers::Server;

const LEFT: f64 = 110.0;
const TOP: f64 = 120.0;
const LINE: f64 = 34.0;
const WIDTH: f64 = 860.0;
/// The costs at both ends of the axis, which is logarithmic.
const FROM: f64 = 0.5;
const TO: f64 = 40.0;

pub(crate) fn chart(plan: &Plan, speeds: &Speeds) -> String {
    let bottom = TOP + LINE * plan.cells.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"15\">Server CPU for an echoed message, as a multiple of raw TCP (raw-shared = 1); \
         further left is better</text>\n",
        LEFT + WIDTH + 30.0,
        bottom + 40.0,
    );
    let shown: Vec<_> =
        plan.servers.iter().enumerate().filter(|(_, server)| **server != Server::RawShared).collect();
    for (place, (_, server)) in shown.iter().enumerate() {
        let (x, y) = (24.0 + (place % 6) as f64 * 160.0, 48.0 + (place / 6) as f64 * 20.0);
        let _ = writeln!(svg, "{}", dot(**server, x, y));
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{}</text>", x + 10.0, y + 4.0, server.name());
    }
    for cost in [0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0] {
        let (x, colour) = (place(cost), if cost == 1.0 { "#000" } else { "#ddd" });
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"{colour}\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{cost}</text>",
            bottom + 18.0
        );
    }
    for (column, cell) in plan.cells.iter().enumerate() {
        let y = TOP + LINE * (column as f64 + 0.5);
        let _ =
            writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{cell}</text>", LEFT - 10.0, y + 4.0);
        for (nth, (row, server)) in shown.iter().enumerate() {
            let (cost, _) = ratio(plan, speeds, *row, column);
            // A little apart, so that dots in the same place can all be seen.
            let apart = (nth as f64 / shown.len() as f64 - 0.5) * (LINE - 10.0);
            let _ = writeln!(svg, "{}", dot(**server, place(cost), y + apart));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn place(cost: f64) -> f64 {
    LEFT + WIDTH * (cost.clamp(FROM, TO) / FROM).ln() / (TO / FROM).ln()
}

/// Ours are filled, the limits are squares, the others rings.
fn dot(server: Server, x: f64, y: f64) -> String {
    let colour = match server {
        Server::RawShared | Server::Raw => "#888",
        Server::Ideal => "#000",
        Server::SansocketLending => "#08306b",
        Server::SansocketOwned => "#4292c6",
        Server::SansocketStream => "#6baed6",
        Server::SansocketSplit => "#9ecae1",
        Server::SockudoWs => "#d62728",
        Server::TokioWebsockets => "#ff7f0e",
        Server::Yawc => "#2ca02c",
        Server::TokioTungstenite => "#9467bd",
        Server::TokioTungsteniteSmall => "#c5b0d5",
        Server::Fastwebsockets => "#8c564b",
        Server::WebSocket => "#e377c2",
        Server::Wtx => "#bcbd22",
        Server::Soketto => "#7f7f7f",
    };
    if server.is_ours() {
        format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{colour}\"/>")
    } else if server.is_peer() {
        format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        )
    } else {
        format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\" fill=\"{colour}\"/>",
            x - 3.5,
            y - 3.5
        )
    }
}
