//! A trace as JSON in Chrome's Trace Event Format. Not what is traced.
//!
//! Source: "Trace Event Format" (Google); complete events `X`, names of threads `M`.

use serde_json::{Value, json};

use super::{Inner, Slice};

/// All of this is one process to Perfetto.
const PID: u32 = 1;
/// Rows of a track: more overlaps than this share the last one.
const MAX_ROWS: usize = 64;

pub(super) fn json_from_inner(inner: &Inner, n_left_out: u64) -> String {
    let mut events = vec![json!({ "ph": "M", "pid": PID, "name": "process_name", "args": { "name": "qwglm" } })];
    for (track, name) in inner.tracks.iter().enumerate() {
        let mut slices: Vec<&Slice> = inner.slices.iter().filter(|slice| slice.track == track).collect();
        // Of two that begin together the longer one is the outer one.
        slices.sort_by_key(|slice| (slice.start, std::cmp::Reverse(slice.end)));
        let mut rows: Vec<Vec<&Slice>> = vec![Vec::new()];
        for slice in slices {
            let row = row_for(slice, &mut rows);
            events.push(event_from_slice(slice, name, tid(track, row)));
        }
        for row in 0..rows.len() {
            let name = if row == 0 {
                name.clone()
            } else {
                format!("{name} ({})", row + 1)
            };
            let tid = tid(track, row);
            events.push(json!({ "ph": "M", "pid": PID, "tid": tid, "name": "thread_name", "args": { "name": name } }));
            events.push(json!({ "ph": "M", "pid": PID, "tid": tid, "name": "thread_sort_index", "args": { "sort_index": tid } }));
        }
    }
    json!({ "displayTimeUnit": "ms", "otherData": { "left_out": n_left_out }, "traceEvents": events }).to_string()
}

fn tid(track: usize, row: usize) -> usize {
    1 + track * MAX_ROWS + row
}

/// The first row where the slice lies apart from, or inside, all that is there: a viewer cannot draw two that only overlap.
/// A row holds the slices that are open at the time of the last one, outermost first.
fn row_for<'a>(slice: &'a Slice, rows: &mut Vec<Vec<&'a Slice>>) -> usize {
    for (index, open) in rows.iter_mut().enumerate() {
        open.retain(|other| other.end > slice.start);
        if open.last().is_none_or(|inner| inner.end >= slice.end) {
            open.push(slice);
            return index;
        }
    }
    if rows.len() < MAX_ROWS {
        rows.push(vec![slice]);
    }
    rows.len() - 1
}

fn event_from_slice(slice: &Slice, track: &str, tid: usize) -> Value {
    let mut args = serde_json::Map::new();
    args.insert("stage".to_owned(), track.into());
    if let Some((seq, pts, turn)) = slice.args.packet {
        args.insert("seq".to_owned(), seq.into());
        args.insert("pts_ms".to_owned(), pts.as_millis_f64().into());
        args.insert("turn".to_owned(), turn.into());
    }
    for (name, value) in &slice.args.numbers {
        args.insert((*name).to_owned(), (*value).into());
    }
    json!({
        "ph": "X",
        "pid": PID,
        "tid": tid,
        "name": slice.name,
        "ts": slice.start.as_secs_f64() * 1e6,
        "dur": slice.end.since(slice.start).as_secs_f64() * 1e6,
        "args": args,
    })
}
