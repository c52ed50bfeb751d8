//! The graph at work: each stage with its inputs, how full they are, what they dropped; how busy it is, how often restarted.

use app_web::protocol::{LinkCounters, LinkShape, StageCounters};
use leptos::prelude::*;

use super::client;

/// Slots of a link that are drawn one by one.
const MAX_SLOTS: usize = 8;

#[component]
pub fn Pipeline() -> impl IntoView {
    let client = client();
    let stages = Memo::new(move |_| client.session.with(|session| session.counters.stages.clone()));
    let names = Memo::new(move |_| stages.with(|stages| stages.iter().map(|stage| stage.name.clone()).collect::<Vec<_>>()));
    let is_empty = Memo::new(move |_| names.with(Vec::is_empty));
    view! {
        <section class="pipeline">
            <h1>"The pipeline at work"</h1>
            <p class="lead">
                "Every stage is an actor, every arrow a bounded link. A full link waits or drops the oldest, as the configuration says."
            </p>
            <Show when=move || is_empty.get()>
                <p class="quiet">"Nothing has run yet. "<a href="#narrate">"Narrate something"</a>" and come back: it goes on meanwhile."</p>
            </Show>
            <ol class="graph">
                <For each=move || names.get() key=|name| name.clone() let:name>
                    <StageCard name/>
                </For>
            </ol>
        </section>
    }
}

#[component]
fn StageCard(
    /// The stage's name in the configuration.
    name: String,
) -> impl IntoView {
    let client = client();
    let of = name.clone();
    let stage = Memo::new(move |_| {
        client.session.with(|session| {
            let found = session.counters.stages.iter().find(|stage| stage.name == of);
            (found.cloned().unwrap_or_default(), session.busy_share(&of))
        })
    });
    let of = name.clone();
    let links = Memo::new(move |_| {
        client.session.with(|session| {
            let shapes = session.links.iter().filter(|link| link.to == of);
            let counters = |shape: &LinkShape| session.counters.links.iter().find(|link| link.name == shape.name).cloned();
            shapes
                .map(|shape| (shape.clone(), counters(shape).unwrap_or_default()))
                .collect::<Vec<_>>()
        })
    });
    let percent = move || stage.with(|(_, busy)| (busy * 100.0).round());
    let line = move || stage.with(|(stage, _)| counts(stage));
    view! {
        <li>
            <ul class="links">
                {move || links.get().into_iter().map(|(shape, link)| view! { <LinkLine shape link/> }).collect_view()}
            </ul>
            <div class="stage">
                <h2>{name}</h2>
                <p class="type">{move || stage.with(|(stage, _)| stage.type_name.clone())}</p>
                <div class="busy">
                    <span class="track"><span style:width=move || format!("{}%", percent())></span></span>
                    <span class="value">{move || format!("{}% busy", percent())}</span>
                </div>
                <p class="figures">{line}</p>
            </div>
        </li>
    }
}

/// `12 in, 12 out, restarted once`
fn counts(stage: &StageCounters) -> String {
    let mut parts = Vec::new();
    if stage.received > 0 {
        parts.push(format!("{} in", stage.received));
    }
    if stage.sent > 0 {
        parts.push(format!("{} out", stage.sent));
    }
    match stage.restarts {
        0 => {}
        1 => parts.push("restarted once".to_owned()),
        n => parts.push(format!("restarted {n} times")),
    }
    if parts.is_empty() {
        "waiting".to_owned()
    } else {
        parts.join(", ")
    }
}

#[component]
fn LinkLine(
    /// What the link is.
    shape: LinkShape,
    /// What happened on it.
    link: LinkCounters,
) -> impl IntoView {
    let slots = (0..shape.size.min(MAX_SLOTS))
        .map(|slot| view! { <i class:full=slot < link.depth></i> })
        .collect_view();
    let dropped = (link.dropped > 0).then(|| format!(", {} dropped", link.dropped));
    let policy = shape.when_full.replace('_', " ");
    view! {
        <li>
            <span class="slots" aria-hidden="true">{slots}</span>
            <span class="figures">
                {format!("from {}: {} of {} full, {} sent", shape.from, link.depth, shape.size, link.sent)}
                <b>{dropped}</b>
                {format!(" · {policy}")}
            </span>
        </li>
    }
}
