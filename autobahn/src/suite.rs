//! Finding the Autobahn test suite, or installing it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Context, Error, Result};
use crate::install::{Installation, SUITE_VERSION};
use crate::process::{Process, output_of};
use crate::python::Places;
use crate::role::Role;

/// A suite that can be started.
pub(crate) enum Suite {
    Installed { python: PathBuf, wstest: PathBuf },
    Container,
}

impl Suite {
    /// The suite that was installed below `folder`; else installs it there; else takes the official container.
    ///
    /// # Errors
    ///
    /// Says what to install when there is neither a Python 2.7 nor a running Docker.
    pub(crate) fn find_or_install(folder: &Path) -> Result<Self> {
        let installation = Installation::below(folder);
        let installed = || Self::Installed { python: installation.python(), wstest: installation.wstest() };
        if installation.is_whole() {
            return Ok(installed());
        }
        let failed = match Places::from_environment().find()? {
            None => None,
            Some(python) => match installation.install(&python) {
                Ok(()) => return Ok(installed()),
                Err(error) => Some(error),
            },
        };
        // Asked last: a docker without its daemon takes a moment to fail.
        if output_of("docker", &["info"]).is_none() {
            return Err(failed.unwrap_or_else(|| Error::new(WHAT_TO_INSTALL)));
        }
        if let Some(error) = failed {
            eprintln!("autobahn: {error}");
        }
        eprintln!("autobahn: taking the container {}", image());
        fetch_image()?;
        Ok(Self::Container)
    }

    /// The host in the suite's address: where it finds our server, or where it listens for our client.
    pub(crate) fn host(&self, role: Role) -> &'static str {
        match (self, role) {
            // Containers of Docker Desktop live in a virtual machine: its loopback interface is not ours.
            (Self::Container, Role::Server) if !cfg!(target_os = "linux") => "host.docker.internal",
            _ => LOOPBACK,
        }
    }

    /// Starts the suite's side of a run in `folder`, where the file `spec` is and the report will be.
    pub(crate) fn start(&self, role: Role, folder: &Path, spec: &str, port: u16) -> Result<Process> {
        let log = folder.join("wstest.log");
        // Its embedded web server would take port 8080.
        let arguments = ["--mode", role.suite_mode(), "--spec", spec, "--webport", "0"];
        match self {
            Self::Installed { python, wstest } => {
                let mut command = Command::new(python);
                // Unbuffered: we read its progress as it happens.
                command.arg("-u").arg(wstest).args(arguments).current_dir(folder);
                command.env_remove("PYTHONHOME").env_remove("PYTHONPATH");
                Process::start("the suite", command, &log)
            }
            Self::Container => {
                let name = format!("sansocket-autobahn-{}-{}", role.folder(), std::process::id());
                let mut command = Command::new("docker");
                command.args(container_arguments(
                    &name,
                    folder,
                    port,
                    cfg!(target_os = "linux"),
                    owner(folder),
                ));
                command.arg("wstest").args(arguments);
                Ok(Process::start("the suite", command, &log)?.with_container(Some(name)))
            }
        }
    }
}

const LOOPBACK: &str = "127.0.0.1";

const WHAT_TO_INSTALL: &str = "the Autobahn test suite needs Python 2.7 or Docker, and neither runs here; install one of \
    (1) Python 2.7, for example with `pyenv install 2.7.18`, and name it in AUTOBAHN_PYTHON if it is neither on PATH as \
    `python2.7` nor below pyenv's root; (2) Docker, so that `docker info` succeeds";

fn image() -> String {
    format!("crossbario/autobahn-testsuite:{SUITE_VERSION}")
}

/// Fetches the image before the run, whose time limit it would use up.
fn fetch_image() -> Result<()> {
    if output_of("docker", &["image", "inspect", &image()]).is_some() {
        return Ok(());
    }
    let mut command = Command::new("docker");
    command.args(["pull", "--platform", PLATFORM, &image()]).stdin(Stdio::null());
    let status = command.status().context(|| "cannot start docker".to_owned())?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::new(format!("`docker pull {}` failed: {status}", image())))
    }
}

// The image exists for this platform alone; Docker emulates it on others.
const PLATFORM: &str = "linux/amd64";

fn container_arguments(
    name: &str,
    folder: &Path,
    port: u16,
    host_network: bool,
    owner: Option<(u32, u32)>,
) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["run", "--rm", "--init", "--platform", PLATFORM, "--name", name].map(str::to_owned).to_vec();
    let mut add = |more: &[&str]| arguments.extend(more.iter().map(ToString::to_string));
    if host_network {
        add(&["--network", "host"]);
    } else {
        add(&["--publish", &format!("{LOOPBACK}:{port}:{port}")]);
    }
    if let Some((user, group)) = owner {
        // Else the report belongs to root, and `cargo clean` cannot remove it. This user has no home in the container.
        add(&["--user", &format!("{user}:{group}"), "--env", "HOME=/tmp"]);
    }
    add(&["--env", "PYTHONUNBUFFERED=1", "--volume", &format!("{}:/run-folder", folder.display())]);
    add(&["--workdir", "/run-folder", &image()]);
    arguments
}

#[cfg(unix)]
fn owner(folder: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().ok().map(|metadata| (metadata.uid(), metadata.gid()))
}

#[cfg(not(unix))]
fn owner(_folder: &Path) -> Option<(u32, u32)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_shares_the_network_where_that_reaches_us_and_a_port_elsewhere() {
        let shared = container_arguments("name", Path::new("/folder"), 9001, true, Some((1000, 100)));
        assert_eq!(
            shared.join(" "),
            "run --rm --init --platform linux/amd64 --name name --network host --user 1000:100 --env HOME=/tmp \
             --env PYTHONUNBUFFERED=1 --volume /folder:/run-folder --workdir /run-folder \
             crossbario/autobahn-testsuite:25.10.1"
        );
        let published = container_arguments("name", Path::new("/folder"), 9001, false, None).join(" ");
        assert!(published.contains("--publish 127.0.0.1:9001:9001"), "{published}");
    }
}
