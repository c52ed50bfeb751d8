//! Settings, and the configuration as text.

use leptos::prelude::*;

use super::client;
use crate::client::NARRATE;

#[component]
pub fn SettingsScreen() -> impl IntoView {
    let client = client();
    let settings = client.settings;
    Effect::new(move || client.check(settings.config.get()));
    let faults = Memo::new(move |_| client.session.with(|session| session.faults.clone()));
    let theme = move |value: &'static str, label: &'static str| {
        view! {
            <label>
                <input type="radio" name="theme" value=value prop:checked=move || settings.theme.get() == value
                    on:change=move |_| settings.theme.set(value.to_owned())/>
                {label}
            </label>
        }
    };
    view! {
        <section class="settings">
            <h1>"Settings"</h1>
            <fieldset>
                <legend>"Appearance"</legend>
                {theme("system", "As the system has it")}
                {theme("light", "Light")}
                {theme("dark", "Dark")}
            </fieldset>
            <fieldset>
                <legend>"What computes"</legend>
                <label>
                    <input type="radio" name="engine" prop:checked=move || !settings.simulated.get()
                        on:change=move |_| settings.simulated.set(false)/>
                    "The GPU, by WebGPU"
                </label>
                <label>
                    <input type="radio" name="engine" prop:checked=move || settings.simulated.get()
                        on:change=move |_| settings.simulated.set(true)/>
                    "The processor: the same words, slower, without WebGPU"
                </label>
            </fieldset>
            <fieldset>
                <legend>"Words"</legend>
                <label>
                    <input type="checkbox" prop:checked=move || settings.captions.get()
                        on:change=move |event| settings.captions.set(event_target_checked(&event))/>
                    "Captions below the picture"
                </label>
                <label class="field">
                    <span>"What is asked about each picture"</span>
                    <input type="text" prop:value=move || settings.prompt.get() placeholder="Describe the screen."
                        on:change=move |event| settings.prompt.set(event_target_value(&event))/>
                </label>
            </fieldset>
            <fieldset class="config">
                <legend>"Configuration"</legend>
                <label class="field">
                    <span>"The graph that the page plays, the same file that the program takes. Sources and sinks that name devices
                        stand for this page."</span>
                    <textarea rows="16" spellcheck="false" prop:value=move || settings.config.get()
                        on:input=move |event| settings.config.set(event_target_value(&event))></textarea>
                </label>
                <div role="status">
                    <Show
                        when=move || faults.with(Vec::is_empty)
                        fallback=move || {
                            let lines = faults.get().into_iter().map(|fault| view! { <li>{fault}</li> });
                            view! { <ul class="faults">{lines.collect_view()}</ul> }
                        }
                    >
                        <p class="good">"No fault."</p>
                    </Show>
                </div>
                <div class="actions">
                    <button on:click=move |_| settings.config.set(NARRATE.to_owned())>"Bring the original back"</button>
                </div>
            </fieldset>
        </section>
    }
}
