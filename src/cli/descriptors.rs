//! How many files and connections the process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Each connection may hold a file open, and its socket under a second number; the store and upstreams need some of their own.
const PER_CONNECTION: u64 = 3;
const OTHERS: u64 = 256;

/// Raises the soft limit of open files to the hard one: the customary 1024 is meant for programs that use
/// `select`. Says so when even that is too few for `connections` at once.
pub(super) fn raise_limit(connections: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let wanted = wanted(connections);
    if let Some(allowed) = getrlimit(Resource::Nofile)
        .current
        .filter(|&it| it < wanted)
    {
        tracing::warn!(
            allowed,
            wanted,
            "too few open files are allowed for server.max_connections; raise the limit or lower that"
        );
    }
}

fn wanted(connections: usize) -> u64 {
    (connections as u64)
        .saturating_mul(PER_CONNECTION)
        .saturating_add(OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_connections_can_be_wanted() {
        assert_eq!(wanted(4096), 12_544);
        assert_eq!(wanted(usize::MAX), u64::MAX);
        // The largest that a config can say.
        assert_eq!(wanted(usize::MAX / 2), u64::MAX);
    }
}
