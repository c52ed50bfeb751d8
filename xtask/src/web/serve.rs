//! A server of static files on loopback that keeps to `_headers`, as the page's host does. For tries and tests, not for others.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// Bytes of a request's head that are read at most.
const MAX_HEAD_BYTES: u64 = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(30);

/// The lines of `_headers`: a pattern, and what answers below it get.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rules(Vec<(String, Vec<(String, String)>)>);

impl Rules {
    fn parse(text: &str) -> Self {
        let mut rules: Vec<(String, Vec<(String, String)>)> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match (line.starts_with(char::is_whitespace), line.split_once(':'), rules.last_mut()) {
                (true, Some((name, value)), Some((_, headers))) => {
                    headers.push((name.trim().to_owned(), value.trim().to_owned()));
                }
                _ => rules.push((line.trim().to_owned(), Vec::new())),
            }
        }
        Self(rules)
    }

    /// Later rules replace what earlier ones say of the same header.
    fn of(&self, path: &str) -> Vec<(&str, &str)> {
        let applies = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == pattern,
        };
        let mut headers: Vec<(&str, &str)> = Vec::new();
        for (name, value) in self
            .0
            .iter()
            .filter(|(pattern, _)| applies(pattern))
            .flat_map(|(_, headers)| headers)
        {
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            headers.push((name, value));
        }
        headers
    }
}

/// Serves `folder` on loopback in the background, at `port` or (0) at a free one; gives its address.
///
/// Errors: the port is taken.
pub fn start(folder: &Path, port: u16) -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("cannot serve on port {port}"))?;
    let address = format!("http://{}", listener.local_addr()?);
    let rules = fs::read_to_string(folder.join("_headers")).unwrap_or_default();
    let served = Arc::new((folder.to_owned(), Rules::parse(&rules)));
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let served = served.clone();
            thread::spawn(move || {
                let (folder, rules) = &*served;
                // A browser that goes away is no error.
                drop(answer_all(connection, folder, rules));
            });
        }
    });
    Ok(address)
}

fn answer_all(connection: TcpStream, folder: &Path, rules: &Rules) -> std::io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut out = connection.try_clone()?;
    let mut reader = BufReader::new(connection);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = Vec::new();
            reader.by_ref().take(MAX_HEAD_BYTES).read_until(b'\n', &mut line)?;
            if line.is_empty() || head.len() as u64 > MAX_HEAD_BYTES {
                return Ok(());
            }
            if line == b"\r\n" {
                break;
            }
            head.extend(line);
        }
        let head = String::from_utf8_lossy(&head);
        let mut words = head.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = target.split(['?', '#']).next().unwrap_or_default();
        match file_of(folder, path)
            .filter(|_| matches!(method, "GET" | "HEAD"))
            .map(fs::read)
        {
            Some(Ok(bytes)) => {
                let headers = rules
                    .of(path)
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}\r\n"))
                    .collect::<String>();
                let kind = kind_of(path);
                write!(
                    out,
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{headers}\r\n",
                    bytes.len()
                )?;
                if method == "GET" {
                    out.write_all(&bytes)?;
                }
            }
            _ => write!(
                out,
                "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nnot found"
            )?,
        }
        out.flush()?;
    }
}

/// The file of an address; nothing outside of the folder has one.
fn file_of(folder: &Path, path: &str) -> Option<PathBuf> {
    let plain = |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '%', ':']);
    let relative = path.strip_prefix('/')?;
    let file = match relative {
        "" => folder.join("index.html"),
        _ if relative.split('/').all(|part| plain(&part)) => folder.join(relative),
        _ => return None,
    };
    file.is_file().then_some(file)
}

fn kind_of(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        Some("css") => "text/css",
        Some("json" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        None | Some("html" | "/") => "text/html; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_apply_below_their_pattern_and_later_ones_win() {
        let rules = Rules::parse("/*\n  A: 1\n  B: x: y\n/deep/*\n  A: 2\n");
        assert_eq!(rules.of("/index.html"), [("A", "1"), ("B", "x: y")]);
        assert_eq!(rules.of("/deep/file"), [("B", "x: y"), ("A", "2")]);
    }

    #[test]
    fn nothing_outside_of_the_folder_is_served() {
        let folder = crate::process::root().join("xtask");
        assert!(file_of(&folder, "/src/main.rs").is_some());
        for path in [
            "/../Cargo.toml",
            "/src/../../Cargo.toml",
            "/%2e%2e/Cargo.toml",
            "/.git",
            "src/main.rs",
            "/src",
        ] {
            assert_eq!(file_of(&folder, path), None, "{path}");
        }
    }
}
