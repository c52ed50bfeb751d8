//! The hub against a server on loopback that behaves like it: a listing, small files, and large ones on another origin.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use futures::executor::block_on;

use super::*;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a request looked like.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
}

/// An answer: status, headers, body; `cut` closes the connection after so many bytes of the body.
#[derive(Default)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
}

type Handler = Box<dyn Fn(&Seen) -> Answer + Send>;

/// A server on a port of its own; ends with the test process.
struct Server {
    origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    fn start(handler: Handler) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // One request a connection.
                if let Some(request) = read_request(&stream) {
                    let answer = handler(&request);
                    log.lock().expect("log").push(request.clone());
                    write_answer(stream, &request, answer);
                }
            }
        });
        Self { origin, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("log").clone()
    }
}

fn read_request(stream: &TcpStream) -> Option<Seen> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines
        .map_while(|line| line.ok().filter(|line| !line.is_empty()))
        .filter_map(|line| line.split_once(": ").map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())))
        .collect();
    Some(Seen { method, path, headers })
}

fn write_answer(mut stream: TcpStream, request: &Seen, answer: Answer) {
    let mut text = format!(
        "HTTP/1.1 {} x\r\nconnection: close\r\ncontent-length: {}\r\n",
        answer.status,
        answer.body.len()
    );
    for (name, value) in &answer.headers {
        text += &format!("{name}: {value}\r\n");
    }
    let mut bytes = (text + "\r\n").into_bytes();
    if request.method != "HEAD" {
        bytes.extend_from_slice(&answer.body[..answer.cut.unwrap_or(answer.body.len())]);
    }
    // A client that went away is the test's business.
    let _ = stream.write_all(&bytes);
}

/// Part of `body` from where the request's range begins.
fn ranged(request: &Seen, body: &[u8]) -> Answer {
    let start = request
        .headers
        .get("range")
        .and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match start {
        Some(start) => Answer {
            status: 206,
            headers: vec![(
                "content-range".into(),
                format!("bytes {start}-{}/{}", body.len() - 1, body.len()),
            )],
            body: body[start..].to_vec(),
            cut: None,
        },
        None => Answer {
            status: 200,
            body: body.to_vec(),
            ..Answer::default()
        },
    }
}

fn hex_sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The parts of a model with two shards; `storage` is the origin that holds them.
fn hub(storage: String, weights: Vec<u8>, names: &[&str]) -> Server {
    let siblings: Vec<_> = names.iter().map(|n| serde_json::json!({ "rfilename": n })).collect();
    let listing = serde_json::json!({ "sha": SHA, "siblings": siblings }).to_string();
    let index = serde_json::json!({ "weight_map": { "a": "m-1.safetensors", "b": "m-2.safetensors" } }).to_string();
    Server::start(Box::new(move |request| {
        let file = request.path.strip_prefix(&format!("/org/model/resolve/{SHA}/"));
        match (request.path.as_str(), file) {
            ("/api/models/org/model/revision/main", _) => Answer {
                status: 200,
                body: listing.clone().into_bytes(),
                ..Answer::default()
            },
            (_, Some(file)) if file.ends_with(".safetensors") => Answer {
                status: 302,
                headers: vec![
                    ("x-linked-etag".into(), format!("\"{}\"", hex_sha256(&weights))),
                    ("x-linked-size".into(), weights.len().to_string()),
                    ("location".into(), format!("{storage}/blob")),
                ],
                ..Answer::default()
            },
            (_, Some(INDEX_FILE)) => etagged("index1", index.as_bytes()),
            (_, Some(file)) => etagged(&file.replace('.', "-"), b"{}"),
            _ => Answer {
                status: 404,
                ..Answer::default()
            },
        }
    }))
}

fn etagged(etag: &str, body: &[u8]) -> Answer {
    Answer {
        status: 200,
        headers: vec![("etag".into(), format!("W/\"{etag}\""))],
        body: body.to_vec(),
        cut: None,
    }
}

const NAMES: [&str; 9] = [
    "config.json",
    "chat_template.jinja",
    INDEX_FILE,
    "m-1.safetensors",
    "m-2.safetensors",
    "pytorch_model.bin",
    "../evil.json",
    "sub/other.json",
    "README.md",
];

fn options(endpoint: &str, cache: &Path) -> HubOptions {
    HubOptions {
        endpoint: endpoint.to_owned(),
        cache_dir: cache.join("hub"),
        token: Some("secret".into()),
        revision: "main".into(),
        offline: false,
        retry_delay: Duration::ZERO,
    }
}

fn open(options: HubOptions) -> Result<Hub> {
    block_on(Hub::open("org/model", options, None))
}

#[test]
fn downloads_what_is_needed_and_keeps_the_token_at_the_endpoint() {
    let weights: Vec<u8> = (0..1_000_000u32).map(|i| (i * 7 % 251) as u8).collect();
    let body = weights.clone();
    let storage = Server::start(Box::new(move |request| ranged(request, &body)));
    let server = hub(storage.origin.clone(), weights.clone(), &NAMES);
    let cache = tempfile::tempdir().expect("a folder");
    let (sender, progress) = async_channel::bounded(1000);
    let model = block_on(Hub::open("org/model", options(&server.origin, cache.path()), Some(sender))).expect("opens");

    assert_eq!(model.name(), "org/model");
    assert_eq!(block_on(model.size("m-2.safetensors")).expect("size"), Some(1_000_000));
    assert_eq!(
        block_on(model.read("m-1.safetensors", 999_990, 10)).expect("read"),
        weights[999_990..]
    );
    assert_eq!(block_on(model.size("pytorch_model.bin")).expect("size"), None);
    let paths: Vec<String> = server.seen().iter().map(|seen| seen.path.clone()).collect();
    assert!(
        !paths
            .iter()
            .any(|p| p.contains("bin") || p.contains("evil") || p.contains("sub") || p.contains("README"))
    );
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.headers.get("authorization").map(String::as_str) == Some("Bearer secret"))
    );
    assert_eq!(storage.seen().len(), 1, "equal contents are stored once");
    assert!(
        storage.seen().iter().all(|seen| !seen.headers.contains_key("authorization")),
        "the token left the endpoint"
    );
    let told: Vec<HubProgress> = std::iter::from_fn(|| progress.try_recv().ok()).collect();
    let last = told.last().expect("told");
    assert_eq!(
        (last.file.as_str(), last.done_bytes, last.size_bytes),
        ("m-1.safetensors", 1_000_000, 1_000_000)
    );
    assert_eq!((last.files_done, last.n_files), (3, 5));

    // A second start transfers nothing, and one without the hub works from the cache.
    let (before, stored) = (server.seen().len(), storage.seen().len());
    open(options(&server.origin, cache.path())).expect("opens again");
    assert_eq!((server.seen().len(), storage.seen().len()), (before + 1, stored));
    open(options("http://127.0.0.1:9", cache.path())).expect("opens from the cache");
    open(HubOptions {
        offline: true,
        ..options("http://127.0.0.1:9", cache.path())
    })
    .expect("opens offline");
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_stopped() {
    let weights: Vec<u8> = (0..600_000u32).map(|i| (i % 253) as u8).collect();
    let body = weights.clone();
    let storage = Server::start(Box::new(move |request| {
        let whole = ranged(request, &body);
        let cut = (whole.body.len() > 300_000).then_some(200_000);
        Answer { cut, ..whole }
    }));
    let server = hub(storage.origin.clone(), weights.clone(), &NAMES);
    let cache = tempfile::tempdir().expect("a folder");
    let model = open(options(&server.origin, cache.path())).expect("opens");
    assert_eq!(
        block_on(model.read("m-1.safetensors", 0, weights.len())).expect("read"),
        weights
    );
    let ranges: Vec<Option<String>> = storage.seen().iter().map(|seen| seen.headers.get("range").cloned()).collect();
    assert_eq!(ranges, [None, Some("bytes=200000-".into()), Some("bytes=400000-".into())]);
}

#[test]
fn damaged_contents_are_refused_and_not_kept() {
    let weights = vec![1u8; 5000];
    let storage = Server::start(Box::new(|request| ranged(request, &[2u8; 5000])));
    let server = hub(storage.origin.clone(), weights, &NAMES);
    let cache = tempfile::tempdir().expect("a folder");
    let error = open(options(&server.origin, cache.path())).expect_err("damaged");
    assert!(error.to_string().contains("arrived damaged"), "{error}");
    let blobs = std::fs::read_dir(cache.path().join("hub/models--org--model/blobs")).expect("blobs");
    assert!(blobs.flatten().all(|blob| blob.metadata().is_ok_and(|m| m.len() < 5000)));
}

#[test]
fn a_server_that_only_breaks_off_is_given_up() {
    let storage = Server::start(Box::new(|request| Answer {
        cut: Some(0),
        ..ranged(request, &[1u8; 5000])
    }));
    let server = hub(storage.origin.clone(), vec![1u8; 5000], &NAMES);
    let cache = tempfile::tempdir().expect("a folder");
    let error = open(options(&server.origin, cache.path())).expect_err("broken");
    assert!(error.to_string().starts_with("org/model: "), "{error}");
    assert_eq!(storage.seen().len(), 5);
}

#[test]
fn faults_say_what_to_do() {
    let cache = tempfile::tempdir().expect("a folder");
    let status = |status: u16| {
        Server::start(Box::new(move |_| Answer {
            status,
            ..Answer::default()
        }))
        .origin
    };
    let weightless = hub(String::new(), vec![], &["config.json"]);
    let nonsense = Server::start(Box::new(|_| Answer {
        status: 200,
        body: b"<html>".to_vec(),
        ..Answer::default()
    }));
    let circle = Server::start(Box::new(|_| Answer {
        status: 307,
        headers: vec![("location".into(), "/again".into())],
        ..Answer::default()
    }));
    let cases = [
        (
            "http://127.0.0.1:9".to_owned(),
            "set HF_ENDPOINT to a mirror, or name a folder",
        ),
        (
            "http://no-such-host.invalid".to_owned(),
            "set HF_ENDPOINT to a mirror, or name a folder",
        ),
        (status(401), "set HF_TOKEN"),
        (status(403), "accept its licence"),
        (status(404), "check the name"),
        (status(503), "answered 503"),
        (weightless.origin, "holds neither model.safetensors"),
        (nonsense.origin, "did not answer as the hub does"),
        (circle.origin, "redirected in a circle"),
    ];
    for (endpoint, words) in cases {
        let error = open(options(&endpoint, cache.path())).expect_err("fails");
        assert!(error.to_string().contains(words), "{endpoint}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let offline = HubOptions {
        offline: true,
        ..options("http://127.0.0.1:9", cache.path())
    };
    assert!(open(offline).expect_err("empty").to_string().contains("HF_HUB_OFFLINE"));
    for id in ["model", "a/b/c", "../x", "a/..", "a/b?c", "", "/"] {
        let error = block_on(Hub::open(id, options("http://127.0.0.1:9", cache.path()), None)).expect_err("bad id");
        assert!(error.to_string().contains("OWNER/NAME"), "{error}");
    }
}

#[test]
fn nobody_waiting_ends_the_download() {
    let job = Job {
        id: "org/model".into(),
        options: options("http://127.0.0.1:9", Path::new("unused")),
        progress: None,
        cancelled: Arc::new(AtomicBool::new(false)),
    };
    let progress = HubProgress {
        file: "f".into(),
        done_bytes: 0,
        size_bytes: 1,
        files_done: 0,
        n_files: 1,
    };
    assert!(job.tell(progress.clone()).is_ok());
    drop(CancelOnDrop(job.cancelled.clone()));
    assert!(matches!(job.tell(progress), Err(Error::Cancelled)));
}
