//! What the worker's program sends out: messages to the page, bytes to other workers, commands to the loudspeaker.

use std::rc::Rc;

use app_web::run::devices::Command;
use app_web::run::kept::Store;
use app_web::run::parts::Bridges;
use async_channel::Receiver;
use js_sys::{Float32Array, Function, Uint8Array};
use pipeline::link::bridge::Arrivals;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;

use crate::assets::message_of;

#[wasm_bindgen]
extern "C" {
    /// What `public/worker.js` offers.
    pub type Outside;

    #[wasm_bindgen(method)]
    pub fn post(this: &Outside, message: &str);

    /// Takes up the bridges of a run; gives what sends to a place, over a link, bytes.
    #[wasm_bindgen(method)]
    fn open(this: &Outside, run: u32) -> Function;

    /// Up to so many bytes of a model's file on this machine.
    #[wasm_bindgen(method, catch)]
    async fn read(this: &Outside, folder: &str, file: &str, offset: f64, length: f64) -> Result<JsValue, JsValue>;

    /// Writes to it; on the disk once it returns.
    #[wasm_bindgen(method, catch)]
    async fn write(this: &Outside, folder: &str, file: &str, offset: f64, bytes: Uint8Array) -> Result<JsValue, JsValue>;

    /// Drops all files of a model.
    #[wasm_bindgen(method, catch)]
    async fn clear(this: &Outside, folder: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method)]
    fn push(this: &Outside, id: f64, samples: Float32Array);

    #[wasm_bindgen(method)]
    fn cut(this: &Outside, id: f64);

    #[wasm_bindgen(method)]
    fn hold(this: &Outside, id: f64, held: bool);
}

/// A model's files in the browser's own file system.
pub struct Disk {
    pub outside: Rc<Outside>,
    /// Its id.
    pub model: String,
}

impl Disk {
    fn folder(&self) -> String {
        self.model.replace('/', "--")
    }
}

impl Store for Disk {
    async fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, String> {
        let read = self.outside.read(&self.folder(), file, offset as f64, len as f64).await;
        Ok(read.map_err(said)?.unchecked_into::<Uint8Array>().to_vec())
    }

    async fn write(&self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), String> {
        let bytes = Uint8Array::from(bytes);
        self.outside
            .write(&self.folder(), file, offset as f64, bytes)
            .await
            .map_err(said)?;
        Ok(())
    }

    async fn clear(&self) -> Result<(), String> {
        self.outside.clear(&self.folder()).await.map_err(said)?;
        Ok(())
    }
}

fn said(error: JsValue) -> String {
    message_of(&error)
}

/// Serves the bridges of a run's part until they have ended; gives where what arrives goes.
pub fn serve(outside: &Outside, run: u32, bridges: Bridges) -> Arrivals {
    let Bridges {
        mut departures,
        arrivals,
        across,
    } = bridges;
    let cross = outside.open(run);
    spawn_local(async move {
        while let Some((link, bytes)) = departures.next().await {
            if let Some(place) = across.get(&link) {
                let bytes = Uint8Array::from(bytes.as_slice());
                // Fails only where the other worker is gone, and then its part is.
                drop(cross.call3(&JsValue::NULL, &place.name().into(), &(link as u32).into(), &bytes));
            }
        }
    });
    arrivals
}

/// Hands commands to the loudspeaker for as long as there is one.
pub async fn command(outside: Rc<Outside>, commands: Receiver<Command>) {
    while let Ok(command) = commands.recv().await {
        match command {
            Command::Push(id, samples) => outside.push(id as f64, Float32Array::from(&*samples)),
            Command::Cut(id) => outside.cut(id as f64),
            Command::Hold(id, held) => outside.hold(id as f64, held),
        }
    }
}
