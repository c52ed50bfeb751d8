//! The page as a whole: its header, which screen is shown, and what a screen reader is told.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use crate::client::Client;
use crate::components::{about, models, narrate, pipeline, settings, simulator};
use crate::platform;

/// The screens, by the address's fragment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    #[default]
    Narrate,
    Models,
    Pipeline,
    Simulator,
    Settings,
    About,
}

impl Screen {
    pub const ALL: [Self; 6] = [
        Self::Narrate,
        Self::Models,
        Self::Pipeline,
        Self::Simulator,
        Self::Settings,
        Self::About,
    ];

    pub fn fragment(self) -> &'static str {
        match self {
            Self::Narrate => "#narrate",
            Self::Models => "#models",
            Self::Pipeline => "#pipeline",
            Self::Simulator => "#simulator",
            Self::Settings => "#settings",
            Self::About => "#about",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Narrate => "Narrate",
            Self::Models => "Models",
            Self::Pipeline => "Pipeline",
            Self::Simulator => "Simulator",
            Self::Settings => "Settings",
            Self::About => "About",
        }
    }

    fn current() -> Self {
        let fragment = web_sys::window()
            .and_then(|window| window.location().hash().ok())
            .unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|screen| screen.fragment() == fragment)
            .unwrap_or_default()
    }
}

/// How often what waits to be announced is looked at.
const TICK: Duration = Duration::from_millis(500);

#[component]
pub fn App() -> impl IntoView {
    let client = Client::new();
    provide_context(client);
    let screen = RwSignal::new(Screen::current());
    let turned = Closure::<dyn FnMut()>::new(move || screen.set(Screen::current()));
    if let Some(window) = web_sys::window() {
        window.set_onhashchange(Some(turned.as_ref().unchecked_ref()));
        // As long as the page.
        turned.forget();
    }
    Effect::new(move || {
        let root = web_sys::window()
            .and_then(|window| window.document())
            .and_then(|document| document.document_element());
        if let Some(root) = root {
            // A page without the attribute follows the system.
            drop(match client.settings.theme.get().as_str() {
                "system" => root.remove_attribute("data-theme"),
                theme => root.set_attribute("data-theme", theme),
            });
        }
    });
    set_interval(
        move || {
            if client.session.with_untracked(|session| session.has_waiting()) {
                client.session.update(|session| session.tick(platform::now_ms()));
            }
        },
        TICK,
    );
    Effect::new(move |before: Option<String>| {
        let said = client.session.with(|session| session.announced().to_owned());
        if before.is_some_and(|before| before != said) && !said.is_empty() {
            client.speak(said.clone());
        }
        said
    });
    let announced = Memo::new(move |_| client.session.with(|session| session.announced().to_owned()));
    view! {
        <a class="skip" href="#main" on:click=skip>"To the content"</a>
        <header>
            <a class="mark" href="#narrate">"QWGLM"</a>
            <nav aria-label="Screens">
                {Screen::ALL
                    .map(|item| {
                        view! {
                            <a href=item.fragment() aria-current=move || (screen.get() == item).then_some("page")>
                                {item.title()}
                            </a>
                        }
                    })
                    .collect_view()}
            </nav>
        </header>
        <main id="main" tabindex="-1">
            {move || match screen.get() {
                Screen::Narrate => view! { <narrate::Narrate/> }.into_any(),
                Screen::Models => view! { <models::Models/> }.into_any(),
                Screen::Pipeline => view! { <pipeline::Pipeline/> }.into_any(),
                Screen::Simulator => view! { <simulator::Simulator/> }.into_any(),
                Screen::Settings => view! { <settings::SettingsScreen/> }.into_any(),
                Screen::About => view! { <about::About/> }.into_any(),
            }}
        </main>
        <div id="announcements" class="unseen" role="log" aria-live="polite" aria-label="Narration">
            <p>{announced}</p>
        </div>
    }
}

/// Moves the focus behind the header without leaving the screen.
fn skip(event: leptos::ev::MouseEvent) {
    event.prevent_default();
    let main = web_sys::window()
        .and_then(|window| window.document())
        .and_then(|document| document.get_element_by_id("main"));
    if let Some(main) = main.and_then(|main| main.dyn_into::<web_sys::HtmlElement>().ok()) {
        drop(main.focus());
    }
}
