//! The program of the engine's worker: JavaScript on one side, the crate's `run` on the other. Nothing is decided here.

mod assets;
mod bench;
mod outside;
mod worker;

use std::cell::RefCell;

use js_sys::{Float32Array, Function, Uint8Array};
use outside::Outside;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Worker;

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

fn main() {
    console_error_panic_hook::set_once();
}

fn with_worker(work: impl FnOnce(&mut Worker)) {
    WORKER.with_borrow_mut(|worker| {
        if let Some(worker) = worker {
            work(worker);
        }
    });
}

/// Begins: `outside` takes what goes out; `manifest` is where the list of the page's files lies.
#[wasm_bindgen]
pub fn wake(outside: Outside, manifest: String) {
    let awake = Worker::new(outside, manifest);
    WORKER.with_borrow_mut(|worker| *worker = Some(awake));
}

/// A message of the page.
#[wasm_bindgen]
pub fn receive(message: String) {
    with_worker(|worker| worker.receive(&message));
}

/// A picture of what is shared: `[height, width, 4]`.
#[wasm_bindgen]
pub fn shot(width: u32, height: u32, rgba: Vec<u8>) {
    with_worker(|worker| worker.shot(width, height, &rgba));
}

/// A picture file of the person's choice; those of an earlier choice are forgotten with the first.
#[wasm_bindgen]
pub fn picture(name: String, bytes: Vec<u8>, is_first: bool) {
    with_worker(|worker| worker.picture(name, bytes, is_first));
}

/// A microphone, open at that rate; one that was here is gone.
#[wasm_bindgen]
pub fn microphone(rate_hz: u32) {
    with_worker(|worker| worker.microphone(rate_hz));
}

/// What the microphone has heard: its first frame's number, and how many were lost before it.
#[wasm_bindgen]
pub fn heard(frame: f64, n_lost: f64, samples: Float32Array) {
    with_worker(|worker| worker.heard(frame as u64, n_lost as u64, samples.to_vec()));
}

/// A loudspeaker, open at that rate.
#[wasm_bindgen]
pub fn loudspeaker(rate_hz: u32) {
    with_worker(|worker| worker.loudspeaker(rate_hz));
}

/// What the loudspeaker has done: commands up to `done`, and after them so many frames from that one on.
#[wasm_bindgen]
pub fn played(done: f64, frame: f64, n_frames: u32) {
    with_worker(|worker| worker.played(done as u64, frame as u64, n_frames as usize));
}

/// What another part of a run sends over a link.
#[wasm_bindgen]
pub fn crossed(run: u32, link: u32, bytes: Uint8Array) {
    with_worker(|worker| worker.crossed(run, link as usize, bytes.to_vec()));
}

/// Runs the benchmark that `request` (JSON, see `bench.rs`) asks for, and gives its result as JSON.
/// `progress` is called with a line of text whenever there is news.
///
/// Errors: a string for people: what the request lacks, no WebGPU, or what the engine said.
#[wasm_bindgen]
pub async fn bench(request: String, progress: Function) -> Result<String, JsValue> {
    let tell = move |line: &str| {
        // A page that is gone hears nothing.
        drop(progress.call1(&JsValue::NULL, &JsValue::from_str(line)));
    };
    bench::run(&request, &tell)
        .await
        .map_err(|error| JsValue::from_str(&error.to_string()))
}
