//! The machine on the simulator's bench: how large it is, what it has beyond the original, and what each of that is worth.

use app_web::simulator::Bench;
use leptos::prelude::*;
use sim::tiny_gpu::Config;

/// A number of the machine: its words, what it is, what sets it, and the most that is offered.
type Size = (&'static str, fn(&Config) -> u32, fn(&mut Config, u32), u32);

const SIZES: [Size; 5] = [
    ("cores", |c| c.cores as u32, |c, n| c.cores = n as usize, 16),
    (
        "threads a block",
        |c| c.threads_per_block as u32,
        |c, n| c.threads_per_block = n as usize,
        16,
    ),
    (
        "data channels",
        |c| c.data_channels as u32,
        |c, n| c.data_channels = n as usize,
        32,
    ),
    (
        "program channels",
        |c| c.program_channels as u32,
        |c, n| c.program_channels = n as usize,
        16,
    ),
    (
        "cycles until memory answers",
        |c| c.memory_latency_cycles,
        |c, n| c.memory_latency_cycles = n,
        100,
    ),
];

/// How large the machine is. What it cannot be is said where faults of the program are.
#[component]
pub fn Shape(
    config: RwSignal<Config>,
    /// Puts a machine of the new kind on the bench.
    reset: impl Fn() + Copy + 'static + Send,
) -> impl IntoView {
    let number = move |(words, get, set, most): Size| {
        let now = move || config.with(get).to_string();
        let change = move |event: leptos::ev::Event| {
            if let Ok(value) = event_target_value(&event).parse() {
                config.update(|config| set(config, value));
                reset();
            }
        };
        view! { <label><input type="number" min="1" max=most.to_string() prop:value=now on:change=change/>{words}</label> }
    };
    view! {
        <div class="switches">
            <fieldset>
                <legend>"How large it is"</legend>
                {SIZES.map(number).collect_view()}
            </fieldset>
        </div>
    }
}

/// A switch of the machine: its words, and where it is.
type Switch = (&'static str, fn(&mut Config) -> &mut bool);

const IDEAL: [Switch; 3] = [
    ("perfect cache", |config| &mut config.ideal.perfect_cache),
    ("zero latency", |config| &mut config.ideal.zero_latency),
    ("unlimited channels", |config| &mut config.ideal.unlimited_channels),
];
const FEATURES: [Switch; 5] = [
    ("instruction cache", |config| &mut config.features.instruction_cache),
    ("data cache", |config| &mut config.features.data_cache),
    ("coalescing", |config| &mut config.features.coalescing),
    ("pipelined fetch", |config| &mut config.features.pipelined_fetch),
    ("branch divergence", |config| &mut config.features.divergence),
];

/// What the machine has beyond the original.
#[component]
pub fn Switches(
    config: RwSignal<Config>,
    /// Puts a machine of the new kind on the bench.
    reset: impl Fn() + Copy + 'static + Send,
) -> impl IntoView {
    let switch = move |(name, place): Switch| {
        let is_on = move || config.with(|config| *place(&mut config.clone()));
        let set = move |event: leptos::ev::Event| {
            config.update(|config| *place(config) = event_target_checked(&event));
            reset();
        };
        view! { <label><input type="checkbox" prop:checked=is_on on:change=set/>{name}</label> }
    };
    view! {
        <div class="switches">
            <fieldset>
                <legend>"What no hardware has"</legend>
                {IDEAL.map(switch).collect_view()}
            </fieldset>
            <fieldset>
                <legend>"What its author left as next steps"</legend>
                {FEATURES.map(switch).collect_view()}
            </fieldset>
        </div>
    }
}

/// What each switch is worth for the program, alone and together.
#[component]
pub fn WorthTable(text: RwSignal<String>, config: RwSignal<Config>) -> impl IntoView {
    let rows = Memo::new(move |_| {
        // Of the machine without switches.
        let mut plain = config.get();
        plain.ideal = Default::default();
        plain.features = Default::default();
        Bench::new(&text.get(), &plain).map(|bench| bench.worth()).unwrap_or_default()
    });
    let most = move || rows.with(|rows| rows.iter().filter_map(|row| row.cycles).max().unwrap_or(1));
    view! {
        <h2>"What each is worth for this program"</h2>
        <table class="worth">
            <thead><tr><th scope="col">"machine"</th><th scope="col">"cycles"</th><th scope="col">"times as fast"</th></tr></thead>
            <tbody>
                {move || {
                    let most = most();
                    let row = |row: sim::tiny_gpu::ideal::Worth| {
                        let share = row.cycles.map_or(0.0, |cycles| cycles as f64 / most as f64 * 100.0);
                        view! {
                            <tr>
                                <th scope="row">
                                    {row.name}
                                    <span class="bars" aria-hidden="true">
                                        <span class="track"><span style:width=format!("{share:.1}%")></span></span>
                                    </span>
                                </th>
                                <td>{row.cycles.map_or("endless".to_owned(), |cycles| cycles.to_string())}</td>
                                <td>{row.speedup.map_or("–".to_owned(), |speedup| format!("{speedup:.2}"))}</td>
                            </tr>
                        }
                    };
                    rows.get().into_iter().map(row).collect_view()
                }}
            </tbody>
        </table>
    }
}
