//! The page's side of the worker that reads aloud: words to it. Its sound goes past the page.

use app_web::protocol::{ToEngine, ToPage};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{MessageEvent, Worker};

use super::{Client, Mode, VoiceState, worker};
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
                self.voice.set(VoiceState::Coming(0.0));
                *self.speaker.get_value().borrow_mut() = Some(worker.clone());
                spawn_local(async move {
                    match platform::join_loudspeaker(&worker).await {
                        Ok(_) => post(&worker, &ToEngine::Voice),
                        Err(error) => self.no_voice(platform::error_message(&error)),
                    }
                });
            }
            Err(error) => self.voice.set(VoiceState::Failed(platform::error_message(&error))),
        }
    }

    /// Says a finished answer, if the voice is on. A conversation has a voice of its own.
    pub fn speak(self, text: String) {
        let is_wanted = self.settings.aloud.get_untracked() && self.mode.get_untracked() == Mode::Narrate;
        if let (true, Some(worker)) = (is_wanted, &*self.speaker.get_value().borrow()) {
            post(worker, &ToEngine::Speak { text });
        }
    }

    /// Ends what is being said aloud.
    pub(super) fn silence(self) {
        platform::hush();
        if let Some(worker) = &*self.speaker.get_value().borrow() {
            post(worker, &ToEngine::Hush);
        }
    }

    /// Goes on without a voice.
    fn no_voice(self, message: String) {
        self.voice.set(VoiceState::Failed(message));
        self.settings.aloud.set(false);
        if let Some(worker) = self.speaker.get_value().take() {
            platform::leave(&worker);
            worker.terminate();
        }
    }

    fn hear_voice(self, event: &MessageEvent) {
        let Some(text) = event.data().as_string() else { return };
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
            Ok(ToPage::Failed(failure)) => self.no_voice(failure.message),
            _ => {}
        }
        if let Some(worker) = &*self.speaker.get_value().borrow() {
            post(worker, &ToEngine::Heard);
        }
    }
}

pub(super) fn post(worker: &Worker, message: &ToEngine) {
    if let Ok(text) = serde_json::to_string(message) {
        // Fails only for values that cannot be cloned, which text can.
        drop(worker.post_message(&JsValue::from_str(&text)));
    }
}
