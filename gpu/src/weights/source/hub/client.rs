//! HTTP to the hub: redirects by hand, so that the token goes to the endpoint and to nobody else.

use std::time::Duration;

use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

use super::super::file_error;
use crate::error::Error;

const MAX_REDIRECTS: usize = 8;
/// Longest listing of a repository.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// Asks one endpoint.
pub struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
}

/// Why a request gave nothing.
#[derive(Debug)]
pub struct Failure {
    pub error: Error,
    /// The endpoint was not reached, or is out of order: what is in the cache may be used, or the request tried again.
    pub no_network: bool,
}

/// What is said of a file before it is read.
pub struct FileHead {
    /// Names the contents; of large files the sha-256.
    pub etag: String,
    pub size_bytes: Option<u64>,
}

impl Client {
    pub fn new(endpoint: &str, token: Option<String>) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .user_agent(concat!("qwglm/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self {
            agent,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// A short text at `path` of the endpoint.
    pub fn text(&self, id: &str, path: &str) -> Result<String, Failure> {
        let response = self.get(id, path, None)?;
        let read = response.into_body().into_with_config().limit(MAX_TEXT_BYTES).read_to_string();
        read.map_err(|error| self.unreachable(id, &error))
    }

    /// The headers of a file. Redirects within the endpoint are followed; the first that leaves it is where the file lies.
    pub fn head(&self, id: &str, path: &str) -> Result<FileHead, Failure> {
        let mut url = self.url(path);
        for _ in 0..MAX_REDIRECTS {
            let response = self.request(id, &url, true, None)?;
            let text = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.trim().to_owned());
            let location = text("location").filter(|_| response.status().is_redirection());
            // A file in large storage states its name and size beside the redirect.
            let linked = text("x-linked-etag");
            if let (Some(location), None) = (&location, &linked) {
                url = resolve(&url, location).ok_or_else(|| bad_redirect(id, location))?;
                continue;
            }
            let etag = linked.or_else(|| text("etag")).unwrap_or_default();
            let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            if etag.is_empty() || etag.len() > 128 || !etag.bytes().all(plain) {
                return Err(fatal(
                    id,
                    format!("{path} has no usable etag ({etag:?}); is {} a hub?", self.endpoint),
                ));
            }
            let size = text("x-linked-size").or_else(|| text("content-length").filter(|_| location.is_none()));
            return Ok(FileHead {
                etag,
                size_bytes: size.and_then(|size| size.parse().ok()),
            });
        }
        Err(fatal(id, "is redirected in a circle".to_owned()))
    }

    /// The contents at `path`, from byte `offset` if that is given and the server can.
    pub fn get(&self, id: &str, path: &str, offset: Option<u64>) -> Result<Response<Body>, Failure> {
        let mut url = self.url(path);
        for _ in 0..MAX_REDIRECTS {
            let response = self.request(id, &url, false, offset)?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = response
                .headers()
                .get("location")
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default();
            url = resolve(&url, location).ok_or_else(|| bad_redirect(id, location))?;
        }
        Err(fatal(id, "is redirected in a circle".to_owned()))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.endpoint)
    }

    /// One request, no redirects; an error status is a failure.
    fn request(&self, id: &str, url: &str, head: bool, offset: Option<u64>) -> Result<Response<Body>, Failure> {
        let mut request = if head { self.agent.head(url) } else { self.agent.get(url) };
        if let Some(token) = self.token.as_ref().filter(|_| same_origin(url, &self.endpoint)) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(offset) = offset {
            request = request.header("range", format!("bytes={offset}-"));
        }
        // Contents are asked for as they are: a compressed body would have another length.
        let response = request
            .header("accept-encoding", "identity")
            .call()
            .map_err(|error| self.unreachable(id, &error))?;
        match response.status().as_u16() {
            200..=399 => Ok(response),
            401 | 403 => Err(fatal(
                id,
                format!(
                    "may not be read: accept its licence at {}/{id}, then set HF_TOKEN or run `hf auth login`; or check the name",
                    self.endpoint
                ),
            )),
            404 => Err(fatal(
                id,
                format!("is not at {}: check the name and the revision ({url})", self.endpoint),
            )),
            status @ (408 | 429 | 500..) => Err(Failure {
                error: file_error(
                    id,
                    format!("{url} answered {status}; try again later, or set HF_ENDPOINT to a mirror"),
                ),
                no_network: true,
            }),
            status => Err(fatal(id, format!("{url} answered {status}"))),
        }
    }

    pub fn unreachable(&self, id: &str, error: &ureq::Error) -> Failure {
        Failure {
            error: file_error(
                id,
                format!(
                    "cannot be downloaded from {}: {error}; check the network, set HF_ENDPOINT to a mirror, or name a folder that holds the model",
                    self.endpoint
                ),
            ),
            no_network: true,
        }
    }
}

pub fn fatal(id: &str, message: String) -> Failure {
    Failure {
        error: file_error(id, message),
        no_network: false,
    }
}

fn bad_redirect(id: &str, location: &str) -> Failure {
    fatal(id, format!("is redirected to {location:?}, which is no address"))
}

/// Scheme, host and port agree.
pub fn same_origin(a: &str, b: &str) -> bool {
    let origin = |url: &str| {
        let uri: Uri = url.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let port = uri.port_u16().or(match scheme.as_str() {
            "https" => Some(443),
            "http" => Some(80),
            _ => None,
        })?;
        Some((scheme, uri.host()?.to_ascii_lowercase(), port))
    };
    origin(a).is_some_and(|a| origin(b) == Some(a))
}

/// `location` as seen from `url`: an address, or a path on the same host.
fn resolve(url: &str, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    let uri: Uri = url.parse().ok()?;
    if location.starts_with("//") {
        return Some(format!("{}:{location}", uri.scheme_str()?));
    }
    location
        .starts_with('/')
        .then(|| Some(format!("{}://{}{location}", uri.scheme_str()?, uri.authority()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_whole() {
        assert!(same_origin("https://HF.co/a", "https://hf.co:443/b"));
        for other in [
            "http://hf.co/",
            "https://hf.co:8443/",
            "https://hf.co.evil.org/",
            "https://cdn.hf.co/",
            "nothing",
        ] {
            assert!(!same_origin(other, "https://hf.co"), "{other}");
        }
        // What stands before @ is not the host.
        assert!(!same_origin("https://hf.co@evil.org/", "https://hf.co"));
    }

    #[test]
    fn locations_are_resolved() {
        let url = "http://hub:8080/a/b";
        assert_eq!(resolve(url, "/c?d").as_deref(), Some("http://hub:8080/c?d"));
        assert_eq!(resolve(url, "https://cdn/x").as_deref(), Some("https://cdn/x"));
        assert_eq!(resolve(url, "//cdn/x").as_deref(), Some("http://cdn/x"));
        assert_eq!(resolve(url, "file:///etc/passwd"), None);
        assert_eq!(resolve(url, ""), None);
    }
}
