//! A listening socket that replaces a dead one's file and removes its own.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Why a socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens.
    #[error("{path} is in use by a running process: stop it, or choose another {option}")]
    InUse {
        /// The socket.
        path: PathBuf,
        /// The option that named it.
        option: &'static str,
    },
    /// Something else has that name.
    #[error("{path} exists and is not a socket: choose another {option}")]
    NotASocket {
        /// The file.
        path: PathBuf,
        /// The option that named it.
        option: &'static str,
    },
    /// The system's error.
    #[error(
        "cannot listen on {path}: {error} (does the folder exist, and is the path shorter than 108 bytes?)"
    )]
    Io {
        /// The socket.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
}

/// A non-blocking listening socket.
#[derive(Debug)]
pub struct ListeningSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ListeningSocket {
    /// Listens on `path`; a socket that nobody listens on any more is replaced. `option` is what named it.
    ///
    /// # Errors
    /// When another process listens there, something else has that name, or the system refuses.
    pub fn bind(path: &Path, option: &'static str) -> Result<Self, BindError> {
        let failed = |error| BindError::Io {
            path: path.to_owned(),
            error,
        };
        if let Ok(metadata) = fs::symlink_metadata(path) {
            if !metadata.file_type().is_socket() {
                return Err(BindError::NotASocket {
                    path: path.to_owned(),
                    option,
                });
            }
            if UnixStream::connect(path).is_ok() {
                return Err(BindError::InUse {
                    path: path.to_owned(),
                    option,
                });
            }
            fs::remove_file(path).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// The next connection, if one waits.
    #[must_use]
    pub fn accept(&self) -> Option<UnixStream> {
        match self.listener.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => {
                tracing::warn!(socket = %self.path.display(), %error, "cannot accept a connection");
                None
            }
        }
    }

    /// The descriptor to poll.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ListeningSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_socket_is_replaced_a_live_one_and_a_file_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let socket = ListeningSocket::bind(&path, "--socket").unwrap();
        let again = ListeningSocket::bind(&path, "--socket").unwrap_err();
        assert!(matches!(again, BindError::InUse { .. }), "{again}");
        drop(socket);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(
            ListeningSocket::bind(&path, "--socket"),
            Err(BindError::NotASocket { .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        assert!(matches!(
            ListeningSocket::bind(&folder.path().join("no/x"), "--socket"),
            Err(BindError::Io { .. })
        ));
    }
}
