//! A decode step of the loaded model as a timeline: real against modelled against impossible, a dispatch at a time.

use app_web::protocol::{MeasuredBy, StepTold};
use app_web::timeline::{Family, Lane, Scale, WIDTH, alternative, described, heading, lanes, time, times};
use leptos::prelude::*;

use super::client;

/// How high a line is, in the units of its own picture.
const HEIGHT: f64 = 36.0;
/// Nothing that was dispatched is drawn narrower.
const NARROWEST: f64 = 0.7;
/// Beyond this the shorter lines are not to be seen on one scale.
const FAR_APART: f64 = 12.0;

#[component]
pub fn StepTimeline() -> impl IntoView {
    let client = client();
    let profile = RwSignal::new(None::<String>);
    let stepped = Memo::new(move |_| client.session.with(|session| session.stepped.clone()));
    let is_ready = Memo::new(move |_| client.session.with(|session| session.ready.is_some()));
    // Anew when a model has come or gone, or another profile is wanted.
    Effect::new(move || {
        is_ready.track();
        client.step(profile.get());
    });
    let told = Memo::new(move |_| stepped.with(|stepped| stepped.told.clone()));
    let is_measuring = Memo::new(move |_| stepped.with(|stepped| stepped.is_measuring));
    let problem = move || stepped.with(|stepped| stepped.problem.clone());
    let verb = move || {
        let is_measured = told.with(|told| told.as_ref().is_some_and(|told| told.by != MeasuredBy::Nothing));
        match (is_measuring.get(), is_ready.get(), is_measured) {
            (true, false, _) => "Loading the model…",
            (true, true, _) => "Measuring…",
            (_, true, true) => "Measure again",
            (_, true, false) => "Measure it here",
            (_, false, _) => "Load the model and measure",
        }
    };
    view! {
        <section class="topic" aria-labelledby="step-title">
            <h2 id="step-title">"A decode step of the loaded model"</h2>
            <p class="lead">
                "Each word of an answer is one such step, and the GPU goes through its dispatches one after the other. What does it take here,
                what should it take, and what would it take if memory and arithmetic were no matter?"
            </p>
            <div class="actions">
                <button disabled=move || is_measuring.get() on:click=move |_| client.measure(profile.get_untracked())>{verb}</button>
                <label class="inline">
                    "Modelled as"
                    <select on:change=move |event| profile.set(Some(event_target_value(&event)).filter(|key| !key.is_empty()))>
                        <option value="">{move || if is_ready.get() { "what the adapter says" } else { "a usual GPU" }}</option>
                        {move || {
                            let option = |row: app_web::protocol::GpuRow| {
                                let key = row.key.clone();
                                view! { <option value=row.key selected=move || profile.get().as_ref() == Some(&key)>{row.name}</option> }
                            };
                            stepped.with(|stepped| stepped.gpus.clone()).into_iter().map(option).collect_view()
                        }}
                    </select>
                </label>
            </div>
            <div role="status">{move || problem().map(|problem| view! { <p class="bad">{problem}</p> })}</div>
            {move || match told.get() {
                Some(told) => view! { <Timeline told/> }.into_any(),
                None => view! { <p class="quiet">"Looking at the model…"</p> }.into_any(),
            }}
        </section>
    }
}

#[component]
fn Timeline(
    /// What is drawn.
    told: StepTold,
) -> impl IntoView {
    let spread = told.step.measured_s.unwrap_or(told.step.modelled_s()) / told.step.impossible_s().max(f64::MIN_POSITIVE);
    let is_own = RwSignal::new(spread > FAR_APART);
    let at = RwSignal::new(0_usize);
    let (head, said) = (heading(&told), alternative(&told));
    let by = told.by;
    let step = StoredValue::new(told.step);
    let n = step.with_value(|step| step.dispatches.len());
    let drawn = Memo::new(move |_| {
        let scale = if is_own.get() { Scale::Own } else { Scale::Same };
        step.with_value(|step| lanes(step, scale))
    });
    let at_words = move || step.with_value(|step| described(step, at.get())).unwrap_or_default();
    let choose = move |event: leptos::ev::Event| {
        let number: usize = event_target_value(&event).parse().unwrap_or(1);
        at.set(number.clamp(1, n.max(1)) - 1);
    };
    view! {
        <p class="quiet">{head}</p>
        <figure class="step">
            <label class="inline">
                <input type="checkbox" prop:checked=move || is_own.get() on:change=move |event| is_own.set(event_target_checked(&event))/>
                "Each line as wide as the page"
            </label>
            {move || drawn.get().into_iter().map(|lane| view! { <LaneView lane at/> }).collect_view()}
            <ul class="legend" aria-label="Colours">
                {Family::LEGEND
                    .map(|family| view! { <li><i class=family.class() aria-hidden="true"></i>{family.words()}</li> })
                    .collect_view()}
            </ul>
            <figcaption>{said}</figcaption>
        </figure>
        <label class="cursor">
            <span>"Dispatch"</span>
            <input type="range" min="1" max=n.to_string() prop:value=move || (at.get() + 1).to_string() aria-valuetext=at_words on:input=choose/>
        </label>
        <p class="told">{at_words}</p>
        {(by == MeasuredBy::Stamps)
            .then(|| view! { <p class="quiet">"Browsers round time stamps, to a tenth of a millisecond as a rule; the mean over the steps is finer."</p> })}
        <details>
            <summary>"The same by kernel, as a table"</summary>
            <KernelTable step/>
        </details>
    }
}

/// One of the three lines: its blocks, the dispatch that is looked at, an axis.
#[component]
fn LaneView(
    lane: Lane,
    /// The dispatch that is looked at, from 0.
    at: RwSignal<usize>,
) -> impl IntoView {
    let total = lane.total_s.map_or("not measured".to_owned(), time);
    let label = format!("{}: {total}, drawn over {}", lane.name, time(lane.scale_s));
    let marks = lane.marks().into_iter().map(|(share, words)| {
        view! { <span style:left=format!("{:.3}%", share * 100.0)>{words}</span> }
    });
    let marks = marks.collect_view();
    let blocks = lane.blocks.clone();
    let cursor = move || {
        let block = blocks.iter().find(|block| block.dispatch == Some(at.get())).copied();
        block.map(|block| {
            let width = block.width.max(NARROWEST);
            view! { <rect class="here" x=format!("{:.3}", block.x) y="0" width=format!("{width:.3}") height=HEIGHT.to_string()/> }
        })
    };
    let blocks = lane.blocks.into_iter().map(|block| {
        let is_odd = block.dispatch.is_some_and(|index| index % 2 == 1);
        let look = move |_| {
            if let Some(index) = block.dispatch {
                at.set(index);
            }
        };
        let class = format!("{}{}", block.family.class(), if is_odd { " odd" } else { "" });
        let (x, width) = (format!("{:.3}", block.x), format!("{:.3}", block.width.max(NARROWEST)));
        view! { <rect class=class x=x y="4" width=width height=(HEIGHT - 8.0).to_string() on:click=look/> }
    });
    view! {
        <div class="lane">
            <h3>{lane.name}<span class="figures">{total}</span></h3>
            <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" role="img" aria-label=label>
                {blocks.collect_view()}
                {cursor}
            </svg>
            <div class="axis" aria-hidden="true">{marks}</div>
        </div>
    }
}

#[component]
fn KernelTable(step: StoredValue<sim::hybrid::Step>) -> impl IntoView {
    let (has_spans, lines) = step.with_value(|step| (step.has_spans(), step.by_kernel()));
    let real = move |words: String| if has_spans { words } else { "–".to_owned() };
    let row = move |line: sim::hybrid::Line| {
        view! {
            <tr>
                <th scope="row">{line.kernel}</th>
                <td>{line.times.count}</td>
                <td>{real(time(line.times.measured_s))}</td>
                <td>{time(line.times.modelled_s)}</td>
                <td>{time(line.times.impossible_s)}</td>
                <td>{real(times(line.of_limit))}</td>
            </tr>
        }
    };
    view! {
        <div class="scrolls" tabindex="0" role="group" aria-label="The step by kernel">
            <table>
                <thead>
                    <tr>
                        {["kernel", "dispatches", "real", "modelled", "impossible", "times its limit"]
                            .map(|head| view! { <th scope="col">{head}</th> })
                            .collect_view()}
                    </tr>
                </thead>
                <tbody>{lines.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}
