//! A VFIO group's device node: is it there, and who may open it.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Bits of a mode that say who may open a node for reading and writing: its group, everybody.
const OTHERS: u32 = 0o066;

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it is.
    pub path: PathBuf,
    /// Its user's number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
    /// Its permissions.
    pub mode: u32,
}

impl Node {
    /// Looks at the node of `group` in the folder of nodes; `None`: there is none.
    #[must_use]
    pub fn of_group(nodes: &Path, group: u32) -> Option<Self> {
        let path = nodes.join(group.to_string());
        let metadata = std::fs::metadata(&path).ok()?;
        Some(Self {
            path,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode() & 0o7777,
        })
    }

    /// Whether nobody but root can open it.
    #[must_use]
    pub fn is_for_root_only(&self) -> bool {
        self.uid == 0 && self.mode & OTHERS == 0
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: user {}, group {}, mode {:04o}",
            self.path.display(),
            self.uid,
            self.gid,
            self.mode
        )
    }
}
