//! What lies in files and may be replaced while the process runs: certificates and users.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

/// What came of looking at the files again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// They say what they said before.
    Unchanged,
    /// What is new in them counts from now on.
    Renewed,
    /// They cannot be used, for this reason; what they said before goes on counting.
    Kept(String),
}

/// Something read from files that may be read again.
pub trait Renew: Send + Sync {
    /// What it is, for the log.
    fn name(&self) -> &str;

    /// Looks at the files again. Blocks.
    fn renew(&self) -> Renewal;
}

/// The requests to look again, as operators send them: SIGHUP. Caught from this call on.
///
/// # Errors
/// When the signal cannot be caught, or outside a runtime.
pub fn renewal_requests() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Looks at the files of `all` whenever it is asked to, and every so often without being asked: who replaces a
/// certificate does not always know whom to tell. Never ends.
pub async fn keep_renewed(
    all: Vec<Arc<dyn Renew>>,
    every: Duration,
    mut asked: Signal,
) -> Infallible {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Told::default();
    loop {
        let is_asked = tokio::select! {
            asked = asked.recv() => asked.is_some(),
            _ = ticks.tick() => false,
        };
        for one in &all {
            let looking = Arc::clone(one);
            let looked = tokio::task::spawn_blocking(move || looking.renew()).await;
            let renewal = looked.unwrap_or_else(|error| Renewal::Kept(error.to_string()));
            told.tell(one.name(), renewal, is_asked);
        }
    }
}

/// What the log has been told: the same trouble is told once, and again to whoever asks.
#[derive(Default)]
struct Told(HashMap<String, String>);

impl Told {
    fn tell(&mut self, name: &str, renewal: Renewal, is_asked: bool) {
        match renewal {
            Renewal::Unchanged => {
                self.0.remove(name);
                if is_asked {
                    tracing::info!(what = name, "read again: nothing new");
                }
            }
            Renewal::Renewed => {
                self.0.remove(name);
                tracing::info!(what = name, "read again: what is new counts from now on");
            }
            Renewal::Kept(reason) => {
                let before = self.0.insert(name.to_owned(), reason.clone());
                if is_asked || before.as_ref() != Some(&reason) {
                    tracing::error!(
                        what = name,
                        reason,
                        "read again and not usable: the one before is kept"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::sync::mpsc;
    use tokio::time::{Instant, timeout};

    use super::*;

    /// Says when it is looked at.
    struct Looked(mpsc::UnboundedSender<Instant>);

    impl Renew for Looked {
        fn name(&self) -> &'static str {
            "looked"
        }

        fn renew(&self) -> Renewal {
            self.0.send(Instant::now()).unwrap();
            Renewal::Kept("torn".into())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_looked_at_again_and_again_whatever_is_in_them() {
        let every = Duration::from_secs(15);
        let (looked, mut looks) = mpsc::unbounded_channel();
        let all: Vec<Arc<dyn Renew>> = vec![Arc::new(Looked(looked))];
        let began = Instant::now();
        let looking = tokio::spawn(keep_renewed(all, every, renewal_requests().unwrap()));
        for turn in 0..4 {
            let look = timeout(every * 2, looks.recv()).await.unwrap().unwrap();
            assert_eq!(look - began, every * turn);
        }
        looking.abort();
    }
}
