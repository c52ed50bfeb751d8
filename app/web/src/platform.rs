//! The browser's media interfaces as `public/platform.js` offers them, and small things of the window.

use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{HtmlVideoElement, Worker};

#[wasm_bindgen]
extern "C" {
    /// Whether the browser can share a screen.
    #[wasm_bindgen(js_namespace = platform, js_name = canShare)]
    pub fn can_share() -> bool;

    /// Asks the person for a screen; `ended` is called when they end it elsewhere. Gives its name.
    ///
    /// Errors: what the browser throws; `NotAllowedError` when the person declines.
    #[wasm_bindgen(js_namespace = platform, catch)]
    pub async fn share(ended: &Closure<dyn FnMut()>) -> Result<JsValue, JsValue>;

    /// Shows what is shared.
    #[wasm_bindgen(js_namespace = platform)]
    pub fn show(element: &HtmlVideoElement);

    #[wasm_bindgen(js_namespace = platform)]
    pub fn unshare();

    /// Whether the browser can give the page a microphone, and sound.
    #[wasm_bindgen(js_namespace = platform, js_name = canHear)]
    pub fn can_hear() -> bool;

    /// Lets sound begin; to be called from a person's own act.
    #[wasm_bindgen(js_namespace = platform)]
    pub fn unlock();

    /// Asks the person for the microphone. `level` hears how loud it is, 0 to 1, `ended` that it is gone. Gives its name.
    ///
    /// Errors: what the browser throws; `NotAllowedError` when the person declines.
    #[wasm_bindgen(js_namespace = platform, js_name = openMicrophone, catch)]
    pub async fn open_microphone(level: &Closure<dyn FnMut(f64)>, ended: &Closure<dyn FnMut()>) -> Result<JsValue, JsValue>;

    /// What is heard goes to a worker. After [`open_microphone`].
    #[wasm_bindgen(js_namespace = platform, js_name = joinMicrophone)]
    pub fn join_microphone(worker: &Worker);

    /// A closed gate hears silence.
    #[wasm_bindgen(js_namespace = platform)]
    pub fn gate(is_open: bool);

    #[wasm_bindgen(js_namespace = platform, js_name = closeMicrophone)]
    pub fn close_microphone();

    /// Gives a worker a loudspeaker.
    ///
    /// Errors: what the browser throws.
    #[wasm_bindgen(js_namespace = platform, js_name = joinLoudspeaker, catch)]
    pub async fn join_loudspeaker(worker: &Worker) -> Result<JsValue, JsValue>;

    /// Takes what a worker has of sound; it is no more.
    #[wasm_bindgen(js_namespace = platform)]
    pub fn leave(worker: &Worker);

    /// Silence at once. What waits is for the workers to cut.
    #[wasm_bindgen(js_namespace = platform)]
    pub fn hush();

    /// Joins the parts of a pipeline that two workers have.
    #[wasm_bindgen(js_namespace = platform)]
    pub fn bridge(one: &Worker, place_of_one: &str, other: &Worker, place_of_other: &str);

    /// A picture of what is shared: `VideoFrame`, `ImageBitmap` or null.
    #[wasm_bindgen(js_namespace = platform)]
    pub async fn shot() -> JsValue;
}

/// Milliseconds since the page opened.
pub fn now_ms() -> f64 {
    web_sys::window()
        .and_then(|window| window.performance())
        .map_or(0.0, |performance| performance.now())
}

/// The same in milliseconds since 1970, by the clock that all threads of the page have.
pub fn unix_ms() -> f64 {
    let performance = web_sys::window().and_then(|window| window.performance());
    performance.map_or_else(js_sys::Date::now, |performance| performance.time_origin() + performance.now())
}

/// What a `<meta name=…>` of the page says.
pub fn meta(name: &str) -> Option<String> {
    let document = web_sys::window()?.document()?;
    let element = document.query_selector(&format!("meta[name={name}]")).ok()??;
    element.get_attribute("content")
}

/// A setting that outlives the page; `None` where nothing is kept.
pub fn kept(key: &str) -> Option<String> {
    storage()?.get_item(&format!("qwglm.{key}")).ok()?
}

/// Keeps a setting, where the browser allows it.
pub fn keep(key: &str, value: &str) {
    if let Some(storage) = storage() {
        // A browser that keeps nothing asks again next time.
        drop(storage.set_item(&format!("qwglm.{key}"), value));
    }
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok()?
}

/// The `name` of an exception: `NotAllowedError`.
pub fn error_name(error: &JsValue) -> String {
    js_sys::Reflect::get(error, &"name".into())
        .ok()
        .and_then(|name| name.as_string())
        .unwrap_or_default()
}

/// The words of an exception.
pub fn error_message(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => error.message().into(),
        None => js_sys::Reflect::get(error, &"message".into())
            .ok()
            .and_then(|message| message.as_string())
            .unwrap_or_else(|| format!("{error:?}")),
    }
}
