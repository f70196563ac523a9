//! TLS with real clients that believe one authority, and certificates that are replaced while clients pull.

mod clients;
mod replaced;

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::support::authority::Authority;
use crate::support::mirror::{Mirror, Plan};
use crate::support::registry::Access;
use crate::support::upstream::Upstream;

/// A mirror with listeners that speak TLS, and one who has signed its certificate.
struct Encrypted {
    upstream: Upstream,
    mirror: Mirror,
    authority: Authority,
    /// The mirror's certificate and key; `ca/ca.crt` is the authority's.
    folder: TempDir,
}

impl Encrypted {
    /// One with a listener at each of these addresses.
    async fn start(addresses: &[SocketAddr]) -> Self {
        let names: Vec<_> = addresses.iter().map(|it| it.ip().to_string()).collect();
        let mut names: Vec<_> = names.iter().map(String::as_str).collect();
        names.push("localhost");
        let authority = Authority::new(&names);
        let folder = TempDir::new().unwrap();
        authority.sign(folder.path());
        std::fs::create_dir(folder.path().join("ca")).unwrap();
        std::fs::write(folder.path().join("ca/ca.crt"), authority.pem()).unwrap();
        let places: Vec<_> = addresses.iter().map(|it| format!("\"{it}\"")).collect();
        let here = folder.path().display();
        let text = format!(
            "[[server.tls]]\nlisten = [{}]\ncertificate = \"{here}/mirror.pem\"\nkey = \"{here}/mirror.key\"",
            places.join(", ")
        );
        let upstream = Upstream::start(Access::Open).await;
        let mirror = Plan::of(&upstream.tap).of_server(&text).start().await;
        Self {
            upstream,
            mirror,
            authority,
            folder,
        }
    }
}
