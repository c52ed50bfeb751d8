//! Running programs: cargo without xtask's own environment, steps that say how long they took.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies inside the workspace")
}

/// Cargo in the workspace's folder, `args` split at spaces.
///
/// What `cargo run` told xtask about xtask is taken out of the environment: build scripts that look at it would
/// run again at each change between plain cargo and xtask.
pub fn cargo(args: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args.split_whitespace()).current_dir(root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    // Mesa's layer that chooses among devices complains on standard error where there is no desktop; we choose ourselves.
    command.env("NODEVICE_SELECT", "1");
    command
}

/// Where a release build puts `program`: beside xtask's own profile, whatever the target directory is.
///
/// Errors: xtask does not lie in a target directory.
pub fn released(program: &str) -> Result<PathBuf> {
    let xtask = std::env::current_exe().context("cannot find xtask's own file")?;
    let target = xtask.ancestors().nth(2).context("xtask lies in no target directory")?;
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    Ok(target.join("release").join(file))
}

/// Runs one step to its end, its output passed through.
///
/// Prints a heading before and the time after, both on stderr. Errors: it cannot start, or it failed.
pub fn step(name: &str, command: &mut Command) -> Result<()> {
    eprintln!("── {name}");
    let start = Instant::now();
    let status = status(command)?;
    if !status.success() {
        bail!("{name} failed ({status}): {}", line(command));
    }
    eprintln!("── {name}: {}", seconds(start.elapsed()));
    Ok(())
}

/// Runs `command` to its end, its output passed through.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot run `{}`", line(command)))
}

/// What `command` prints on stdout, trimmed; `None` if it is not there or fails.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Whether `command` ends well within `limit`; it is killed when it does not. Silent.
pub fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = silent.spawn() else {
        return false;
    };
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if start.elapsed() < limit => thread::sleep(Duration::from_millis(50)),
            // Best effort: whether the kill works or not, the answer is no.
            Ok(None) | Err(_) => {
                drop(child.kill());
                drop(child.wait());
                return false;
            }
        }
    }
}

/// Where `program` lies in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&paths)
        .map(|folder| folder.join(&file))
        .find(|path| path.is_file())
}

/// `12.3 s`, or `4 min 05 s`.
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..=119 => format!("{:.1} s", duration.as_secs_f64()),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_turn_into_minutes_at_two_minutes() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(119)), "119.0 s");
        assert_eq!(seconds(Duration::from_secs(245)), "4 min 05 s");
    }

    #[test]
    fn a_program_that_is_not_there_does_not_succeed() {
        let mut command = Command::new("qwglm-no-such-program");
        assert!(!succeeds_within(&mut command, Duration::from_secs(1)));
        assert_eq!(output(&mut command), None);
        assert!(find("qwglm-no-such-program").is_none());
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("xtask/Cargo.toml").is_file());
    }
}
