//! Installing the suite with pip, into a Python environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::error::{Context, Error, Result};
use crate::process::Process;
use crate::python::is_python_2_7;

/// The version of the suite, by pip and as a container alike.
pub(crate) const SUITE_VERSION: &str = "25.10.1";

/// The folder of an installation: it is whole when its last file, the marker, holds what we would install.
pub(crate) struct Installation {
    folder: PathBuf,
}

impl Installation {
    /// The installation below `folder`, whether it is there or not.
    pub(crate) fn below(folder: &Path) -> Self {
        Self { folder: folder.join(format!("suite-{SUITE_VERSION}")) }
    }

    /// The environment's interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.folder.join("env").join("bin").join("python")
    }

    /// The suite's program; run by [`Self::python`], because the path in its first line may be too long for the system.
    pub(crate) fn wstest(&self) -> PathBuf {
        self.folder.join("env").join("bin").join("wstest")
    }

    /// Whether it was installed to the end, from the same list of packages, and its interpreter is still there.
    pub(crate) fn is_whole(&self) -> bool {
        fs::read_to_string(self.marker()).is_ok_and(|installed| installed == pins())
            && self.wstest().is_file()
            && is_python_2_7(&self.python())
    }

    /// Builds the environment from nothing with this Python 2.7.
    ///
    /// # Errors
    ///
    /// What failed, with the log of pip and virtualenv to look at. A half-made environment is rebuilt by the next call.
    pub(crate) fn install(&self, python: &Path) -> Result<()> {
        let started = Instant::now();
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)
                .context(|| format!("cannot remove {}", self.folder.display()))?;
        }
        let failed = || format!("cannot write {}", self.folder.display());
        fs::create_dir_all(&self.folder).context(failed)?;
        fs::write(self.folder.join(CONSTRAINTS_FILE), CONSTRAINTS).context(failed)?;
        eprintln!("autobahn: installing the suite {SUITE_VERSION} for {}", python.display());
        eprintln!("autobahn: 1 of 3: {VIRTUALENV}");
        let maker = self.install_virtualenv(python)?;
        eprintln!("autobahn: 2 of 3: an environment for Python 2.7");
        self.make_environment(&maker, python)?;
        eprintln!(
            "autobahn: 3 of 3: {SUITE_PACKAGE}=={SUITE_VERSION} and what it needs (about half a minute)"
        );
        self.pip_install_suite()?;
        fs::write(self.marker(), pins()).context(failed)?;
        eprintln!(
            "autobahn: installed in {:.0} s: {}",
            started.elapsed().as_secs_f32(),
            self.folder.display()
        );
        Ok(())
    }

    /// Puts virtualenv into a folder beside the environment, and says which interpreter runs it.
    fn install_virtualenv(&self, python: &Path) -> Result<PathBuf> {
        // Python 2.7 makes its own environment where it has pip; some distributions ship it without, and then any
        // Python 3 can.
        let makers = [python, Path::new("python3")];
        for maker in makers {
            let mut command = self.command(maker);
            command.args(["-m", "pip", "install", "--target"]).arg(self.virtualenv_folder());
            command.arg("--constraint").arg(self.folder.join(CONSTRAINTS_FILE)).arg(VIRTUALENV);
            if self.run("pip", command).is_ok() {
                return Ok(maker.to_owned());
            }
            let _ = fs::remove_dir_all(self.virtualenv_folder());
        }
        Err(self.error(&format!(
            "neither `{}` nor `python3` can install {VIRTUALENV} with pip",
            python.display()
        )))
    }

    fn make_environment(&self, maker: &Path, python: &Path) -> Result<()> {
        let mut command = self.command(maker);
        command.env("PYTHONPATH", self.virtualenv_folder());
        // What virtualenv carries with it, so that nothing is fetched; and kept here instead of in the user's home.
        command.args(["-m", "virtualenv", "--pip", "20.3.4", "--setuptools", "44.1.1", "--wheel", "0.37.1"]);
        command
            .args(["--no-download", "--no-periodic-update", "--app-data"])
            .arg(self.folder.join("app-data"));
        command.arg("--python").arg(python).arg(self.folder.join("env"));
        self.run("virtualenv", command)
    }

    fn pip_install_suite(&self) -> Result<()> {
        let mut command = self.command(&self.python());
        command.args(["-m", "pip", "install", "--constraint"]).arg(self.folder.join(CONSTRAINTS_FILE));
        command.arg(format!("{SUITE_PACKAGE}=={SUITE_VERSION}"));
        self.run("pip", command).map_err(|_| {
            self.error("pip could not install the suite; some of its packages need a C compiler and Python's headers")
        })
    }

    fn command(&self, python: &Path) -> Command {
        let mut command = Command::new(python);
        command.current_dir(&self.folder);
        // Settings of another environment, which would lead the packages elsewhere.
        for variable in
            ["PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"]
        {
            command.env_remove(variable);
        }
        command
    }

    /// Runs a step to its end. A process of ours, so that it does not go on in a folder that the next call empties.
    fn run(&self, name: &str, command: Command) -> Result<()> {
        let mut step = Process::start(name, command, &self.log())?;
        match step.wait()? {
            status if status.success() => Ok(()),
            status => Err(step.error(format!("failed: {status}"))),
        }
    }

    fn error(&self, what: &str) -> Error {
        Error::new(format!("{what}; the log: {}", self.log().display()))
    }

    fn log(&self) -> PathBuf {
        self.folder.join("install.log")
    }

    fn marker(&self) -> PathBuf {
        self.folder.join("installed")
    }

    fn virtualenv_folder(&self) -> PathBuf {
        self.folder.join("virtualenv")
    }
}

fn pins() -> String {
    format!("{SUITE_PACKAGE}=={SUITE_VERSION}\n{VIRTUALENV}\n{CONSTRAINTS}")
}

const SUITE_PACKAGE: &str = "autobahntestsuite";

// The last version that makes environments for Python 2.7.
const VIRTUALENV: &str = "virtualenv==20.15.1";

const CONSTRAINTS: &str = include_str!("constraints.txt");
const CONSTRAINTS_FILE: &str = "constraints.txt";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_of_the_list_has_one_exact_version() {
        for line in CONSTRAINTS.lines().filter(|line| !line.starts_with('#')) {
            let (_, version) = line.split_once("==").unwrap();
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{line}");
        }
    }

    #[test]
    fn a_folder_without_the_marker_or_the_interpreter_is_not_an_installation() {
        let folder = std::env::temp_dir().join(format!("sansocket-{}-install", std::process::id()));
        let installation = Installation::below(&folder);
        fs::create_dir_all(installation.wstest().parent().unwrap()).unwrap();
        fs::write(installation.wstest(), "").unwrap();
        assert!(!installation.is_whole());
        fs::write(installation.marker(), "virtualenv==1.0").unwrap();
        assert!(!installation.is_whole());
        // The right marker, but the interpreter is gone.
        fs::write(installation.marker(), pins()).unwrap();
        assert!(!installation.is_whole());
        fs::remove_dir_all(folder).unwrap();
    }
}
