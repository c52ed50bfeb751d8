//! The main screen: whichever of its states the session is in. The focus follows a change of state.

use app_web::session::Phase;
use leptos::prelude::*;

use super::{client, failure, live, loading, start};

/// Which state is shown; words that come do not draw it anew.
#[derive(Clone, PartialEq)]
enum Shown {
    Start,
    Loading,
    Live,
    Failed(app_web::protocol::Failure),
}

#[component]
pub fn Narrate() -> impl IntoView {
    let client = client();
    let shown = Memo::new(move |_| {
        client.session.with(|session| match &session.phase {
            Phase::Start => Shown::Start,
            Phase::Loading => Shown::Loading,
            Phase::Live | Phase::Over => Shown::Live,
            Phase::Failed(failure) => Shown::Failed(failure.clone()),
        })
    });
    move || match shown.get() {
        Shown::Start => view! { <start::Start/> }.into_any(),
        Shown::Loading => view! { <loading::LoadingScreen/> }.into_any(),
        Shown::Live => view! { <live::Live/> }.into_any(),
        Shown::Failed(failure) => view! { <failure::FailureScreen failure/> }.into_any(),
    }
}

/// Moves the focus to an element once it is drawn: who cannot see that the screen changed is told.
pub fn focus_on(heading: NodeRef<leptos::html::H1>) {
    Effect::new(move || {
        if let Some(heading) = heading.get() {
            // A page in the background has no focus to move.
            drop(heading.focus());
        }
    });
}
