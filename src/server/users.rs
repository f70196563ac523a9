//! The mirror's own users: names, and bcrypt hashes of their passwords.
//!
//! To verify a password is meant to be slow (some 50 ms at the usual cost), and clients show theirs with every
//! request. So it is done away from the threads that serve, few at a time, and the answer is remembered for a while
//! under a keyed hash: neither the password nor anything it could be found by is kept.

use std::fmt;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use moka::sync::Cache;
use parking_lot::RwLock;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::renewal::{Renew, Renewal};

/// How long an answer is remembered: as long as a password that was withdrawn may still pass.
const REMEMBERED: Duration = Duration::from_mins(1);
/// Answers remembered at once.
const MOST_REMEMBERED: u64 = 4096;
/// The longest name and password that are looked at, in bytes, encoded.
const LONGEST: usize = 1024;
/// Stands for the hash of who is no user, so that it takes as long to say so. No password has it.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu";

/// Names with the bcrypt hashes of their passwords.
pub type UserList = Vec<(String, String)>;

/// Where the users come from; fails with a reason in words.
pub type UserSource = Box<dyn Fn() -> Result<UserList, String> + Send + Sync>;

/// The mirror's own users.
pub struct Users {
    name: String,
    source: UserSource,
    list: RwLock<Arc<UserList>>,
    key: hmac::Key,
    remembered: Cache<[u8; 32], bool>,
    verifying: Semaphore,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Users").field(&self.name).finish()
    }
}

impl Users {
    /// The users that `source` gives now; `name` is for the log.
    ///
    /// # Errors
    /// When it gives none.
    ///
    /// # Panics
    /// When the system has no randomness to give, without which it has no TLS either.
    pub fn new(name: impl Into<String>, source: UserSource) -> Result<Arc<Self>, String> {
        let list = source()?;
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let cores = available_parallelism().map_or(1, usize::from);
        Ok(Arc::new(Self {
            name: name.into(),
            source,
            list: RwLock::new(Arc::new(list)),
            key: key.expect("the system gives random bytes"),
            remembered: Cache::builder()
                .max_capacity(MOST_REMEMBERED)
                .time_to_live(REMEMBERED)
                .build(),
            verifying: Semaphore::new(cores),
        }))
    }

    /// Whether these credentials (RFC 7617) are a user's.
    pub(super) async fn knows(&self, shown: &[u8]) -> bool {
        let Some((name, password)) = credentials(shown) else {
            return false;
        };
        let list = Arc::clone(&self.list.read());
        let key = self.remembered_under(&list, &name, &password);
        if let Some(known) = self.remembered.get(&key) {
            return known;
        }
        let Ok(_turn) = self.verifying.acquire().await else {
            return false;
        };
        // While it waited, another request of the same client may have been answered.
        if let Some(known) = self.remembered.get(&key) {
            return known;
        }
        let verified = spawn_blocking(move || {
            let found = list.iter().find(|(user, _)| *user == name);
            let hash = found.map_or(NOBODY, |(_, hash)| hash);
            bcrypt::verify(password, hash).unwrap_or(false) && found.is_some()
        });
        let known = verified.await.unwrap_or(false);
        self.remembered.insert(key, known);
        known
    }

    /// The user's hash is part of it, so that another password of the same user is another question.
    fn remembered_under(&self, list: &UserList, name: &str, password: &str) -> [u8; 32] {
        let found = list.iter().find(|(user, _)| user == name);
        let mut context = hmac::Context::with_key(&self.key);
        for part in [name, password, found.map_or("", |(_, hash)| hash)] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        key
    }
}

impl Renew for Users {
    fn name(&self) -> &str {
        &self.name
    }

    fn renew(&self) -> Renewal {
        match (self.source)() {
            Ok(list) if list == **self.list.read() => Renewal::Unchanged,
            Ok(list) => {
                *self.list.write() = Arc::new(list);
                Renewal::Renewed
            }
            Err(reason) => Renewal::Kept(reason),
        }
    }
}

/// Name and password of a `Basic` header.
fn credentials(shown: &[u8]) -> Option<(String, String)> {
    let (scheme, encoded) = std::str::from_utf8(shown).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > LONGEST {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use parking_lot::Mutex;

    use super::*;

    fn basic(text: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(text)).into_bytes()
    }

    #[tokio::test]
    async fn who_is_taken_off_the_list_is_no_user_at_once() {
        let bob = ("bob".to_owned(), bcrypt::hash("hunter2", 4).unwrap());
        let list = Arc::new(Mutex::new(Ok(vec![bob])));
        let source = Arc::clone(&list);
        let users = Users::new("users", Box::new(move || source.lock().clone())).unwrap();
        assert!(users.knows(&basic("bob:hunter2")).await);
        assert_eq!(users.renew(), Renewal::Unchanged);

        *list.lock() = Err("torn".to_owned());
        assert_eq!(users.renew(), Renewal::Kept("torn".into()));
        assert!(users.knows(&basic("bob:hunter2")).await);

        let eve = ("eve".to_owned(), bcrypt::hash("hunter2", 4).unwrap());
        *list.lock() = Ok(vec![eve]);
        assert_eq!(users.renew(), Renewal::Renewed);
        assert!(!users.knows(&basic("bob:hunter2")).await);
        assert!(users.knows(&basic("eve:hunter2")).await);
    }

    #[test]
    fn the_hash_of_nobody_is_one_and_nobodys() {
        for password in ["", "nobody", "hunter2"] {
            assert!(!bcrypt::verify(password, NOBODY).unwrap());
        }
    }
}
