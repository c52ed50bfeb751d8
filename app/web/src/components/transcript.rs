//! What was said, the newest first, as it streams. Not a live region: the page has one that does not flood.

use app_web::session::Entry;
use leptos::prelude::*;

use super::client;
use crate::client::Mode;

#[component]
pub fn Transcript() -> impl IntoView {
    let client = client();
    let entries = Memo::new(move |_| {
        client
            .session
            .with(|session| session.entries.iter().rev().cloned().collect::<Vec<_>>())
    });
    let is_empty = Memo::new(move |_| entries.with(Vec::is_empty));
    view! {
        <div class="transcript">
            <h2>"Transcript"</h2>
            <Show when=move || is_empty.get()>
                <p class="quiet">
                    {move || match client.mode.get() {
                        Mode::Narrate => "Looking at the first picture…",
                        Mode::Talk | Mode::Captions => "What is said comes here.",
                    }}
                </p>
            </Show>
            <ol>
                <For each=move || entries.get() key=|entry| (entry.id, entry.words.text.len(), entry.words.is_finished) let:entry>
                    <li
                        class:streaming=!entry.words.is_finished
                        class:thought=entry.words.is_thought
                        class:heard=entry.words.is_heard
                    >
                        <span class="when">{when(&entry)}</span>
                        {entry.words.is_heard.then(|| view! { <span class="who">"You"</span> })}
                        <span class="words">{entry.words.text.clone()}</span>
                    </li>
                </For>
            </ol>
        </div>
    }
}

/// `0:12` since the run began.
fn when(entry: &Entry) -> String {
    let seconds = entry.words.pts_ms / 1000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
