//! QWGLM in the tab. So far: the engine's benchmark in a worker of its own; the page's thread only draws what it says.

mod bench;
mod error;

use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Runs the benchmark that `request` (JSON, see `bench.rs`) asks for, and gives its result as JSON.
/// `progress` is called with a line of text whenever there is news. For a worker: the engine's queue is filled from here.
///
/// Errors: a string for people: what the request lacks, no WebGPU, or what the engine said.
#[wasm_bindgen]
pub async fn bench(request: String, progress: Function) -> Result<String, JsValue> {
    console_error_panic_hook::set_once();
    let tell = move |line: &str| {
        // A page that is gone hears nothing.
        drop(progress.call1(&JsValue::NULL, &JsValue::from_str(line)));
    };
    bench::run(&request, &tell)
        .await
        .map_err(|error| JsValue::from_str(&error.to_string()))
}
