//! The files of a model that a hub has: read in blocks from the first host that answers, and each block kept, so that it is asked
//! for once. Knows neither the browser's network nor its disk: those are [`Remote`] and [`Store`].
//!
//! In the store a model has its own files as far as they came, `FILE.marks` (a byte a block, 1 once the block is on the disk),
//! `listing` (which files there are, at which commit) and, written last, `whole`: with it the hub is not asked any more.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use gpu::weights::checkpoint::{INDEX_FILE, SINGLE_FILE};
use gpu::weights::source::repository::{Revision, Sibling, check_id, shards_of};
use gpu::weights::source::{Source, SourceFuture};
use pipeline::time::Clock;

use super::error::{Error, Result};
use crate::protocol::{Notice, Progress, Step, ToPage};

/// What is asked for at once, and kept as a whole.
pub const BLOCK_BYTES: u64 = 16 << 20;
/// Blocks that are in memory, the newest first: small tensors follow each other.
const RECENT_BLOCKS: usize = 2;
/// The most that a listing or an index has.
const MAX_LISTING_BYTES: usize = 8 << 20;
/// Rounds over all hosts before a block is given up, and the pause after the first of them; it doubles.
const ROUNDS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);
const REVISION: &str = "main";
const LISTING: &str = "listing";
const WHOLE: &str = "whole";

/// Why something did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The person's own wish.
    Cancelled,
    /// `is_final`: asking again is of no use.
    Failed { message: String, is_final: bool },
}

/// The way to the hosts.
#[expect(async_fn_in_trait, reason = "only this program implements it, for one thread")]
pub trait Remote {
    /// What lies at an address, or a part of it; an answer with more than `max_bytes` is a failure. `tell` hears how much came.
    async fn get(
        &self,
        address: &str,
        part: Option<Range<u64>>,
        max_bytes: usize,
        tell: &dyn Fn(u64),
    ) -> std::result::Result<Vec<u8>, Lost>;
}

/// Files of one model on this machine. Errors are words.
#[expect(async_fn_in_trait, reason = "only this program implements it, for one thread")]
pub trait Store {
    /// Up to `len` bytes, fewer where the file ends.
    async fn read(&self, file: &str, offset: u64, len: usize) -> std::result::Result<Vec<u8>, String>;
    /// On the disk once it returns.
    async fn write(&self, file: &str, offset: u64, bytes: &[u8]) -> std::result::Result<(), String>;
    async fn clear(&self) -> std::result::Result<(), String>;
}

/// Where a block is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Away,
    /// It came, and was not kept.
    Seen,
    Kept,
}

/// One model's files.
pub struct Kept<R, S> {
    id: String,
    hosts: Vec<String>,
    remote: R,
    store: S,
    clock: Clock,
    page: Sender<ToPage>,
    revision: Revision,
    weights: Vec<String>,
    is_whole: bool,
    /// The store takes no more.
    is_full: bool,
    marks: BTreeMap<String, Vec<Mark>>,
    recent: VecDeque<(String, u64, Vec<u8>)>,
    /// The host that answered last.
    host: usize,
}

impl<R: Remote, S: Store> Kept<R, S> {
    /// Finds out which files a model has. `hosts` are addresses such as `https://huggingface.co`, in the order in which they are
    /// asked.
    ///
    /// Errors: what is no id; nobody answers; the person cancels.
    pub async fn open(id: &str, hosts: &[String], remote: R, store: S, clock: Clock, page: Sender<ToPage>) -> Result<Self> {
        check_id(id, REVISION)?;
        let none = Revision {
            sha: String::new(),
            siblings: Vec::new(),
        };
        let mut kept = Self {
            id: id.to_owned(),
            hosts: hosts.to_vec(),
            remote,
            store,
            clock,
            page,
            revision: none,
            weights: Vec::new(),
            is_whole: false,
            is_full: false,
            marks: BTreeMap::new(),
            recent: VecDeque::new(),
            host: 0,
        };
        kept.find_revision().await?;
        kept.find_weights().await?;
        kept.tell(0);
        Ok(kept)
    }

    /// Everything was loaded from here once: nobody is asked.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Bytes of all files of weights.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.iter().filter_map(|file| self.size(file)).sum()
    }

    pub fn size(&self, file: &str) -> Option<u64> {
        self.revision.find(file)?.size
    }

    /// Bytes `offset .. offset + len` of a file.
    ///
    /// Errors: the file is shorter, or does not arrive; the person cancels.
    pub async fn read(&mut self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>> {
        let size = self.size(file).unwrap_or(0);
        let end = offset.checked_add(len as u64).filter(|end| *end <= size);
        let end = end.ok_or_else(|| {
            self.fail(
                file,
                format!("bytes {offset} to {offset} + {len} were asked for, it has {size}"),
            )
        })?;
        let mut bytes = Vec::with_capacity(len);
        let mut at = offset;
        while at < end {
            let block = at / BLOCK_BYTES;
            let stop = end.min((block + 1) * BLOCK_BYTES);
            let within = (at % BLOCK_BYTES) as usize;
            self.append(file, block, within..within + (stop - at) as usize, &mut bytes)
                .await?;
            at = stop;
        }
        Ok(bytes)
    }

    /// The model was loaded: notes that all of it is here, unless the disk was full.
    pub async fn seal(&mut self) {
        if self.is_full || self.is_whole {
            return;
        }
        let sha = self.revision.sha.clone();
        match self.store.write(WHOLE, 0, sha.as_bytes()).await {
            Ok(()) => self.is_whole = true,
            Err(message) => self.give_up_keeping(message).await,
        }
    }

    /// From the store if it was loaded once; else as the hosts have it now, and what is there of another commit is dropped.
    async fn find_revision(&mut self) -> Result<()> {
        let text = self.store.read(LISTING, 0, MAX_LISTING_BYTES).await.unwrap_or_default();
        let kept = serde_json::from_slice::<Revision>(&text).ok();
        if let Some(kept) = &kept {
            let whole = self.store.read(WHOLE, 0, kept.sha.len()).await;
            if whole.is_ok_and(|sha| sha == kept.sha.as_bytes()) {
                self.is_whole = true;
                self.revision = kept.clone();
                return Ok(());
            }
        }
        let path = format!("{}?blobs=true", Revision::path(&self.id, REVISION));
        let found = match self.fetch(&path, None, None, &|_| ()).await {
            Ok(text) => {
                let mut found = Revision::parse(
                    &self.id,
                    self.hosts.get(self.host).map_or("", String::as_str),
                    &String::from_utf8_lossy(&text),
                )?;
                // In a folder of the repository lie other formats, and a file without a size cannot be read in parts.
                found
                    .siblings
                    .retain(|file: &Sibling| file.size.is_some() && !file.rfilename.contains('/'));
                found
            }
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            // What is missing may still be elsewhere.
            Err(error) => kept.clone().ok_or(error)?,
        };
        if kept.as_ref() != Some(&found) {
            let text = serde_json::to_vec(&found)?;
            let written = match self.store.clear().await {
                Ok(()) => self.store.write(LISTING, 0, &text).await,
                failed => failed,
            };
            if let Err(message) = written {
                self.give_up_keeping(message).await;
            }
        }
        self.revision = found;
        Ok(())
    }

    async fn find_weights(&mut self) -> Result<()> {
        if self.size(SINGLE_FILE).is_some() {
            self.weights = vec![SINGLE_FILE.to_owned()];
        } else if let Some(size) = self.size(INDEX_FILE) {
            let index = self.read(INDEX_FILE, 0, size.min(MAX_LISTING_BYTES as u64) as usize).await?;
            self.weights = shards_of(&String::from_utf8_lossy(&index), INDEX_FILE)?;
        }
        for file in self.weights.clone() {
            self.marks_of(&file).await;
        }
        Ok(())
    }

    /// A file's marks; what an earlier visit kept is known from then on.
    async fn marks_of(&mut self, file: &str) -> &mut Vec<Mark> {
        if !self.marks.contains_key(file) {
            let n_blocks = self.size(file).unwrap_or(0).div_ceil(BLOCK_BYTES) as usize;
            let kept = self.store.read(&marks_name(file), 0, n_blocks).await.unwrap_or_default();
            let mut marks: Vec<Mark> = kept
                .iter()
                .map(|mark| if *mark == 1 { Mark::Kept } else { Mark::Away })
                .collect();
            marks.resize(n_blocks, Mark::Away);
            self.marks.insert(file.to_owned(), marks);
        }
        self.marks.entry(file.to_owned()).or_default()
    }

    /// Appends bytes `within` of a block.
    async fn append(&mut self, file: &str, block: u64, within: Range<usize>, bytes: &mut Vec<u8>) -> Result<()> {
        let recent = self.recent.iter().find(|(name, number, _)| name == file && *number == block);
        if let Some((_, _, held)) = recent {
            bytes.extend_from_slice(&held[within]);
            return Ok(());
        }
        if self.marks_of(file).await.get(block as usize) == Some(&Mark::Kept) {
            let offset = block * BLOCK_BYTES + within.start as u64;
            match self.store.read(file, offset, within.len()).await {
                Ok(read) if read.len() == within.len() => {
                    bytes.extend_from_slice(&read);
                    return Ok(());
                }
                // What the disk does not give back is asked for again.
                _ => self.mark(file, block, Mark::Away).await,
            }
        }
        let held = self.bring(file, block).await?;
        bytes.extend_from_slice(&held[within]);
        self.recent.push_front((file.to_owned(), block, held));
        Ok(())
    }

    /// Brings a block here, and keeps it.
    async fn bring(&mut self, file: &str, block: u64) -> Result<Vec<u8>> {
        let size = self.size(file).unwrap_or(0);
        let start = block * BLOCK_BYTES;
        let range = start..size.min(start + BLOCK_BYTES);
        let expected = (range.end - range.start) as usize;
        let part = (expected as u64 != size).then_some(range);
        let path = self.revision.file_path(&self.id, file);
        let is_weight = self.weights.iter().any(|weights| weights == file);
        let is_new = is_weight && self.marks_of(file).await.get(block as usize) == Some(&Mark::Away);
        let done_bytes = self.done_bytes();
        let (page, total_bytes) = (self.page.clone(), self.weight_bytes());
        let tell = move |n_bytes| {
            if is_new {
                progress(&page, done_bytes + n_bytes, total_bytes);
            }
        };
        // Before it comes, so that there are never more.
        self.recent.truncate(RECENT_BLOCKS - 1);
        let bytes = self.fetch(&path, part, Some(expected), &tell).await?;
        let mut mark = Mark::Seen;
        if !self.is_full {
            match self.keep(file, block, &bytes).await {
                Ok(()) => mark = Mark::Kept,
                Err(message) => self.give_up_keeping(message).await,
            }
        }
        self.mark(file, block, mark).await;
        Ok(bytes)
    }

    async fn keep(&self, file: &str, block: u64, bytes: &[u8]) -> std::result::Result<(), String> {
        self.store.write(file, block * BLOCK_BYTES, bytes).await?;
        // Last: what is marked is there.
        self.store.write(&marks_name(file), block, &[1]).await
    }

    async fn mark(&mut self, file: &str, block: u64, mark: Mark) {
        if let Some(place) = self.marks_of(file).await.get_mut(block as usize) {
            *place = mark;
        }
    }

    async fn give_up_keeping(&mut self, message: String) {
        if !std::mem::replace(&mut self.is_full, true) {
            drop(self.page.send(ToPage::Notice(Notice::NotKept { message })).await);
        }
    }

    /// Bytes of weights that have been here.
    fn done_bytes(&self) -> u64 {
        let of_file = |file: &String| {
            let size = self.size(file).unwrap_or(0);
            let marks = self.marks.get(file).map_or(&[][..], Vec::as_slice);
            let here = marks.iter().enumerate().filter(|(_, mark)| **mark != Mark::Away);
            here.map(|(block, _)| BLOCK_BYTES.min(size - block as u64 * BLOCK_BYTES))
                .sum::<u64>()
        };
        self.weights.iter().map(of_file).sum()
    }

    fn tell(&self, more: u64) {
        progress(&self.page, self.done_bytes() + more, self.weight_bytes());
    }

    /// What lies at a path of any host: the one that answered last is asked first, then the others in turn, all of them a few times.
    async fn fetch(
        &mut self,
        path: &str,
        part: Option<Range<u64>>,
        expected: Option<usize>,
        tell: &dyn Fn(u64),
    ) -> Result<Vec<u8>> {
        let mut said = "no host is configured for models".to_owned();
        for round in 0..ROUNDS {
            let mut is_final = true;
            for index in 0..self.hosts.len() {
                let host = (self.host + index) % self.hosts.len();
                let address = format!("{}/{path}", self.hosts[host]);
                let max_bytes = expected.unwrap_or(MAX_LISTING_BYTES);
                match self.remote.get(&address, part.clone(), max_bytes, tell).await {
                    Ok(bytes) if expected.is_none_or(|expected| expected == bytes.len()) => {
                        self.host = host;
                        return Ok(bytes);
                    }
                    Ok(bytes) => {
                        is_final = false;
                        said = format!("{address} ended after {} bytes", bytes.len());
                    }
                    Err(Lost::Cancelled) => return Err(Error::Cancelled),
                    Err(Lost::Failed {
                        message,
                        is_final: of_host,
                    }) => {
                        is_final &= of_host;
                        said = format!("{address}: {message}");
                    }
                }
            }
            if is_final {
                break;
            }
            if round + 1 < ROUNDS {
                self.clock.sleep(PAUSE * 2u32.pow(round)).await;
            }
        }
        Err(self.fail(&self.id, said))
    }

    fn fail(&self, file: &str, message: String) -> Error {
        let file = file.to_owned();
        Error::Download { file, message }
    }
}

fn marks_name(file: &str) -> String {
    format!("{file}.marks")
}

fn progress(page: &Sender<ToPage>, done_bytes: u64, total_bytes: u64) {
    // Only numbers: a page that is slow does without some.
    let _ = page.try_send(ToPage::Progress(Progress {
        step: Step::Fetch,
        done_bytes,
        total_bytes,
    }));
}

/// What [`serve`] is asked.
pub enum Request {
    Read {
        file: String,
        offset: u64,
        len: usize,
        reply: Sender<Result<Vec<u8>>>,
    },
    /// The model was loaded.
    Seal,
}

/// The files as an engine loads them, which may be on another thread than they are.
pub struct HubFiles {
    id: String,
    sizes: BTreeMap<String, u64>,
    requests: Sender<Request>,
}

impl HubFiles {
    /// And what is to be given to [`serve`].
    pub fn new<R: Remote, S: Store>(kept: &Kept<R, S>) -> (Self, Receiver<Request>) {
        let (requests, asked) = async_channel::bounded(1);
        let sized = |file: &Sibling| Some((file.rfilename.clone(), file.size?));
        let files = Self {
            id: kept.id.clone(),
            sizes: kept.revision.siblings.iter().filter_map(sized).collect(),
            requests,
        };
        (files, asked)
    }

    /// Notes that the model was loaded.
    pub async fn seal(&self) {
        drop(self.requests.send(Request::Seal).await);
    }
}

impl Source for HubFiles {
    fn name(&self) -> &str {
        &self.id
    }

    fn size<'a>(&'a self, file: &'a str) -> SourceFuture<'a, Option<u64>> {
        Box::pin(async move { Ok(self.sizes.get(file).copied()) })
    }

    fn read<'a>(&'a self, file: &'a str, offset: u64, len: usize) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(async move {
            let (reply, answer) = async_channel::bounded(1);
            let file = file.to_owned();
            let request = Request::Read {
                file,
                offset,
                len,
                reply,
            };
            if self.requests.send(request).await.is_err() {
                return Err(gpu::Error::Cancelled);
            }
            match answer.recv().await {
                Ok(Ok(bytes)) => Ok(bytes),
                Ok(Err(Error::Download { file, message })) => Err(gpu::Error::Unreachable { file, message }),
                Ok(Err(Error::Engine(error))) => Err(error),
                _ => Err(gpu::Error::Cancelled),
            }
        })
    }
}

/// Answers until nobody can ask any more.
pub async fn serve<R: Remote, S: Store>(mut kept: Kept<R, S>, asked: Receiver<Request>) {
    while let Ok(request) = asked.recv().await {
        match request {
            Request::Read {
                file,
                offset,
                len,
                reply,
            } => drop(reply.send(kept.read(&file, offset, len).await).await),
            Request::Seal => kept.seal().await,
        }
    }
}
