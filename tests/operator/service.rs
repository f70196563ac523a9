//! The mirror as a service of systemd.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::mirror::{Plan, roadstead};
use crate::support::process::{run, said};
use crate::support::registry::Access;
use crate::support::upstream::Upstream;

const PATIENCE: Duration = Duration::from_secs(30);

fn unit() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/roadstead.service");
    std::fs::read_to_string(file).unwrap()
}

/// systemd is not on every machine that can run the other tests; where it is, it has no complaint.
#[tokio::test]
async fn systemd_understands_the_unit() {
    match Command::new("systemd-analyze").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("systemd-analyze is not here: the unit is not checked");
            return;
        }
        Err(error) => panic!("systemd-analyze: {error}"),
        Ok(_) => {}
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roadstead.service");
    // It must name a program that is there.
    let program = roadstead().get_program().to_str().unwrap().to_owned();
    let text = unit().replace("/usr/local/bin/roadstead", &program);
    assert!(text.contains(&program));
    std::fs::write(&file, text).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(&file);
    let output = run(verify, PATIENCE).await;
    let complaints = said(&output);
    let own = complaints.lines().filter(|it| it.contains("roadstead"));
    assert_eq!(own.collect::<Vec<_>>(), [] as [&str; 0]);
    assert!(output.status.success(), "{complaints}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told_when_it_serves_and_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let upstream = Upstream::start(Access::Open).await;
    let plan = Plan::of(&upstream.tap).environment("NOTIFY_SOCKET", &path);
    let mut mirror = plan.start().await;
    assert_eq!(heard(), "READY=1");
    mirror.stop();
    assert_eq!(heard(), "STOPPING=1");
}
