//! The run: what is looked at, its words as captions and as a transcript, and how fast it goes.

use app_web::protocol::{Notice, Source};
use app_web::session::NOT_KEPT;
use app_web::session::Phase;
use leptos::prelude::*;

use super::narrate::focus_on;
use super::{client, numbers, talk, transcript};
use crate::client::{Mode, VoiceState};
use crate::platform;

#[component]
pub fn Live() -> impl IntoView {
    let client = client();
    let is_over = Memo::new(move |_| client.session.with(|session| session.phase == Phase::Over));
    let heading = NodeRef::new();
    focus_on(heading);
    let title = move || match (is_over.get(), client.mode.get(), client.source.get()) {
        (true, ..) => "Done",
        (false, Mode::Talk, _) => "In conversation",
        (false, Mode::Captions, _) => "Writing down what is said",
        (false, Mode::Narrate, source) => narrating(source),
    };
    let is_narration = move || client.mode.get() == Mode::Narrate;
    let has_picture = move || is_narration() || client.source.get() == Some(Source::Share);
    let notice = Memo::new(move |_| client.session.with(|session| session.notice.clone()));
    let notice_words = move || {
        notice.get().map(|notice| match notice {
            Notice::DeviceLost => "The GPU was lost. It is being opened again, and the narration goes on.".to_owned(),
            Notice::Restarted { stage, message } => format!("{stage} failed and was started again: {message}"),
            Notice::NotKept { message } => format!("{NOT_KEPT} ({message})"),
            Notice::Warning { stage, message } => format!("{stage}: {message}"),
        })
    };
    let voice_words = move || match client.voice.get() {
        VoiceState::Coming(share) => Some(format!("The voice is on its way, 15 MiB once: {:.0}%", share * 100.0)),
        VoiceState::Failed(message) => Some(format!("The voice did not come ({message}). The words are below.")),
        VoiceState::Off | VoiceState::Ready => None,
    };
    view! {
        <section class="live">
            <div class="top">
                <h1 node_ref=heading tabindex="-1">{title}</h1>
                <div class="actions">
                    <Show
                        when=move || is_over.get()
                        fallback=move || view! {
                            <Show when=move || client.mode.get() != Mode::Captions>
                                <button on:click=move |_| client.hush()>"Skip this"</button>
                            </Show>
                            <Show when=is_narration>
                                <button
                                    aria-pressed=move || client.settings.aloud.get().to_string()
                                    on:click=move |_| client.read_aloud(!client.settings.aloud.get())
                                >
                                    "Read aloud"
                                </button>
                            </Show>
                            <button class="primary" on:click=move |_| client.stop()>"Stop"</button>
                        }
                    >
                        <button class="primary" on:click=move |_| client.again()>"Again"</button>
                        <button on:click=move |_| client.home()>"Back to the start"</button>
                    </Show>
                </div>
            </div>
            {move || notice_words().map(|words| view! { <p class="notice" role="status">{words}</p> })}
            {move || voice_words().map(|words| view! { <p class="quiet" role="status">{words}</p> })}
            <Show when=move || !is_narration() && !is_over.get()>
                <talk::Talk/>
            </Show>
            <div class=move || if has_picture() { "columns" } else { "" }>
                <Show when=has_picture>
                    <Viewport/>
                </Show>
                <transcript::Transcript/>
            </div>
            <numbers::Numbers/>
        </section>
    }
}

fn narrating(source: Option<Source>) -> &'static str {
    match source {
        Some(Source::Share) => "Narrating your screen",
        Some(Source::Pictures) => "Narrating your pictures",
        Some(Source::Sample | Source::Nothing) | None => "Narrating the sample recording",
    }
}

/// What is looked at, with the newest words below it.
#[component]
fn Viewport() -> impl IntoView {
    let client = client();
    let video = NodeRef::<leptos::html::Video>::new();
    Effect::new(move || {
        if let Some(video) = video.get() {
            video.set_muted(true);
            platform::show(&video);
        }
    });
    let is_share = Memo::new(move |_| client.source.get() == Some(Source::Share));
    let last = Memo::new(move |_| {
        client
            .session
            .with(|session| session.entries.back().map(|entry| entry.words.clone()))
    });
    let address = move || {
        let (index, _) = last.get()?.frame?;
        client.pictures.with(|pictures| pictures.get(index as usize).cloned())
    };
    let caption = move || last.get().map(|words| words.text).filter(|_| client.settings.captions.get());
    view! {
        <figure class="viewport">
            <div class="screen">
                <Show
                    when=move || is_share.get()
                    fallback=move || address().map(|address| view! { <img src=address alt="The picture that is being described"/> })
                >
                    <video node_ref=video autoplay playsinline aria-label="What you share"></video>
                </Show>
            </div>
            // The transcript and the live region say it to who cannot see.
            <figcaption aria-hidden="true">{caption}</figcaption>
        </figure>
    }
}
