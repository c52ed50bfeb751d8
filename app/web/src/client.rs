//! The engine's worker as the page sees it, and what the page does with it: share, prepare, start, stop.

mod step;
mod talk;
mod voice;

use std::cell::RefCell;
use std::rc::Rc;

use app_web::protocol::{EngineKind, FailureKind, Place, Source, ToEngine, ToPage};
use app_web::session::{Phase, Session};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use crate::platform;
pub use talk::{Hearing, Mode};

/// `configs/narrate.toml`, as it is.
pub const NARRATE: &str = include_str!("../../../configs/narrate.toml");

/// What the person chose, kept in the browser.
#[derive(Clone, Copy)]
pub struct Settings {
    /// `system`, `light` or `dark`.
    pub theme: RwSignal<String>,
    pub simulated: RwSignal<bool>,
    /// Empty: what the configuration asks.
    pub prompt: RwSignal<String>,
    pub captions: RwSignal<bool>,
    /// Finished answers are read aloud.
    pub aloud: RwSignal<bool>,
    /// The microphone hears all the time; else while a key is held.
    pub hands_free: RwSignal<bool>,
    /// The text of the configuration.
    pub config: RwSignal<String>,
    /// The model of a hub that answers, whatever the configuration has; empty: as that has it.
    pub model: RwSignal<String>,
}

impl Settings {
    fn load() -> Self {
        let kept = |key: &str, otherwise: &str| platform::kept(key).unwrap_or_else(|| otherwise.to_owned());
        Self {
            theme: RwSignal::new(kept("theme", "system")),
            simulated: RwSignal::new(kept("simulated", "false") == "true"),
            prompt: RwSignal::new(kept("prompt", "")),
            aloud: RwSignal::new(false),
            hands_free: RwSignal::new(kept("hands_free", "true") == "true"),
            captions: RwSignal::new(kept("captions", "true") == "true"),
            config: RwSignal::new(kept("config", NARRATE)),
            model: RwSignal::new(kept("model", "")),
        }
    }

    /// Keeps what is chosen from here on.
    fn keep(self) {
        Effect::new(move || platform::keep("theme", &self.theme.get()));
        Effect::new(move || platform::keep("simulated", &self.simulated.get().to_string()));
        Effect::new(move || platform::keep("prompt", &self.prompt.get()));
        Effect::new(move || platform::keep("captions", &self.captions.get().to_string()));
        Effect::new(move || platform::keep("hands_free", &self.hands_free.get().to_string()));
        Effect::new(move || platform::keep("config", &self.config.get()));
        Effect::new(move || platform::keep("model", &self.model.get()));
    }

    /// The text that is played.
    fn text(self) -> String {
        let config = self.config.get_untracked();
        match self.prompt.get_untracked().trim() {
            "" => config,
            prompt => app_web::run::text::prompted(&config, prompt),
        }
    }
}

/// Where the voice is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum VoiceState {
    #[default]
    Off,
    /// Its share that is here, 0 to 1.
    Coming(f64),
    Ready,
    Failed(String),
}

/// A worker with the engine's program.
fn worker() -> Result<Worker, JsValue> {
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    let address = platform::meta("engine-worker").unwrap_or_else(|| "./worker.js".to_owned());
    Worker::new_with_options(&address, &options)
}

/// The page's side of the worker. Copies speak to the same one.
#[derive(Clone, Copy)]
pub struct Client {
    pub session: RwSignal<Session>,
    pub settings: Settings,
    /// What pictures come from at present.
    pub source: RwSignal<Option<Source>>,
    /// Addresses of the pictures of a run that is not a share, in order.
    pub pictures: RwSignal<Vec<String>>,
    /// What the worker was last prepared with.
    prepared: StoredValue<Option<(String, EngineKind)>>,
    asked_for_plan: StoredValue<bool>,
    /// A step is to be measured once the engine is ready, on a GPU like this.
    to_measure: StoredValue<Option<Option<String>>>,
    /// The worker that speaks, once it is wanted.
    speaker: StoredValue<Rc<RefCell<Option<Worker>>>, LocalStorage>,
    pub voice: RwSignal<VoiceState>,
    /// What the page is used for at present.
    pub mode: RwSignal<Mode>,
    /// The microphone.
    pub hearing: Hearing,
    worker: StoredValue<Rc<RefCell<Option<Worker>>>, LocalStorage>,
}

impl Client {
    pub fn new() -> Self {
        let settings = Settings::load();
        settings.keep();
        let client = Self {
            session: RwSignal::new(Session::default()),
            settings,
            source: RwSignal::new(None),
            pictures: RwSignal::new(Vec::new()),
            prepared: StoredValue::new(None),
            asked_for_plan: StoredValue::new(false),
            to_measure: StoredValue::new(None),
            speaker: StoredValue::new_local(Rc::default()),
            voice: RwSignal::new(VoiceState::Off),
            mode: RwSignal::new(Mode::Narrate),
            hearing: Hearing::new(),
            worker: StoredValue::new_local(Rc::default()),
        };
        client.open();
        client.gate();
        client
    }

    /// Starts the worker, in place of one that there may be.
    fn open(self) {
        if let Some(old) = self.worker.get_value().take() {
            old.terminate();
        }
        self.prepared.set_value(None);
        self.asked_for_plan.set_value(false);
        let worker = match worker() {
            Ok(worker) => worker,
            Err(error) => {
                let message = format!("the engine's worker does not start: {}", platform::error_message(&error));
                return self.session.update(|session| session.fail(FailureKind::Other, message));
            }
        };
        let hear = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| self.hear(&event));
        worker.set_onmessage(Some(hear.as_ref().unchecked_ref()));
        // As long as the page.
        hear.forget();
        let failed = Closure::<dyn FnMut(ErrorEvent)>::new(move |event: ErrorEvent| {
            let message = format!("the engine stopped: {}", event.message());
            self.session.update(|session| {
                session.ready = None;
                session.fail(FailureKind::Other, message);
            });
        });
        worker.set_onerror(Some(failed.as_ref().unchecked_ref()));
        failed.forget();
        *self.worker.get_value().borrow_mut() = Some(worker);
    }

    fn post(self, message: &ToEngine) {
        if let (Ok(text), Some(worker)) = (serde_json::to_string(message), &*self.worker.get_value().borrow()) {
            // Fails only for values that cannot be cloned, which text can.
            drop(worker.post_message(&JsValue::from_str(&text)));
        }
    }

    fn hear(self, event: &MessageEvent) {
        let Some(text) = event.data().as_string() else { return };
        let Ok(message) = serde_json::from_str::<ToPage>(&text) else {
            return;
        };
        match message {
            ToPage::WantShot => self.send_shot(),
            ToPage::Ready(_) => {
                self.session.update(|session| session.hear(message, platform::now_ms()));
                self.engine_ready();
                self.step_when_ready();
            }
            message => {
                // The end of a run after which another is asked for already is no end of what that one needs.
                let is_live = self.session.with_untracked(|session| session.phase == Phase::Live);
                let is_end = matches!(message, ToPage::Failed(_)) || (message == ToPage::Ended && is_live);
                self.session.update(|session| session.hear(message, platform::now_ms()));
                if is_end {
                    platform::unshare();
                    self.hear_no_more();
                }
            }
        }
        self.post(&ToEngine::Heard);
    }

    /// Sends a picture of what is shared, or that nothing is.
    fn send_shot(self) {
        spawn_local(async move {
            let shot = platform::shot().await;
            if shot.is_null() {
                return self.post(&ToEngine::ShareEnded);
            }
            let message = js_sys::Object::new();
            let transfer = js_sys::Array::of1(&shot);
            // Setting a key of a plain object does not fail.
            drop(js_sys::Reflect::set(&message, &"shot".into(), &shot));
            if let Some(worker) = &*self.worker.get_value().borrow() {
                drop(worker.post_message_with_transfer(&message, &transfer));
            }
        });
    }

    /// Asks for a screen, then narrates it.
    pub fn share(self) {
        self.mode.set(Mode::Narrate);
        spawn_local(async move {
            if self.shared().await {
                self.begin(Source::Share);
            }
        });
    }

    /// Asks for a screen; whether there is one. Else the session says why not.
    async fn shared(self) -> bool {
        let fail = |kind, message: String| self.session.update(|session| session.fail(kind, message));
        if !platform::can_share() {
            let message = "navigator.mediaDevices.getDisplayMedia is not there";
            fail(FailureKind::NoShare, message.to_owned());
            return false;
        }
        let ended = Closure::<dyn FnMut()>::new(move || self.post(&ToEngine::Stop));
        let shared = platform::share(&ended).await;
        ended.forget();
        if let Err(error) = &shared {
            let kind = match platform::error_name(error).as_str() {
                "NotAllowedError" => FailureKind::ShareDenied,
                _ => FailureKind::NoShare,
            };
            fail(kind, platform::error_message(error));
        }
        shared.is_ok()
    }

    /// Narrates the recording that travels with the page.
    pub fn sample(self) {
        self.mode.set(Mode::Narrate);
        spawn_local(async move {
            self.pictures.set(sample_addresses().await.unwrap_or_default());
            self.begin(Source::Sample);
        });
    }

    /// Narrates picture files.
    pub fn open_pictures(self, files: Vec<web_sys::File>) {
        self.mode.set(Mode::Narrate);
        spawn_local(async move {
            let mut addresses = Vec::new();
            for (index, file) in files.iter().enumerate() {
                let Ok(bytes) = wasm_bindgen_futures::JsFuture::from(file.array_buffer()).await else {
                    continue;
                };
                addresses.push(web_sys::Url::create_object_url_with_blob(file).unwrap_or_default());
                let message = js_sys::Object::new();
                let name = file.name();
                let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
                let keys = [
                    ("name", JsValue::from_str(stem)),
                    ("bytes", bytes.clone()),
                    ("first", (index == 0).into()),
                ];
                for (key, value) in keys {
                    drop(js_sys::Reflect::set(&message, &key.into(), &value));
                }
                if let Some(worker) = &*self.worker.get_value().borrow() {
                    drop(worker.post_message_with_transfer(&message, &js_sys::Array::of1(&bytes)));
                }
            }
            if !addresses.is_empty() {
                self.pictures.set(addresses);
                self.begin(Source::Pictures);
            }
        });
    }

    /// Prepares what is not prepared yet, then starts.
    fn begin(self, source: Source) {
        self.source.set(Some(source.clone()));
        let wanted = self.wanted();
        self.join(&wanted.0);
        let is_ready = self.session.with_untracked(|session| session.ready.is_some());
        if is_ready && self.prepared.get_value().as_ref() == Some(&wanted) {
            return self.engine_ready();
        }
        self.prepare(wanted);
    }

    /// Has a model of the hub planned.
    pub fn plan_hub(self, id: String) {
        self.session.update(|session| session.no_plan = None);
        self.post(&ToEngine::PlanHub { id });
    }

    /// The configuration and the engines that the settings ask for.
    fn wanted(self) -> (String, EngineKind) {
        let kind = match self.settings.simulated.get_untracked() {
            true => EngineKind::Simulator,
            false => EngineKind::AsWritten,
        };
        (self.text(), kind)
    }

    fn prepare(self, wanted: (String, EngineKind)) {
        self.session.update(Session::load);
        self.prepared.set_value(Some(wanted.clone()));
        let (config, engine) = wanted;
        self.post(&ToEngine::Prepare { config, engine });
    }

    /// The engine has all models: it starts, or waits for the others.
    fn engine_ready(self) {
        match (self.mode.get_untracked(), self.source.get_untracked()) {
            (Mode::Narrate, Some(source)) => self.post(&ToEngine::Start { source }),
            (Mode::Narrate, None) => self.session.update(Session::rest),
            (Mode::Talk | Mode::Captions, _) => self.joined(Place::Engine),
        }
    }

    /// Has a configuration checked; the faults come to the session.
    pub fn check(self, config: String) {
        self.post(&ToEngine::Check { config });
    }

    /// Has the plan made, once.
    pub fn plan(self) {
        if !self.asked_for_plan.get_value() {
            self.asked_for_plan.set_value(true);
            self.post(&ToEngine::Plan);
        }
    }

    /// Begins again what was under way.
    pub fn again(self) {
        match (self.mode.get_untracked(), self.source.get_untracked()) {
            (mode @ (Mode::Talk | Mode::Captions), _) => self.converse(mode, self.hearing.has_screen.get_value()),
            (Mode::Narrate, Some(Source::Share | Source::Nothing) | None) => self.share(),
            (Mode::Narrate, Some(source)) => self.begin(source),
        }
    }

    /// A fresh worker, whatever state the old one is in; then the start screen.
    pub fn reset(self) {
        platform::unshare();
        self.hear_no_more();
        self.open();
        self.session.set(Session::default());
    }

    pub fn stop(self) {
        platform::unshare();
        self.silence();
        self.hear_no_more();
        self.post(&ToEngine::Stop);
    }

    /// Ends what is being said; the next picture is narrated anew.
    pub fn hush(self) {
        self.silence();
        self.post(&ToEngine::Hush);
    }

    pub fn hold(self, on: bool) {
        self.session.update(|session| session.loading.is_held = on);
        self.post(&ToEngine::Hold { on });
    }

    pub fn cancel(self) {
        platform::unshare();
        self.hear_no_more();
        self.post(&ToEngine::Cancel);
    }

    /// Back to the start, with everything kept that is loaded.
    pub fn home(self) {
        self.session.update(|session| session.phase = Phase::Start);
    }
}

/// Addresses of the sample's pictures.
async fn sample_addresses() -> Option<Vec<String>> {
    let manifest = platform::meta("assets")?;
    let window = web_sys::window()?;
    let response = wasm_bindgen_futures::JsFuture::from(window.fetch_with_str(&manifest))
        .await
        .ok()?;
    let text = response.unchecked_into::<web_sys::Response>().text().ok()?;
    let text = wasm_bindgen_futures::JsFuture::from(text).await.ok()?.as_string()?;
    let manifest_json: serde_json::Value = serde_json::from_str(&text).ok()?;
    let folder = manifest.rsplit_once('/').map_or("", |(folder, _)| folder);
    let sample = manifest_json.get("sample")?.as_array()?;
    let address = |asset: &serde_json::Value| Some(format!("{folder}/{}", asset.get("url")?.as_str()?));
    sample.iter().map(address).collect()
}
