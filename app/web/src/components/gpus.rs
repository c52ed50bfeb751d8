//! The decode step on every GPU of which there is a profile, real and impossible, and where it was measured beside them.

use app_web::protocol::GpuRow;
use app_web::timeline::{Comparison, compared, log_share, time, times};
use leptos::prelude::*;

use super::client;

#[component]
pub fn Gpus() -> impl IntoView {
    let client = client();
    if client.session.with_untracked(|session| session.stepped.gpus.is_empty()) {
        client.compare();
    }
    // One memo of all that is drawn: an effect that reads a memo and, after it, what that one is made of can miss the latter's change.
    let table = Memo::new(move |_| {
        client
            .session
            .with(|session| compared(&session.stepped.gpus, session.stepped.told.as_ref()))
    });
    view! {
        <section class="topic" aria-labelledby="gpus-title">
            <h2 id="gpus-title">"The same step on other GPUs"</h2>
            <p class="quiet">
                "By their profiles, fastest first, each with the algorithms that it would use. Above in each pair the GPU as it is, below the impossible
                one: a perfect cache, 0.1 ns latency, 500 times the arithmetic. Bars are logarithmic."
            </p>
            <div class="scrolls" tabindex="0" role="group" aria-label="The step on other GPUs">
                <table class="gpus">
                    <thead>
                        <tr>
                            {["GPU", "a step", "impossible", "times as fast", "waits for", "impossible: for"]
                                .map(|head| view! { <th scope="col">{head}</th> })
                                .collect_view()}
                        </tr>
                    </thead>
                    <tbody>
                        {move || {
                            let Comparison { rows, here, range_s } = table.get();
                            let here = here.map(|pair| {
                                view! { <Row name="Here, measured".to_owned() pair waits=["–".to_owned(), "–".to_owned()] range_s/> }
                            });
                            let row = |row: GpuRow| {
                                let waits = [row.waits_for, row.impossible_waits_for];
                                view! { <Row name=row.name pair=[row.step_s, row.impossible_s] waits range_s/> }
                            };
                            (here, rows.into_iter().map(row).collect_view())
                        }}
                    </tbody>
                </table>
            </div>
            <Show when=move || table.with(|table| table.rows.is_empty())>
                <p class="quiet" role="status">"Planning…"</p>
            </Show>
        </section>
    }
}

#[component]
fn Row(
    name: String,
    /// As it is and impossible, in seconds.
    pair: [f64; 2],
    /// What each waits for.
    waits: [String; 2],
    /// The shortest and the longest of the table, in seconds.
    range_s: [f64; 2],
) -> impl IntoView {
    let [real_s, impossible_s] = pair;
    let bar = |seconds| {
        let share = format!("{:.1}%", log_share(seconds, range_s) * 100.0);
        view! { <span class="track"><span style:width=share></span></span> }
    };
    view! {
        <tr>
            <th scope="row">{name}<span class="bars" aria-hidden="true">{bar(real_s)}{bar(impossible_s)}</span></th>
            <td>{time(real_s)}</td>
            <td>{time(impossible_s)}</td>
            <td>{times(real_s / impossible_s)}</td>
            {waits.map(|words| view! { <td>{words}</td> }).collect_view()}
        </tr>
    }
}
