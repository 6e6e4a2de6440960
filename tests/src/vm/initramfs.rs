//! The guest's file system: an archive that the kernel unpacks into memory.
//!
//! Owns the archive's format (cpio "newc", as `Documentation/driver-api/early-userspace/buffer-format.rst` of Linux has it) and which
//! libraries a dynamic program needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

/// What the archive will hold, by path without the first slash.
#[derive(Debug, Default)]
pub struct Initramfs {
    entries: BTreeMap<PathBuf, (u32, Vec<u8>)>,
}

impl Initramfs {
    /// Adds a folder, with those above it.
    pub fn folder(&mut self, path: &str) {
        for folder in Path::new(path.trim_start_matches('/')).ancestors() {
            if folder != Path::new("") {
                self.entries
                    .entry(folder.to_owned())
                    .or_insert((DIRECTORY, Vec::new()));
            }
        }
    }

    /// Adds a file of these bytes.
    pub fn file(&mut self, path: &str, bytes: Vec<u8>) {
        self.add(path, FILE, bytes);
    }

    /// Adds a dynamic program under `path`, without its debug information, and the libraries that it needs where it looks for them.
    ///
    /// # Errors
    /// When a file cannot be read, or a library is not there.
    pub fn program(&mut self, path: &str, source: &Path) -> Result<()> {
        for library in libraries(source)? {
            let bytes = fs::read(&library).with_context(|| library.display().to_string())?;
            self.add(&library.to_string_lossy(), PROGRAM, bytes);
        }
        self.add(path, PROGRAM, stripped(source)?);
        Ok(())
    }

    fn add(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        let path = path.trim_start_matches('/');
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder);
        }
        self.entries.insert(path.into(), (mode, bytes));
    }

    /// The archive.
    #[must_use]
    pub fn archive(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut number = 0;
        for (path, (mode, bytes)) in &self.entries {
            number += 1;
            entry(&mut out, number, &path.to_string_lossy(), *mode, bytes);
        }
        entry(&mut out, 0, "TRAILER!!!", 0, &[]);
        out
    }
}

/// Header of 13 numbers in hexadecimal, name with its zero, data; name and data end at multiples of 4.
fn entry(out: &mut Vec<u8>, inode: usize, name: &str, mode: u32, bytes: &[u8]) {
    let links = if mode == DIRECTORY { 2 } else { 1 };
    let numbers = [
        inode,
        mode as usize,
        0, // owner
        0, // group
        links,
        0, // modification time
        bytes.len(),
        0, // device, major and minor
        0,
        0, // the device that a device file names
        0,
        name.len() + 1,
        0, // no checksum
    ];
    out.extend_from_slice(b"070701");
    for number in numbers {
        out.extend_from_slice(format!("{number:08x}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(bytes);
    pad(out);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The files that the dynamic loader would load for `program`, the loader among them.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("starting ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("ldd {}: {}", program.display(), text.trim());
    }
    if let Some(missing) = text.lines().find(|line| line.contains("not found")) {
        bail!("{}: {}", program.display(), missing.trim());
    }
    // "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)", "/lib64/ld-linux-x86-64.so.2 (0x...)", "linux-vdso.so.1 (0x...)"
    Ok(text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect())
}

/// The program without debug information, which is most of it.
fn stripped(program: &Path) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("stripped");
    let output = Command::new("objcopy")
        .args([
            "--strip-debug".as_ref(),
            program.as_os_str(),
            copy.as_os_str(),
        ])
        .output();
    match output {
        Ok(output) if output.status.success() => Ok(fs::read(copy)?),
        // larger, and as good
        _ => fs::read(program).with_context(|| program.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_folders_before_files_and_ends_with_its_trailer() {
        let mut files = Initramfs::default();
        files.file("/etc/a.txt", b"hello".to_vec());
        files.folder("proc");
        let archive = files.archive();
        assert_eq!(archive.len() % 4, 0);
        let text = String::from_utf8_lossy(&archive);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}"));
        assert!(at("etc\0") < at("etc/a.txt\0"));
        assert!(at("proc\0") < at("TRAILER!!!\0"));
        // the header of etc/a.txt: inode 2, a file, 5 bytes, a name of 10
        let header = at("etc/a.txt\0") - 110;
        assert_eq!(&text[header..header + 22], "07070100000002000081a4");
        assert_eq!(&text[header + 54..header + 62], "00000005");
        assert_eq!(&text[header + 94..header + 102], "0000000a");
        assert_eq!(&archive[header + 120..header + 125], b"hello");
    }
}
