//! The guest's image: which programs, modules and files are in it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::initramfs::Initramfs;
use super::machine::Cache;

/// Folders that a system is mounted on, or that programs expect.
const FOLDERS: [&str; 7] = ["dev", "proc", "sys", "run", "tmp", "bin", "etc"];

/// Writes the image: `guideway` and the guest's own program from `executables`, the cache's modules, and `files` (path, text).
///
/// # Errors
/// When something of it cannot be read, or the image cannot be written.
pub fn write(
    image: &Path,
    cache: &Cache,
    executables: &Path,
    files: &[(&str, String)],
) -> Result<()> {
    let mut content = Initramfs::default();
    for folder in FOLDERS {
        content.folder(folder);
    }
    content.program("init", &executables.join("guideway-vm-guest"))?;
    content.program("bin/guideway", &executables.join("guideway"))?;
    for (index, (name, bytes)) in cache.modules()?.into_iter().enumerate() {
        content.file(&format!("modules/{index:02}-{name}.ko"), bytes);
    }
    for (path, text) in files {
        content.file(path, text.clone().into_bytes());
    }
    fs::write(image, content.archive()).with_context(|| image.display().to_string())
}
