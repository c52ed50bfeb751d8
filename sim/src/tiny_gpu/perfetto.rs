//! A trace for people: as JSON lines, one a cycle, and for ui.perfetto.dev, a cycle drawn as a microsecond.

use serde_json::{Value, json};

use super::core::State;
use super::isa::Instruction;
use super::trace::{Change, CoreTrace, Trace};

/// The names of a unit's states by their digits.
const FETCHER: [&str; 3] = ["idle", "fetching", "fetched"];
const LSU: [&str; 4] = ["idle", "requesting", "waiting", "done"];

/// One JSON object a cycle: what each core is at, and what memory gave and took at its edge.
pub fn json_lines(trace: &Trace) -> impl Iterator<Item = String> + '_ {
    let n_cycles = trace.cores.first().map_or(0, |core| core.state.len());
    (0..n_cycles).map(|cycle| {
        let cores: Vec<Value> = trace.cores.iter().map(|core| core_at(core, cycle)).collect();
        let memory: Vec<_> = of_cycle(&trace.memory, cycle, |access| access.0)
            .map(|&(_, kind, channel, address, data)| json!([kind, channel, address, data]))
            .collect();
        json!({ "cycle": cycle, "cores": cores, "memory": memory }).to_string()
    })
}

fn core_at(core: &CoreTrace, cycle: usize) -> Value {
    let registers: Vec<_> = of_cycle(&core.regs, cycle, |change| change.0)
        .map(|&(_, lane, register, value)| json!([lane, register, value]))
        .collect();
    json!({
        "state": State::ALL[digit(&core.state, cycle)].name(),
        "pc": value_at(&core.pc, cycle),
        "instruction": Instruction::from_word(value_at(&core.instruction, cycle) as u16).to_string(),
        "block": value_at(&core.block, cycle),
        "fetcher": FETCHER[digit(&core.fetcher, cycle)],
        "lsu": core.lsu.iter().map(|states| LSU[digit(states, cycle)]).collect::<Vec<_>>(),
        "registers": registers,
    })
}

/// The trace in Perfetto's JSON: a process a core, a thread for its scheduler, its fetcher and each lane's memory unit.
pub fn perfetto(trace: &Trace) -> String {
    let mut events = Vec::new();
    for (idx, core) in trace.cores.iter().enumerate() {
        let pid = idx + 1;
        events.push(json!({ "ph": "M", "name": "process_name", "pid": pid, "args": { "name": format!("core {idx}") } }));
        let names = State::ALL.map(State::name);
        track(&mut events, (pid, 0, "scheduler".into()), &core.state, &names, |cycle| {
            json!({
                "pc": value_at(&core.pc, cycle),
                "instruction": Instruction::from_word(value_at(&core.instruction, cycle) as u16).to_string(),
                "block": value_at(&core.block, cycle),
            })
        });
        track(
            &mut events,
            (pid, 1, "fetcher".into()),
            &core.fetcher,
            &FETCHER,
            |_| json!({}),
        );
        for (lane, states) in core.lsu.iter().enumerate() {
            track(
                &mut events,
                (pid, lane + 2, format!("lane {lane} memory")),
                states,
                &LSU,
                |_| json!({}),
            );
        }
    }
    json!({ "traceEvents": events, "displayTimeUnit": "ms" }).to_string()
}

/// A slice for each run of one state; idle ones are left out.
fn track(
    events: &mut Vec<Value>,
    (pid, tid, name): (usize, usize, String),
    states: &str,
    names: &[&str],
    args: impl Fn(usize) -> Value,
) {
    events.push(json!({ "ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": { "name": name } }));
    let states = states.as_bytes();
    let mut start = 0;
    while start < states.len() {
        let run = states[start..].iter().take_while(|&&state| state == states[start]).count();
        let state = usize::from(states[start].saturating_sub(b'0'));
        if state != 0 {
            events.push(json!({
                "ph": "X", "name": names.get(state), "pid": pid, "tid": tid, "ts": start, "dur": run, "args": args(start),
            }));
        }
        start += run;
    }
}

fn digit(states: &str, cycle: usize) -> usize {
    states
        .as_bytes()
        .get(cycle)
        .map_or(0, |digit| usize::from(digit.saturating_sub(b'0')))
}

/// What a list of changes stands at.
fn value_at(changes: &[Change], cycle: usize) -> u64 {
    let after = changes.partition_point(|&(at, _)| at <= cycle as u64);
    after.checked_sub(1).map_or(0, |last| changes[last].1)
}

/// The entries of a list, ascending by cycle, that belong to one.
fn of_cycle<T>(entries: &[T], cycle: usize, at: impl Fn(&T) -> u64) -> impl Iterator<Item = &T> {
    let cycle = cycle as u64;
    let first = entries.partition_point(|entry| at(entry) < cycle);
    let last = entries.partition_point(|entry| at(entry) <= cycle);
    entries[first..last].iter()
}
