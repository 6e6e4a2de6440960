//! Where the simulator is.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::device::DeviceError;

/// The simulator's file name.
pub const SIMULATOR: &str = "guideway-sim";
/// The environment variable that names it.
pub const SIMULATOR_VARIABLE: &str = "GUIDEWAY_SIM";

/// The simulator's executable: what the configuration names, else what the environment names, else beside this executable, else on
/// `PATH`. What is named must be there: nothing else is taken instead.
///
/// # Errors
/// When there is none, with every place that was tried.
pub fn find(configured: Option<&Path>) -> Result<PathBuf, DeviceError> {
    let beside = env::current_exe().ok();
    let places = Places {
        configured: configured.map(Path::to_owned),
        variable: env::var_os(SIMULATOR_VARIABLE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from),
        executable: beside,
        path: env::var_os("PATH").unwrap_or_default(),
    };
    places.find()
}

struct Places {
    configured: Option<PathBuf>,
    variable: Option<PathBuf>,
    executable: Option<PathBuf>,
    path: std::ffi::OsString,
}

impl Places {
    fn find(&self) -> Result<PathBuf, DeviceError> {
        let mut tried = Vec::new();
        for (place, origin) in self.candidates() {
            if is_executable(&place) {
                return Ok(place);
            }
            tried.push(format!("  {} ({origin})", place.display()));
        }
        Err(DeviceError::Open {
            device: format!("a private simulator ({SIMULATOR})"),
            reason: format!(
                "it is not found; tried:\n{}\nset [card] simulator or {SIMULATOR_VARIABLE}, or build it: cargo build --release -p guideway-sim",
                tried.join("\n")
            ),
        })
    }

    fn candidates(&self) -> Vec<(PathBuf, &'static str)> {
        if let Some(place) = &self.configured {
            return vec![(place.clone(), "[card] simulator")];
        }
        if let Some(place) = &self.variable {
            return vec![(place.clone(), "environment variable GUIDEWAY_SIM")];
        }
        let beside = self.executable.iter().flat_map(|executable| {
            // A test's executable lies one folder below the others.
            executable
                .ancestors()
                .skip(1)
                .take(2)
                .map(|folder| (folder.join(SIMULATOR), "beside this executable"))
        });
        let on_path =
            env::split_paths::<OsStr>(&self.path).map(|folder| (folder.join(SIMULATOR), "on PATH"));
        beside.chain(on_path).collect()
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn program(folder: &Path, mode: u32) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        let path = folder.join(SIMULATOR);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn places_are_tried_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let [configured, variable, on_path] =
            ["configured", "variable", "path"].map(|name| program(&at(name), 0o755));
        let beside = program(&at("target"), 0o755);
        let mut places = Places {
            configured: Some(configured.clone()),
            variable: Some(variable.clone()),
            executable: Some(at("target/deps/test-1")),
            path: env::join_paths([at("nowhere"), at("path")]).unwrap(),
        };
        assert_eq!(places.find().unwrap(), configured);
        places.configured = None;
        assert_eq!(places.find().unwrap(), variable);
        places.variable = None;
        assert_eq!(places.find().unwrap(), beside);
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(places.find().unwrap(), on_path);
    }

    #[test]
    fn what_is_not_found_names_every_place() {
        let places = Places {
            configured: None,
            variable: None,
            executable: Some("/opt/guideway/bin/guideway".into()),
            path: "/somewhere:/elsewhere".into(),
        };
        let error = places.find().unwrap_err().to_string();
        for place in [
            "/opt/guideway/bin/guideway-sim (beside",
            "/somewhere/guideway-sim (on PATH)",
            "/elsewhere/guideway-sim (on PATH)",
        ] {
            assert!(error.contains(place), "{error}");
        }
        let named = Places {
            configured: Some("/not/there".into()),
            ..places
        };
        let error = named.find().unwrap_err().to_string();
        assert!(
            error.contains("/not/there ([card] simulator)") && !error.contains("/somewhere"),
            "{error}"
        );
    }
}
