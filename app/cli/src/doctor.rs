//! `qwglm doctor`: what this machine has, whether its engines compute what they should, and what this program was built with.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use gpu::engine::choose::Choice;
use gpu::engine::wgpu::{AdapterChoice, list_adapters};
use gpu::engine::{Adapter, Engine};
use gpu::plan::Variants;
use gpu::weights::source::HubOptions;
use serde::Serialize;
use sim::{Kernels, SimEngine};

use crate::args::DoctorArgs;
use crate::choice::{self, Recall};
use crate::models::{embedded_models, model_folders};
use crate::self_test::{Answer, self_test};
use crate::source::Source;
use crate::{print, print_line};

/// Everything that is found.
#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    /// GPU adapters, then the simulator.
    engines: Vec<Tested>,
    features: Features,
    /// What `ffmpeg -version` says first; nothing if it is not installed.
    ffmpeg: Option<String>,
    models: Vec<FoundModel>,
    /// Where models of the hub lie.
    cache: PathBuf,
    /// Where pocket models are looked for.
    model_folders: Vec<PathBuf>,
}

/// An engine, and how it did.
#[derive(Debug, Serialize)]
struct Tested {
    name: String,
    driver: String,
    backend: String,
    /// Draws on the CPU.
    software: bool,
    shader_f16: bool,
    subgroups: Option<(u32, u32)>,
    max_binding_bytes: u64,
    max_buffer_bytes: u64,
    max_invocations: u32,
    workgroup_memory_bytes: u32,
    self_test: SelfTest,
    /// Which algorithms it runs, and what was tried; nothing of the simulator.
    choice: Option<Chosen>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Chosen {
    Found(Choice),
    Failed { message: String },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "result")]
enum SelfTest {
    Right { error: f64, ms: u64 },
    Wrong { error: f64, ms: u64 },
    Failed { message: String },
}

#[derive(Debug, Serialize)]
struct Features {
    /// Capture of screens and windows.
    desktop: bool,
    /// A screen can be captured here and now.
    screen: bool,
    /// The pocket model and the sample recording are inside the program.
    embed: bool,
}

#[derive(Debug, Serialize)]
struct FoundModel {
    name: String,
    place: String,
}

/// Looks, tests and tells.
///
/// Errors: an engine computes something else than the twins, or fails.
pub async fn doctor(args: &DoctorArgs) -> Result<()> {
    let recall = match args.rechoose {
        true => Recall::Anew,
        false => Recall::Remembered,
    };
    let findings = Findings::gather(recall).await;
    if args.json {
        print_line(&serde_json::to_string_pretty(&findings)?)?;
    } else {
        print(&findings.report())?;
    }
    let bad = findings
        .engines
        .iter()
        .filter(|engine| !matches!(engine.self_test, SelfTest::Right { .. }));
    let bad: Vec<&str> = bad.map(|engine| engine.name.as_str()).collect();
    if !bad.is_empty() {
        bail!(
            "{} did not pass the self-test; update the driver, or use --engine sim",
            bad.join(", ")
        );
    }
    Ok(())
}

impl Findings {
    async fn gather(recall: Recall) -> Self {
        let mut engines = Vec::new();
        for adapter in list_adapters().await {
            let choice = AdapterChoice {
                name: Some(adapter.name.clone()),
                ..AdapterChoice::default()
            };
            let (result, chosen) = match choice::open(choice, recall).await {
                Ok((mut engine, chosen)) => {
                    // The twins' precision is asked for here; the others are held to golden vectors.
                    engine.set_variants(Variants::plain(engine.adapter()));
                    (self_test(&mut engine).await, Chosen::Found(chosen))
                }
                Err(error) => {
                    let message = error.to_string();
                    (Err(error), Chosen::Failed { message })
                }
            };
            let mut tested = Tested::new(&adapter, result);
            tested.choice = Some(chosen);
            engines.push(tested);
        }
        let mut simulator = SimEngine::new(Kernels::Fast);
        let result = self_test(&mut simulator).await;
        engines.push(Tested::new(simulator.adapter(), result));
        let (desktop, embed) = (cfg!(feature = "desktop"), cfg!(feature = "embed"));
        let cache = HubOptions::from_env().cache_dir;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            engines,
            features: Features {
                desktop,
                screen: Source::has_screen(),
                embed,
            },
            ffmpeg: ffmpeg(),
            models: models(&cache),
            cache,
            model_folders: model_folders(),
        }
    }

    fn report(&self) -> String {
        let mut lines = vec![format!("qwglm {}", self.version), String::new(), "engines".to_owned()];
        if self.engines.len() == 1 {
            lines.push("  no GPU adapter; on Debian `apt install mesa-vulkan-drivers` brings one in software".to_owned());
        }
        lines.extend(self.engines.iter().flat_map(Tested::lines));
        lines.extend([String::new(), "capture".to_owned()]);
        let screen = match (&self.features.desktop, self.features.screen) {
            (false, _) => "no (build with --features desktop)",
            (true, false) => "no display here",
            (true, true) => "yes",
        };
        lines.push(format!("  screen and windows  {screen}"));
        lines.push(format!(
            "  videos              {}",
            self.ffmpeg.as_deref().unwrap_or("no ffmpeg (on Debian: apt install ffmpeg)")
        ));
        lines.extend([String::new(), "models".to_owned()]);
        if self.models.is_empty() {
            lines.push("  none".to_owned());
        }
        lines.extend(self.models.iter().map(|model| format!("  {:<20}{}", model.name, model.place)));
        lines.push(format!("  {:<20}{}", "cache of the hub", shown(&self.cache)));
        lines.push(format!(
            "  {:<20}{}",
            "also looked for in",
            self.model_folders.iter().map(|f| shown(f)).collect::<Vec<_>>().join(", ")
        ));
        lines.join("\n") + "\n"
    }
}

impl Tested {
    fn new(adapter: &Adapter, result: gpu::Result<Answer>) -> Self {
        let ms = |answer: Answer| answer.took.as_millis() as u64;
        let self_test = match result {
            Ok(answer) if answer.is_right() => SelfTest::Right {
                error: answer.error,
                ms: ms(answer),
            },
            Ok(answer) => SelfTest::Wrong {
                error: answer.error,
                ms: ms(answer),
            },
            Err(error) => SelfTest::Failed {
                message: error.to_string(),
            },
        };
        let Adapter {
            name,
            driver,
            backend,
            software,
            shader_f16,
            subgroups,
            ..
        } = adapter.clone();
        let Adapter {
            max_binding_bytes,
            max_buffer_bytes,
            max_invocations,
            workgroup_memory_bytes,
            ..
        } = *adapter;
        Self {
            name,
            driver,
            backend,
            software,
            shader_f16,
            subgroups,
            max_binding_bytes,
            max_buffer_bytes,
            max_invocations,
            workgroup_memory_bytes,
            self_test,
            choice: None,
        }
    }

    fn lines(&self) -> Vec<String> {
        let yes = |is: bool| if is { "yes" } else { "no" };
        let subgroups = self
            .subgroups
            .map_or("no".to_owned(), |(least, most)| format!("{least} to {most}"));
        let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
        let kind = if self.software { ", on the CPU" } else { "" };
        let test = match &self.self_test {
            SelfTest::Right { error, ms } => format!("passed: {error:.1e} from the twins, {ms} ms"),
            SelfTest::Wrong { error, .. } => format!("FAILED: {error:.1e} from the twins"),
            SelfTest::Failed { message } => format!("FAILED: {message}"),
        };
        let mut lines = vec![
            format!("  {} ({}{kind}; {})", self.name, self.backend, self.driver),
            format!("    f16 {}, subgroups {subgroups}", yes(self.shader_f16)),
            format!(
                "    a binding {}, a buffer {}, {} invocations, {} KiB of workgroup memory",
                mebibytes(self.max_binding_bytes),
                mebibytes(self.max_buffer_bytes),
                self.max_invocations,
                self.workgroup_memory_bytes >> 10
            ),
            format!("    self-test {test}"),
        ];
        match &self.choice {
            Some(Chosen::Found(choice)) => lines.extend(choice_lines(choice)),
            Some(Chosen::Failed { message }) => lines.push(format!("    algorithms FAILED: {message}")),
            None => {}
        }
        lines
    }
}

/// The algorithm of each role, and what else was tried for it.
fn choice_lines(choice: &Choice) -> Vec<String> {
    if choice.tried.is_empty() {
        let names: Vec<String> = choice
            .names
            .iter()
            .map(|(role, name)| format!("{} {name}", role.name()))
            .collect();
        return vec![format!("    algorithms, untried: {}", names.join(", "))];
    }
    let mut lines = vec![format!(
        "    algorithms, compiled in {} ms, checked in {} ms and timed in {} ms; --rechoose does it anew",
        choice.compile_ms, choice.check_ms, choice.timing_ms
    )];
    for tried in &choice.tried {
        let sign = if tried.chosen { '*' } else { ' ' };
        let outcome = match (&tried.message, tried.error) {
            (Some(message), _) => format!("FAILED: {message}"),
            (None, Some(error)) if tried.passed => format!("right ({error:.0e})"),
            (None, Some(error)) => format!("WRONG ({error:.0e})"),
            (None, None) => "WRONG".to_owned(),
        };
        let time = tried.us.map_or("-".to_owned(), |us| format!("{us:.0} µs"));
        lines.push(format!(
            "    {sign} {:<10}{:<20}{time:>12}  {outcome}",
            tried.role.name(),
            tried.name
        ));
    }
    lines
}

fn ffmpeg() -> Option<String> {
    let output = Command::new("ffmpeg")
        .arg("-version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().filter(|_| output.status.success()).map(str::to_owned)
}

/// Models inside the program, in the folders for them, and in the hub's cache.
fn models(cache: &Path) -> Vec<FoundModel> {
    let inside = embedded_models().map(|(name, files)| {
        let size_bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        FoundModel {
            name: name.to_owned(),
            place: format!("inside the program, {:.1} MB", size_bytes as f64 / 1e6),
        }
    });
    let mut models: Vec<FoundModel> = inside.collect();
    for folder in model_folders() {
        for path in folders_in(&folder)
            .into_iter()
            .filter(|path| path.join("config.json").is_file())
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            models.push(FoundModel {
                name,
                place: shown(&path),
            });
        }
    }
    for path in folders_in(cache) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(id) = name.strip_prefix("models--") {
            models.push(FoundModel {
                name: id.replacen("--", "/", 1),
                place: shown(&path),
            });
        }
    }
    models
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use gpu::engine::choose::{Role, Tried};

    use super::*;

    #[test]
    fn the_hubs_cache_and_folders_of_models_are_listed() {
        let cache = tempfile::tempdir().unwrap();
        for name in ["models--Qwen--Qwen3-VL-2B-Instruct", "datasets--a--b"] {
            std::fs::create_dir(cache.path().join(name)).unwrap();
        }
        let names: Vec<String> = models(cache.path()).into_iter().map(|model| model.name).collect();
        assert!(names.contains(&"Qwen/Qwen3-VL-2B-Instruct".to_owned()), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("datasets")), "{names:?}");
    }

    #[test]
    fn the_report_says_what_is_right_wrong_and_missing() {
        let simulator = SimEngine::new(Kernels::Fast);
        let adapter = simulator.adapter();
        let answer = |error| Answer {
            error,
            took: std::time::Duration::from_millis(3),
        };
        let lost = gpu::Error::DeviceLost {
            message: "reset".to_owned(),
        };
        let tried = |name: &str, error, passed, us| Tried {
            role: Role::Matmul,
            name: name.to_owned(),
            error,
            message: None,
            passed,
            us,
            chosen: passed,
        };
        let choice = Choice {
            tried: vec![
                tried("tiled", Some(1e-6), true, Some(812.4)),
                tried("coop", Some(0.25), false, None),
            ],
            compile_ms: 4000,
            check_ms: 900,
            timing_ms: 1100,
            ..Choice::promised(adapter)
        };
        let findings = Findings {
            version: "0.0.0",
            engines: [Ok(answer(1e-7)), Ok(answer(0.5)), Err(lost)]
                .map(|result| Tested {
                    choice: Some(Chosen::Found(choice.clone())),
                    ..Tested::new(adapter, result)
                })
                .into(),
            features: Features {
                desktop: false,
                screen: false,
                embed: false,
            },
            ffmpeg: None,
            models: Vec::new(),
            cache: "hub".into(),
            model_folders: vec!["models".into()],
        };
        let report = findings.report();
        let words = [
            "self-test passed: 1.0e-7 from the twins, 3 ms",
            "self-test FAILED: 5.0e-1 from the twins",
            "self-test FAILED: the device was lost: reset",
            "apt install ffmpeg",
            "--features desktop",
            "  none\n",
            "compiled in 4000 ms, checked in 900 ms and timed in 1100 ms",
            "* matmul    tiled",
            "812 µs  right (1e-6)",
            "  matmul    coop",
            "-  WRONG (2e-1)",
        ];
        for word in words {
            assert!(report.contains(word), "{word} is not in\n{report}");
        }
    }
}
