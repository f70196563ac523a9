//! `[server]` and `[admin]`: the listeners, their limits, and who may use them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;
use url::Url;

use super::reading::{Placed, Reading, Reported};
use super::secret::Secret;
use super::section::Section;
use super::setting::{Limit, Refusal, Setting, Value};
use super::tls::{self, TlsListener};
use super::token;
use super::users::UsersFile;

/// `[server]`: where clients pull from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The addresses to listen on, no two of them the same. Port 0 lets the system choose one. With `sockets` and
    /// `tls` there is at least one place.
    pub listen: Vec<SocketAddr>,
    /// The sockets in the file system to listen on.
    pub sockets: Vec<PathBuf>,
    /// The mode of their files.
    pub socket_mode: u32,
    /// The listeners that speak TLS.
    pub tls: Vec<TlsListener>,
    /// The networks that clients may come from; none: all.
    pub allow: Vec<IpNet>,
    /// The users that are served; `None`: everybody.
    pub users: Option<UsersFile>,
    /// How many clients may be connected at once.
    pub max_connections: usize,
    /// How many of them may come from one address.
    pub max_connections_per_client: usize,
    /// How long requests in flight may go on after the signal to stop; then they are cut.
    pub shutdown_grace: Duration,
    /// How many bytes a second, averaged, a client must take while an answer waits for it; slower
    /// ones are disconnected. `None`: any speed will do.
    pub min_send_rate: Option<ByteSize>,
    /// What clients are told when an upstream says that there were too many requests, and nothing is here.
    pub rate_limited: RateLimited,
    /// Where clients reach the mirror, as scheme, host and perhaps port (`https://mirror.example`). `None`: as they say
    /// themselves in `Host`.
    pub external_url: Option<String>,
    /// How long an upstream's yes to a client counts, at most an hour: what is revoked there is given out for so long.
    pub access_ttl: Duration,
    /// How long its no counts.
    pub deny_ttl: Duration,
}

/// `rate_limited_status`: the status in place of an upstream's 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimited {
    /// 503: clients that have another place to ask go there at once.
    Unavailable,
    /// 429: clients that have none wait and come again.
    TooManyRequests,
}

impl Setting for RateLimited {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        match value {
            Value::Integer(503) => Ok(Self::Unavailable),
            Value::Integer(429) => Ok(Self::TooManyRequests),
            _ => Err("is not a status for this: write 503 or 429".into()),
        }
    }
}

/// Scheme, host and port of the mirror itself.
struct ExternalUrl(String);

impl Setting for ExternalUrl {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not the mirror's URL: write https://HOST or http://HOST:PORT";
        let url = Url::parse(value.text(reason)?).map_err(|_| reason)?;
        let is_origin = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_origin {
            return Err(reason.into());
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

/// How long an upstream's word about a client counts, in whole seconds.
struct AccessTtl(Duration);

impl Setting for AccessTtl {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let ttl = Duration::read(value)?;
        let is_whole = ttl.subsec_nanos() == 0;
        if is_whole && (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&ttl) {
            Ok(Self(ttl))
        } else {
            Err("is not a whole number of seconds from 1s to 1h".into())
        }
    }
}

/// `[admin]`: where the operator looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The address of the operator's side; not one of [`Server::listen`].
    pub listen: SocketAddr,
    /// A socket in the file system that is the operator's side, too: for this process's own user and root, who need no
    /// token there.
    pub socket: Option<PathBuf>,
    /// What the operator's requests must bring, but for health and metrics. Without one they are served to this
    /// machine only.
    pub token: Option<Secret>,
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Reads `[server]` and `[admin]`: together, since they share the ports of one machine.
pub(super) fn read(root: &mut Section<'_>) -> Result<(Server, Admin), Reported> {
    let reading = root.reading();
    let server = root.table("server", read_server);
    let admin = root.table("admin", |section| {
        let listen = section.or("listen", SocketAddr::new(LOOPBACK, 5001));
        let socket = section.optional::<PathBuf>("socket");
        let token = token::read(section);
        let listen = Placed {
            place: section.place("listen"),
            value: listen?,
        };
        let socket = socket?.map(|path| section.reading().resolve(&path));
        if let Some(path) = &socket
            && server
                .as_ref()
                .is_ok_and(|(_, it)| it.sockets.contains(path))
        {
            return Err(section.error("socket", "is one that clients are served on"));
        }
        Ok((listen, socket, token?))
    });
    let ((listen, server), (admin, socket, token)) = (server?, admin?);

    refuse_collisions(reading, listen.iter().chain([&admin]))?;
    let admin = Admin {
        listen: admin.value,
        socket,
        token,
    };
    Ok((server, admin))
}

/// A place to listen on: an address, or `unix:` and a path.
enum Listen {
    Address(SocketAddr),
    Socket(PathBuf),
}

impl Setting for Listen {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let Value::Text(text) = value else {
            return SocketAddr::read(value).map(Self::Address);
        };
        match text.strip_prefix("unix:") {
            Some("") => Err("is not a socket: write unix:PATH".into()),
            Some(path) => PathBuf::read(Value::Text(path)).map(Self::Socket),
            None => SocketAddr::read(value).map(Self::Address),
        }
    }
}

/// `socket_mode`: permissions in octal digits, as chmod takes them.
struct SocketMode(u32);

impl Setting for SocketMode {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a mode: write it in octal digits, such as \"0660\"";
        let mode = u32::from_str_radix(value.text(reason)?, 8).map_err(|_| reason)?;
        if mode > 0o777 {
            return Err(reason.into());
        }
        Ok(Self(mode))
    }
}

/// A network in CIDR notation; an address alone is a network of its own.
struct Network(IpNet);

impl Setting for Network {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a network: write ADDRESS/BITS, such as \"10.0.0.0/8\", or an address";
        let text = value.text(reason)?;
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| reason)?,
        };
        if network.trunc() != network {
            return Err("has bits behind its network: they would count for nothing".into());
        }
        Ok(Self(network))
    }
}

fn read_server(section: &mut Section<'_>) -> Result<(Vec<Placed<SocketAddr>>, Server), Reported> {
    let listen = section.list("listen");
    let socket_mode = section.or("socket_mode", SocketMode(0o660));
    let tls = section.table_list("tls", tls::read);
    let allow = section.list::<Network>("allow");
    let users = section.optional::<PathBuf>("users_file");
    let max_connections = section.or("max_connections", NonZeroUsize::MIN.saturating_add(4095));
    let per_client = section.or(
        "max_connections_per_client",
        NonZeroUsize::MIN.saturating_add(1023),
    );
    let shutdown_grace = section.or("shutdown_grace", Duration::from_secs(30));
    let min_send_rate = section.or("min_send_rate", Limit(Some(ByteSize::kib(1))));
    let rate_limited = section.or("rate_limited_status", RateLimited::Unavailable);
    let external_url = section.optional::<ExternalUrl>("external_url");
    let access_ttl = section.or("access_ttl", AccessTtl(Duration::from_mins(5)));
    let deny_ttl = section.or("deny_ttl", AccessTtl(Duration::from_secs(10)));

    let tls = tls?;
    let listen = listen?.unwrap_or_else(|| {
        let address = Listen::Address(SocketAddr::new(LOOPBACK, 5000));
        let place = section.place("listen");
        // Who says where TLS is spoken has not asked for a place where it is not.
        let given = tls.is_empty().then_some(address);
        let placed = |value| Placed { place, value };
        given.map(placed).into_iter().collect()
    });
    if listen.is_empty() && tls.is_empty() {
        return Err(section.error("listen", "names no address"));
    }
    let users = match users? {
        Some(path) => {
            let file = UsersFile(section.reading().resolve(&path));
            let read = file.content();
            read.map_err(|why| section.refuse("users_file", &why))?;
            Some(file)
        }
        None => None,
    };
    let (mut addresses, mut sockets) = (Vec::new(), Vec::new());
    for Placed { place, value } in listen {
        match value {
            Listen::Address(value) => addresses.push(Placed { place, value }),
            Listen::Socket(path) => sockets.push(section.reading().resolve(&path)),
        }
    }
    let server = Server {
        listen: addresses.iter().map(|address| address.value).collect(),
        sockets,
        socket_mode: socket_mode?.0,
        tls: tls.iter().map(|(_, listener)| listener.clone()).collect(),
        allow: allow?.into_iter().flatten().map(|it| it.value.0).collect(),
        users,
        max_connections: max_connections?.get(),
        max_connections_per_client: per_client?.get(),
        shutdown_grace: shutdown_grace?,
        min_send_rate: min_send_rate?.0,
        rate_limited: rate_limited?,
        external_url: external_url?.map(|url| url.0),
        access_ttl: access_ttl?.0,
        deny_ttl: deny_ttl?.0,
    };
    addresses.extend(tls.into_iter().flat_map(|(places, _)| places));
    Ok((addresses, server))
}

/// Reports each address that could not be listened on because an earlier one takes its port.
fn refuse_collisions<'a>(
    reading: &Reading<'_>,
    addresses: impl Iterator<Item = &'a Placed<SocketAddr>>,
) -> Result<(), Reported> {
    let mut outcome = Ok(());
    let mut taken: Vec<SocketAddr> = Vec::new();
    for Placed { place, value } in addresses {
        if let Some(earlier) = taken.iter().find(|earlier| collide(**earlier, *value)) {
            let message = if earlier == value {
                format!("{value} is listened on already")
            } else {
                format!("{value} takes the same port as {earlier}")
            };
            outcome = Err(reading.error(place, message));
        }
        taken.push(*value);
    }
    outcome
}

/// Whether one machine cannot listen on both: the same port, on the same address or with one of
/// them standing for every address of the family.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port()
        && a.port() != 0
        && a.is_ipv4() == b.is_ipv4()
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses_collide_on_one_port() {
        for (a, b, expected) in [
            ("127.0.0.1:5000", "127.0.0.1:5000", true),
            ("127.0.0.1:5000", "127.0.0.1:5001", false),
            ("127.0.0.1:5000", "127.0.0.2:5000", false),
            ("0.0.0.0:5000", "127.0.0.1:5000", true),
            ("[::1]:5000", "[::]:5000", true),
            ("0.0.0.0:5000", "[::1]:5000", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(collide(a, b), expected, "{a} {b}");
            assert_eq!(collide(b, a), expected, "{b} {a}");
        }
    }
}
