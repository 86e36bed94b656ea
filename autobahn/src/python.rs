//! Finding a Python 2.7: the suite does not run on any other.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::process::output_of;

/// The places where a Python 2.7 may be, in the order in which they are tried.
pub(crate) struct Places {
    /// `AUTOBAHN_PYTHON`: taken or refused, never passed over.
    named: Option<OsString>,
    path: Vec<PathBuf>,
    pyenv_roots: Vec<PathBuf>,
}

impl Places {
    pub(crate) fn from_environment() -> Self {
        let pyenv_roots = [
            env::var_os("PYENV_ROOT").map(PathBuf::from),
            output_of("pyenv", &["root"]).map(PathBuf::from),
            env::home_dir().map(|home| home.join(".pyenv")),
        ];
        Self {
            named: env::var_os(NAMED).filter(|name| !name.is_empty()),
            path: env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default(),
            pyenv_roots: pyenv_roots.into_iter().flatten().collect(),
        }
    }

    /// The first Python 2.7 that really runs: a shim of pyenv stands on `PATH` and fails unless its version is activated.
    ///
    /// # Errors
    ///
    /// `AUTOBAHN_PYTHON` is set and is not a Python 2.7.
    pub(crate) fn find(&self) -> Result<Option<PathBuf>> {
        if let Some(named) = &self.named {
            let python = PathBuf::from(named);
            if is_python_2_7(&python) {
                return Ok(Some(from_anywhere(python)));
            }
            let named = named.display();
            return Err(Error::new(format!("{NAMED} is `{named}`, which does not run as a Python 2.7")));
        }
        let on_path = self.path.iter().map(|folder| folder.join("python2.7"));
        let in_pyenv = self.pyenv_roots.iter().flat_map(|root| pyenv_versions(root));
        Ok(on_path.chain(in_pyenv).find(|candidate| is_python_2_7(candidate)).map(from_anywhere))
    }
}

/// Whether this program is a Python 2.7 that works.
pub(crate) fn is_python_2_7(program: &Path) -> bool {
    output_of(program, &["-c", "import sys; print(sys.version_info[:2])"]).as_deref() == Some("(2, 7)")
}

/// The same program from every working directory: a bare name is looked for on `PATH`, everything else is a path.
fn from_anywhere(program: PathBuf) -> PathBuf {
    if program.components().count() == 1 {
        return program;
    }
    std::path::absolute(&program).unwrap_or(program)
}

/// The interpreters of pyenv's 2.7 versions, the newest first.
fn pyenv_versions(root: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(root.join("versions")).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = folders
        .filter_map(|folder| {
            let patch = folder.file_name().to_str()?.strip_prefix("2.7.")?.parse().ok()?;
            Some((patch, folder.path().join("bin").join("python")))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, python)| python).collect()
}

const NAMED: &str = "AUTOBAHN_PYTHON";

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::process::ONE_AT_A_TIME;
    use std::os::unix::fs::PermissionsExt;

    const PYTHON_2: &str = "echo '(2, 7)'";
    const PYTHON_3: &str = "echo '(3, 12)'";
    const SHIM: &str = "echo 'command not found' >&2; exit 127";

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = env::temp_dir().join(format!("sansocket-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn script(&self, path: &str, body: &str) -> PathBuf {
            let script = self.0.join(path);
            fs::create_dir_all(script.parent().unwrap()).unwrap();
            fs::write(&script, format!("#!/bin/sh\n{body}\n")).unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
            script
        }

        fn places(&self, named: Option<&Path>) -> Places {
            Places {
                named: named.map(OsString::from),
                path: vec![self.0.join("absent"), self.0.join("shims"), self.0.join("bin")],
                pyenv_roots: vec![self.0.join("no-root"), self.0.join("pyenv")],
            }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_named_python_comes_first_and_is_never_passed_over() {
        let _guard = ONE_AT_A_TIME.lock();
        let folder = Folder::new("named");
        folder.script("bin/python2.7", PYTHON_2);
        let mine = folder.script("mine", PYTHON_2);
        let three = folder.script("three", PYTHON_3);
        assert_eq!(folder.places(Some(&mine)).find().unwrap(), Some(mine));
        let error = folder.places(Some(&three)).find().unwrap_err().to_string();
        assert!(error.starts_with("AUTOBAHN_PYTHON is `"), "{error}");
    }

    #[test]
    fn a_shim_on_the_path_that_fails_is_passed_over() {
        let _guard = ONE_AT_A_TIME.lock();
        let folder = Folder::new("shim");
        folder.script("shims/python2.7", SHIM);
        folder.script("pyenv/versions/2.7.18/bin/python", PYTHON_2);
        let real = folder.script("bin/python2.7", PYTHON_2);
        assert_eq!(folder.places(None).find().unwrap(), Some(real));
    }

    #[test]
    fn pyenv_is_asked_after_the_path_and_its_newest_2_7_wins() {
        let _guard = ONE_AT_A_TIME.lock();
        let folder = Folder::new("pyenv");
        folder.script("shims/python2.7", SHIM);
        folder.script("pyenv/versions/3.12.1/bin/python", PYTHON_3);
        folder.script("pyenv/versions/2.7.9/bin/python", PYTHON_2);
        let newest = folder.script("pyenv/versions/2.7.18/bin/python", PYTHON_2);
        assert_eq!(folder.places(None).find().unwrap(), Some(newest));
    }

    #[test]
    fn without_a_python_2_7_nothing_is_found() {
        let _guard = ONE_AT_A_TIME.lock();
        let folder = Folder::new("none");
        folder.script("bin/python2.7", PYTHON_3);
        folder.script("pyenv/versions/2.7.18/bin/python", SHIM);
        assert_eq!(folder.places(None).find().unwrap(), None);
    }
}
