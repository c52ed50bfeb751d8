//! A failure: its own words, and the way on.

use app_web::protocol::{Failure, FailureKind};
use leptos::prelude::*;

use super::client;
use super::narrate::focus_on;

struct Said {
    title: &'static str,
    words: &'static str,
}

fn said(kind: FailureKind) -> Said {
    let (title, words) = match kind {
        FailureKind::ShareDenied => (
            "Nothing was shared",
            "The browser was told not to share, or its dialog was closed. Share a screen to go on, or hear the sample recording.",
        ),
        FailureKind::NoShare => (
            "This browser cannot share a screen",
            "Phones and tablets cannot, and some browsers need a secure address. Pictures and the sample recording work here.",
        ),
        FailureKind::MicrophoneDenied => (
            "The microphone was not allowed",
            "The browser was told not to let this page hear, or has kept that answer: the sign beside the address changes it. What \
             is heard never leaves this machine. Without a microphone the page narrates a screen all the same.",
        ),
        FailureKind::NoMicrophone => (
            "There is no microphone",
            "None is plugged in, or another program has it, or it was taken away. Plug one in and try again. Without one the page \
             narrates a screen all the same.",
        ),
        FailureKind::NoGpu => (
            "This browser offers no WebGPU",
            "Chrome and Edge have it on most computers, Safari from version 26. Where it is off, the browser's settings say why \
             (chrome://gpu). The processor can compute instead: the same words, slower.",
        ),
        FailureKind::GpuTooSmall => (
            "The GPU is too small for this",
            "It has too little memory, or lacks something that the model needs. The processor can compute instead.",
        ),
        FailureKind::GpuLost => (
            "The GPU was lost, and did not come back",
            "A driver that restarts, or a laptop that slept, does this. Trying again opens it anew.",
        ),
        FailureKind::Network => (
            "The model did not arrive",
            "The connection ended, or there is no such model. What arrived is kept, and trying again goes on from there.",
        ),
        FailureKind::Config => (
            "The configuration has faults",
            "They are listed below. The settings have the text, and a button that brings the original back.",
        ),
        FailureKind::Cancelled | FailureKind::Other => (
            "Something failed",
            "Trying again starts the engine anew. If it fails again, the lines below help who reports it.",
        ),
    };
    Said { title, words }
}

#[component]
pub fn FailureScreen(
    /// What the worker or the browser said.
    failure: Failure,
) -> impl IntoView {
    let client = client();
    let Said { title, words } = said(failure.kind);
    let heading = NodeRef::new();
    focus_on(heading);
    let on_processor = move |_| {
        client.settings.simulated.set(true);
        client.again();
    };
    let try_again = move |_| client.again();
    let start_anew = move |_| client.reset();
    let ways = match failure.kind {
        FailureKind::NoGpu | FailureKind::GpuTooSmall => view! {
            <button class="primary" on:click=on_processor>"Compute on the processor"</button>
            <button on:click=try_again>"Try again"</button>
        }
        .into_any(),
        FailureKind::ShareDenied => view! {
            <button class="primary" on:click=move |_| client.share()>"Share a screen"</button>
            <button on:click=move |_| client.sample()>"Play the sample recording"</button>
        }
        .into_any(),
        FailureKind::MicrophoneDenied | FailureKind::NoMicrophone => view! {
            <button class="primary" on:click=try_again>"Try again"</button>
            <button on:click=move |_| client.share()>"Share a screen"</button>
            <button on:click=move |_| client.sample()>"Play the sample recording"</button>
        }
        .into_any(),
        FailureKind::NoShare => view! {
            <button class="primary" on:click=move |_| client.sample()>"Play the sample recording"</button>
        }
        .into_any(),
        FailureKind::Config => view! { <a class="button primary" href="#settings">"To the settings"</a> }.into_any(),
        FailureKind::Cancelled | FailureKind::Other => view! {
            <button class="primary" on:click=start_anew>"Start the engine anew"</button>
        }
        .into_any(),
        FailureKind::GpuLost | FailureKind::Network => view! {
            <button class="primary" on:click=try_again>"Try again"</button>
        }
        .into_any(),
    };
    view! {
        <section class="failure" role="alert">
            <h1 node_ref=heading tabindex="-1">{title}</h1>
            <p class="lead">{words}</p>
            <div class="actions">
                {ways}
                <button on:click=move |_| client.home()>"Back to the start"</button>
            </div>
            <details>
                <summary>"What exactly failed"</summary>
                <pre>{failure.message}</pre>
            </details>
        </section>
    }
}
