//! Where models are: inside the program, in a folder, or on the Hugging Face hub. Not how they are loaded (`setup.rs`).

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use gpu::weights::source::{Folder, Hub, HubOptions, HubProgress, Memory, Source, Tar};
use pipeline::error::Fault;

use crate::embedded;

/// A model as a configuration names it, found or known to be elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Inside the program.
    Embedded(&'static str),
    Folder(PathBuf),
    /// A `.nemo` file, which only models of speech are.
    Archive(PathBuf),
    /// `OWNER/NAME`.
    Hub(String),
}

/// The model of speech that travels inside the program.
pub const POCKET_ASR: &str = "pocket-asr";

/// The models that travel inside the program.
pub fn embedded_models() -> impl Iterator<Item = (&'static str, &'static [embedded::File])> {
    [("pocket-vl", embedded::POCKET_VL), (POCKET_ASR, embedded::POCKET_ASR)]
        .into_iter()
        .filter(|(_, files)| !files.is_empty())
}

/// Name, ONNX and JSON of a voice.
pub type VoiceParts = (&'static str, Cow<'static, [u8]>, Cow<'static, [u8]>);

/// The voices that travel inside the program; without them those in the folders of models.
pub fn voices() -> Vec<VoiceParts> {
    let embedded = |ending: &str| {
        embedded::JOE
            .iter()
            .find(|(name, _)| name.ends_with(ending))
            .map(|(_, bytes)| *bytes)
    };
    if let (Some(onnx), Some(json)) = (embedded(".onnx.zz"), embedded(".onnx.json")) {
        return vec![("joe", onnx.into(), json.into())];
    }
    let found = model_folders().into_iter().find_map(|folder| {
        let read = |ending: &str| std::fs::read(folder.join("joe").join(format!("joe{ending}"))).ok();
        Some(("joe", read(".onnx.zz")?.into(), read(".onnx.json")?.into()))
    });
    found.into_iter().collect()
}

/// Folders that may hold pocket models, each in a folder of its name.
pub fn model_folders() -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("models")];
    if let Ok(program) = std::env::current_exe()
        && let Some(folder) = program.parent()
    {
        folders.push(folder.join("models"));
    }
    folders.extend(data_folder().map(|folder| folder.join("models")));
    folders
}

/// The folder for this program's data that the platform prescribes, if it can be told.
fn data_folder() -> Option<PathBuf> {
    let folder = |variable: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let parent = if cfg!(windows) {
        folder("APPDATA")
    } else if cfg!(target_os = "macos") {
        folder("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        folder("XDG_DATA_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/share")))
    };
    parent.map(|parent| parent.join("qwglm"))
}

/// Finds a model. A name without a slash is a pocket model's, inside the program first; a folder is relative to `base`.
///
/// Errors: a fault of the key `source`.
pub fn find(source: &str, base: &Path) -> Result<Place, Fault> {
    let folder = base.join(source);
    let is_name = !source.contains(['/', '\\']) && !source.starts_with('.');
    if is_name && let Some((name, _)) = embedded_models().find(|(name, _)| *name == source) {
        return Ok(Place::Embedded(name));
    }
    if is_name {
        let found = model_folders()
            .into_iter()
            .map(|folder| folder.join(source))
            .find(|folder| is_model(folder));
        if let Some(found) = found {
            return Ok(Place::Folder(found));
        }
    }
    if folder.is_file() && is_archive(&folder) {
        return Ok(Place::Archive(folder));
    }
    if folder.is_dir() {
        let fault = || {
            Fault::new(
                "source",
                format!("{} has no config.json and no .nemo file", folder.display()),
                "a folder of a checkpoint",
            )
        };
        return if is_model(&folder) {
            Ok(Place::Folder(folder))
        } else {
            Err(fault())
        };
    }
    let starts_as_path = source.starts_with(['.', '/', '\\', '~']) || Path::new(source).is_absolute();
    let n_slashes = source.matches(['/', '\\']).count();
    if n_slashes == 1 && !starts_as_path && !source.contains('\\') {
        return Ok(Place::Hub(source.to_owned()));
    }
    if !is_name {
        return Err(Fault::new(
            "source",
            format!("there is no folder {}", folder.display()),
            "a folder, or OWNER/NAME on the hub",
        ));
    }
    let mut known: Vec<String> = embedded_models().map(|(name, _)| format!("\"{name}\"")).collect();
    known.extend(
        model_folders()
            .iter()
            .map(|folder| format!("a folder in {}", folder.display())),
    );
    Err(Fault::new(
        "source",
        format!("there is no model \"{source}\""),
        format!("{}, a path, or OWNER/NAME on the hub", known.join(", ")),
    ))
}

fn is_model(folder: &Path) -> bool {
    let has_archive = || {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| is_archive(&path))
    };
    folder.join("config.json").is_file() || has_archive()
}

fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "nemo")
}

/// Opens a model's files; what is not on this machine is downloaded (unless `offline`), and `progress` told of it.
///
/// Errors: those of the folder and of the hub.
pub async fn open(place: Place, progress: async_channel::Sender<HubProgress>, offline: bool) -> Result<Arc<dyn Source>> {
    Ok(match place {
        Place::Embedded(name) => {
            let files = embedded_models()
                .find(|(other, _)| *other == name)
                .map(|(_, files)| files)
                .unwrap_or_default();
            let files = files.iter().map(|(file, bytes)| ((*file).to_owned(), Cow::Borrowed(*bytes)));
            Arc::new(Memory::new(name, files))
        }
        Place::Folder(path) => Arc::new(Folder::open(path)?),
        Place::Archive(path) => bail!("{} is a model of speech", path.display()),
        Place::Hub(id) => hub(&id, progress, offline).await?,
    })
}

/// The same for a model of speech: its files, or those in an archive as NeMo publishes them.
///
/// Errors: as [`open`]; those of the archive.
pub async fn open_speech(place: Place, progress: async_channel::Sender<HubProgress>, offline: bool) -> Result<Arc<dyn Source>> {
    let id = match place {
        Place::Folder(path) | Place::Archive(path) => return Ok(stages::stt::model::open(&path).await?),
        Place::Embedded(_) => return open(place, progress, offline).await,
        Place::Hub(id) => id,
    };
    let hub = hub(&id, progress, offline).await?;
    let has_files = hub.size("config.json").await?.is_some() && hub.size("model.safetensors").await?.is_some();
    if has_files {
        return Ok(hub);
    }
    let name = id.rsplit('/').next().unwrap_or(&id);
    Ok(Arc::new(Tar::open(hub, &format!("{name}.nemo")).await?))
}

async fn hub(id: &str, progress: async_channel::Sender<HubProgress>, offline: bool) -> Result<Arc<dyn Source>> {
    let mut options = HubOptions::from_env();
    options.offline |= offline;
    let hub = Hub::open(id, options, Some(progress)).await;
    let hint = match offline {
        true => format!("the tokenizer of {id} is needed; name a folder that has it with --set model.NAME.source=FOLDER"),
        false => format!("cannot download {id}"),
    };
    Ok(Arc::new(hub.with_context(|| hint)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_folder_a_hub_id_or_a_fault() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        for name in ["mine", "a/b", "empty"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        for name in ["mine", "a/b"] {
            std::fs::write(at(name).join("config.json"), "{}").unwrap();
        }
        let found = |source: &str| find(source, base.path());
        assert_eq!(found("mine"), Ok(Place::Folder(at("mine"))));
        assert_eq!(
            found("a/b"),
            Ok(Place::Folder(at("a/b"))),
            "a folder that is there comes before the hub"
        );
        assert_eq!(found(&at("mine").display().to_string()), Ok(Place::Folder(at("mine"))));
        assert_eq!(
            found("Qwen/Qwen3-VL-2B-Instruct"),
            Ok(Place::Hub("Qwen/Qwen3-VL-2B-Instruct".into()))
        );
        std::fs::create_dir_all(at("heard")).unwrap();
        std::fs::write(at("heard/a.nemo"), "").unwrap();
        assert_eq!(found("heard"), Ok(Place::Folder(at("heard"))));
        assert_eq!(found("./heard/a.nemo"), Ok(Place::Archive(at("./heard/a.nemo"))));
        if cfg!(feature = "embed") {
            assert_eq!(found(POCKET_ASR), Ok(Place::Embedded(POCKET_ASR)));
        }
        for source in ["empty", "./nothing", "/no/such", "no-such-model", "a/b/c", "~/x"] {
            let fault = found(source).unwrap_err();
            assert!(fault.key == "source" && !fault.accepted.is_empty(), "{source}: {fault}");
        }
    }
}
