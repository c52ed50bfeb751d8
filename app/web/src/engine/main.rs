//! The program of the engine's worker: JavaScript on one side, the crate's `run` on the other. Nothing is decided here.

mod assets;
mod bench;
mod worker;

use std::cell::RefCell;

use js_sys::Function;
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

/// Begins: `post` takes each message to the page, `sound` samples with their rate and turn; `manifest` is where the list of the
/// page's files lies.
#[wasm_bindgen]
pub fn wake(post: Function, sound: Function, manifest: String) {
    let awake = Worker::new(post, sound, manifest);
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
