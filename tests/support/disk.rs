//! Disks that are too small, read-only, broken, or slow.

use std::ffi::CString;
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_remount, unmount};
use tempfile::TempDir;

use super::mirror::Plan;
use super::shim::build;

/// The source of what is preloaded into the mirror.
const SHIM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/eio.c");

/// The source of what holds syncs.
const SYNCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/syncs.c");

/// Something mounted; dropping it unmounts it.
#[derive(Debug)]
pub(crate) struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// An empty file system in memory with room for so many bytes. `at` must exist.
    pub(crate) fn tmpfs(at: &Path, size: usize) -> Self {
        let options = CString::new(format!("size={size}")).expect("no zero byte");
        mount(
            "tmpfs",
            at,
            "tmpfs",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .unwrap_or_else(|error| panic!("cannot mount a tmpfs (as root it can be): {error}"));
        Self { at: at.to_owned() }
    }

    /// A folder as a mount of its own, with what is in it.
    pub(crate) fn itself(at: &Path) -> Self {
        mount_bind(at, at).unwrap_or_else(|error| {
            panic!("cannot mount {} (as root it can be): {error}", at.display())
        });
        Self { at: at.to_owned() }
    }

    /// From now on nothing can be written there. No file may be open for writing.
    pub(crate) fn make_read_only(&self) {
        mount_remount(&self.at, MountFlags::BIND | MountFlags::RDONLY, "")
            .expect("a mount that nobody writes to");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.at, UnmountFlags::DETACH) {
            eprintln!("cannot unmount {}: {error}", self.at.display());
        }
    }
}

/// A data folder on a disk on which writing fails at will.
#[derive(Debug)]
pub(crate) struct BreakableDisk {
    folder: TempDir,
}

impl BreakableDisk {
    /// Builds what it takes; the disk works.
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().expect("a folder for a disk");
        build(SHIM, &folder.path().join("eio.so")).await;
        Self { folder }
    }

    /// The mirror has its data on this disk.
    pub(crate) fn under(&self, plan: Plan) -> Plan {
        // What the process sees of its files are paths without links.
        let root = self.folder.path().canonicalize().expect("our folder");
        let data = root.join("data");
        plan.data_in(&data)
            .environment("LD_PRELOAD", root.join("eio.so"))
            .environment("EIO_BELOW", data)
            .environment("EIO_WHEN", self.switch())
    }

    /// From now on each write fails with EIO.
    pub(crate) fn break_down(&self) {
        File::create(self.switch()).expect("the switch");
    }

    /// From now on writes succeed again.
    pub(crate) fn recover(&self) {
        std::fs::remove_file(self.switch()).expect("the switch");
    }

    fn switch(&self) -> PathBuf {
        self.folder.path().join("broken")
    }
}

/// A disk whose syncs are held at will; all else is as quick as ever.
#[derive(Debug)]
pub(crate) struct SlowDisk {
    folder: TempDir,
}

impl SlowDisk {
    /// Builds what it takes; nothing is held.
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().expect("a folder for a library");
        build(SYNCS, &folder.path().join("syncs.so")).await;
        Self { folder }
    }

    /// The mirror has its data on this disk.
    pub(crate) fn under(&self, plan: Plan) -> Plan {
        plan.environment("LD_PRELOAD", self.folder.path().join("syncs.so"))
            .environment("SYNCS_HELD_BY", self.held_by())
    }

    /// From now on no sync ends.
    pub(crate) fn hold(&self) {
        File::create(self.held_by()).expect("a file that holds syncs");
    }

    /// They end, and so do those to come.
    pub(crate) fn release(&self) {
        std::fs::remove_file(self.held_by()).expect("the file that holds syncs");
    }

    fn held_by(&self) -> PathBuf {
        self.folder.path().join("held")
    }
}
