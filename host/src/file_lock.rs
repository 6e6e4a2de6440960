//! A file's lock, which one process has for as long as it has the file open.
//!
//! Owns the patience: who only asks whether the lock is taken has it for an instant, as has a child of its owner between fork and exec.

use std::fs::File;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// How often the lock is tried again.
const TRIES: u32 = 20;
/// How long after the last try.
const PAUSE: Duration = Duration::from_millis(5);

/// Takes the lock; dropping the file gives it back.
///
/// # Errors
/// [`Errno::WOULDBLOCK`] when another process has it for longer than an instant; others when the file system has no locks.
pub fn take(file: &File) -> Result<(), Errno> {
    attempt(file, FlockOperation::NonBlockingLockExclusive)
}

/// Whether somebody has taken it, for longer than an instant.
#[must_use]
pub fn is_taken(file: &File) -> bool {
    let shared = attempt(file, FlockOperation::NonBlockingLockShared);
    if shared.is_ok() {
        // had by asking only: who cannot give it back gives it back by closing the file
        let _ = rustix::fs::flock(file, FlockOperation::Unlock);
    }
    shared == Err(Errno::WOULDBLOCK)
}

fn attempt(file: &File, operation: FlockOperation) -> Result<(), Errno> {
    let mut tries = TRIES;
    loop {
        match rustix::fs::flock(file, operation) {
            Err(Errno::WOULDBLOCK) if tries > 0 => tries -= 1,
            result => return result,
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_waited_for_an_instant_and_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let open = || File::create(folder.path().join("lock")).unwrap();
        let first = open();
        take(&first).unwrap();
        assert!(is_taken(&open()));
        assert_eq!(take(&open()), Err(Errno::WOULDBLOCK));
        let soon = std::thread::spawn(move || {
            std::thread::sleep(PAUSE);
            drop(first);
        });
        take(&open()).unwrap();
        soon.join().unwrap();
        assert!(!is_taken(&open()));
    }
}
