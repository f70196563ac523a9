//! Closing a connection so that the client can read the last answer.

use std::time::Duration;

use pingora::protocols::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How long a client may take to notice the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Ends our side, then waits for the client to end its own, and throws away what it still sends.
///
/// Closing with bytes unread makes the kernel reset the connection, and the reset overtakes the answer on
/// its way: RFC 9112 section 9.6.
pub(super) async fn close(mut stream: Stream) {
    let farewell = async {
        AsyncWriteExt::shutdown(&mut stream).await?;
        let mut unwanted = [0; 512];
        while stream.read(&mut unwanted).await? > 0 {}
        std::io::Result::Ok(())
    };
    // However it ends, the connection is dropped.
    let _ = timeout(PATIENCE, farewell).await;
}
