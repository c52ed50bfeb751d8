//! Joins each kernel of `shaders/` with its parts, validates every variant, and writes the table that `kernel` includes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use naga::valid::{Capabilities, ValidationFlags, Validator};

#[path = "src/kernel/preamble.rs"]
#[expect(dead_code, reason = "the library calls the rest")]
mod preamble;
#[path = "build/repeat.rs"]
mod repeat;
use preamble::{Compiler, Need};

/// One of a kernel's roles: `weight (f32 | f16)`, or `reduce` with no choice.
struct Role {
    /// Names of part files, one for each choice.
    parts: Vec<String>,
    /// A role without choices is in every variant and not part of its name.
    chosen: bool,
}

fn main() {
    println!("cargo::rerun-if-changed=shaders");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=src/kernel/preamble.rs");
    let mut faults = Vec::new();
    let parts = read_folder(Path::new("shaders/parts"), &mut faults);
    let kernels = read_folder(Path::new("shaders"), &mut faults);
    let mut table = String::from("pub static SOURCES: &[KernelSource] = &[\n");
    for (name, kernel) in &kernels {
        let _ = writeln!(table, "KernelSource {{ name: {name:?}, variants: &[");
        let roles = roles_of(kernel);
        for mut variant in variants_of(&roles) {
            with_parts_of_parts(&mut variant, &parts);
            let mut source = kernel.clone();
            let mut needs = needs_of(name, kernel, &mut faults);
            for (part, _) in &variant {
                match parts.get(part) {
                    Some(text) => {
                        needs.extend(needs_of(part, text, &mut faults));
                        let _ = write!(source, "\n// part {part}\n{text}");
                    }
                    None => faults.push(format!("{name}: there is no part {part}")),
                }
            }
            let chosen: Vec<&String> = variant.iter().filter(|(_, chosen)| *chosen).map(|(part, _)| part).collect();
            let needs: Vec<Need> = needs.into_iter().collect();
            match repeat::expand(&source) {
                Ok(expanded) => source = expanded,
                Err(fault) => faults.push(format!("{name} {chosen:?}: {fault}")),
            }
            if let Err(fault) = validate(&needs, &source) {
                faults.push(format!("{name} {chosen:?}: {fault}"));
            }
            let needed: String = needs.iter().map(|need| format!("Need::{need:?}, ")).collect();
            let _ = writeln!(
                table,
                "Variant {{ parts: &{chosen:?}, needs: &[{needed}], source: r####\"{source}\"#### }},"
            );
        }
        table.push_str("] },\n");
    }
    table.push_str("];\n");
    if !faults.is_empty() {
        for line in faults.iter().flat_map(|fault| fault.lines()) {
            println!("cargo::error={line}");
        }
        return;
    }
    let out = env::var("OUT_DIR").map_err(|error| error.to_string());
    let written = out.and_then(|out| fs::write(Path::new(&out).join("sources.rs"), table).map_err(|error| error.to_string()));
    if let Err(error) = written {
        println!("cargo::error=the kernel table was not written: {error}");
    }
}

/// The `.wgsl` files of a folder by name, in order.
fn read_folder(folder: &Path, faults: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "wgsl") {
            continue;
        }
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        match fs::read_to_string(&path) {
            Ok(text) => {
                files.insert(name, text);
            }
            Err(error) => faults.push(format!("{}: {error}", path.display())),
        }
    }
    files
}

/// The rest of the header's line that starts with a word.
fn header_line<'a>(text: &'a str, word: &str) -> &'a str {
    text.lines()
        .take_while(|line| line.starts_with("//"))
        .find_map(|line| line.strip_prefix("// ")?.strip_prefix(word)?.strip_prefix(' '))
        .unwrap_or_default()
}

/// Reads the header's line `// needs  f16, subgroups` of a kernel or part.
fn needs_of(name: &str, text: &str, faults: &mut Vec<String>) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    for word in header_line(text, "needs").split(',').map(str::trim) {
        match Need::parse(word) {
            Some(need) => {
                needs.insert(need);
            }
            None if word.is_empty() => {}
            None => faults.push(format!("{name}: nothing is called {word} that a kernel could need")),
        }
    }
    needs
}

/// Reads the header's line `// parts  role (a | b), other`.
fn roles_of(kernel: &str) -> Vec<Role> {
    header_line(kernel, "parts")
        .split(',')
        .map(str::trim)
        .filter(|role| !role.is_empty())
        .map(|role| match role.split_once('(') {
            Some((name, choices)) => Role {
                parts: choices
                    .trim_end_matches(')')
                    .split('|')
                    .map(|choice| format!("{}_{}", name.trim(), choice.trim()))
                    .collect(),
                chosen: true,
            },
            None => Role {
                parts: vec![role.to_owned()],
                chosen: false,
            },
        })
        .collect()
}

/// Every way to choose one part a role; with each part, whether it was a choice.
fn variants_of(roles: &[Role]) -> Vec<Vec<(String, bool)>> {
    roles.iter().fold(vec![Vec::new()], |variants, role| {
        variants
            .iter()
            .flat_map(|variant| {
                role.parts.iter().map(|part| {
                    let mut longer = variant.clone();
                    longer.push((part.clone(), role.chosen));
                    longer
                })
            })
            .collect()
    })
}

/// Adds what the chosen parts' own headers name: parts without choices.
fn with_parts_of_parts(variant: &mut Vec<(String, bool)>, parts: &BTreeMap<String, String>) {
    let mut i = 0;
    while let Some((name, _)) = variant.get(i) {
        let named = parts.get(name).map(|text| roles_of(text)).unwrap_or_default();
        for part in named.into_iter().flat_map(|role| role.parts) {
            if variant.iter().all(|(present, _)| *present != part) {
                variant.push((part, false));
            }
        }
        i += 1;
    }
}

/// No extension may slip in that the header does not name, since the same text runs in browsers. (naga counts
/// `unpack2x16float` apart.)
fn validate(needs: &[Need], source: &str) -> Result<(), String> {
    let text = preamble::preamble(needs, Compiler::Naga) + source;
    let module = naga::front::wgsl::parse_str(&text).map_err(|error| error.emit_to_string(&text))?;
    let needed = needs.iter().map(|need| match need {
        Need::F16 => Capabilities::SHADER_FLOAT16,
        Need::Subgroups => Capabilities::SUBGROUP | Capabilities::SUBGROUP_BARRIER,
        Need::Coop => Capabilities::COOPERATIVE_MATRIX,
    });
    let capabilities = needed.fold(Capabilities::SHADER_FLOAT16_IN_FLOAT32, |all, capability| all | capability);
    Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .map(|_| ())
        .map_err(|error| error.emit_to_string(&text))
}
