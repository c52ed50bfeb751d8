//! A checkpoint on the Hugging Face hub, or a mirror of it: downloaded once into the hub's own cache, then read from there.
//!
//! The cache's layout, its place and the token file are crate `hf-hub`'s, so what other programs downloaded is found and the
//! other way round. The transfers are our own (`client`, `download`): that crate sends the token on to the host a file is
//! redirected to, and does not check what arrived.

mod client;
mod download;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_channel::Sender;
use hf_hub::{Cache, Repo, RepoType};
use pipeline::spawn;

use self::client::Client;
use super::repository::{Revision, check_id, shards_of};
use super::{Folder, Source, SourceFuture, check_file_name, file_error};
use crate::error::{Error, Result};
use crate::weights::checkpoint::{INDEX_FILE, SINGLE_FILE};

/// Where from, where to, and as whom.
#[derive(Clone)]
pub struct HubOptions {
    /// `https://huggingface.co`, or a mirror.
    pub endpoint: String,
    /// The hub's cache, `~/.cache/huggingface/hub` as a rule.
    pub cache_dir: PathBuf,
    /// Sent to the endpoint and nowhere else.
    pub token: Option<String>,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// Uses what the cache holds and asks nobody.
    pub offline: bool,
    /// Pause before a transfer that broke off goes on; doubled each time that nothing came.
    pub retry_delay: Duration,
}

impl HubOptions {
    /// From `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN` (else the token file of `hf auth login`) and
    /// `HF_HUB_OFFLINE`.
    pub fn from_env() -> Self {
        let text = |name: &str| {
            std::env::var(name)
                .ok()
                .map(|v| v.trim().to_owned())
                .filter(|v| !v.is_empty())
        };
        let cache = Cache::from_env();
        Self {
            endpoint: text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            token: text("HF_TOKEN").or_else(|| cache.token()),
            cache_dir: text("HF_HUB_CACHE").map_or_else(|| cache.path().clone(), PathBuf::from),
            revision: "main".to_owned(),
            offline: text("HF_HUB_OFFLINE").is_some_and(|v| v != "0"),
            retry_delay: Duration::from_secs(1),
        }
    }
}

/// How far a download is, over all files of the model that were not in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubProgress {
    pub file: String,
    /// Of this file.
    pub done_bytes: u64,
    pub size_bytes: u64,
    /// Files before this one, and in all.
    pub files_done: usize,
    pub n_files: usize,
}

/// The files of one model at one commit, all on this machine.
#[derive(Clone, Debug)]
pub struct Hub {
    id: String,
    folder: Folder,
}

impl Hub {
    /// Downloads what is missing of model `id` (`owner/name`): its JSON files, chat template and safetensors. A download
    /// that broke off goes on where it stopped. Dropping the future ends it soon. `progress` misses updates when full.
    ///
    /// If the endpoint cannot be reached and the cache holds the whole model, that is used.
    ///
    /// Errors: `File` naming the model and what to do: no network, no such model, no access, a full disk, wrong contents.
    pub async fn open(id: &str, options: HubOptions, progress: Option<Sender<HubProgress>>) -> Result<Self> {
        check_id(id, &options.revision)?;
        let cancel = CancelOnDrop::default();
        let job = Job {
            id: id.to_owned(),
            options,
            progress,
            cancelled: cancel.0.clone(),
        };
        let path = spawn::blocking(move || job.run()).await?;
        Ok(Self {
            id: id.to_owned(),
            folder: Folder::open(path)?,
        })
    }

    /// The folder in the cache.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Source for Hub {
    fn name(&self) -> &str {
        &self.id
    }

    fn size<'a>(&'a self, file: &'a str) -> SourceFuture<'a, Option<u64>> {
        self.folder.size(file)
    }

    fn read<'a>(&'a self, file: &'a str, offset: u64, len: usize) -> SourceFuture<'a, Vec<u8>> {
        self.folder.read(file, offset, len)
    }
}

/// Tells the thread that downloads when nobody waits for it any more.
#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One call of [`Hub::open`], on a thread for blocking work.
struct Job {
    id: String,
    options: HubOptions,
    progress: Option<Sender<HubProgress>>,
    cancelled: Arc<AtomicBool>,
}

impl Job {
    /// The folder of the cache that holds all files.
    fn run(&self) -> Result<PathBuf> {
        let cache = Cache::new(self.options.cache_dir.clone());
        let repo = Repo::with_revision(self.id.clone(), RepoType::Model, self.options.revision.clone());
        let cached = || self.cached(&cache.path().join(repo.folder_name()));
        if self.options.offline {
            return cached().ok_or_else(|| self.fail("is not in the cache, and HF_HUB_OFFLINE forbids to download it"));
        }
        let client = Client::new(&self.options.endpoint, self.options.token.clone());
        let revision = match client.text(&self.id, &Revision::path(&self.id, &self.options.revision)) {
            Ok(text) => Revision::parse(&self.id, &self.options.endpoint, &text)?,
            Err(error) if error.no_network => {
                return match cached() {
                    Some(path) => {
                        tracing::warn!(model = self.id, error = %error.error, "using the cached model");
                        Ok(path)
                    }
                    None => Err(error.error),
                };
            }
            Err(error) => return Err(error.error),
        };
        self.fetch_all(&client, &cache.path().join(repo.folder_name()), &revision)
            .and_then(|snapshot| {
                let written = cache.repo(repo.clone()).create_ref(&revision.sha);
                written.map_err(|error| self.fail(format!("cannot be noted in the cache: {error}")))?;
                Ok(snapshot)
            })
    }

    fn fetch_all(&self, client: &Client, repo_dir: &Path, revision: &Revision) -> Result<PathBuf> {
        let names: Vec<&str> = revision.siblings.iter().map(|s| s.rfilename.as_str()).collect();
        let snapshot = repo_dir.join("snapshots").join(&revision.sha);
        let texts: Vec<String> = names
            .iter()
            .filter(|name| is_text(name))
            .map(|&name| name.to_owned())
            .collect();
        let mut fetched = 0;
        let mut fetch = |files: &[String], n_files: usize| -> Result<()> {
            for file in files {
                let path = revision.file_path(&self.id, file);
                let place = download::Place {
                    repo_dir,
                    snapshot: &snapshot,
                    file,
                };
                download::fetch(client, &path, &place, self, (fetched, n_files))?;
                fetched += 1;
            }
            Ok(())
        };
        // The index is among the texts, and says which weights are needed.
        fetch(&texts, texts.len() + 1)?;
        let weights = if names.contains(&SINGLE_FILE) {
            vec![SINGLE_FILE.to_owned()]
        } else if names.contains(&INDEX_FILE) {
            self.shards(&snapshot.join(INDEX_FILE))?
        } else {
            return Err(self.fail(format!(
                "holds neither {SINGLE_FILE} nor {INDEX_FILE}: weights as safetensors are needed"
            )));
        };
        fetch(&weights, texts.len() + weights.len())?;
        Ok(snapshot)
    }

    fn shards(&self, index: &Path) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(index).map_err(|error| file_error(index.display().to_string(), error.to_string()))?;
        shards_of(&text, &index.display().to_string())
    }

    /// The snapshot that the cache has for the revision, if it is whole.
    fn cached(&self, repo_dir: &Path) -> Option<PathBuf> {
        let sha = std::fs::read_to_string(repo_dir.join("refs").join(&self.options.revision)).ok();
        let sha = sha.map_or_else(|| self.options.revision.clone(), |sha| sha.trim().to_owned());
        check_file_name(&sha).ok()?;
        let snapshot = repo_dir.join("snapshots").join(sha);
        let has = |file: &str| snapshot.join(file).is_file();
        let weights_whole = has(SINGLE_FILE)
            || has(INDEX_FILE)
                && self
                    .shards(&snapshot.join(INDEX_FILE))
                    .is_ok_and(|shards| shards.iter().all(|s| has(s)));
        (has("config.json") && weights_whole).then_some(snapshot)
    }

    fn fail(&self, message: impl Into<String>) -> Error {
        file_error(&self.id, message)
    }

    /// Errors: `Cancelled` once nobody waits.
    fn tell(&self, progress: HubProgress) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        if let Some(sender) = &self.progress {
            // A reader that is slow or gone does not hold up the download.
            let _ = sender.try_send(progress);
        }
        Ok(())
    }
}

/// JSON files and chat templates at the top level.
fn is_text(name: &str) -> bool {
    check_file_name(name).is_ok() && !name.contains('/') && (name.ends_with(".json") || name.ends_with(".jinja"))
}

#[cfg(test)]
mod tests;
