//! The page's own files: which there are, and bringing them here with progress.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use app_web::protocol::{Progress, Step, ToPage};
use app_web::run::kept::{Lost, Remote};
use app_web::run::{Error, Result};
use async_channel::Sender;
use gpu::weights::source::Memory;
use js_sys::{Reflect, Uint8Array};
use pipeline::time::Clock;
use serde::Deserialize;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, ReadableStreamDefaultReader, RequestInit, Response, WorkerGlobalScope};

/// How often a held download looks whether it goes on.
const HELD_POLL: Duration = Duration::from_millis(100);

/// The status of an answer that is a part.
const PARTIAL: u16 = 206;
/// Refusals after which asking again may help.
const RETRIED: [u16; 2] = [408, 429];

/// The list of files that `cargo xtask web` writes.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Manifest {
    /// By model (or voice), then by file.
    pub models: BTreeMap<String, Vec<Asset>>,
    /// The sample recording, in order.
    pub sample: Vec<Asset>,
    /// Where models come from that do not travel with the page, in order.
    pub hosts: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Asset {
    pub name: String,
    /// From the manifest's own address.
    pub url: String,
    pub size_bytes: u64,
}

/// What the person does to a download while it runs.
#[derive(Clone, Default)]
pub struct Steering {
    pub held: Rc<Cell<bool>>,
    pub cancelled: Rc<Cell<bool>>,
}

/// Brings files here, and tells the page how far that is.
pub struct Fetcher {
    pub base: String,
    pub page: Sender<ToPage>,
    pub steering: Steering,
}

impl Fetcher {
    /// Errors: [`Error::Download`].
    pub async fn manifest(&self) -> Result<Manifest> {
        let bytes = self.fetch(&self.base, None, usize::MAX, &mut |_| ()).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// All files of a model.
    ///
    /// Errors: [`Error::Download`], [`Error::Cancelled`].
    pub async fn model(&self, name: &str, files: &[Asset]) -> Result<Memory> {
        Ok(Memory::new(
            name,
            self.all(files)
                .await?
                .into_iter()
                .map(|(name, bytes)| (name, Cow::Owned(bytes))),
        ))
    }

    /// Names and contents, in order.
    ///
    /// Errors: as [`Fetcher::model`].
    pub async fn all(&self, files: &[Asset]) -> Result<Vec<(String, Vec<u8>)>> {
        let total_bytes = files.iter().map(|file| file.size_bytes).sum();
        let mut before = 0;
        let mut all = Vec::new();
        for file in files {
            let mut tell = |n_bytes: u64| {
                // Only numbers: a page that is slow does without some.
                let _ = self.page.try_send(ToPage::Progress(Progress {
                    step: Step::Fetch,
                    done_bytes: before + n_bytes,
                    total_bytes,
                }));
            };
            let bytes = self.fetch(&self.address(&file.url), None, usize::MAX, &mut tell).await?;
            if bytes.len() as u64 != file.size_bytes {
                return Err(Error::Download {
                    file: file.name.clone(),
                    message: format!("it has {} bytes instead of {}", bytes.len(), file.size_bytes),
                });
            }
            before += bytes.len() as u64;
            all.push((file.name.clone(), bytes));
        }
        Ok(all)
    }

    fn address(&self, url: &str) -> String {
        match self.base.rfind('/') {
            Some(end) => format!("{}/{url}", &self.base[..end]),
            None => url.to_owned(),
        }
    }

    async fn fetch(&self, url: &str, part: Option<Range<u64>>, max_bytes: usize, tell: &mut dyn FnMut(u64)) -> Result<Vec<u8>> {
        self.answer(url, part, max_bytes, tell).await.map_err(|lost| match lost {
            Lost::Cancelled => Error::Cancelled,
            Lost::Failed { message, .. } => Error::Download {
                file: url.rsplit('/').next().unwrap_or(url).to_owned(),
                message,
            },
        })
    }

    async fn answer(
        &self,
        url: &str,
        part: Option<Range<u64>>,
        max_bytes: usize,
        tell: &mut dyn FnMut(u64),
    ) -> std::result::Result<Vec<u8>, Lost> {
        let fail = |message: String| Lost::Failed {
            message,
            is_final: false,
        };
        let js = |error: JsValue| fail(message_of(&error));
        let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
        let init = RequestInit::new();
        if let Some(part) = &part {
            let headers = Headers::new().map_err(js)?;
            headers
                .append("range", &format!("bytes={}-{}", part.start, part.end - 1))
                .map_err(js)?;
            init.set_headers(&headers);
        }
        let asked = scope.fetch_with_str_and_init(url, &init);
        let response: Response = JsFuture::from(asked).await.map_err(js)?.unchecked_into();
        let status = response.status();
        if !response.ok() || (part.is_some() && status != PARTIAL) {
            return Err(Lost::Failed {
                message: format!("the server answered {status}"),
                is_final: (400..500).contains(&status) && !RETRIED.contains(&status),
            });
        }
        let Some(body) = response.body() else {
            return Err(fail("the answer is empty".into()));
        };
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        let clock = Clock::new();
        // A vector that grows is there twice for a moment.
        let mut bytes = Vec::with_capacity(part.map_or(0, |part| (part.end - part.start) as usize));
        loop {
            while self.steering.held.get() && !self.steering.cancelled.get() {
                clock.sleep(HELD_POLL).await;
            }
            if self.steering.cancelled.get() {
                let _ends_by_itself = reader.cancel();
                return Err(Lost::Cancelled);
            }
            let read = JsFuture::from(reader.read()).await.map_err(js)?;
            if Reflect::get(&read, &"done".into()).is_ok_and(|done| done.is_truthy()) {
                return Ok(bytes);
            }
            let chunk: Uint8Array = Reflect::get(&read, &"value".into()).map_err(js)?.unchecked_into();
            let start = bytes.len();
            if chunk.length() as usize > max_bytes.saturating_sub(start) {
                let _ends_by_itself = reader.cancel();
                return Err(fail(format!("there are more than {max_bytes} bytes")));
            }
            bytes.resize(start + chunk.length() as usize, 0);
            chunk.copy_to(&mut bytes[start..]);
            tell(bytes.len() as u64);
        }
    }
}

impl Remote for Fetcher {
    async fn get(
        &self,
        address: &str,
        part: Option<Range<u64>>,
        max_bytes: usize,
        tell: &dyn Fn(u64),
    ) -> std::result::Result<Vec<u8>, Lost> {
        self.answer(address, part, max_bytes, &mut |n_bytes| tell(n_bytes)).await
    }
}

pub fn message_of(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => error.message().into(),
        None => format!("{error:?}"),
    }
}
