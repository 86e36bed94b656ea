//! The programs under test: building them, or taking one that was named.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::{Context, Error, Result};
use crate::role::Role;

/// The program under test for this role: `named`, or our own, built with the profile that this runner was built with.
///
/// `cargo run` builds the runner alone, so a program that lies beside it may be missing or older than the source.
///
/// # Errors
///
/// The named program does not exist, or cargo cannot build ours: it has said why by then.
pub(crate) fn find(role: Role, named: Option<&Path>) -> Result<PathBuf> {
    if let Some(program) = named {
        // Resolved here: it is started from another folder.
        return program
            .canonicalize()
            .context(|| format!("cannot use {} {}", role.program_option(), program.display()));
    }
    let runner = env::current_exe().context(|| "cannot tell where this program is".to_owned())?;
    let manifest = manifest_folder().join("Cargo.toml");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--package", env!("CARGO_PKG_NAME"), "--bin", role.program()]);
    command.arg("--manifest-path").arg(&manifest).args(profile_arguments(&runner));
    command
        .args(["--message-format", "json-render-diagnostics"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    eprintln!("{}: building it", role.program());
    let output = command.output().context(|| "cannot start cargo".to_owned())?;
    if !output.status.success() {
        return Err(Error::new(format!(
            "cargo could not build the program under test, `{}` ({}); {} PATH takes another one",
            role.program(),
            output.status,
            role.program_option(),
        )));
    }
    executable(&String::from_utf8_lossy(&output.stdout), role.program())
        .ok_or_else(|| Error::new(format!("cargo built `{}` and did not say where", role.program())))
}

/// The folder of this package; cargo names it to a program that it runs.
fn manifest_folder() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

/// The options that give the profile whose folder `runner` lies in.
fn profile_arguments(runner: &Path) -> Vec<String> {
    match runner.parent().and_then(Path::file_name).and_then(|folder| folder.to_str()) {
        None | Some("debug") => Vec::new(),
        Some(profile) => vec!["--profile".to_owned(), profile.to_owned()],
    }
}

/// The path of the program with this name in cargo's messages, which are one JSON object per line.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_built_with_the_profile_of_the_runner() {
        assert!(profile_arguments(Path::new("target/debug/autobahn")).is_empty());
        assert_eq!(profile_arguments(Path::new("target/release/autobahn")), ["--profile", "release"]);
        assert_eq!(profile_arguments(Path::new("target/bench-like/autobahn")), ["--profile", "bench-like"]);
    }

    #[test]
    fn the_path_is_taken_from_the_message_about_the_program() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"sansocket"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"autobahn-server"},"executable":"/target/release/autobahn-server"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            executable(messages, "autobahn-server").as_deref(),
            Some(Path::new("/target/release/autobahn-server"))
        );
        assert_eq!(executable(messages, "autobahn-client"), None);
    }
}
