//! The library crates on `wasm32-unknown-unknown`, by whichever of two routes this machine has.
//!
//! 1. The target's standard library is installed, or `rustup target add` brings it.
//! 2. There is no rust distribution server: Debian's `rustc-web` and `rust-web-src` (one version), and cargo builds
//!    the standard library itself (`-Z build-std`, which a stable compiler allows with `RUSTC_BOOTSTRAP=1`).
//!
//! `QWGLM_WASM=debian` forces the second. Either has `target/wasm` for itself, so native builds stay valid.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::{self, cargo, output, step};
use crate::setup;

const TARGET: &str = "wasm32-unknown-unknown";
const TARGET_FOLDER: &str = "target/wasm";
const CRATES: &str = "-p pipeline -p gpu -p sim -p stages --features gpu/wgpu";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// How far to go: `Check` is a first answer, `Build` also generates code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Check,
    Build,
}

/// Checks or builds the library crates for wasm, after set-up of what that needs.
///
/// Errors: neither route is open here, or the build failed.
pub fn run(mode: Mode) -> Result<()> {
    let (verb, name) = match mode {
        Mode::Check => ("check", "wasm check"),
        Mode::Build => ("build", "wasm build"),
    };
    let route = route()?;
    let mut command = route.cargo(verb);
    command.args(CRATES.split_whitespace());
    // This build shows that it builds.
    plain(&mut command);
    step(&format!("{name} ({})", route.name()), &mut command)
}

/// Whether a program is made small and fast, which takes minutes, or at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimised {
    Yes,
    No,
}

/// Builds programs of `package` for the tab, with its feature `feature`; where they lie.
///
/// Errors: neither route is open here, or the build failed.
pub fn programs(package: &str, names: &[&str], feature: &str, optimised: Optimised) -> Result<Vec<PathBuf>> {
    let route = route()?;
    let mut command = route.cargo("build");
    command.args(["--package", package, "--features", feature]);
    for name in names {
        command.args(["--bin", name]);
    }
    let folder = match optimised {
        Optimised::Yes => {
            command.args(["--profile", "web"]);
            "web"
        }
        Optimised::No => {
            plain(&mut command);
            for package in HOT {
                command.args(["--config", &format!("profile.dev.package.{package}.opt-level=3")]);
            }
            "debug"
        }
    };
    step(&format!("web build ({})", route.name()), &mut command)?;
    let folder = process::root().join(TARGET_FOLDER).join(TARGET).join(folder);
    Ok(names.iter().map(|name| folder.join(format!("{name}.wasm"))).collect())
}

/// What computes on the processor: without optimisation nobody could wait for it.
const HOT: [&str; 11] = [
    "sim",
    "pulp",
    "rten",
    "rten-gemm",
    "rten-simd",
    "rten-vecmath",
    "rten-tensor",
    "rustfft",
    "realfft",
    "rubato",
    "stages",
];

/// No debug information and no optimisation, of dependencies neither.
fn plain(command: &mut Command) {
    command.args(["--config", "profile.dev.package.\"*\".opt-level=0"]);
    command
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0");
}

enum Route {
    Installed,
    /// `linker` is needed only where something is linked; a library is not.
    BuildStd {
        linker: Option<PathBuf>,
    },
}

impl Route {
    /// Cargo for the target, its own output folder and what this route needs.
    fn cargo(&self, verb: &str) -> Command {
        let mut command = cargo(verb);
        command.args(["--target", TARGET, "--target-dir", TARGET_FOLDER]);
        // `RUSTFLAGS` would replace the flags that `.cargo/config.toml` has for this target.
        command.env_remove("RUSTFLAGS");
        if let Route::BuildStd { linker } = self {
            command.args(["-Z", "build-std=std,panic_abort"]);
            command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            // A wrapper or a toolchain chosen outside is for another compiler.
            command
                .env_remove("RUSTC_WRAPPER")
                .env_remove("RUSTC_WORKSPACE_WRAPPER")
                .env_remove("LD_LIBRARY_PATH");
            if let Some(linker) = linker {
                command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            }
        }
        command
    }

    fn name(&self) -> &'static str {
        match self {
            Route::Installed => "installed target",
            Route::BuildStd { .. } => "rustc-web, build-std",
        }
    }
}

fn route() -> Result<Route> {
    let is_forced = std::env::var_os("QWGLM_WASM").is_some_and(|value| value == "debian");
    if !is_forced && (has_target() || add_target()) {
        return Ok(Route::Installed);
    }
    let is_ready = |()| has_debian_rust(Path::new(DEBIAN_RUSTC));
    if is_ready(()) || (setup::apt_install(&DEBIAN_PACKAGES)? && is_ready(())) {
        return Ok(Route::BuildStd { linker: rust_lld() });
    }
    bail!("no standard library for {TARGET}; install it with: rustup target add {TARGET}")
}

/// Whether the compiler in use has the target's standard library.
fn has_target() -> bool {
    sysroot("rustc").is_some_and(|root| root.join("lib/rustlib").join(TARGET).join("lib").is_dir())
}

/// Lets rustup add the target. Limited in time: some networks swallow what they do not serve.
fn add_target() -> bool {
    if process::find("rustup").is_none() {
        return false;
    }
    eprintln!("set-up: rustup target add {TARGET}");
    let mut command = Command::new("rustup");
    process::succeeds_within(command.args(["target", "add", TARGET]), Duration::from_secs(120)) && has_target()
}

/// Whether `rustc` is new enough for this workspace and the source of its standard library is where cargo looks.
fn has_debian_rust(rustc: &Path) -> bool {
    let version = output(Command::new(rustc).arg("-V")).unwrap_or_default();
    let source = sysroot(rustc).map(|root| root.join("lib/rustlib/src/rust/library/std/Cargo.toml"));
    minor_version(&version) >= Some(95) && source.is_some_and(|path| path.is_file())
}

/// The 95 of `rustc 1.95.0 (59807616e 2026-04-14)`.
fn minor_version(version: &str) -> Option<u32> {
    version.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}

/// The linker that rustup's toolchains bring along; Debian's compiler has none for wasm.
fn rust_lld() -> Option<PathBuf> {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let bundled = sysroot("rustc").map(|root| root.join("lib/rustlib").join(host).join("bin/rust-lld"));
    bundled
        .filter(|path| path.is_file())
        .or_else(|| process::find("rust-lld"))
        .or_else(|| process::find("wasm-ld"))
}

fn sysroot(rustc: impl AsRef<std::ffi::OsStr>) -> Option<PathBuf> {
    output(Command::new(rustc).args(["--print", "sysroot"]).current_dir(process::root())).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_version_reads_what_rustc_prints() {
        let cases = [
            ("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)", Some(96)),
            ("rustc 1.63.0", Some(63)),
            ("rustc 2.0.0", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(minor_version(text), expected, "{text:?}");
        }
    }
}
