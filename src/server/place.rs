//! Where a listener is: an address, or a socket in the file system.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, chmod, mkdir, rename, rmdir, stat, unlink};
use rustix::io::Errno;

/// Where a listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address; with port 0 the kernel chooses one.
    Address(SocketAddr),
    /// A socket in the file system, and the mode of its file.
    Socket(PathBuf, u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path, _) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that is bound, and what it leaves behind.
pub(super) struct Claimed {
    pub(super) place: Place,
    pub(super) socket: OwnedFd,
    pub(super) file: Option<SocketFile>,
}

impl Place {
    /// Binds the place and listens.
    pub(super) fn claim(&self) -> io::Result<Claimed> {
        match self {
            Self::Address(address) => {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok(Claimed {
                    place: Self::Address(listener.local_addr()?),
                    socket: listener.into(),
                    file: None,
                })
            }
            Self::Socket(path, mode) => {
                refuse_taken(path)?;
                let listener = bind(path, Mode::from_raw_mode(*mode))?;
                listener.set_nonblocking(true)?;
                Ok(Claimed {
                    place: self.clone(),
                    socket: listener.into(),
                    file: SocketFile::of(path).ok(),
                })
            }
        }
    }
}

/// Fails if something is at `path` that must stay: a socket that somebody listens on, or another kind of file. A
/// socket that nobody listens on was left behind by a process that did not end well.
fn refuse_taken(path: &Path) -> io::Result<()> {
    let found = match stat(path) {
        Err(Errno::NOENT) => return Ok(()),
        found => found?,
    };
    if FileType::from_raw_mode(found.st_mode) != FileType::Socket {
        let reason = "there is a file, and it is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, reason));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
    }
}

/// Binds a socket that never was at `path` with another mode: it is made in a folder that nobody else can enter, and
/// then moved to its place, over what was left there.
fn bind(path: &Path, mode: Mode) -> io::Result<UnixListener> {
    let above = path.parent().unwrap_or(Path::new("."));
    let folder = above.join(format!(".{}", std::process::id()));
    mkdir(&folder, Mode::RWXU)?;
    let hidden = folder.join("s");
    let bound = UnixListener::bind(&hidden).and_then(|listener| {
        chmod(&hidden, mode)?;
        rename(&hidden, path)?;
        Ok(listener)
    });
    // What is left of a failure is the socket; of a success, the folder.
    let _ = unlink(&hidden);
    let _ = rmdir(&folder);
    bound
}

/// A socket's file, which goes with its listener: unless another one has taken its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _ = unlink(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = stat(path)?;
    Ok((found.st_dev, found.st_ino))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn mode(path: &Path) -> u32 {
        stat(path).unwrap().st_mode & 0o7777
    }

    #[test]
    fn a_socket_has_its_mode_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let place = Place::Socket(path.clone(), 0o660);
        let claimed = place.claim().unwrap();
        assert_eq!(mode(&path), 0o660);
        UnixStream::connect(&path).unwrap();
        // Nothing else is left in the folder.
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        drop(claimed);
        assert!(stat(&path).is_err());
    }

    #[test]
    fn only_a_socket_that_nobody_listens_on_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let place = Place::Socket(path.clone(), 0o600);
        let kind = || place.claim().err().unwrap().kind();

        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        drop(place.claim().unwrap());

        tempfile::NamedTempFile::new_in(folder.path())
            .unwrap()
            .persist(&path)
            .unwrap();
        assert_eq!(kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn the_file_of_another_listener_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let first = Place::Socket(path.clone(), 0o660).claim().unwrap();
        unlink(&path).unwrap();
        let _another = UnixListener::bind(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
    }
}
