//! In whose name something is asked for.

use ring::hmac;
use ring::rand::SystemRandom;

use crate::upstream::ClientAuthorization;

/// In whose name something is asked for.
#[derive(Clone, Debug)]
pub enum Asker {
    /// The mirror's: with its own account at that upstream, or with none.
    Mirror,
    /// A client's own.
    Client(ClientCredential),
    /// A client that shows no credentials, where clients are served as themselves.
    Nobody,
}

/// What a client shows.
#[derive(Clone, Debug)]
pub struct ClientCredential {
    /// What upstream gets to see.
    pub authorization: ClientAuthorization,
    /// When it ends, where that is known: seconds since the Unix epoch.
    pub expires_at: Option<u64>,
}

/// A keyed hash of credentials: tells one client from another, and tells nothing else. Its key lives and dies with the
/// process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::mirror) struct Fingerprint([u8; 32]);

/// The key of the fingerprints.
pub(in crate::mirror) struct Fingerprints(hmac::Key);

impl Fingerprints {
    /// A new key.
    ///
    /// # Panics
    /// When the system has no randomness to give, without which it has no TLS either.
    pub(in crate::mirror) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(key.expect("the system gives random bytes"))
    }

    /// The fingerprint of who asks; `None` for the mirror itself.
    pub(in crate::mirror) fn of(&self, asker: &Asker) -> Option<Fingerprint> {
        let shown: &[u8] = match asker {
            Asker::Mirror => return None,
            Asker::Nobody => b"",
            Asker::Client(client) => client.authorization.expose().as_bytes(),
        };
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.0, shown).as_ref());
        Some(Fingerprint(hash))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_fingerprint_tells_clients_apart_and_tells_nothing_without_its_key() {
        let client = |token: &str| {
            Asker::Client(ClientCredential {
                authorization: ClientAuthorization::bearer(token).unwrap(),
                expires_at: None,
            })
        };
        let (ours, theirs) = (Fingerprints::new(), Fingerprints::new());
        let alice = ours.of(&client("alice")).unwrap();
        assert_eq!(ours.of(&client("alice")), Some(alice));
        assert_ne!(ours.of(&client("alicf")), Some(alice));
        assert_ne!(ours.of(&Asker::Nobody), Some(alice));
        assert_eq!(ours.of(&Asker::Mirror), None);
        // Another process has another key.
        assert_ne!(theirs.of(&client("alice")), Some(alice));
        assert_ne!(theirs.of(&Asker::Nobody), ours.of(&Asker::Nobody));
        assert!(!format!("{alice:?}").contains("alice"));
    }
}
