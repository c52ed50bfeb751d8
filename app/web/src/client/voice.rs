//! The page's side of the worker that speaks: words to it, sound from it.

use app_web::protocol::{ToEngine, ToPage};
use leptos::prelude::*;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{MessageEvent, Worker};

use super::{Client, VoiceState, worker};
use crate::platform;

impl Client {
    /// Turns the voice on or off. From a person's own act, else the browser keeps it silent.
    pub fn read_aloud(self, on: bool) {
        self.settings.aloud.set(on);
        if !on {
            return self.silence();
        }
        platform::unlock();
        if self.speaker.get_value().borrow().is_some() {
            return;
        }
        match worker() {
            Ok(worker) => {
                let hear = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| self.hear_voice(&event));
                worker.set_onmessage(Some(hear.as_ref().unchecked_ref()));
                // As long as the page.
                hear.forget();
                post(&worker, &ToEngine::Voice);
                self.voice.set(VoiceState::Coming(0.0));
                *self.speaker.get_value().borrow_mut() = Some(worker);
            }
            Err(error) => self.voice.set(VoiceState::Failed(platform::error_message(&error))),
        }
    }

    /// Says a finished answer, if the voice is on.
    pub fn speak(self, text: String) {
        if let (true, Some(worker)) = (self.settings.aloud.get_untracked(), &*self.speaker.get_value().borrow()) {
            post(worker, &ToEngine::Speak { text });
        }
    }

    /// Ends what is being said aloud.
    pub(super) fn silence(self) {
        platform::silence();
        if let Some(worker) = &*self.speaker.get_value().borrow() {
            self.hushed.update_value(|hushed| *hushed += 1);
            post(worker, &ToEngine::Hush);
        }
    }

    fn hear_voice(self, event: &MessageEvent) {
        let data = event.data();
        let Some(text) = data.as_string() else {
            return self.hear_sound(&data);
        };
        match serde_json::from_str(&text) {
            Ok(ToPage::Progress(progress)) if progress.total_bytes > 0 => {
                self.voice
                    .set(VoiceState::Coming(progress.done_bytes as f64 / progress.total_bytes as f64));
            }
            Ok(ToPage::VoiceReady) => {
                self.voice.set(VoiceState::Ready);
                // What was said last is said now.
                let said = self.session.with_untracked(|session| session.announced().to_owned());
                if !said.is_empty() {
                    self.speak(said);
                }
            }
            Ok(ToPage::Failed(failure)) => {
                self.voice.set(VoiceState::Failed(failure.message));
                self.settings.aloud.set(false);
                if let Some(worker) = self.speaker.get_value().take() {
                    worker.terminate();
                }
            }
            _ => {}
        }
        if let Some(worker) = &*self.speaker.get_value().borrow() {
            post(worker, &ToEngine::Heard);
        }
    }

    fn hear_sound(self, data: &JsValue) {
        let get = |key: &str| js_sys::Reflect::get(data, &key.into()).unwrap_or_default();
        let turn = get("turn").as_f64().unwrap_or(0.0);
        let is_current = turn >= self.hushed.get_value() as f64;
        if let (true, Some(rate_hz)) = (is_current && self.settings.aloud.get_untracked(), get("rate").as_f64()) {
            platform::play(&get("samples").unchecked_into(), rate_hz as f32);
        }
    }
}

fn post(worker: &Worker, message: &ToEngine) {
    if let Ok(text) = serde_json::to_string(message) {
        // Fails only for values that cannot be cloned, which text can.
        drop(worker.post_message(&JsValue::from_str(&text)));
    }
}
