//! Which model, and how it would do on which GPU, before any download.

use app_web::protocol::PlanRow;
use leptos::prelude::*;

use super::hub::HubModel;
use super::{client, mebibytes};

/// A model as the page presents it.
struct Card {
    model: &'static str,
    title: &'static str,
    words: &'static str,
}

const CARDS: [Card; 4] = [
    Card {
        model: "pocket-vl",
        title: "Pocket",
        words: "Comes with this page. Names windows, dialogs and errors; misreads small print.",
    },
    Card {
        model: "qwen3-vl-2b",
        title: "Qwen3-VL 2B",
        words: "Reads text and describes scenes. By the program: qwglm narrate --model Qwen/Qwen3-VL-2B-Instruct",
    },
    Card {
        model: "qwen3-vl-4b",
        title: "Qwen3-VL 4B",
        words: "More exact, with more memory. By the program: qwglm narrate --model Qwen/Qwen3-VL-4B-Instruct",
    },
    Card {
        model: "qwen3-vl-8b",
        title: "Qwen3-VL 8B",
        words: "The one it is made for. By the program: qwglm narrate --model Qwen/Qwen3-VL-8B-Instruct",
    },
];

/// Part of the name of the GPU that is shown first.
const USUAL: &str = "3060";

#[component]
pub fn Models() -> impl IntoView {
    let client = client();
    client.plan();
    let rows = Memo::new(move |_| client.session.with(|session| session.plan.clone()));
    let gpus = Memo::new(move |_| {
        rows.with(|rows| {
            rows.iter()
                .filter(|row| row.model == CARDS[0].model)
                .map(|row| row.gpu.clone())
                .collect::<Vec<_>>()
        })
    });
    let chosen = RwSignal::new(String::new());
    let gpu = Memo::new(move |_| match chosen.get() {
        // Until one is chosen: one that many have.
        chosen if chosen.is_empty() => gpus.with(|gpus| {
            gpus.iter()
                .find(|gpu| gpu.contains(USUAL))
                .or(gpus.first())
                .cloned()
                .unwrap_or_default()
        }),
        chosen => chosen,
    });
    let is_ready = Memo::new(move |_| !gpus.with(Vec::is_empty));
    view! {
        <section class="models">
            <h1>"Which model fits"</h1>
            <p class="lead">
                "Modelled from every kernel of a model and what a GPU has, before anything is downloaded: 4 bits a weight (8 of the
                pocket model), 4096 tokens of context, a picture of 640 × 360."
            </p>
            <Show when=move || is_ready.get() fallback=|| view! { <p class="quiet" role="status">"Planning…"</p> }>
                <label class="inline">
                    "On a GPU like"
                    <select on:change=move |event| chosen.set(event_target_value(&event))>
                        {move || {
                            let option = |name: String| {
                                let is_usual = name.contains(USUAL);
                                view! { <option value=name.clone() selected=is_usual>{name.clone()}</option> }
                            };
                            gpus.get().into_iter().map(option).collect_view()
                        }}
                    </select>
                </label>
                <ul class="cards">
                    {CARDS
                        .iter()
                        .map(|card| {
                            let row = move || {
                                let is_it = |row: &&PlanRow| row.model == card.model && row.gpu == gpu.get();
                                rows.with(|rows| rows.iter().find(is_it).cloned())
                            };
                            view! {
                                <li>
                                    <h2>{card.title}</h2>
                                    <p class="quiet">{card.words}</p>
                                    {move || row().map(|row| view! { <Outlook row/> })}
                                </li>
                            }
                        })
                        .collect_view()}
                </ul>
            </Show>
            <HubModel gpu/>
        </section>
    }
}

/// What the plan says of one model on one GPU.
#[component]
pub fn Outlook(
    /// A row of the plan.
    row: PlanRow,
) -> impl IntoView {
    let size = match row.size_bytes {
        bytes if bytes < 1 << 30 => format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20)),
        bytes => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    };
    let speed = row.tokens_per_s.map_or("–".to_owned(), |speed| match speed < 10.0 {
        true => format!("{speed:.1} a second"),
        false => format!("{speed:.0} a second"),
    });
    let first = row.first_word_ms.map_or("–".to_owned(), |ms| match ms < 1000.0 {
        true => format!("{ms:.0} ms"),
        false => format!("{:.1} s", ms / 1000.0),
    });
    let download = (row.download_bytes > 0).then(|| mebibytes(row.download_bytes));
    view! {
        <p class=if row.fits { "good" } else { "bad" }>{if row.fits { "Fits" } else { "Does not fit" }}</p>
        <dl>
            {download.map(|download| view! { <div><dt>"Download"</dt><dd>{download}</dd></div> })}
            <div><dt>"Memory"</dt><dd>{size}</dd></div>
            <div><dt>"Tokens"</dt><dd>{speed}</dd></div>
            <div><dt>"First word"</dt><dd>{first}</dd></div>
        </dl>
    }
}
