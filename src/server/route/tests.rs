//! Targets as clients write them, and what they come to.

use super::*;

fn namespaces() -> Namespaces {
    let names = [
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("ghcr.io", "ghcr.io"),
        ("reg.local:5000", "reg.local:5000"),
    ];
    let names = names.map(|(name, own)| (name.to_owned(), Arc::from(own)));
    let hosts = [
        ("hub.mirror.test", "docker.io"),
        ("ghcr.mirror.test:8443", "ghcr.io"),
    ];
    let hosts = hosts.map(|(host, own)| (host.to_owned(), Arc::from(own)));
    Namespaces::new(names, Some(Arc::from("docker.io"))).with_hosts(hosts)
}

fn told(target: &str) -> String {
    told_to("mirror.test:5000", target)
}

fn told_to(host: &str, target: &str) -> String {
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(p, q)| (p, Some(q)));
    match namespaces().route(Some(host), path, query) {
        Ok(route) => format!("{} {}", route.upstream, route.endpoint.path()),
        Err(error) => error.code().as_str().to_owned(),
    }
}

#[test]
fn item_07_08_10_every_form_of_address_reaches_the_same_object() {
    let hub = "docker.io /v2/library/alpine/manifests/3";
    for target in [
        "/v2/alpine/manifests/3",
        "/v2/library/alpine/manifests/3",
        "/v2/library/alpine/manifests/3?ns=docker.io",
        "/v2/library/alpine/manifests/3?x=1&ns=index.docker.io",
        "/v2/alpine/manifests/3?ns=registry-1.docker.io",
        "/v2/docker.io/library/alpine/manifests/3",
        "/docker.io/v2/library/alpine/manifests/3",
        "/docker.io/v2/alpine/manifests/3?ns=docker.io",
    ] {
        assert_eq!(told(target), hub, "{target}");
    }
    for target in [
        "/v2/o/r/manifests/3?ns=ghcr.io",
        "/v2/ghcr.io/o/r/manifests/3",
        "/ghcr.io/v2/o/r/manifests/3",
    ] {
        assert_eq!(told(target), "ghcr.io /v2/o/r/manifests/3", "{target}");
    }
    for target in [
        "/v2/r/tags/list?ns=reg.local:5000",
        "/v2/r/tags/list?ns=reg.local%3A5000",
        "/v2/reg.local:5000/r/tags/list",
        "/reg.local%3A5000/v2/r/tags/list",
    ] {
        assert_eq!(told(target), "reg.local:5000 /v2/r/tags/list", "{target}");
    }
}

#[test]
fn item_01_the_base_answers_with_and_without_a_prefix() {
    for target in [
        "/v2",
        "/v2/",
        "/v2?ns=docker.io",
        "/docker.io/v2/",
        "/v2/docker.io/",
    ] {
        assert_eq!(told(target), "docker.io /v2/", "{target}");
    }
}

#[test]
fn item_09_what_is_not_declared_or_contradicts_itself_is_refused() {
    for (target, code) in [
        ("/v2/a/b/manifests/1?ns=evil.example", "NAME_INVALID"),
        ("/v2/a/b/manifests/1?ns=169.254.169.254", "NAME_INVALID"),
        ("/v2/a/b/manifests/1?ns=", "NAME_INVALID"),
        ("/v2/ghcr.io/a/b/manifests/1?ns=docker.io", "NAME_INVALID"),
        ("/evil.example/v2/a/b/manifests/1", "NAME_INVALID"),
        ("/v2/evil.example/a/b/manifests/1", "NAME_INVALID"),
        ("/v2/a/b/manifests/.latest", "MANIFEST_UNKNOWN"),
        ("/", "NAME_UNKNOWN"),
        ("/v1/_ping", "NAME_UNKNOWN"),
        ("/v2x/a", "NAME_UNKNOWN"),
        ("//v2/", "NAME_UNKNOWN"),
    ] {
        assert_eq!(told(target), code, "{target}");
    }
}

#[test]
fn without_a_default_a_name_is_needed() {
    let one = Namespaces::new([("ghcr.io".to_owned(), Arc::from("ghcr.io"))], None);
    assert_eq!(
        one.route(None, "/v2/a/tags/list", None),
        Err(RouteError::NoDefault)
    );
    assert!(
        one.route(None, "/v2/a/tags/list", Some("ns=ghcr.io"))
            .is_ok()
    );
    assert_eq!(
        one.route(None, "/v2/", None).map(|route| route.endpoint),
        Ok(Endpoint::Base)
    );
}

#[test]
fn item_07_a_host_that_names_an_upstream_is_one_more_address() {
    for host in [
        "ghcr.io",
        "GHCR.io:443",
        "ghcr.io.",
        "ghcr.io.:5000",
        "ghcr.mirror.test:8443",
    ] {
        for target in [
            "/v2/o/r/manifests/3",
            "/v2/o/r/manifests/3?ns=ghcr.io",
            "/v2/ghcr.io/o/r/manifests/3",
            "/ghcr.io/v2/o/r/manifests/3",
        ] {
            let told = told_to(host, target);
            assert_eq!(told, "ghcr.io /v2/o/r/manifests/3", "{host} {target}");
        }
    }
    let hub = "docker.io /v2/library/alpine/manifests/3";
    for host in [
        "registry-1.docker.io",
        "hub.mirror.test",
        "hub.mirror.test:80",
    ] {
        assert_eq!(told_to(host, "/v2/alpine/manifests/3"), hub, "{host}");
    }
    let local = "reg.local:5000 /v2/r/tags/list";
    assert_eq!(told_to("reg.local:5000", "/v2/r/tags/list"), local);
}

#[test]
fn item_09_a_host_that_names_nobody_means_nothing_and_one_that_contradicts_is_refused() {
    // A port that was declared counts: without it, or with another, the name is not the declared one.
    for host in [
        "mirror.test",
        "reg.local",
        "reg.local:80",
        "ghcr.mirror.test",
        "[::1]:5000",
        "[::1]",
        "evil.example",
        "169.254.169.254",
        "",
        ":",
        "ghcr.io..",
        "user@ghcr.io",
    ] {
        let told = told_to(host, "/v2/o/r/manifests/3");
        assert_eq!(told, "docker.io /v2/o/r/manifests/3", "{host}");
    }
    for (host, target) in [
        ("ghcr.io", "/v2/o/r/manifests/3?ns=docker.io"),
        ("ghcr.io", "/v2/docker.io/o/r/manifests/3"),
        ("hub.mirror.test", "/ghcr.io/v2/o/r/manifests/3"),
        ("hub.mirror.test", "/ghcr.io/v2/o/r/manifests/3?ns=ghcr.io"),
        ("ghcr.io", "/v2/o/r/manifests/3?ns=evil.example"),
    ] {
        assert_eq!(told_to(host, target), "NAME_INVALID", "{host} {target}");
    }
    // A host is no name for the path or the query.
    assert_eq!(
        told("/v2/o/r/manifests/3?ns=hub.mirror.test"),
        "NAME_INVALID"
    );
}

#[test]
fn a_host_stands_in_for_the_default() {
    let one = Namespaces::new([("ghcr.io".to_owned(), Arc::from("ghcr.io"))], None);
    let route = |host| one.route(host, "/v2/a/tags/list", None);
    assert_eq!(route(Some("mirror.test")), Err(RouteError::NoDefault));
    assert!(route(Some("ghcr.io:5000")).is_ok());
}
