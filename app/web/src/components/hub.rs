//! A model of the hub by its id: planned before any download, then used for what the page does.

use app_web::protocol::PlanRow;
use leptos::prelude::*;

use super::client;
use super::models::Outlook;

#[component]
pub fn HubModel(
    /// The name of the GPU that is planned for.
    gpu: Memo<String>,
) -> impl IntoView {
    let client = client();
    let model = client.settings.model;
    let id = RwSignal::new(model.get_untracked());
    let plan = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        client.plan_hub(id.get_untracked());
    };
    let row = move || {
        let is_it = |row: &&PlanRow| row.model == id.get() && row.gpu == gpu.get();
        client.session.with(|session| session.plan.iter().find(is_it).cloned())
    };
    let problem = move || client.session.with(|session| session.no_plan.clone());
    let in_use = move || match model.get().as_str() {
        "" => "In use: the pocket model, or what the configuration names.".to_owned(),
        model => format!("In use: {model}"),
    };
    view! {
        <h2>"Any Qwen3-VL of the hub, in this tab"</h2>
        <p class="quiet">
            "It is brought here once, packed to 4 bits a weight on its way to the GPU, and kept in this browser for the next time."
        </p>
        <form class="hub" on:submit=plan>
            <label class="field">
                <span>"Its id"</span>
                <input type="text" spellcheck="false" placeholder="Qwen/Qwen3-VL-2B-Instruct" prop:value=move || id.get()
                    on:input=move |event| id.set(event_target_value(&event).trim().to_owned())/>
            </label>
            <div class="actions">
                <button type="submit">"Plan it"</button>
                <button type="button" on:click=move |_| model.set(id.get())>"Use it"</button>
                <button type="button" on:click=move |_| model.set(String::new())>"Use the pocket model"</button>
            </div>
        </form>
        <p role="status">{in_use}</p>
        {move || problem().map(|words| view! { <p class="bad" role="status">{words}</p> })}
        {move || row().map(|row| view! { <ul class="cards"><li><h2>{row.model.clone()}</h2><Outlook row/></li></ul> })}
    }
}
