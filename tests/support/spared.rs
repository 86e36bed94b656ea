//! What a thread keeps of large messages for the next ones, whosever they are.

use sansocket::Config;
use sansocket::connection::Connection;

/// Lets this thread keep all that it may: who looks for what a connection holds does not see it then.
pub(crate) fn fill_spare() {
    let mut connection = Connection::server(&Config::default().high_water_mark(usize::MAX));
    // No other two payloads are as much as may be kept.
    let both = [vec![7_u8; 1 << 20], vec![7; 1 << 20]];
    for payload in both {
        connection.send(payload).expect("an open connection");
    }
    while connection.queued() > 0 {
        let mut slices = [&[][..]; 4];
        let filled = connection.slices(&mut slices);
        let len = slices[..filled].iter().map(|slice| slice.len()).sum();
        connection.advance(len);
    }
    connection.release_buffers();
}
