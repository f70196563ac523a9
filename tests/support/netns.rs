//! A network of our own, with nothing in it but loopback.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::process::{Part, run_well};

const IP: Part = Part {
    program: "ip",
    package: "iproute2",
};

/// A network namespace without any route. Deleted with it.
struct Namespace(String);

impl Namespace {
    async fn new() -> Self {
        let name = format!(
            "roadstead-{}-{}",
            std::process::id(),
            super::free_address().port()
        );
        run_well(ip(&["netns", "add", &name]), Duration::from_secs(20)).await;
        Self(name)
    }

    /// From now on this thread, and what it starts, is in it.
    fn enter(&self) {
        let file = File::open(format!("/run/netns/{}", self.0)).expect("the namespace");
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(file.as_fd(), kind).expect("a thread that may enter it");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "delete", &self.0]).status() {
            eprintln!("cannot delete the namespace {}: {error}", self.0);
        }
    }
}

fn ip(arguments: &[&str]) -> Command {
    let mut command = IP.command();
    command.args(arguments);
    command
}

/// Gives this address to the loopback of the network that this thread is in.
pub(crate) async fn owns(address: Ipv4Addr) {
    let add = ip(&["address", "add", &format!("{address}/32"), "dev", "lo"]);
    run_well(add, Duration::from_secs(20)).await;
}

/// Does `work` where there is no network: no route leads anywhere but to loopback, whatever is tried.
pub(crate) fn without_network<W: Future<Output = ()>>(work: impl FnOnce() -> W + Send + 'static) {
    // A thread of its own: the namespace is the thread's, and its runtime has no other.
    let thread = std::thread::spawn(|| {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().expect("a runtime")
        };
        let namespace = runtime().block_on(Namespace::new());
        namespace.enter();
        runtime().block_on(async {
            let up = ip(&["link", "set", "lo", "up"]);
            run_well(up, Duration::from_secs(20)).await;
            work().await;
        });
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
