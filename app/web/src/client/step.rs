//! The page's wishes about decode steps: what one takes here and elsewhere, measured or modelled.

use app_web::protocol::ToEngine;
use app_web::session::{Phase, Session};
use leptos::prelude::*;

use super::{Client, Mode};

impl Client {
    /// Has a step told as it was measured so far, or as it is modelled; `profile`: on a GPU like this.
    pub fn step(self, profile: Option<String>) {
        self.post(&ToEngine::Step { profile, measure: false });
    }

    /// Has the step compared on all GPUs.
    pub fn compare(self) {
        self.post(&ToEngine::Compare);
    }

    /// Has steps measured; brings the model here first if it is not here.
    pub fn measure(self, profile: Option<String>) {
        self.session.update(Session::measure);
        let (is_ready, is_loading) = self
            .session
            .with_untracked(|session| (session.ready.is_some(), session.phase == Phase::Loading));
        if is_ready {
            return self.post(&ToEngine::Step { profile, measure: true });
        }
        self.to_measure.set_value(Some(profile));
        if !is_loading {
            self.mode.set(Mode::Narrate);
            self.source.set(None);
            self.prepare(self.wanted());
        }
    }

    /// What was put off until the engine is ready.
    pub(super) fn step_when_ready(self) {
        if let Some(profile) = self.to_measure.get_value() {
            self.to_measure.set_value(None);
            self.post(&ToEngine::Step { profile, measure: true });
        }
        if self.session.with_untracked(|session| !session.stepped.gpus.is_empty()) {
            self.compare();
        }
    }
}
