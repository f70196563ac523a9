//! Who is let in, over what, and how upstreams are reached.

use super::*;

/// A folder with two certificates, their keys, and a file of users.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    for name in ["a", "b"] {
        let made = rcgen::generate_simple_self_signed([format!("{name}.example")]).unwrap();
        write(&format!("{name}.pem"), &made.cert.pem());
        write(&format!("{name}.key"), &made.signing_key.serialize_pem());
    }
    write("users", &format!("bob:$2y$05${}\n", "u".repeat(53)));
    write("plain", "bob:hunter2\n");
    write("empty", "");
    folder
}

/// What is wrong with [`MINIMAL`] followed by `text`, in that folder, without its path.
fn faults_in(folder: &tempfile::TempDir, text: &str) -> Vec<String> {
    let text = format!("{MINIMAL}{text}");
    let errors = Config::parse(&text, folder.path()).map(|_| ());
    let Err(errors) = errors else {
        return Vec::new();
    };
    let told = errors
        .iter()
        .map(|fault| format!("{}: {}", fault.path, fault.message));
    told.collect()
}

#[test]
fn listeners_and_their_clients_are_read() {
    let folder = folder();
    let text = format!(
        "{MINIMAL}{}",
        r#"
        [server]
        listen = ["127.0.0.1:0", "unix:run/socket"]
        socket_mode = "600"
        allow = ["10.0.0.0/8", "::1"]
        users_file = "users"
        max_connections_per_client = 7
        [[server.tls]]
        listen = ["[::1]:5443"]
        certificate = "a.pem"
        key = "a.key"
        [[server.tls]]
        listen = ["127.0.0.1:5443"]
        certificate = "a.pem"
        key = "a.key"
        client_ca = "b.pem"
        "#
    );
    let config = Config::parse(&text, folder.path()).unwrap();
    let server = config.server();
    assert_eq!(server.listen, ["127.0.0.1:0".parse().unwrap()]);
    assert_eq!(server.sockets, [folder.path().join("run/socket")]);
    assert_eq!(server.socket_mode, 0o600);
    assert_eq!(server.max_connections_per_client, 7);
    let allow: Vec<_> = server.allow.iter().map(ToString::to_string).collect();
    assert_eq!(allow, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(server.users.as_ref().unwrap().read().unwrap()[0].0, "bob");
    let [open, closed] = server.tls.as_slice() else {
        panic!("two listeners: {server:?}");
    };
    assert_eq!(open.files.read().unwrap().client_roots, None);
    assert_eq!(closed.files.read().unwrap().client_roots.unwrap().len(), 1);
    assert!(!format!("{config:?}").contains("PRIVATE"));
}

#[test]
fn who_speaks_tls_need_not_speak_anything_else() {
    let folder = folder();
    let text =
        "[[server.tls]]\nlisten = [\"127.0.0.1:5443\"]\ncertificate = \"a.pem\"\nkey = \"a.key\"";
    let config = Config::parse(&format!("{MINIMAL}{text}"), folder.path()).unwrap();
    assert_eq!(config.server().listen, []);
}

#[test]
fn what_cannot_be_served_is_told_with_its_key() {
    let folder = folder();
    let tls = |certificate: &str, key: &str| {
        let text = format!(
            "[[server.tls]]\nlisten = [\"127.0.0.1:5001\"]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n"
        );
        faults_in(&folder, &text)
    };
    for (faults, expected) in [
        (
            tls("b.pem", "a.key"),
            "server.tls[0].key: \"a.key\" does not go with its certificate: ",
        ),
        (
            tls("none.pem", "a.key"),
            "server.tls[0].certificate: \"none.pem\" cannot be read: ",
        ),
        (
            tls("a.key", "a.key"),
            "server.tls[0].certificate: \"a.key\" holds no certificate",
        ),
        (
            tls("a.pem", "a.pem"),
            "server.tls[0].key: \"a.pem\" holds no private key",
        ),
        (
            tls("a.pem", "a.key"),
            "admin.listen: 127.0.0.1:5001 is listened on already",
        ),
        (
            faults_in(&folder, "server.users_file = \"plain\""),
            "server.users_file: \"plain\" line 1: has no bcrypt hash",
        ),
        (
            faults_in(&folder, "server.users_file = \"empty\""),
            "server.users_file: \"empty\" names no user",
        ),
        (
            faults_in(&folder, "server.allow = [\"10.0.0.0/33\"]"),
            "server.allow[0]: \"10.0.0.0/33\" is not a network: ",
        ),
        (
            faults_in(&folder, "server.allow = [\"10.0.0.1/8\"]"),
            "server.allow[0]: \"10.0.0.1/8\" has bits behind its network: ",
        ),
        (
            faults_in(&folder, "server.listen = [\"unix:\"]"),
            "server.listen[0]: \"unix:\" is not a socket: ",
        ),
        (
            faults_in(&folder, "server.socket_mode = \"0999\""),
            "server.socket_mode: \"0999\" is not a mode: ",
        ),
    ] {
        let [fault] = faults.as_slice() else {
            panic!("one fault, {expected}: {faults:?}");
        };
        assert!(fault.starts_with(expected), "{fault}");
    }
}

#[test]
fn an_upstream_has_its_own_trust_way_and_repositories() {
    let folder = folder();
    let text = format!(
        "{MINIMAL}{}",
        r#"
        [upstreams."ghcr.io"]
        url = "https://ghcr.io"
        ca = "b.pem"
        client_certificate = "a.pem"
        client_key = "a.key"
        proxy = "http://bob:hunter2@127.0.0.1:3128"
        allow = ["library/*"]
        deny = ["*/evil"]
        "#
    );
    let config = Config::parse(&text, folder.path()).unwrap();
    let [_, ghcr] = config.upstreams() else {
        panic!("two upstreams");
    };
    assert_eq!(ghcr.tls.roots.len(), 1);
    assert!(ghcr.tls.identity.is_some() && !ghcr.tls.insecure);
    assert!(ghcr.repositories.permit(&"library/a".parse().unwrap()));
    assert!(!ghcr.repositories.permit(&"library/evil".parse().unwrap()));
    assert!(!format!("{ghcr:?}").contains("hunter2"), "{ghcr:?}");
}

#[test]
fn trust_that_cannot_be_had_is_told_with_its_key() {
    let folder = folder();
    let faults = |scheme: &str, lines: &str| {
        let text = format!("[upstreams.\"ghcr.io\"]\nurl = \"{scheme}://ghcr.io\"\n{lines}");
        faults_in(&folder, &text)
    };
    for (scheme, lines, expected) in [
        (
            "https",
            "ca = \"a.key\"",
            "ca: \"a.key\" holds no certificate",
        ),
        (
            "http",
            "ca = \"a.pem\"",
            "ca: is only read when the URL begins with https",
        ),
        (
            "http",
            "insecure = true",
            "insecure: is only read when the URL begins with https",
        ),
        (
            "https",
            "client_key = \"a.key\"",
            "client_certificate: is missing",
        ),
        (
            "https",
            "client_certificate = \"a.pem\"",
            "client_key: is missing",
        ),
        (
            "https",
            "client_certificate = \"a.pem\"\nclient_key = \"b.key\"",
            "client_key: \"b.key\" does not go with its certificate: ",
        ),
        (
            "https",
            "proxy = \"socks5://bob:hunter2@a\"",
            "proxy: is not a proxy: write http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT",
        ),
    ] {
        let faults = faults(scheme, lines);
        let [fault] = faults.as_slice() else {
            panic!("one fault, {expected}: {faults:?}");
        };
        let expected = format!("upstreams.\"ghcr.io\".{expected}");
        assert!(fault.starts_with(&expected), "{fault}");
        assert!(!fault.contains("hunter2"));
    }
}
