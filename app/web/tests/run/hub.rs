//! A hub's files in the tab without a tab: hosts and a disk of memory, time that does not pass.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use app_web::protocol::{Notice, Step, ToPage};
use app_web::run::kept::{BLOCK_BYTES, Kept, Lost, Remote, Store};
use app_web::run::{Error, Result};
use async_channel::{Receiver, Sender, unbounded};
use pipeline::time::Clock;
use serde_json::json;

const ID: &str = "owner/model";
const HUB: &str = "https://hub";
const MIRROR: &str = "https://mirror";
const SHARDS: [&str; 2] = ["m-1.safetensors", "m-2.safetensors"];

/// What hosts have, and what was asked of them.
#[derive(Default)]
struct Hosts {
    files: BTreeMap<&'static str, Vec<u8>>,
    sha: &'static str,
    /// Addresses that begin with this do not answer.
    dead: Cell<Option<&'static str>>,
    /// Answers from here on break off in the middle, so many times.
    cuts: Cell<u32>,
    asked: RefCell<Vec<String>>,
}

impl Hosts {
    /// A checkpoint of two shards, the first of two blocks and a bit.
    fn new() -> Rc<Self> {
        let index = json!({ "weight_map": { "a": SHARDS[0], "b": SHARDS[1] } }).to_string();
        let bytes = |len: u64| (0..len).map(|i| (i % 251) as u8).collect::<Vec<_>>();
        let files = [
            ("config.json", b"{}".to_vec()),
            ("model.safetensors.index.json", index.into_bytes()),
            (SHARDS[0], bytes(2 * BLOCK_BYTES + 5)),
            (SHARDS[1], bytes(7)),
        ];
        Rc::new(Self {
            files: files.into(),
            sha: "abc1",
            ..Self::default()
        })
    }

    fn find(&self, address: &str) -> Option<Vec<u8>> {
        if address.contains("/api/models/owner/model/revision/main?blobs=true") {
            let sibling = |(name, bytes): (&&str, &Vec<u8>)| json!({ "rfilename": name, "size": bytes.len() });
            let siblings: Vec<_> = self.files.iter().map(sibling).collect();
            return Some(json!({ "sha": self.sha, "siblings": siblings }).to_string().into_bytes());
        }
        let (_, file) = address.split_once(&format!("/{ID}/resolve/{}/", self.sha))?;
        self.files.get(file).cloned()
    }

    /// How often a file of weights was asked for since the last time.
    fn n_weights(&self) -> usize {
        let asked = self.asked.take();
        asked.iter().filter(|address| address.ends_with(".safetensors")).count()
    }
}

/// The way there, shared with the test.
struct Way(Rc<Hosts>);

impl Remote for Way {
    async fn get(
        &self,
        address: &str,
        part: Option<Range<u64>>,
        max_bytes: usize,
        tell: &dyn Fn(u64),
    ) -> std::result::Result<Vec<u8>, Lost> {
        self.0.asked.borrow_mut().push(address.to_owned());
        let failed = |message: &str, is_final| Lost::Failed {
            message: message.to_owned(),
            is_final,
        };
        if self.0.dead.get().is_some_and(|start| address.starts_with(start)) {
            return Err(failed("nobody is there", false));
        }
        let bytes = self.0.find(address).ok_or_else(|| failed("the server answered 404", true))?;
        let bytes = part.map_or(bytes.clone(), |part| bytes[part.start as usize..part.end as usize].to_vec());
        assert!(bytes.len() <= max_bytes);
        tell(bytes.len() as u64 / 2);
        if self.0.cuts.get() > 0 {
            self.0.cuts.set(self.0.cuts.get() - 1);
            return Ok(bytes[..bytes.len() / 2].to_vec());
        }
        Ok(bytes)
    }
}

/// A disk with room for so many bytes.
struct Disk {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    room: u64,
}

impl Disk {
    fn new(room: u64) -> Rc<Self> {
        Rc::new(Self {
            files: RefCell::default(),
            room,
        })
    }
}

struct Held(Rc<Disk>);

impl Store for Held {
    async fn read(&self, file: &str, offset: u64, len: usize) -> std::result::Result<Vec<u8>, String> {
        let files = self.0.files.borrow();
        let bytes = files.get(file).map_or(&[][..], Vec::as_slice);
        let start = bytes.len().min(offset as usize);
        Ok(bytes[start..bytes.len().min(start + len)].to_vec())
    }

    async fn write(&self, file: &str, offset: u64, bytes: &[u8]) -> std::result::Result<(), String> {
        let mut files = self.0.files.borrow_mut();
        let others: usize = files
            .iter()
            .filter(|(name, _)| *name != file)
            .map(|(_, bytes)| bytes.len())
            .sum();
        let end = offset as usize + bytes.len();
        if (others + end) as u64 > self.0.room {
            return Err("QuotaExceededError".to_owned());
        }
        let held = files.entry(file.to_owned()).or_default();
        held.resize(held.len().max(end), 0);
        held[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    async fn clear(&self) -> std::result::Result<(), String> {
        self.0.files.borrow_mut().clear();
        Ok(())
    }
}

struct Visit {
    hosts: Rc<Hosts>,
    disk: Rc<Disk>,
    page: Sender<ToPage>,
    heard: Receiver<ToPage>,
}

impl Visit {
    fn new(hosts: &Rc<Hosts>, disk: &Rc<Disk>) -> Self {
        let (page, heard) = unbounded();
        Self {
            hosts: hosts.clone(),
            disk: disk.clone(),
            page,
            heard,
        }
    }

    async fn open(&self) -> Result<Kept<Way, Held>> {
        let (hosts, disk) = (Way(self.hosts.clone()), Held(self.disk.clone()));
        let addresses = [HUB.to_owned(), MIRROR.to_owned()];
        Kept::open(ID, &addresses, hosts, disk, Clock::new(), self.page.clone()).await
    }

    /// Reads all of the weights in odd pieces and compares them.
    async fn read_all(&self, kept: &mut Kept<Way, Held>) {
        for shard in SHARDS {
            let expected = &self.hosts.files[shard];
            let mut at = 0;
            while at < expected.len() {
                let len = (5 << 20).min(expected.len() - at);
                assert!(
                    kept.read(shard, at as u64, len).await.unwrap() == expected[at..at + len],
                    "{shard} from {at}"
                );
                at += len;
            }
        }
    }

    /// The last figures that the page heard, and whether it heard that nothing is kept.
    fn heard(&self) -> (u64, u64, bool) {
        let (mut figures, mut is_not_kept) = ((0, 0), false);
        while let Ok(message) = self.heard.try_recv() {
            match message {
                ToPage::Progress(progress) => {
                    assert_eq!(progress.step, Step::Fetch);
                    assert!(progress.done_bytes >= figures.0, "{progress:?} after {figures:?}");
                    figures = (progress.done_bytes, progress.total_bytes);
                }
                ToPage::Notice(Notice::NotKept { message }) => {
                    assert!(!is_not_kept && message.contains("QuotaExceeded"), "{message}");
                    is_not_kept = true;
                }
                other => panic!("{other:?}"),
            }
        }
        (figures.0, figures.1, is_not_kept)
    }
}

const TOTAL: u64 = 2 * BLOCK_BYTES + 12;

#[tokio::test(start_paused = true)]
async fn each_block_is_asked_for_once_and_the_second_visit_needs_nobody() {
    let (hosts, disk) = (Hosts::new(), Disk::new(u64::MAX));
    let visit = Visit::new(&hosts, &disk);
    let mut kept = visit.open().await.unwrap();
    assert!(!kept.is_whole() && kept.weight_bytes() == TOTAL);
    visit.read_all(&mut kept).await;
    assert_eq!(hosts.n_weights(), 4, "three blocks and one");
    let (done, total, is_not_kept) = visit.heard();
    assert!(done > TOTAL / 2 && total == TOTAL && !is_not_kept, "{done} of {total}");
    // A second model on the same files.
    visit.read_all(&mut kept).await;
    kept.seal().await;
    hosts.dead.set(Some("https://"));
    let mut kept = visit.open().await.unwrap();
    assert!(kept.is_whole());
    visit.read_all(&mut kept).await;
    assert_eq!(hosts.asked.take(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_tab_was_closed_is_not_asked_for_again() {
    let (hosts, disk) = (Hosts::new(), Disk::new(u64::MAX));
    let visit = Visit::new(&hosts, &disk);
    let mut kept = visit.open().await.unwrap();
    kept.read(SHARDS[0], BLOCK_BYTES, 10).await.unwrap();
    drop(kept);
    assert_eq!(hosts.n_weights(), 1);
    visit.heard();
    let mut kept = visit.open().await.unwrap();
    assert_eq!(visit.heard(), (BLOCK_BYTES, TOTAL, false), "it begins where it was");
    visit.read_all(&mut kept).await;
    assert_eq!(hosts.n_weights(), 3);
    // Without a mark a block is not there, whatever the file has.
    disk.files.borrow_mut().insert(format!("{}.marks", SHARDS[0]), vec![1, 0, 1]);
    let mut kept = visit.open().await.unwrap();
    visit.read_all(&mut kept).await;
    assert_eq!(hosts.n_weights(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_told_once_and_the_model_is_read_all_the_same() {
    let hosts = Hosts::new();
    let disk = Disk::new(BLOCK_BYTES + 4096);
    let visit = Visit::new(&hosts, &disk);
    let mut kept = visit.open().await.unwrap();
    visit.read_all(&mut kept).await;
    kept.seal().await;
    assert!(visit.heard().2 && !kept.is_whole());
    assert!(
        !visit.open().await.unwrap().is_whole(),
        "nothing says that all of it is there"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_hub_and_a_cut_connection_are_made_good_and_a_dead_mirror_is_not() {
    let (hosts, disk) = (Hosts::new(), Disk::new(u64::MAX));
    hosts.dead.set(Some(HUB));
    let visit = Visit::new(&hosts, &disk);
    let mut kept = visit.open().await.unwrap();
    hosts.asked.take();
    kept.read(SHARDS[1], 0, 7).await.unwrap();
    assert!(hosts.asked.take()[0].starts_with(MIRROR), "who answered is asked first");
    hosts.cuts.set(3);
    visit.read_all(&mut kept).await;
    hosts.dead.set(Some("https://"));
    let fresh = Visit::new(&hosts, &Disk::new(u64::MAX));
    match fresh.open().await.err().unwrap() {
        Error::Download { file, message } => assert!(file == ID && message.contains("nobody is there"), "{message}"),
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn another_commit_begins_anew_and_what_is_not_there_is_said_at_once() {
    let (hosts, disk) = (Hosts::new(), Disk::new(u64::MAX));
    let visit = Visit::new(&hosts, &disk);
    let mut kept = visit.open().await.unwrap();
    visit.read_all(&mut kept).await;
    let newer = Rc::new(Hosts {
        files: hosts.files.clone(),
        sha: "abc2",
        ..Hosts::default()
    });
    let visit = Visit::new(&newer, &disk);
    visit.read_all(&mut visit.open().await.unwrap()).await;
    assert_eq!(newer.n_weights(), 4);
    let empty = Visit::new(&Rc::default(), &Disk::new(u64::MAX));
    let error = empty.open().await.err();
    assert!(error.is_some(), "a commit without a name");
    let mut kept = visit.open().await.unwrap();
    for (file, offset, len) in [("config.json", 0, 3), ("other.json", 0, 1), (SHARDS[0], u64::MAX, 2)] {
        assert!(kept.read(file, offset, len).await.is_err(), "{file}");
    }
    newer.asked.take();
    let none = Kept::open("no", &[], Way(newer.clone()), Held(disk), Clock::new(), visit.page.clone()).await;
    assert!(none.is_err() && newer.asked.take().is_empty());
}
