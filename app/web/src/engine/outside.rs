//! What the worker's program sends out: messages to the page, bytes to other workers, commands to the loudspeaker.

use std::rc::Rc;

use app_web::run::devices::Command;
use app_web::run::parts::Bridges;
use async_channel::Receiver;
use js_sys::{Float32Array, Function, Uint8Array};
use pipeline::link::bridge::Arrivals;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;

#[wasm_bindgen]
extern "C" {
    /// What `public/worker.js` offers.
    pub type Outside;

    #[wasm_bindgen(method)]
    pub fn post(this: &Outside, message: &str);

    /// Takes up the bridges of a run; gives what sends to a place, over a link, bytes.
    #[wasm_bindgen(method)]
    fn open(this: &Outside, run: u32) -> Function;

    #[wasm_bindgen(method)]
    fn push(this: &Outside, id: f64, samples: Float32Array);

    #[wasm_bindgen(method)]
    fn cut(this: &Outside, id: f64);

    #[wasm_bindgen(method)]
    fn hold(this: &Outside, id: f64, held: bool);
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
