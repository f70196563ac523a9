//! The bytes of each kind of body, from where they are to the wire.

mod range;

use std::io;
use std::pin::pin;

use futures_util::FutureExt;

use self::range::{Pages, STRETCH, Turn, send_range};
use super::outlet::Outlet;
use crate::mirror::{FillError, Follower, Run};
use crate::server::{Body, Multipart, Pieces};

/// Why a body ended before its end. The connection is worth nothing any more.
#[derive(Debug)]
pub(super) enum Broken {
    /// The client left, or took nothing for too long.
    Client(io::Error),
    /// Content could not be read, or has fewer bytes than its range.
    Content(io::Error),
    /// The fill ended badly.
    Fill(FillError),
    /// The response states no length, or another than its body's: a defect of the handler.
    Response,
}

/// Sends all of `body`, which has exactly as many bytes as the wire expects, or fails.
pub(super) async fn send(body: Body, wire: &mut impl Outlet) -> Result<(), Broken> {
    let mut turn = Turn::default();
    match body {
        Body::Empty => {}
        Body::Bytes(bytes) => write(&bytes, wire).await?,
        Body::Content(content, range) => {
            send_range(content.source(), range, &mut turn, wire).await?;
        }
        Body::Follow(mut follower) => {
            let length = wire.left();
            follow(&mut follower, length, &mut turn, wire).await?;
            ended(&mut follower).await?;
        }
        Body::Parts(frame, Pieces::Content(content)) => {
            send_parts(&frame, content.source(), &mut turn, wire).await?;
        }
        Body::Parts(frame, Pieces::Follow(mut follower)) => {
            follow_parts(&frame, &mut follower, &mut turn, wire).await?;
        }
    }
    wire.flush().await.map_err(Broken::Client)
}

/// Sends each part behind its head, which is made when it is its turn.
async fn send_parts(
    frame: &Multipart,
    pages: &impl Pages,
    turn: &mut Turn,
    wire: &mut impl Outlet,
) -> Result<(), Broken> {
    for (head, range) in frame.parts() {
        write(head.as_bytes(), wire).await?;
        send_range(pages, range, turn, wire).await?;
    }
    write(frame.end().as_bytes(), wire).await
}

/// What a fill is read through: [`Follower`], which has a twin in the tests that gives what it is told to.
trait Runs {
    /// The next bytes, at most `most`; `None` after the last.
    async fn next_run(&mut self, most: u64) -> Result<Option<Run>, FillError>;
}

impl Runs for Follower {
    async fn next_run(&mut self, most: u64) -> Result<Option<Run>, FillError> {
        Self::next_run(self, most).await
    }
}

/// Sends the next `length` bytes of a fill as they come.
async fn follow(
    runs: &mut impl Runs,
    length: u64,
    turn: &mut Turn,
    wire: &mut impl Outlet,
) -> Result<(), Broken> {
    let mut left = length;
    while left > 0 {
        match next(runs, wire).await? {
            Some(run) if run.len() <= left => {
                left -= run.len();
                match run {
                    Run::File(source, range) => send_range(&source, range, turn, wire).await?,
                    Run::Bytes(bytes) => write(&bytes, wire).await?,
                }
            }
            _ => return Err(Broken::Response),
        }
    }
    Ok(())
}

/// The next bytes of a fill. While they are waited for, nothing that the client can have stays here (the head goes
/// with the first turn), and a client that leaves is noticed, so that its follower is let go of.
async fn next(runs: &mut impl Runs, wire: &mut impl Outlet) -> Result<Option<Run>, Broken> {
    let mut next = pin!(runs.next_run(STRETCH));
    if let Some(run) = next.as_mut().now_or_never() {
        return run.map_err(Broken::Fill);
    }
    wire.flush().await.map_err(Broken::Client)?;
    tokio::select! {
        run = next => run.map_err(Broken::Fill),
        error = wire.reset() => Err(Broken::Client(error)),
    }
}

/// Sends each part behind its head, which the client gets before the wait for the part.
async fn follow_parts(
    frame: &Multipart,
    runs: &mut impl Runs,
    turn: &mut Turn,
    wire: &mut impl Outlet,
) -> Result<(), Broken> {
    for (head, range) in frame.parts() {
        write(head.as_bytes(), wire).await?;
        follow(runs, range.len(), turn, wire).await?;
    }
    ended(runs).await?;
    write(frame.end().as_bytes(), wire).await
}

/// Makes sure that a fill was read to the end of what was asked of it.
async fn ended(runs: &mut impl Runs) -> Result<(), Broken> {
    match runs.next_run(STRETCH).await.map_err(Broken::Fill)? {
        None => Ok(()),
        Some(_) => Err(Broken::Response),
    }
}

async fn write(bytes: &[u8], wire: &mut impl Outlet) -> Result<(), Broken> {
    wire.write(bytes).await.map_err(Broken::Client)
}

#[cfg(test)]
mod tests;
