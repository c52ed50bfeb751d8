//! How the program ends: exit codes and the words for an error. 0 done, 1 failed, 2 bad usage or configuration, 130 cut off
//! by Ctrl-C.

use std::fmt;
use std::io;

/// The command line asks for what cannot be: exit code 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Ctrl-C ended the program at once: exit code 130, as shells have it.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// An error that is the command line's fault.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(message.into()))
}

/// The exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let is_usage = error.chain().any(|cause| {
        let config = cause.downcast_ref::<pipeline::error::Error>();
        cause.is::<Usage>() || matches!(config, Some(pipeline::error::Error::Config { .. }))
    });
    match is_usage {
        _ if error.is::<Interrupted>() => 130,
        true => 2,
        false => 1,
    }
}

/// Whether whoever read our output has gone (`qwglm … | head`): no failure of ours.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(is_broken) && message(error).contains("standard output")
}

/// The error and everything beneath it, in one sentence.
pub fn message(error: &anyhow::Error) -> String {
    pipeline::error::chain(error.as_ref())
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn bad_usage_and_bad_configurations_are_told_from_failures() {
        let config = pipeline::error::Error::Config { faults: Vec::new() };
        let cases = [
            (usage("no such flag"), 2),
            (Err::<(), _>(usage("no such flag")).context("in a context").unwrap_err(), 2),
            (Err::<(), _>(config).context("a.toml").unwrap_err(), 2),
            (anyhow::anyhow!("disk full"), 1),
        ];
        for (error, code) in cases {
            assert_eq!(exit_code(&error), code, "{error:#}");
        }
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let out = Err::<(), _>(broken())
            .context("standard output cannot be written")
            .unwrap_err();
        assert!(is_broken_pipe(&out));
        assert!(!is_broken_pipe(&anyhow::Error::new(broken()).context("a device")));
    }
}
