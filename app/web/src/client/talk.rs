//! A conversation, or captions: the microphone, the workers beside the engine's, and how their parts of the pipeline become one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use app_web::protocol::{FailureKind, Place, Source, ToEngine, ToPage};
use app_web::run::{parts, text};
use app_web::session::Phase;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{MessageEvent, Worker};

use super::voice::post;
use super::{Client, worker};
use crate::platform;

/// `configs/talk.toml` and `configs/captions.toml`, as they are.
const TALK: &str = include_str!("../../../../configs/talk.toml");
const CAPTIONS: &str = include_str!("../../../../configs/captions.toml");

/// What the page is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Narrate,
    Talk,
    Captions,
}

/// The microphone, and who works on what it hears.
#[derive(Clone, Copy)]
pub struct Hearing {
    /// How loud it is: 0 to 1.
    pub level: RwSignal<f64>,
    pub is_muted: RwSignal<bool>,
    /// The key to talk is held.
    pub is_pressed: RwSignal<bool>,
    /// The last conversation was about a screen.
    pub has_screen: StoredValue<bool>,
    beside: StoredValue<Rc<RefCell<Beside>>, LocalStorage>,
}

/// The workers beside the engine's.
#[derive(Default)]
struct Beside {
    workers: BTreeMap<Place, Worker>,
    /// The places of the configuration that is to be played, and those of them that are ready.
    wanted: BTreeSet<Place>,
    ready: BTreeSet<Place>,
}

impl Hearing {
    pub fn new() -> Self {
        Self {
            level: RwSignal::new(0.0),
            is_muted: RwSignal::new(false),
            is_pressed: RwSignal::new(false),
            has_screen: StoredValue::new(false),
            beside: StoredValue::new_local(Rc::default()),
        }
    }
}

impl Client {
    /// The configuration that is played.
    pub(super) fn text(self) -> String {
        let text = match self.mode.get_untracked() {
            Mode::Narrate => self.settings.text(),
            Mode::Talk => text::tapped(TALK),
            // The same text for all parts: their links are known by their order.
            Mode::Captions => text::tapped(CAPTIONS),
        };
        match self.settings.model.get_untracked().as_str() {
            "" => text,
            model => text::answered_by(&text, model),
        }
    }

    /// The microphone hears while it is not muted, and all the time or while the key is held.
    pub(super) fn gate(self) {
        let Hearing {
            is_muted, is_pressed, ..
        } = self.hearing;
        Effect::new(move || platform::gate(!is_muted.get() && (self.settings.hands_free.get() || is_pressed.get())));
    }

    /// Asks for the microphone, and for a screen if it is to be seen; then listens. From a person's own act, else the browser keeps
    /// the voice silent.
    pub fn converse(self, mode: Mode, has_screen: bool) {
        self.mode.set(mode);
        self.hearing.has_screen.set_value(has_screen);
        if !platform::can_hear() {
            let message = "navigator.mediaDevices.getUserMedia or AudioWorkletNode is not there";
            return self
                .session
                .update(|session| session.fail(FailureKind::NoMicrophone, message));
        }
        platform::unlock();
        spawn_local(async move {
            if has_screen && !self.shared().await {
                return;
            }
            match self.opened().await {
                Ok(()) if has_screen => self.begin(Source::Share),
                Ok(()) => self.begin(Source::Nothing),
                Err((kind, message)) => {
                    platform::unshare();
                    self.session.update(|session| session.fail(kind, message));
                }
            }
        });
    }

    async fn opened(self) -> Result<(), (FailureKind, String)> {
        let Hearing {
            level,
            is_muted,
            is_pressed,
            ..
        } = self.hearing;
        let loud = Closure::<dyn FnMut(f64)>::new(move |now: f64| level.set(now));
        let ended = Closure::<dyn FnMut()>::new(move || {
            self.hear_no_more();
            self.post(&ToEngine::Stop);
            let message = "the microphone was unplugged, or taken from the page";
            self.session
                .update(|session| session.fail(FailureKind::NoMicrophone, message));
        });
        let opened = platform::open_microphone(&loud, &ended).await;
        // As long as the microphone, which the browser keeps.
        loud.forget();
        ended.forget();
        opened.map_err(|error| {
            let kind = match platform::error_name(&error).as_str() {
                "NotAllowedError" => FailureKind::MicrophoneDenied,
                _ => FailureKind::NoMicrophone,
            };
            (kind, platform::error_message(&error))
        })?;
        is_muted.set(false);
        is_pressed.set(false);
        platform::gate(self.settings.hands_free.get_untracked());
        Ok(())
    }

    /// Has every place of a configuration but the engine's made ready.
    pub(super) fn join(self, config: &str) {
        let beside = self.hearing.beside.get_value();
        let mut wanted = parts::places(config);
        {
            let mut beside = beside.borrow_mut();
            beside.ready.clear();
            beside.wanted = wanted.clone();
        }
        wanted.remove(&Place::Engine);
        for place in wanted {
            let there = beside.borrow().workers.get(&place).cloned();
            let is_new = there.is_none();
            let made = match there {
                Some(worker) => Ok(worker),
                None => self.beside(place),
            };
            let worker = match made {
                Ok(worker) => worker,
                Err(message) => return self.session.update(|session| session.fail(FailureKind::Other, message)),
            };
            beside.borrow_mut().workers.insert(place, worker.clone());
            let config = config.to_owned();
            spawn_local(async move {
                let is_silent = is_new && place == Place::Ears && platform::join_loudspeaker(&worker).await.is_err();
                if is_silent {
                    let message = "the browser gives the page no sound";
                    return self.session.update(|session| session.fail(FailureKind::Other, message));
                }
                post(&worker, &ToEngine::Join { config, place });
            });
        }
    }

    /// A worker beside the engine's.
    fn beside(self, place: Place) -> Result<Worker, String> {
        let worker = worker().map_err(|error| format!("a worker does not start: {}", platform::error_message(&error)))?;
        let hear = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| self.hear_beside(place, &event));
        worker.set_onmessage(Some(hear.as_ref().unchecked_ref()));
        // As long as the page.
        hear.forget();
        Ok(worker)
    }

    fn hear_beside(self, place: Place, event: &MessageEvent) {
        let Some(message) = event.data().as_string().and_then(|text| serde_json::from_str(&text).ok()) else {
            return;
        };
        match message {
            ToPage::Joined => self.joined(place),
            ToPage::Counters(counters) => {
                let worker = usize::from(place == Place::Voice);
                self.session.update(|session| session.hear_beside(worker, counters));
            }
            // The engine's own has the whole graph, and is the one that is waited for.
            ToPage::Began { .. } | ToPage::Ended | ToPage::Awake => {}
            ToPage::Progress(_) if self.session.with_untracked(|session| session.ready.is_none()) => {}
            ToPage::Failed(failure) => {
                let is_over = self
                    .session
                    .with_untracked(|session| !matches!(session.phase, Phase::Live | Phase::Loading));
                if !is_over {
                    self.stop();
                    self.session.update(|session| session.fail(failure.kind, failure.message));
                }
            }
            message => self.session.update(|session| session.hear(message, platform::now_ms())),
        }
        if let Some(worker) = self.hearing.beside.get_value().borrow().workers.get(&place) {
            post(worker, &ToEngine::Heard);
        }
    }

    /// A place is ready; with the last one the parts are joined and start.
    pub(super) fn joined(self, place: Place) {
        let beside = self.hearing.beside.get_value();
        {
            let mut beside = beside.borrow_mut();
            beside.ready.insert(place);
            if !beside.ready.is_superset(&beside.wanted) {
                return;
            }
            beside.ready.clear();
        }
        let beside = beside.borrow();
        let engine = self.worker.get_value().borrow().clone();
        let others = beside.workers.iter().map(|(place, worker)| (*place, worker.clone()));
        let all = engine.into_iter().map(|engine| (Place::Engine, engine)).chain(others);
        let all: Vec<(Place, Worker)> = all.filter(|(place, _)| beside.wanted.contains(place)).collect();
        for (index, (place, worker)) in all.iter().enumerate() {
            for (other_place, other) in &all[index + 1..] {
                platform::bridge(worker, place.name(), other, other_place.name());
            }
            if *place == Place::Ears {
                platform::join_microphone(worker);
            }
        }
        let source = self.source.get_untracked().unwrap_or(Source::Nothing);
        let zero_unix_ms = platform::unix_ms();
        for (place, worker) in all {
            let start = ToEngine::StartPart {
                place,
                source: source.clone(),
                zero_unix_ms,
            };
            post(&worker, &start);
        }
    }

    /// Lets go of the microphone, and ends the parts beside the engine's.
    pub(super) fn hear_no_more(self) {
        platform::close_microphone();
        self.hearing.level.set(0.0);
        let beside = self.hearing.beside.get_value();
        let mut beside = beside.borrow_mut();
        beside.ready.clear();
        for worker in beside.workers.values() {
            post(worker, &ToEngine::Stop);
        }
    }
}
