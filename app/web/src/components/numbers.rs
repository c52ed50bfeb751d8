//! How fast it goes: tokens a second, what a prompt cost, memory, where it runs.

use leptos::prelude::*;

use super::{client, mebibytes};

#[component]
pub fn Numbers() -> impl IntoView {
    let client = client();
    let rate = Memo::new(move |_| client.session.with(|session| session.rate));
    let ready = Memo::new(move |_| client.session.with(|session| session.ready.clone()));
    let elapsed_s = Memo::new(move |_| client.session.with(|session| session.counters.elapsed_ms / 1000));
    let speed = move || rate.get().map_or("–".to_owned(), |rate| format!("{:.1}", rate.tokens_per_s));
    let prefill = move || rate.get().map_or("–".to_owned(), |rate| format!("{:.0}", rate.prefill_per_s));
    let prompt = move || {
        rate.get().map_or("–".to_owned(), |rate| {
            format!("{:.0}, {:.0} reused", rate.prompt_tokens, rate.reused_tokens)
        })
    };
    let memory = move || ready.get().map_or("–".to_owned(), |ready| mebibytes(ready.memory_bytes));
    let load = move || {
        ready
            .get()
            .map_or("–".to_owned(), |ready| format!("{:.1} s", ready.load_ms as f64 / 1000.0))
    };
    let place = move || {
        ready.get().map(|ready| match (ready.is_simulated, ready.is_software) {
            (true, _) => "the processor (simulator)".to_owned(),
            (false, true) => format!("{}, a GPU in software", adapter(&ready.adapter)),
            (false, false) => adapter(&ready.adapter),
        })
    };
    view! {
        <details class="numbers" open>
            <summary><h2>"Performance"</h2></summary>
            <dl>
                <div><dt>"Words, tokens a second"</dt><dd>{speed}</dd></div>
                <div><dt>"Prompt, tokens a second"</dt><dd>{prefill}</dd></div>
                <div><dt>"Prompt, tokens"</dt><dd>{prompt}</dd></div>
                <div><dt>"Memory on the engine"</dt><dd>{memory}</dd></div>
                <div><dt>"Loaded in"</dt><dd>{load}</dd></div>
                <div><dt>"Running for"</dt><dd>{move || format!("{} s", elapsed_s.get())}</dd></div>
                <div><dt>"Runs on"</dt><dd>{place}</dd></div>
            </dl>
        </details>
    }
}

/// Browsers may keep the name to themselves.
fn adapter(name: &str) -> String {
    match name.trim() {
        "" => "a GPU without a name".to_owned(),
        name => name.to_owned(),
    }
}
