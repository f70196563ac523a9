//! Real clients pull over TLS when they have been told whom to believe, and not otherwise.

use std::net::SocketAddr;
use std::time::Duration;

use super::Encrypted;
use crate::support::clients::{Client, Docker, Podman, Skopeo};
use crate::support::images::{Format, Layout, missing};
use crate::support::netns::{owns, without_network};
use crate::support::process::{Part, run, run_well};
use crate::support::{digest, free_address, noise};

const CURL: Part = Part {
    program: "curl",
    package: "curl",
};
const PATIENCE: Duration = Duration::from_mins(1);
/// An address that is nobody's (RFC 5737), and not loopback, where docker believes everybody.
const QUAY: [u8; 4] = [198, 51, 100, 1];

async fn pushed(harbour: &Encrypted) -> Layout {
    let image = Layout::image(31, &[300_000, 10]);
    let registry = &harbour.upstream.registry;
    registry
        .push(&image, "library/ship", "1", Format::Oci)
        .await;
    image
}

#[test]
fn docker_pulls_over_tls_from_whom_it_was_told_to_believe_and_from_nobody_else() {
    without_network(|| async {
        owns(QUAY.into()).await;
        let port = || SocketAddr::from((QUAY, free_address().port()));
        let (believed, doubted) = (port(), port());
        let harbour = Encrypted::start(&[believed, doubted]).await;
        let image = pushed(&harbour).await;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let pem = harbour.authority.pem();
        let docker = Docker::believing(nowhere, believed, &pem).await;

        let (could, said) = docker
            .try_pull(&format!("{doubted}/docker.io/library/ship:1"))
            .await;
        assert!(!could && said.contains("x509"), "{said}");
        for state in ["cold", "cached"] {
            let reference = format!("{believed}/docker.io/library/ship:1");
            let (could, said) = docker.try_pull(&reference).await;
            assert!(could, "{state}: {said}");
            let lacks = missing(image.layers(), &docker.holds(&reference).await).len();
            assert_eq!(lacks, 0, "{state}");
            docker.forget(&reference).await;
        }
        let blob = &image.layers()[0].blob;
        assert_eq!(harbour.upstream.tap.blobs()[blob].gets, 1);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_and_skopeo_pull_over_tls_from_whom_they_were_told_to_believe() {
    let address = free_address();
    let harbour = Encrypted::start(&[address]).await;
    let image = pushed(&harbour).await;
    let authority = harbour.folder.path().join("ca");
    let (podman, skopeo) = (Podman::new(address), Skopeo::new(address));
    let reference = format!("localhost:{}/docker.io/library/ship:1", address.port());
    for state in ["cold", "cached"] {
        let (could, said) = podman.pull_believing(None, &reference).await;
        assert!(!could && said.contains("x509"), "{state}: {said}");
        let (could, said) = podman.pull_believing(Some(&authority), &reference).await;
        assert!(could, "{state}: {said}");
        assert!(missing(image.layers(), &podman.holds(&reference).await).is_empty());
        podman.forget(&reference).await;

        let (could, said) = skopeo.copy_believing(None, &reference).await;
        assert!(!could && said.contains("x509"), "{state}: {said}");
        let (could, said) = skopeo.copy_believing(Some(&authority), &reference).await;
        assert!(could, "{state}: {said}");
        assert!(missing(image.layers(), &skopeo.holds(&reference).await).is_empty());
        skopeo.forget(&reference).await;
    }
    let blob = &image.layers()[0].blob;
    assert_eq!(harbour.upstream.tap.blobs()[blob].gets, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_the_same_over_both_protocols_by_curl() {
    let address = free_address();
    let harbour = Encrypted::start(&[address]).await;
    let bytes = noise(32, 1_000_000);
    let blob = harbour
        .upstream
        .registry
        .push_blob("library/ship", &bytes)
        .await;
    let url = format!(
        "https://localhost:{}/v2/library/ship/blobs/{blob}",
        address.port()
    );
    let told = "%{http_version} %{response_code} %header{cache-status} %header{content-length}";
    let mut cold = true;
    for (protocol, version) in [("--http1.1", "1.1"), ("--http2", "2"), ("--http1.1", "1.1")] {
        for (more, status, expected) in [
            (&[][..], 200, &bytes[..]),
            (&["-r", "70000-169999"], 206, &bytes[70_000..170_000]),
            (&["-I"], 200, &[]),
        ] {
            let file = harbour.folder.path().join("got");
            let mut curl = CURL.command();
            curl.args(["-sS", protocol, "-w", told, "--cacert"]);
            curl.arg(harbour.folder.path().join("ca/ca.crt"));
            // With -I the head is what would be written.
            let output = if more == ["-I"] {
                "/dev/null".into()
            } else {
                file.clone()
            };
            curl.arg("-o").arg(output).args(more).arg(&url);
            let said = run_well(curl, PATIENCE).await.stdout;
            let said = String::from_utf8(said).unwrap();
            let outcome = if cold { "fwd=miss" } else { "hit" };
            let length = if more == ["-I"] {
                bytes.len()
            } else {
                expected.len()
            };
            assert!(said.starts_with(&format!("{version} {status} ")), "{said}");
            assert!(
                said.contains(outcome) && said.ends_with(&format!(" {length}")),
                "{said}"
            );
            if more != ["-I"] {
                let got = std::fs::read(&file).unwrap();
                assert_eq!(digest(&got), digest(expected), "{protocol} {more:?}");
            }
            harbour.mirror.rests(PATIENCE).await;
            cold = false;
        }
    }
    assert_eq!(harbour.upstream.tap.blobs()[&blob].gets, 1);
    let mut stranger = CURL.command();
    stranger.args(["-sS", "-o", "/dev/null"]).arg(&url);
    // That it believes nobody of this name (curl(1), "EXIT CODES").
    assert_eq!(run(stranger, PATIENCE).await.status.code(), Some(60));
}
