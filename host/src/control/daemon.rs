//! The daemon that runs in a runtime directory, as other commands see it.
//!
//! Owns finding out whether one runs, and what it says. Commands that touch a card ask here first.

use std::fs::File;
use std::path::Path;

use serde_json::Value;

use super::store::Store;
use crate::device::DeviceAddress;
use crate::file_lock;

/// A running daemon.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// What it last published ([`Store::status`]); `Null` before the first time.
    pub status: Value,
}

impl Daemon {
    /// The daemon of a runtime directory; `None` when none runs there.
    #[must_use]
    pub fn of(runtime_dir: &Path) -> Option<Self> {
        let store = Store::at(runtime_dir);
        let file = File::open(store.connections()).ok()?;
        if !file_lock::is_taken(&file) {
            return None;
        }
        let status = std::fs::read_to_string(store.status()).ok();
        Some(Self {
            status: status
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
        })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Option<u64> {
        self.status["pid"].as_u64()
    }

    /// What it calls its card.
    #[must_use]
    pub fn device(&self) -> Option<&str> {
        self.status["device"].as_str()
    }

    /// Whether the card at `address` is its own.
    #[must_use]
    pub fn serves(&self, address: &DeviceAddress) -> bool {
        let place = match address {
            DeviceAddress::Sim => return false,
            DeviceAddress::VfioUser(path) => path.display().to_string(),
            DeviceAddress::Vfio(place) => place.to_string(),
        };
        // a card's name ends with its place
        self.device().is_some_and(|name| name.ends_with(&place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slow_path::connections::Connections;

    #[test]
    fn a_daemon_is_one_as_long_as_it_has_the_connection_table() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Daemon::of(folder.path()).is_none());
        let store = Store::open(folder.path()).unwrap();
        let (connections, _) = Connections::open(&store.connections()).unwrap();
        assert_eq!(Daemon::of(folder.path()).unwrap().pid(), None);
        let status = serde_json::json!({ "pid": 7, "device": "the card vfio:0000:3b:00.0" });
        store.write_status(&status).unwrap();
        let daemon = Daemon::of(folder.path()).unwrap();
        assert_eq!(daemon.pid(), Some(7));
        for (address, serves) in [
            ("vfio:0000:3b:00.0", true),
            ("vfio:0000:3b:00.1", false),
            ("vfio-user:/run/card.sock", false),
            ("sim", false),
        ] {
            assert_eq!(
                daemon.serves(&address.parse().unwrap()),
                serves,
                "{address}"
            );
        }
        drop(connections);
        assert!(Daemon::of(folder.path()).is_none());
    }
}
