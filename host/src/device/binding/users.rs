//! Which programs have a card open, by what `/proc` shows of their files. Opens nothing itself: that could be in a program's way.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A program that has a device node open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct User {
    /// Its process.
    pub pid: u32,
    /// What it is called.
    pub name: String,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// The programs that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// Those found, by process.
    pub found: Vec<User>,
    /// Whether all processes could be looked at: only root can.
    pub all_seen: bool,
}

impl Users {
    /// Looks for those who have any of `nodes` open. `processes` is `/proc`.
    #[must_use]
    pub fn of(processes: &Path, nodes: &[PathBuf]) -> Self {
        let mut users = Self {
            found: Vec::new(),
            all_seen: true,
        };
        let entries = match std::fs::read_dir(processes) {
            Ok(entries) => entries,
            Err(_) => return Self::default(),
        };
        for entry in entries.flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            match holds_one(&entry.path().join("fd"), nodes) {
                Ok(true) => users.found.push(User {
                    pid,
                    name: std::fs::read_to_string(entry.path().join("comm"))
                        .map_or_else(|_| "a program".to_owned(), |name| name.trim().to_owned()),
                }),
                Ok(false) => {}
                Err(error) => {
                    users.all_seen &= error.kind() != io::ErrorKind::PermissionDenied;
                }
            }
        }
        users.found.sort();
        users
    }
}

fn holds_one(descriptors: &Path, nodes: &[PathBuf]) -> io::Result<bool> {
    for entry in std::fs::read_dir(descriptors)? {
        // closed since the folder was read
        let Ok(target) = std::fs::read_link(entry?.path()) else {
            continue;
        };
        if nodes.contains(&target) {
            return Ok(true);
        }
    }
    Ok(false)
}
