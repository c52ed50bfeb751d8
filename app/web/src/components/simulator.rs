//! tiny-gpu, a cycle at a time: the program with the line that each core is at, registers, memory, channels, and what no
//! hardware has.

use std::time::Duration;

use app_web::simulator::{Bench, ChannelView, CoreView};
use leptos::prelude::*;
use sim::tiny_gpu::{Config, programs};

use super::gpus::Gpus;
use super::machine::{Shape, Switches, WorthTable};
use super::step::StepTimeline;

/// Cycles a second, slowest first.
const SPEEDS: [u64; 4] = [2, 10, 60, 600];
/// How often a machine that plays is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(100);
/// Cells of memory that are drawn; the programs use no more.
const CELLS: usize = 64;

#[component]
pub fn Simulator() -> impl IntoView {
    let text = RwSignal::new(programs::text("matadd").unwrap_or_default().to_owned());
    let config = RwSignal::new(Config::default());
    let bench = RwSignal::new(Bench::new(&text.get_untracked(), &config.get_untracked()));
    let plays = RwSignal::new(false);
    let speed = RwSignal::new(1_usize);
    let carry = StoredValue::new(0_u64);
    let reset = move || {
        plays.set(false);
        bench.set(Bench::new(&text.get_untracked(), &config.get_untracked()));
    };
    let step = move |n_cycles: u64| {
        bench.update(|bench| {
            if let Ok(bench) = bench {
                bench.step(n_cycles);
            }
        });
    };
    let is_over = Memo::new(move |_| bench.with(|bench| bench.as_ref().is_ok_and(Bench::is_over)));
    let drawn = set_interval_with_handle(
        move || {
            if !plays.get_untracked() {
                return;
            }
            if is_over.get_untracked() {
                return plays.set(false);
            }
            // Slow speeds step less than once a drawing.
            let due = carry.get_value() + SPEEDS[speed.get_untracked()] * DRAWN_EVERY.as_millis() as u64;
            carry.set_value(due % 1000);
            if due >= 1000 {
                step(due / 1000);
            }
        },
        DRAWN_EVERY,
    );
    if let Ok(drawn) = drawn {
        on_cleanup(move || drawn.clear());
    }
    let choose = move |name: &'static str| {
        text.set(programs::text(name).unwrap_or_default().to_owned());
        reset();
    };
    let faults = move || bench.with(|bench| bench.as_ref().err().cloned());
    let told = move || bench.with(|bench| bench.as_ref().map(Bench::told).unwrap_or_default());
    view! {
        <section class="simulator">
            <h1>"A GPU, one cycle at a time"</h1>
            <p class="lead">
                "tiny-gpu is a graphics processor small enough to be seen whole: cores take blocks of threads, threads wait for memory,
                memory has few channels. Step through it, then switch on what no hardware has."
            </p>
            <div class="actions">
                <button class="primary" disabled=move || is_over.get() on:click=move |_| plays.update(|plays| *plays = !*plays)>
                    {move || if plays.get() { "Pause" } else { "Play" }}
                </button>
                <button disabled=move || is_over.get() on:click=move |_| step(1)>"Step"</button>
                <button disabled=move || is_over.get() on:click=move |_| step(10)>"10 steps"</button>
                <button on:click=move |_| reset()>"From the start"</button>
                <label class="inline">
                    "Speed"
                    <select on:change=move |event| speed.set(event_target_value(&event).parse().unwrap_or(1))>
                        {SPEEDS
                            .iter()
                            .enumerate()
                            .map(|(index, cycles)| {
                                view! {
                                    <option value=index.to_string() selected=index == 1>{format!("{cycles} cycles a second")}</option>
                                }
                            })
                            .collect_view()}
                    </select>
                </label>
            </div>
            // Said when it is paused or stepped, not while it runs.
            <p class="told" aria-live=move || if plays.get() { "off" } else { "polite" }>{told}</p>
            {move || faults().map(|faults| view! {
                <ul class="faults" role="alert">{faults.into_iter().map(|fault| view! { <li>{fault}</li> }).collect_view()}</ul>
            })}
            <div class="columns">
                <div class="stack">
                    <h2>"Program"</h2>
                    <div class="actions">
                        {programs::NAMES.map(|name| view! { <button on:click=move |_| choose(name)>{name}</button> }).collect_view()}
                    </div>
                    <Listing text bench/>
                    <details>
                        <summary>"Write your own"</summary>
                        <label class="field">
                            <span class="quiet">"Assembler: ADD SUB MUL DIV CMP LDR STR CONST BR NOP RET, labels, .threads, .data"</span>
                            <textarea rows="14" spellcheck="false" prop:value=move || text.get()
                                on:input=move |event| { text.set(event_target_value(&event)); reset(); }></textarea>
                        </label>
                    </details>
                </div>
                <div class="stack">
                    <Cores bench/>
                    <Memory bench/>
                </div>
            </div>
            <Shape config reset/>
            <Switches config reset/>
            <WorthTable text config/>
            <StepTimeline/>
            <Gpus/>
        </section>
    }
}

/// What may be on the bench: a machine, or the faults of a text.
type OnBench = RwSignal<Result<Bench, Vec<String>>>;

#[component]
fn Listing(
    /// The program.
    text: RwSignal<String>,
    bench: OnBench,
) -> impl IntoView {
    let at = Memo::new(move |_| {
        bench.with(|bench| {
            let cores = bench.as_ref().map(Bench::cores).unwrap_or_default();
            let at = cores.iter().enumerate().filter(|(_, core)| core.block.is_some());
            at.filter_map(|(index, core)| Some((core.line?, index))).collect::<Vec<_>>()
        })
    });
    view! {
        <ol class="listing" tabindex="0" aria-label="Program">
            {move || {
                let text = text.get();
                let lines = text.lines().enumerate().map(|(index, line)| {
                    let (code, comment) = line.split_at(line.find(';').unwrap_or(line.len()));
                    let cores = move || {
                        at.with(|at| {
                            let here = at.iter().filter(|(line, _)| *line == index + 1);
                            here.map(|(_, core)| core.to_string()).collect::<Vec<_>>().join(" ")
                        })
                    };
                    view! {
                        <li class:at=move || !cores().is_empty()>
                            <span class="cores" aria-hidden="true">{cores}</span>
                            <code>{code.to_owned()}<span class="quiet">{comment.to_owned()}</span></code>
                        </li>
                    }
                });
                lines.collect_view()
            }}
        </ol>
    }
}

#[component]
fn Cores(bench: OnBench) -> impl IntoView {
    let cores = move || bench.with(|bench| bench.as_ref().map(Bench::cores).unwrap_or_default());
    view! {
        <h2>"Cores"</h2>
        <div class="cores-at-work">
            {move || cores().into_iter().enumerate().map(|(index, core)| view! { <Core index core/> }).collect_view()}
        </div>
    }
}

/// Registers that are shown: the first ones, and those that say which thread it is.
const REGISTERS: [(usize, &str); 9] = [
    (0, "R0"),
    (1, "R1"),
    (2, "R2"),
    (3, "R3"),
    (4, "R4"),
    (5, "R5"),
    (6, "R6"),
    (7, "R7"),
    (15, "thread"),
];

#[component]
fn Core(
    index: usize,
    /// What it does now.
    core: CoreView,
) -> impl IntoView {
    let head = match core.block {
        Some(block) => format!("Core {index} · block {block} · {}", core.state),
        None => format!("Core {index} · idle"),
    };
    let rows = core.lanes.into_iter().map(|lane| {
        let cells = REGISTERS.map(|(register, _)| view! { <td>{lane.registers[register].to_string()}</td> });
        view! {
            <tr class:waits=lane.waits class:unused=!lane.is_used>
                <th scope="row">{lane.thread.to_string()}{lane.waits.then_some(" waits")}</th>
                {cells.collect_view()}
            </tr>
        }
    });
    view! {
        <div class="scrolls" tabindex="0" role="group" aria-label=format!("Core {index}")>
            <table>
                <caption>{head}</caption>
                <thead>
                    <tr>
                        <th scope="col">"lane"</th>
                        {REGISTERS.map(|(_, name)| view! { <th scope="col">{name}</th> }).collect_view()}
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Memory(bench: OnBench) -> impl IntoView {
    let channels = move || {
        bench.with(|bench| {
            let both = bench.as_ref().map(|bench| (bench.program_channels(), bench.channels()));
            both.unwrap_or_default()
        })
    };
    let cells = move || {
        bench.with(|bench| {
            let Ok(bench) = bench else { return Vec::new() };
            let pairs = bench.data().iter().copied().zip(bench.heat().iter().copied());
            pairs.take(CELLS).collect::<Vec<_>>()
        })
    };
    view! {
        <h2>"Memory channels"</h2>
        <ul class="channels">
            {move || {
                let line = |what: &'static str| {
                    move |(index, channel): (usize, ChannelView)| {
                        let is_busy = channel.address.is_some();
                        view! { <li class:busy=is_busy><span class="quiet">{format!("{what} {index}")}</span>" "{channel.words()}</li> }
                    }
                };
                let (program, data) = channels();
                let program = program.into_iter().enumerate().map(line("program"));
                program.chain(data.into_iter().enumerate().map(line("data"))).collect_view()
            }}
        </ul>
        <h2>{format!("Memory, the first {CELLS} of 256 bytes")}</h2>
        <div class="memory" role="img" aria-label=move || {
            let values = cells().iter().map(|(value, _)| value.to_string()).collect::<Vec<_>>().join(" ");
            format!("From address 0: {values}")
        }>
            {move || {
                let cell = |(value, heat): (u8, f32)| {
                    let heat = format!("{:.0}%", heat * 100.0);
                    view! { <span style=("--heat", heat)>{value.to_string()}</span> }
                };
                cells().into_iter().map(cell).collect_view()
            }}
        </div>
    }
}
