//! A plan as text: a line a GPU, or all about one.

use std::fmt::Write;

use sim::timing::predict::{PictureTime, Prediction};

use super::{Impossible, Report};

const GIB: f64 = (1u64 << 30) as f64;

/// The report as text.
pub fn table(report: &Report) -> String {
    let mut text = format!(
        "{}: {:.2} billion parameters, {}, a KV cache of {} tokens. Modelled, not measured.\n\n",
        report.model,
        report.parameters as f64 / 1e9,
        bits(report.quant),
        report.context_tokens
    );
    match report.gpus.as_slice() {
        [one] => about(&mut text, one),
        many => lines(&mut text, many),
    }
    for impossible in &report.impossible {
        survivals(&mut text, impossible);
    }
    text
}

/// `4-bit`, `dense`.
pub fn bits(quant: &str) -> String {
    match quant {
        "4" | "8" => format!("{quant}-bit"),
        other => other.to_owned(),
    }
}

/// Three figures that matter.
pub fn short(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// `16k`.
pub fn count(n: usize) -> String {
    match n {
        0..1024 => n.to_string(),
        _ => format!("{}k", n / 1024),
    }
}

fn lines(text: &mut String, gpus: &[Prediction]) {
    let Some(shown) = gpus.iter().find(|gpu| gpu.problem.is_none()) else {
        for gpu in gpus {
            let _ = writeln!(text, "{:<12} {}", gpu.gpu, gpu.problem.as_deref().unwrap_or_default());
        }
        return;
    };
    let mut above = format!("{:<12}{:>16}{:>5}{:>8}  ", "", "memory, GiB", "", "loaded");
    let mut head = format!("{:<12}{:>16}{:>5}{:>8}  ", "GPU", "needs / has", "fits", "in, s");
    let prompts = shown.prefill.iter().map(|row| format!("{} tokens", row.n_tokens));
    let pictures = shown.pictures.iter().map(|row| format!("{}×{}", row.width, row.height));
    let waits: Vec<String> = prompts.chain(pictures).collect();
    let _ = write!(
        above,
        "{:<width$}  tokens a second behind",
        "first token after, s",
        width = 13 * waits.len()
    );
    waits.iter().for_each(|wait| head += &format!("{wait:>13}"));
    head += "  ";
    shown
        .decode
        .iter()
        .for_each(|row| head += &format!("{:>8}", count(row.context)));
    let _ = writeln!(text, "{}\n{}", above.trim_end(), head);
    for gpu in gpus {
        let memory = &gpu.memory;
        if let Some(problem) = &gpu.problem {
            let _ = writeln!(text, "{:<12}  {problem}", gpu.gpu);
            continue;
        }
        let sizes = format!(
            "{:.1} / {:.1}",
            memory.total_bytes as f64 / GIB,
            memory.available_bytes as f64 / GIB
        );
        let fits = if gpu.fits { "yes" } else { "NO" };
        let _ = write!(text, "{:<12}{sizes:>16}{fits:>5}{:>8}  ", gpu.gpu, short(gpu.load_s));
        let prompts = gpu.prefill.iter().map(|row| Some(row.first_token_s));
        let pictures = gpu.pictures.iter().map(|row| row.first_token_s());
        prompts.chain(pictures).for_each(|s| {
            let _ = write!(text, "{:>13}", s.map_or("too large".to_owned(), short));
        });
        text.push_str("  ");
        gpu.decode.iter().for_each(|row| {
            let _ = write!(text, "{:>8}", short(row.tokens_per_s));
        });
        text.push('\n');
    }
}

fn about(text: &mut String, gpu: &Prediction) {
    let _ = writeln!(text, "{}", gpu.name);
    if let Some(problem) = &gpu.problem {
        let _ = writeln!(text, "  {problem}");
        return;
    }
    let memory = &gpu.memory;
    let classes = [
        ("layers", memory.layers_bytes),
        ("embeddings and output layer", memory.embeddings_bytes),
        ("vision tower", memory.vision_bytes),
        ("KV cache", memory.cache_bytes),
        ("activations", memory.activations_bytes),
        ("features of a picture", memory.features_bytes),
        ("inputs and tables", memory.rest_bytes),
    ];
    let _ = writeln!(text, "\n  memory, GiB");
    for (class, bytes) in classes {
        let _ = writeln!(text, "    {class:<30}{:>8.2}", bytes as f64 / GIB);
    }
    let fits = if gpu.fits { "fits" } else { "does NOT fit" };
    let _ = writeln!(
        text,
        "    {:<30}{:>8.2} of {:.1}: {fits}",
        "in all",
        memory.total_bytes as f64 / GIB,
        memory.available_bytes as f64 / GIB
    );
    let _ = writeln!(text, "\n  loaded in {} s\n\n  first token after", short(gpu.load_s));
    for row in &gpu.prefill {
        let what = format!("{} tokens of text", row.n_tokens);
        let (s, rate) = (short(row.first_token_s), short(row.tokens_per_s));
        let _ = writeln!(text, "    {what:<30}{s:>8} s    {rate:>7} tokens a second; {}", row.bound);
    }
    for row in &gpu.pictures {
        let what = format!("a picture of {}×{}", row.width, row.height);
        let _ = match &row.time {
            PictureTime::TooLarge { problem } => writeln!(text, "    {what:<30}cannot be encoded: {problem}"),
            PictureTime::Taken {
                encode_s,
                first_token_s,
                bound,
            } => writeln!(
                text,
                "    {what:<30}{:>8} s    {:>7} s in the vision tower, {} tokens; {bound}",
                short(*first_token_s),
                short(*encode_s),
                row.n_tokens
            ),
        };
    }
    let _ = writeln!(text, "\n  tokens a second ({} dispatches each) behind", gpu.dispatches_a_step);
    for row in &gpu.decode {
        let what = format!("{} tokens", row.context);
        let (rate, ms) = (short(row.tokens_per_s), short(row.ms));
        let _ = writeln!(text, "    {what:<30}{rate:>8}      {ms:>7} ms each; {}", row.bound);
    }
}

fn survivals(text: &mut String, impossible: &Impossible) {
    let _ = writeln!(text, "\n{}, made impossible: how many times as fast", impossible.name);
    let names = impossible.works.first().map(|work| &work.alone);
    let _ = write!(text, "  {:<20}", "");
    for (name, _) in names.into_iter().flatten() {
        let _ = write!(text, "{name:>18}");
    }
    let _ = writeln!(text, "{:>10}  then it waits for", "together");
    for work in &impossible.works {
        let _ = write!(text, "  {:<20}", work.work);
        for (_, factor) in &work.alone {
            let _ = write!(text, "{:>17}×", short(*factor));
        }
        let left: Vec<String> = work
            .left
            .iter()
            .map(|(bound, share)| format!("{bound} {:.0} %", share * 100.0))
            .collect();
        let _ = writeln!(text, "{:>9}×  {}", short(work.together), left.join(", "));
    }
    text.push_str(
        "  Bandwidths of memory and cache, and what a launch costs, stay as they are: that is why the 500 do not survive.\n",
    );
}
