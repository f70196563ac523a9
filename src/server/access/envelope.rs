//! Tokens of our own: what a client is to show upstream, sealed so that only this process can make and open them, and
//! bound to the upstream that it is for.
//!
//! Without that a client's token for one upstream could be sent to another by who controls where the client asks (`ns`).
//! The key is made at the start and never leaves the process: after a restart clients are told to come again.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::upstream::ClientAuthorization;

/// No envelope is read beyond this, in characters: a token may have 64 KiB.
const LONGEST: usize = 128 * 1024;

/// What an envelope holds. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::server) enum Holds {
    /// Nobody's right: what everybody may have.
    Nobody,
    /// What a client is to show.
    Client(ClientAuthorization),
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[token]")
    }
}

/// An envelope opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) holds: Holds,
    /// Seconds since the Unix epoch.
    pub(super) until: u64,
}

/// It is none of ours, for another upstream, or too old. Which one is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadEnvelope;

/// The key that seals and opens them.
pub(super) struct Envelopes {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Envelopes {
    /// A new key.
    ///
    /// # Panics
    /// When the system has no randomness to give, without which it has no TLS either.
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let mut key = [0; 32];
        random
            .fill(&mut key)
            .expect("the system gives random bytes");
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).expect("a key of 32 bytes");
        Self {
            key: LessSafeKey::new(key),
            random,
        }
    }

    /// Seals what is held for an upstream until then: `nonce ‖ until ‖ authorization`, the upstream's name as associated
    /// data.
    ///
    /// # Panics
    /// As [`Envelopes::new`].
    pub(super) fn seal(&self, upstream: &str, holds: &Holds, until: u64) -> String {
        let mut nonce = [0; NONCE_LEN];
        self.random
            .fill(&mut nonce)
            .expect("the system gives random bytes");
        let mut sealed = until.to_be_bytes().to_vec();
        if let Holds::Client(authorization) = holds {
            sealed.extend_from_slice(authorization.expose().as_bytes());
        }
        let whole = self.key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(upstream.as_bytes()),
            &mut sealed,
        );
        whole.expect("a token is not too long for its seal");
        URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    /// Opens one that must be for this upstream and good at `now`, seconds since the Unix epoch.
    pub(super) fn open(
        &self,
        sealed: &str,
        upstream: &str,
        now: u64,
    ) -> Result<Opened, BadEnvelope> {
        if sealed.len() > LONGEST {
            return Err(BadEnvelope);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| BadEnvelope)?;
        let (nonce, rest) = bytes
            .split_first_chunk_mut::<NONCE_LEN>()
            .ok_or(BadEnvelope)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(upstream.as_bytes());
        let opened = self.key.open_in_place(nonce, aad, rest);
        let opened = opened.map_err(|_| BadEnvelope)?;
        let (until, authorization) = opened.split_first_chunk().ok_or(BadEnvelope)?;
        let until = u64::from_be_bytes(*until);
        if until <= now {
            return Err(BadEnvelope);
        }
        let holds = if authorization.is_empty() {
            Holds::Nobody
        } else {
            let text = std::str::from_utf8(authorization).map_err(|_| BadEnvelope)?;
            let token = text.strip_prefix("Bearer ").ok_or(BadEnvelope)?;
            Holds::Client(ClientAuthorization::bearer(token).ok_or(BadEnvelope)?)
        };
        Ok(Opened { holds, until })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn holds(token: &str) -> Holds {
        Holds::Client(ClientAuthorization::bearer(token).unwrap())
    }

    #[test]
    fn what_was_sealed_is_opened_for_its_upstream_and_in_its_time() {
        let envelopes = Envelopes::new();
        for held in [Holds::Nobody, holds("s3cret")] {
            let sealed = envelopes.seal("a", &held, 100);
            assert!(!sealed.contains("s3cret"));
            let opened = envelopes.open(&sealed, "a", 99).unwrap();
            assert_eq!((opened.holds, opened.until), (held.clone(), 100));
            assert_eq!(envelopes.open(&sealed, "a", 100), Err(BadEnvelope));
            assert_eq!(envelopes.open(&sealed, "b", 99), Err(BadEnvelope));
            assert_eq!(Envelopes::new().open(&sealed, "a", 99), Err(BadEnvelope));
            assert_ne!(envelopes.seal("a", &held, 100), sealed);
        }
    }

    #[test]
    fn what_it_holds_is_not_printed() {
        let opened = Opened {
            holds: holds("s3cret"),
            until: 1,
        };
        assert!(!format!("{opened:?}").contains("s3cret"));
    }

    proptest! {
        #[test]
        fn nothing_else_opens(text in "[A-Za-z0-9_-]{0,200}") {
            prop_assert_eq!(Envelopes::new().open(&text, "a", 0), Err(BadEnvelope));
        }

        #[test]
        fn no_bit_of_it_can_be_changed(at in 0_usize..1000, bit in 0_u32..8) {
            let envelopes = Envelopes::new();
            let sealed = envelopes.seal("a", &holds("token"), 100);
            let mut bytes = URL_SAFE_NO_PAD.decode(sealed).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let changed = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(envelopes.open(&changed, "a", 0), Err(BadEnvelope));
        }
    }
}
