//! `qwglm say`: text to a WAV file, or to phonemes.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use pipeline::spawn::blocking;
use stages::sink::wav::Wav;
use stages::tts::phonemes::{Dialect, Phonemizer, line};
use stages::tts::speaker::{SpeakOptions, Speaker};

use crate::args::SayArgs;
use crate::failure::usage;
use crate::play::unless_interrupted;
use crate::{print, print_line, setup};

/// Speaks, or says how it would.
///
/// Errors: bad usage, no such voice, nothing that can be said, a file that cannot be read or written.
pub async fn say(args: SayArgs) -> Result<()> {
    if let Some(out) = &args.tsv {
        return sentences(&args, out);
    }
    let text = text(&args)?;
    if args.phonemes || args.normalized {
        return readings(&args, &text);
    }
    let Some(out) = args.output.clone() else {
        return Err(usage(
            "where to? Name a file with -o out.wav, or ask for --phonemes or --normalized",
        ));
    };
    unless_interrupted(speak(args, text, &out)).await
}

/// The words of the command line, or what stands on standard input.
fn text(args: &SayArgs) -> Result<String> {
    match &args.text[..] {
        [] => Err(usage("nothing to say: give a text, or - to read it from standard input")),
        [one] if one == "-" => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.context("standard input cannot be read")?;
            Ok(text)
        }
        words => Ok(words.join(" ")),
    }
}

fn dialect(args: &SayArgs) -> Dialect {
    if args.espeak_152 {
        Dialect::Espeak152
    } else {
        Dialect::default()
    }
}

/// Prints what is asked of the ways to write the text.
fn readings(args: &SayArgs, text: &str) -> Result<()> {
    let phonemizer = Phonemizer::get()?;
    let normalized = phonemizer.normalize(text);
    if args.normalized {
        print_line(&normalized.to_string())?;
    }
    if args.phonemes {
        print_line(&line(&phonemizer.clauses(&normalized, dialect(args))))?;
    }
    Ok(())
}

/// Each sentence of a file to a line of another.
fn sentences(args: &SayArgs, out: &Path) -> Result<()> {
    let [file] = &args.text[..] else {
        return Err(usage("--tsv needs one file of sentences: id<TAB>…<TAB>text a line"));
    };
    if !args.phonemes && !args.normalized {
        return Err(usage("--tsv goes with --phonemes or --normalized"));
    }
    let phonemizer = Phonemizer::get()?;
    let lines = std::fs::read_to_string(file).with_context(|| format!("{file} cannot be read"))?;
    let mut written = String::new();
    for (index, sentence) in lines.lines().enumerate() {
        let Some((id, rest)) = sentence.split_once('\t') else {
            continue;
        };
        let text = rest.rsplit('\t').next().unwrap_or(rest);
        if index == 0 && id == "id" {
            continue;
        }
        let normalized = phonemizer.normalize(text);
        if args.phonemes {
            let phonemes = line(&phonemizer.clauses(&normalized, dialect(args)));
            writeln!(written, "{id}\t{phonemes}")?;
        } else {
            writeln!(written, "{id}\t{normalized}")?;
        }
        if args.normalized {
            print_line(&format!("{id}\t{normalized}"))?;
        }
    }
    match out.as_os_str() == "-" {
        true => print(&written),
        false => std::fs::write(out, written).with_context(|| format!("{} cannot be written", out.display())),
    }
}

/// Speaks the text, a clause or sentence at a time.
async fn speak(args: SayArgs, text: String, out: &Path) -> Result<()> {
    let name = args.voice.clone();
    let loading = blocking(move || setup::voices().load(&name, Path::new("")).and_then(Speaker::new));
    let speaker = Arc::new(loading.await?);
    let options = SpeakOptions {
        speaker: speaker.voice.speaker(args.speaker.as_deref())?,
        speed: args.speed,
        seed: args.seed,
        ..SpeakOptions::default()
    };
    let units = {
        let (speaker, text) = (speaker.clone(), text.clone());
        blocking(move || speaker.units(&text)).await
    };
    if units.is_empty() {
        return Err(anyhow!("there is nothing to say: no word of the text can be read as English"));
    }
    let rate_hz = speaker.voice.config.audio.rate_hz;
    let mut wav = Wav::create(out, rate_hz)?;
    let mut n_samples = 0usize;
    for (index, unit) in units.into_iter().enumerate() {
        let speaker = speaker.clone();
        let spoken = blocking(move || speaker.speak(&unit, index as u64, &options)).await?;
        wav.write(&spoken.samples)?;
        let start_s = n_samples as f64 / f64::from(rate_hz);
        for word in spoken.words.iter().filter(|_| args.words) {
            let [from, to] = [word.start, word.end].map(|time| start_s + time.as_secs_f64());
            print_line(&format!(
                "{from:.3}\t{to:.3}\t{}\t{}",
                word.word,
                text.get(word.range.clone()).unwrap_or_default()
            ))?;
        }
        n_samples += spoken.samples.len();
    }
    Ok(())
}
