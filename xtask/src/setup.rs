//! Set-up: finds what a fresh machine lacks, installs it where it may, and otherwise says in one line what to do.
//!
//! Nothing that is there is installed again, and nothing is installed for later: each command says what it needs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, find, output};
use crate::vulkan;

/// How much the command that asks needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To narrate: the driver of the GPU, if there is a GPU. Else the simulator narrates, sooner than a GPU played in
    /// software would, so this never fails.
    Narrate,
    /// To build the program with microphone, speaker and screen: the libraries that these are on Linux.
    Desktop,
    /// To pass the tests: a GPU, real or in software; `rustfmt` and `clippy`; `ffmpeg` for the tests that read a video;
    /// `npm` for the package that carries Qwen3's tokenizer.
    Everything,
}

/// Makes this machine ready for `need`; a line for each thing it does or that the user has to do.
///
/// Errors: something that `need` cannot do without is missing and cannot be installed from here.
pub fn run(need: Need) -> Result<()> {
    if need == Need::Everything {
        components()?;
    }
    let packages = missing_packages(need);
    if packages.is_empty() || apt_install(&packages)? {
        return Ok(());
    }
    match need {
        Need::Narrate => eprintln!("set-up: going on without the GPU's driver"),
        Need::Desktop => {
            bail!("the build needs what the line above installs; files in their places need none of it (`cargo build`)")
        }
        Need::Everything => bail!("the tests need what the line above installs"),
    }
    Ok(())
}

/// Debian's names of what `need` lacks here. Other systems than Linux bring their graphics (Metal, DX12).
fn missing_packages(need: Need) -> Vec<&'static str> {
    let mut packages = Vec::new();
    let is_driver_needed = need == Need::Everything || vulkan::has_device();
    if cfg!(target_os = "linux") && is_driver_needed {
        let missing = vulkan::missing();
        packages.extend(missing.loader.then_some("libvulkan1"));
        packages.extend(missing.driver.then_some("mesa-vulkan-drivers"));
    }
    if cfg!(target_os = "linux") && need == Need::Desktop {
        packages.extend(find("pkg-config").is_none().then_some("pkg-config"));
        let is_missing = |(library, _): &&(&str, &str)| !has_library(library);
        packages.extend(LIBRARIES.iter().filter(is_missing).map(|(_, package)| *package));
    }
    if need == Need::Everything {
        packages.extend(["ffmpeg", "npm"].into_iter().filter(|program| find(program).is_none()));
    }
    packages
}

/// What `cpal` and `xcap` are built against on Linux, by pkg-config's names and Debian's.
const LIBRARIES: [(&str, &str); 6] = [
    ("alsa", "libasound2-dev"),
    ("dbus-1", "libdbus-1-dev"),
    ("wayland-client", "libwayland-dev"),
    ("xcb", "libxcb1-dev"),
    ("xcb-randr", "libxcb-randr0-dev"),
    ("xcb-shm", "libxcb-shm0-dev"),
];

fn has_library(name: &str) -> bool {
    output(Command::new("pkg-config").args(["--modversion", name])).is_some()
}

/// Sees to `rustfmt` and `clippy`, which rustup's minimal profile leaves out.
pub fn components() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let is_there = |()| output(process::cargo(subcommand).arg("--version")).is_some();
        if is_there(()) {
            continue;
        }
        eprintln!("set-up: rustup component add {component}");
        let mut add = Command::new("rustup");
        let added = process::succeeds_within(add.args(["component", "add", component]), Duration::from_secs(180));
        if !added || !is_there(()) {
            bail!("`cargo {subcommand}` is missing; install it with: rustup component add {component}");
        }
    }
    Ok(())
}

/// Installs Debian packages if we are root on a Debian; otherwise says the one line that does.
///
/// Returns whether they are installed now. Errors: `apt-get` failed.
pub fn apt_install(packages: &[&str]) -> Result<bool> {
    let names = packages.join(" ");
    if find("apt-get").is_none() {
        eprintln!("set-up: missing here; install with: {}", elsewhere(packages));
        return Ok(false);
    }
    if !is_root() {
        eprintln!("set-up: missing here; install with: sudo apt-get install {names}");
        return Ok(false);
    }
    eprintln!("set-up: apt-get install {names}");
    let is_list_there = has_package_lists(Path::new("/var/lib/apt/lists"));
    if is_list_there && apt(&[&["install"], packages].concat())? {
        return Ok(true);
    }
    eprintln!("set-up: apt-get update");
    if apt(&["update"])? && apt(&[&["install"], packages].concat())? {
        return Ok(true);
    }
    bail!("apt-get could not install {names}; its messages are above")
}

/// Runs `apt-get` silently; what it says is printed only if it fails. Returns whether it succeeded.
fn apt(args: &[&str]) -> Result<bool> {
    let mut command = Command::new("apt-get");
    command
        .args(["-qq", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"])
        .args(args);
    let output = command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .context("cannot run apt-get")?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.status.success())
}

/// Container images come without the lists that `install` needs.
fn has_package_lists(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .any(|name| name.to_string_lossy().contains("_Packages"))
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_some_and(|id| id == "0")
}

/// The line for a system that is no Debian.
fn elsewhere(packages: &[&str]) -> String {
    // Loader, driver, ffmpeg; then the endings of packages to build against.
    let managers = [
        (
            "dnf",
            "sudo dnf install",
            ["vulkan-loader", "mesa-vulkan-drivers", "ffmpeg-free", "-devel"],
        ),
        (
            "pacman",
            "sudo pacman -S",
            ["vulkan-icd-loader", "vulkan-swrast", "ffmpeg", ""],
        ),
        (
            "zypper",
            "sudo zypper install",
            ["libvulkan1", "libvulkan_lvp", "ffmpeg", "-devel"],
        ),
        (
            "apk",
            "sudo apk add",
            ["vulkan-loader", "mesa-vulkan-swrast", "ffmpeg", "-dev"],
        ),
        ("brew", "brew install", ["vulkan-loader", "molten-vk", "ffmpeg", ""]),
    ];
    let found = managers.iter().find(|(program, ..)| find(program).is_some());
    let Some((_, install, names)) = found else {
        return format!("your system's packages for {}", packages.join(", "));
    };
    let theirs = |package: &&str| match *package {
        "libvulkan1" => names[0].to_owned(),
        "mesa-vulkan-drivers" => names[1].to_owned(),
        "ffmpeg" => names[2].to_owned(),
        "libasound2-dev" => format!("alsa-lib{}", names[3]),
        "libdbus-1-dev" => format!("dbus{}", names[3]),
        "libwayland-dev" => format!("wayland{}", names[3]),
        name if name.starts_with("libxcb") => format!("libxcb{}", names[3]),
        name @ ("npm" | "pkg-config") => name.to_owned(),
        _ => "rustup".to_owned(), // all others are ways to a wasm target, which rustup brings elsewhere
    };
    let mut theirs: Vec<String> = packages.iter().map(theirs).collect();
    theirs.dedup();
    format!("{install} {}", theirs.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_lists_are_seen_by_name() {
        let folder = std::env::temp_dir().join(format!("qwglm-xtask-lists-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        std::fs::write(folder.join("lock"), "").expect("a file in it");
        assert!(!has_package_lists(&folder));
        std::fs::write(folder.join("mirror_dists_bookworm_main_binary-amd64_Packages.lz4"), "").expect("another");
        assert!(has_package_lists(&folder));
        std::fs::remove_dir_all(&folder).expect("our own folder");
    }
}
