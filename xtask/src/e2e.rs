//! `cargo xtask e2e`: the page in a real Chromium. Also its pictures (`screenshots`), which the same browser takes.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, find, output, root, step};
use crate::wasm::Optimised;
use crate::web::{self, Hosts, serve};

/// The browsers that are looked for, the first that is there.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// What the tests give to the page, and ask the program about.
const PICTURE: &str = "tests/data/recording/024.png";
const RECORDING: &str = "tests/data/recording";
/// What is said into the page's microphone.
const SPEECH: &str = "tests/data/speech";

/// Where the program comes from whose words the page's are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Build,
    /// The tests have just built it.
    Built,
}

/// What drives the page.
struct Driver {
    node: PathBuf,
    browser: PathBuf,
}

impl Driver {
    /// Finds node and a browser and installs what node needs; `None`, with a word about it, where one is missing.
    fn find() -> Result<Option<Self>> {
        let browser = std::env::var_os("CHROMIUM").map(PathBuf::from);
        let browser = browser.or_else(|| BROWSERS.iter().find_map(|name| find(name)));
        let (Some(node), Some(npm), Some(browser)) = (find("node"), find("npm"), browser) else {
            eprintln!(
                "── the page in a browser: not tried; it takes chromium, node and npm (on Debian: apt install chromium npm)"
            );
            return Ok(None);
        };
        let folder = root().join("app/web/e2e");
        if !folder.join("node_modules/playwright-core").is_dir() {
            let mut install = Command::new(npm);
            install.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
            if let Err(error) = step("e2e packages", &mut install) {
                eprintln!("── the page in a browser: not tried, since what drives it cannot be installed: {error:#}");
                return Ok(None);
            }
        }
        Ok(Some(Self { node, browser }))
    }

    fn command(&self, script: &str, address: &str) -> Command {
        let mut command = Command::new(&self.node);
        command
            .arg(root().join("app/web/e2e").join(script))
            .env("CHROMIUM", &self.browser)
            .env("PAGE_ADDRESS", address)
            .env("PICTURE", root().join(PICTURE))
            .env("RECORDING", root().join(RECORDING))
            .env("SPEECH", root().join(SPEECH));
        command
    }
}

/// Builds the page and drives it; `words` pick tests by their names. Says so where there is no browser.
///
/// Errors: a build fails, or a test.
pub fn run(optimised: Optimised, program: Program, words: &[String]) -> Result<()> {
    let Some(driver) = Driver::find()? else { return Ok(()) };
    let ports = free_ports()?;
    web::run(optimised, &stand_ins(ports))?;
    let address = serve::start(&web::dist(), 0)?;
    if program == Program::Build {
        step("build qwglm", &mut cargo("build --package qwglm"))?;
    }
    let said = program_words()?;
    let mut command = driver.command("run.mjs", &address);
    let hub = root().join("target/e2e-hub");
    std::fs::create_dir_all(&hub).with_context(|| format!("cannot make {}", hub.display()))?;
    command
        .env("WORDS", said)
        .env("QWGLM", qwglm()?)
        .env("POCKET", root().join("models/pocket-vl"))
        .env("HUB_FOLDER", hub)
        .env("HUB_PORTS", ports.map(|port| port.to_string()).join(" "));
    step("the page in a browser", command.args(words))
}

/// Of the stand-ins for a hub, a mirror and where both send on to; the tests serve them.
fn free_ports() -> Result<[u16; 3]> {
    let listen = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // All at once, so that they differ.
    let held = [listen(0)?, listen(1)?, listen(2)?];
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    Ok([port(&held[0])?, port(&held[1])?, port(&held[2])?])
}

fn stand_ins([hub, mirror, store]: [u16; 3]) -> Hosts {
    let at = |port: u16| format!("http://{}:{port}", Ipv4Addr::LOCALHOST);
    Hosts {
        models: vec![at(hub), at(mirror)],
        stores: vec![at(store)],
    }
}

/// The program, which lies beside xtask's own.
fn qwglm() -> Result<PathBuf> {
    let beside = std::env::current_exe().context("cannot find xtask's own file")?;
    Ok(beside.with_file_name(format!("qwglm{}", std::env::consts::EXE_SUFFIX)))
}

/// Builds the page and takes pictures of its screens into `target/screenshots`.
///
/// Errors: no browser here; a build fails.
pub fn screenshots(optimised: Optimised) -> Result<()> {
    let Some(driver) = Driver::find()? else {
        bail!("there is no browser here that could take pictures");
    };
    web::run(optimised, &Hosts::configured())?;
    let address = serve::start(&web::dist(), 0)?;
    let folder = root().join("target/screenshots");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut command = driver.command("screenshots.mjs", &address);
    step("screenshots", command.env("PICTURES", &folder))?;
    eprintln!("── pictures of the page are in target/screenshots");
    Ok(())
}

/// What the program says about the picture, by the configuration that the page plays.
fn program_words() -> Result<String> {
    let folder = root().join("target/e2e-picture");
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(root().join(PICTURE), folder.join("picture.png")).context("cannot copy the picture")?;
    let mut narrate = Command::new(qwglm()?);
    let said = output(narrate.args(["narrate", "--engine", "sim", "--json"]).arg(&folder))
        .context("the program does not narrate the picture")?;
    // A line of JSON whose words have quotes: what stands between the two keys, unescaped.
    let text = said
        .split("\"text\":\"")
        .nth(1)
        .and_then(|rest| rest.split("\",\"finished\"").next());
    let text = text.context("the program's words are not where they should be")?;
    Ok(text.replace("\\\"", "\"").replace("\\n", "\n").replace("\\\\", "\\"))
}
