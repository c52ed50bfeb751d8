//! What a hub says of a model: its id, and its files at one commit. Not how that is asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{check_file_name, file_error};
use crate::error::Result;
use crate::weights::checkpoint::INDEX_FILE;

/// The hub's answer about a revision. Hostile input: names are checked before they are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The commit.
    pub sha: String,
    /// Its files.
    pub siblings: Vec<Sibling>,
}

/// A file of a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sibling {
    pub rfilename: String,
    /// In bytes, where the hub was asked for it (`?blobs=true`).
    #[serde(default)]
    pub size: Option<u64>,
}

/// A list of shards: [`INDEX_FILE`].
#[derive(Deserialize)]
pub(crate) struct Index {
    /// By tensor the file that holds it.
    pub weight_map: BTreeMap<String, String>,
}

impl Index {
    /// `shown`: what it is called in an error.
    ///
    /// Errors: `File` if the text is no index.
    pub fn parse(text: &str, shown: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| file_error(shown, format!("is not an index of shards: {error}")))
    }
}

impl Revision {
    /// Where a hub tells of a revision of model `id`.
    pub fn path(id: &str, revision: &str) -> String {
        format!("api/models/{id}/revision/{}", revision.replace('/', "%2F"))
    }

    /// Reads what `endpoint` answered about model `id`.
    ///
    /// Errors: `File` if it is no such answer, or names a commit that could lead elsewhere.
    pub fn parse(id: &str, endpoint: &str, text: &str) -> Result<Self> {
        let revision: Self = serde_json::from_str(text)
            .map_err(|error| file_error(id, format!("{endpoint} did not answer as the hub does: {error}")))?;
        if revision.sha.is_empty() || !revision.sha.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(file_error(id, format!("has the bad commit {:?}", revision.sha)));
        }
        Ok(revision)
    }

    pub fn find(&self, file: &str) -> Option<&Sibling> {
        self.siblings.iter().find(|sibling| sibling.rfilename == file)
    }

    /// Where a file of model `id` lies.
    pub fn file_path(&self, id: &str, file: &str) -> String {
        format!("{id}/resolve/{}/{file}", self.sha)
    }
}

/// The shards that the text of an index names, each once. `shown`: what the index is called in an error.
///
/// Errors: `File` if it is no index, or names a file outside of the checkpoint.
pub fn shards_of(index: &str, shown: &str) -> Result<Vec<String>> {
    let mut shards: Vec<String> = Index::parse(index, shown)?.weight_map.into_values().collect();
    shards.sort();
    shards.dedup();
    for shard in &shards {
        check_file_name(shard)
            .map_err(|_| file_error(INDEX_FILE, format!("names {shard:?}, which is not a file of the checkpoint")))?;
    }
    Ok(shards)
}

/// Errors: `File` if `id` is not `owner/name`, or the revision could leave the place that files are kept in.
pub fn check_id(id: &str, revision: &str) -> Result<()> {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    let parts: Vec<&str> = id.split('/').collect();
    if parts.len() != 2 || !parts.iter().all(|part| plain(part)) {
        return Err(file_error(id, "is neither a folder nor a model of the hub (OWNER/NAME)"));
    }
    if !revision.split('/').all(plain) {
        return Err(file_error(id, format!("cannot have the revision {revision:?}")));
    }
    Ok(())
}
