//! Runs the Autobahn test suite against sansocket, as server and as client.

mod cases;
mod error;
mod install;
mod process;
mod program;
mod progress;
mod python;
mod report;
mod role;
mod run;
mod select;
mod spec;
mod suite;
mod table;

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::cases::CaseId;
use crate::error::{Context, Error, Result};
use crate::report::Report;
use crate::role::Role;
use crate::run::Run;
use crate::suite::Suite;
use crate::table::Summary;

const HELP: &str = "\
Runs the Autobahn test suite against sansocket.

cargo run --release -p autobahn -- server|client|all [OPTIONS]

  server                 test our server: the suite is the client
  client                 test our client: the suite is the server
  all                    both, one after the other

  --cases PATTERN        cases to run, such as \"7.*\" or 1.1.1; may be repeated; default: all
  --exclude PATTERN      cases to leave out; may be repeated
  --short-compression    of each group in sections 12 and 13 only cases 1 to 8: a fraction of the time
  --timeout SECONDS      time limit of each role's run; default: 3600
  --server-program PATH  test this program instead of autobahn-server
  --client-program PATH  test this program instead of autobahn-client
  -h, --help             this text

The suite is installed below cargo's target directory the first time. It needs Python 2.7, which is looked for in
AUTOBAHN_PYTHON, on PATH and in pyenv; or else Docker.

Exit status: 0 when every case passed, 1 when one failed, 2 when nothing could be run.";

fn main() -> ExitCode {
    let outcome = Options::parse(lexopt::Parser::from_env()).and_then(|options| match options {
        Some(options) => options.run(),
        None => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("autobahn: {error}");
        ExitCode::from(2)
    })
}

#[derive(Debug)]
struct Options {
    roles: Vec<Role>,
    cases: Vec<CaseId>,
    time_limit: Duration,
    server_program: Option<PathBuf>,
    client_program: Option<PathBuf>,
}

impl Options {
    /// Reads the command line; `None` when it asks for help.
    fn parse(mut arguments: lexopt::Parser) -> Result<Option<Self>> {
        use lexopt::prelude::*;

        let mut roles = None;
        let (mut wanted, mut excluded) = (Vec::new(), Vec::new());
        let mut short_compression = false;
        let mut time_limit = TIME_LIMIT;
        let (mut server_program, mut client_program) = (None, None);
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Long("cases") => wanted.push(arguments.value()?.string()?),
                Long("exclude") => excluded.push(arguments.value()?.string()?),
                Long("short-compression") => short_compression = true,
                Long("timeout") => time_limit = Duration::from_secs(arguments.value()?.parse()?),
                Long("server-program") => server_program = Some(arguments.value()?.into()),
                Long("client-program") => client_program = Some(arguments.value()?.into()),
                Value(value) if roles.is_none() => roles = Some(roles_of(&value)?),
                _ => return Err(argument.unexpected().into()),
            }
        }
        let roles =
            roles.ok_or_else(|| Error::new("say what to test: server, client or all (see --help)"))?;
        let cases = select::select(&wanted, &excluded, short_compression)?;
        Ok(Some(Self { roles, cases, time_limit, server_program, client_program }))
    }

    fn run(&self) -> Result<ExitCode> {
        let folder = target_folder()?.join("autobahn");
        let _lock = lock(&folder)?;
        // Before the suite is installed: this is the step that is quick to fail.
        let programs =
            self.roles.iter().map(|&role| Ok((role, program::find(role, self.named_program(role))?)));
        let programs: Vec<_> = programs.collect::<Result<_>>()?;
        let suite = Suite::find_or_install(&folder)?;
        let mut summaries = Vec::new();
        for (role, program) in &programs {
            summaries.push(self.run_role(*role, &suite, program, &folder));
        }
        for summary in &summaries {
            println!("{summary}");
        }
        let success = summaries.iter().all(|summary| summary.is_success());
        Ok(if success { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    /// Runs one role, prints what came of it, and counts.
    fn run_role(&self, role: Role, suite: &Suite, program: &Path, folder: &Path) -> Summary {
        let folder = folder.join(role.folder());
        let time_limit = self.time_limit;
        let run = Run { role, suite, program, cases: &self.cases, folder: &folder, time_limit };
        let started = Instant::now();
        let ran = run.run();
        let took = started.elapsed();
        // What could not be read has no results: its cases are missing.
        let (report, read) = match report::read(&run.report()) {
            Ok(report) => (report, Ok(())),
            Err(error) => (Report::new(), Err(error)),
        };
        println!("{}: {} cases in {:.1} s\n", role.program(), self.cases.len(), took.as_secs_f32());
        println!("{}", table::table(&self.cases, &report));
        let failures = table::failures(&self.cases, &report, &run.report());
        if !failures.is_empty() {
            println!("{failures}");
        }
        for error in [&ran, &read].into_iter().filter_map(|step| step.as_ref().err()) {
            println!("{}: {error}", role.program());
        }
        if !report.is_empty() {
            println!("HTML report: {}", run.report().join("index.html").display());
        }
        println!();
        Summary::of(role, &self.cases, &report, ran.is_err() || read.is_err())
    }

    fn named_program(&self, role: Role) -> Option<&Path> {
        match role {
            Role::Server => self.server_program.as_deref(),
            Role::Client => self.client_program.as_deref(),
        }
    }
}

fn roles_of(value: &OsString) -> Result<Vec<Role>> {
    match value.to_str() {
        Some("server") => Ok(vec![Role::Server]),
        Some("client") => Ok(vec![Role::Client]),
        Some("all") => Ok(vec![Role::Server, Role::Client]),
        _ => Err(Error::new(format!("`{}` is none of server, client and all (see --help)", value.display()))),
    }
}

/// Cargo's target directory: the one this program was built in.
fn target_folder() -> Result<PathBuf> {
    let runner = std::env::current_exe().context(|| "cannot tell where this program is".to_owned())?;
    // Cargo marks the directory as a cache; without the mark, programs are two levels below it.
    let marked = runner.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let folder = marked.or_else(|| runner.ancestors().nth(2));
    folder
        .map(Path::to_owned)
        .ok_or_else(|| Error::new(format!("no target directory above {}", runner.display())))
}

/// Keeps a second runner from installing into, or emptying, the same folders.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let failed = || format!("cannot lock {}", path.display());
    fs::create_dir_all(folder).context(failed)?;
    let file = File::create(&path).context(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("autobahn: waiting for another run to end");
            file.lock().context(failed)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).context(failed),
    }
    Ok(file)
}

// All cases take a quarter of an hour against a server that answers, nearly all of it in the suite: it sends a thousand
// messages in each case about compression; without the long ones of these it is two minutes. A case that hangs holds the
// suite for as long as it waits itself: up to 480 s in sections 12 and 13, up to 1000 s in section 9.
const TIME_LIMIT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Option<Options>> {
        Options::parse(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn a_role_alone_means_every_case_and_the_default_limit() {
        let options = parse(&["all"]).unwrap().unwrap();
        assert_eq!(options.roles, [Role::Server, Role::Client]);
        assert_eq!(options.cases.len(), 517);
        assert_eq!(options.time_limit, Duration::from_secs(3600));
    }

    #[test]
    fn the_help_names_the_default_time_limit() {
        assert!(HELP.contains(&format!("default: {}", TIME_LIMIT.as_secs())));
        assert!(parse(&["--help"]).unwrap().is_none());
    }

    #[test]
    fn patterns_and_programs_may_stand_before_or_behind_the_role() {
        let options =
            parse(&["--cases", "1.*", "server", "--cases=7.*", "--exclude", "7.7.*", "--timeout", "5"]);
        let options = options.unwrap().unwrap();
        assert_eq!((options.cases.len(), options.time_limit), (40, Duration::from_secs(5)));
        let options = parse(&["all", "--short-compression", "--exclude", "13.*"]).unwrap().unwrap();
        assert_eq!(options.cases.len(), 301 + 5 * 8);
        let options = parse(&["client", "--client-program", "a/b"]).unwrap().unwrap();
        assert_eq!(options.named_program(Role::Client), Some(Path::new("a/b")));
        assert_eq!(options.named_program(Role::Server), None);
    }

    #[test]
    fn a_command_line_that_makes_no_sense_is_refused() {
        for arguments in [
            &[][..],
            &["both"],
            &["server", "client"],
            &["server", "--fast"],
            &["server", "--timeout", "soon"],
            &["server", "--cases", "8.*"],
            &["server", "--cases"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
