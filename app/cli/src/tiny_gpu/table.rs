//! A run as text: how busy each unit was, what memory holds, and what each switch is worth as bars.

use std::fmt::Write;

use sim::tiny_gpu::ideal::Worth;

use super::Ran;

/// Characters of the longest bar.
const BAR: f64 = 40.0;

pub fn text(ran: &Ran<'_>) -> String {
    let report = &ran.report;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: {} threads, {} blocks, {} cycles{}\n",
        ran.program,
        ran.threads,
        report.blocks_done,
        report.cycles,
        if report.done { "" } else { ", not done" }
    );
    let heads: String = report.cores.first().map_or(String::new(), |core| {
        core.states
            .iter()
            .fold(String::new(), |line, (name, _)| line + &format!("{name:>9}"))
    });
    let _ = writeln!(out, "{:8}{:>13}{heads}{:>14}", "", "instructions", "lanes waiting");
    for (idx, core) in report.cores.iter().enumerate() {
        let shares = core
            .states
            .iter()
            .fold(String::new(), |line, (_, share)| line + &format!("{:>9}", percent(*share)));
        let _ = writeln!(
            out,
            "{:8}{:>13}{shares}{:>14}",
            format!("core {idx}"),
            core.instructions,
            percent(core.lsu_busy)
        );
    }
    let _ = writeln!(out);
    for (name, controller) in [("program", &report.program), ("data", &report.data)] {
        let _ = writeln!(
            out,
            "{name:8}{} requests over {} channels, busy {}",
            controller.requests,
            controller.channels,
            percent(controller.busy)
        );
    }
    memory(&mut out, &ran.memory);
    if let Some(rows) = &ran.compared {
        let _ = writeln!(out);
        bars(&mut out, rows);
    }
    out
}

/// Rows of sixteen bytes, up to the last that is not 0.
fn memory(out: &mut String, bytes: &[u8]) {
    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let _ = writeln!(out, "\ndata memory{}", if used == 0 { ": all 0" } else { "" });
    for (row, bytes) in bytes[..used].chunks(16).enumerate() {
        let values = bytes.iter().fold(String::new(), |line, byte| line + &format!(" {byte:>3}"));
        let _ = writeln!(out, "  {:>3} {values}", 16 * row);
    }
}

fn bars(out: &mut String, rows: &[Worth]) {
    let most = rows.iter().filter_map(|row| row.cycles).max().unwrap_or(1) as f64;
    for row in rows {
        let Some(cycles) = row.cycles else {
            let _ = writeln!(out, "{:24} does not end", row.name);
            continue;
        };
        let bar = "█".repeat((BAR * cycles as f64 / most).round().max(1.0) as usize);
        let speedup = row.speedup.map_or(String::new(), |speedup| format!("{speedup:.2}×"));
        let note = if row.same_result { "" } else { "  (memory ends otherwise)" };
        let _ = writeln!(out, "{:24}{cycles:>8} {speedup:>7}  {bar}{note}", row.name);
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
