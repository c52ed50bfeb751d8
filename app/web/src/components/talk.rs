//! The controls of a conversation: who has the floor, how loud the microphone is, and when it hears.

use app_web::session::Floor;
use leptos::ev::{KeyboardEvent, keydown, keyup};
use leptos::prelude::*;

use super::client;
use crate::client::Mode;

/// The key that is held to talk, from anywhere on the page.
const TALK_KEY: &str = "F2";
/// The quietest that the meter shows, in decibels below full.
const QUIETEST_DB: f64 = -60.0;

#[component]
pub fn Talk() -> impl IntoView {
    let client = client();
    let (hearing, hands_free) = (client.hearing, client.settings.hands_free);
    let floor = Memo::new(move |_| client.session.with(|session| session.floor()));
    let is_captions = move || client.mode.get() == Mode::Captions;
    let state = move || match (
        floor.get(),
        hearing.is_muted.get(),
        hands_free.get(),
        hearing.is_pressed.get(),
    ) {
        (Floor::Person, ..) => "You speak",
        (Floor::Program, ..) => "It speaks",
        (Floor::Thinking, ..) if !is_captions() => "It thinks",
        (_, true, ..) => "Muted",
        (_, false, false, false) => "Waiting for the key",
        _ => "Listening",
    };
    let press = move |on: bool| hearing.is_pressed.set(on);
    // A held key repeats, which changes nothing.
    let is_talk_key = move |event: &KeyboardEvent| event.key() == TALK_KEY && !hands_free.get_untracked();
    let down = window_event_listener(keydown, move |event| {
        if is_talk_key(&event) {
            event.prevent_default();
            press(true);
        }
    });
    let up = window_event_listener(keyup, move |event| {
        if is_talk_key(&event) {
            press(false);
        }
    });
    on_cleanup(move || {
        down.remove();
        up.remove();
        press(false);
    });
    let is_button_key = |event: &KeyboardEvent| matches!(event.key().as_str(), " " | "Enter");
    view! {
        <div class="talk" role="group" aria-label="Microphone">
            <p class="floor" data-floor=move || format!("{:?}", floor.get())>{state}</p>
            <Meter/>
            <button
                aria-pressed=move || hearing.is_muted.get().to_string()
                on:click=move |_| hearing.is_muted.update(|muted| *muted = !*muted)
            >
                "Mute"
            </button>
            <button
                aria-pressed=move || hands_free.get().to_string()
                on:click=move |_| hands_free.update(|free| *free = !*free)
            >
                "Hands-free"
            </button>
            <Show when=move || !hands_free.get()>
                <button
                    class="hold"
                    class:held=move || hearing.is_pressed.get()
                    aria-keyshortcuts=TALK_KEY
                    on:pointerdown=move |_| press(true)
                    on:pointerup=move |_| press(false)
                    on:pointerleave=move |_| press(false)
                    on:pointercancel=move |_| press(false)
                    on:blur=move |_| press(false)
                    on:keydown=move |event| if is_button_key(&event) { press(true) }
                    on:keyup=move |event| if is_button_key(&event) { press(false) }
                >
                    {format!("Hold to talk ({TALK_KEY})")}
                </button>
            </Show>
        </div>
    }
}

/// How loud the microphone is, by ear: on a scale of decibels.
#[component]
fn Meter() -> impl IntoView {
    let level = client().hearing.level;
    let percent = move || {
        let loud_db = 20.0 * level.get().max(1e-6).log10();
        (100.0 * (1.0 - loud_db / QUIETEST_DB)).clamp(0.0, 100.0).round()
    };
    view! {
        <div class="meter" role="meter" aria-label="Loudness" aria-valuemin="0" aria-valuemax="100" aria-valuenow=percent>
            <span style:width=move || format!("{}%", percent())></span>
        </div>
    }
}
