//! Loading: bytes, rate, time left; hold, go on, cancel.

use app_web::protocol::{Notice, Step};
use app_web::session::NOT_KEPT;
use leptos::prelude::*;

use super::narrate::focus_on;
use super::{client, mebibytes};

#[component]
pub fn LoadingScreen() -> impl IntoView {
    let client = client();
    let loading = Memo::new(move |_| client.session.with(|session| session.loading.clone()));
    let heading = NodeRef::new();
    focus_on(heading);
    let title = move || match loading.with(|loading| loading.step) {
        None => "Starting the engine",
        Some(Step::Fetch) => "Bringing the model here",
        Some(Step::Load) => "Loading the model",
    };
    let line = move || {
        loading.with(|loading| {
            if loading.total_bytes == 0 {
                return "The first time takes a moment.".to_owned();
            }
            let mut line = format!("{} of {}", mebibytes(loading.done_bytes), mebibytes(loading.total_bytes));
            if let Some(rate) = loading.rate() {
                line.push_str(&format!(" · {} a second", mebibytes(rate as u64)));
            }
            if let Some(left) = loading.left_s().filter(|left| *left >= 0.5) {
                line.push_str(&format!(" · {left:.0} s left"));
            }
            line
        })
    };
    let percent = move || loading.with(|loading| (loading.share() * 100.0).round());
    let is_held = move || loading.with(|loading| loading.is_held);
    let is_fetch = move || loading.with(|loading| loading.step == Some(Step::Fetch));
    let is_not_kept = move || {
        client
            .session
            .with(|session| matches!(session.notice, Some(Notice::NotKept { .. })))
    };
    view! {
        <section class="loading">
            <h1 node_ref=heading tabindex="-1">{title}</h1>
            <div class="bar" role="progressbar" aria-label=title aria-valuemin="0" aria-valuemax="100" aria-valuenow=percent>
                <span style:width=move || format!("{}%", percent())></span>
            </div>
            <p class="figures">{line}</p>
            <Show when=is_not_kept>
                <p class="notice">{NOT_KEPT}</p>
            </Show>
            <div class="actions">
                <Show when=is_fetch>
                    <button on:click=move |_| client.hold(!is_held())>{move || if is_held() { "Go on" } else { "Pause" }}</button>
                    <button on:click=move |_| client.cancel()>"Cancel"</button>
                </Show>
            </div>
        </section>
    }
}
