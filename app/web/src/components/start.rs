//! The start: what it does, what it needs, what stays private; and what to narrate.

use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::client;
use crate::client::Mode;

#[component]
pub fn Start() -> impl IntoView {
    let client = client();
    let chosen = move |event: leptos::ev::Event| {
        let input = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::HtmlInputElement>().ok());
        let files = input.and_then(|input| input.files());
        let files = files.map(|files| (0..files.length()).filter_map(|index| files.get(index)).collect());
        client.open_pictures(files.unwrap_or_default());
    };
    view! {
        <section class="start">
            <h1>"Hear what is on your screen"</h1>
            <p class="lead">
                "Share a screen, a window or a tab. A vision model looks at it and says in words what is there, and what is new
                whenever something changes."
            </p>
            <div class="actions">
                <button class="primary" on:click=move |_| client.share()>"Share a screen"</button>
                <button on:click=move |_| client.sample()>"Play the sample recording"</button>
                <label class="button">
                    "Open pictures"
                    <input type="file" accept="image/*" multiple on:change=chosen/>
                </label>
            </div>
            <h2>"Or talk with it"</h2>
            <p class="quiet">
                "Speak, and it answers aloud when you have finished; speak again, and it falls silent."
            </p>
            <div class="actions">
                <button on:click=move |_| client.converse(Mode::Talk, false)>"Have a conversation"</button>
                <button on:click=move |_| client.converse(Mode::Talk, true)>"Talk about a screen"</button>
                <button on:click=move |_| client.converse(Mode::Captions, false)>"Write down what is said"</button>
            </div>
            <dl class="facts">
                <div>
                    <dt>"What it needs"</dt>
                    <dd>"A browser with WebGPU, and 10 MiB for the small model that comes with the page; for its voice 16 MiB more, and
                        a microphone to talk with it. Without WebGPU the processor computes instead, slower."</dd>
                </div>
                <div>
                    <dt>"What stays private"</dt>
                    <dd>"Everything. The models run in this tab; pictures, words and what the microphone hears never leave this
                        machine. The page asks another server only for a larger model that you choose."</dd>
                </div>
                <div>
                    <dt>"What to expect"</dt>
                    <dd>"The model is tiny: it names windows, dialogs and errors, and misreads small print. The program "
                        <code>"qwglm"</code>" runs larger ones."</dd>
                </div>
            </dl>
        </section>
    }
}
