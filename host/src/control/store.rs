//! The runtime directory: what the next host needs to know of this one.
//!
//! Owns the files. `state.json` is what is on the card; `state.next.json` exists while a plan is carried out, and is then what shall be
//! there. Both are written beside and renamed, so a reader sees a whole file or none.

use std::io;
use std::path::{Path, PathBuf};

use super::state::State;

/// The runtime directory.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Uses `folder`, which is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self::at(folder))
    }

    /// Looks at `folder`, which need not exist.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The file of the connection table.
    #[must_use]
    pub fn connections(&self) -> PathBuf {
        self.folder.join("connections")
    }

    /// The state that the card is in, when a host has recorded one.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.read("state.json")
    }

    /// The state that a host was bringing the card to when it ended.
    #[must_use]
    pub fn next_state(&self) -> Option<State> {
        self.read("state.next.json")
    }

    /// Notes what is going to be on the card.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn begin(&self, next: &State) -> io::Result<()> {
        self.write("state.next.json", next.to_json().as_bytes())
    }

    /// Notes that it is there.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn commit(&self) -> io::Result<()> {
        std::fs::rename(
            self.folder.join("state.next.json"),
            self.folder.join("state.json"),
        )
    }

    /// Publishes what the host is doing.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write_status(&self, status: &serde_json::Value) -> io::Result<()> {
        self.write("status.json", format!("{status:#}\n").as_bytes())
    }

    /// Where [`Store::write_status`] writes.
    #[must_use]
    pub fn status(&self) -> PathBuf {
        self.folder.join("status.json")
    }

    fn read(&self, name: &str) -> Option<State> {
        let text = std::fs::read_to_string(self.folder.join(name)).ok()?;
        State::from_json(&text)
            .inspect_err(|error| tracing::warn!(%error, "{name} is not used"))
            .ok()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let beside = self.folder.join(format!(".{name}.new"));
        std::fs::write(&beside, bytes)?;
        std::fs::rename(beside, self.folder.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_replaces_the_state_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("deep/er")).unwrap();
        assert_eq!((store.state(), store.next_state()), (None, None));
        store.begin(&State::default()).unwrap();
        assert_eq!(
            (store.state(), store.next_state()),
            (None, Some(State::default()))
        );
        store.commit().unwrap();
        assert_eq!(
            (store.state(), store.next_state()),
            (Some(State::default()), None)
        );
    }
}
