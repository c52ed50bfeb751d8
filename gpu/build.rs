//! Joins each kernel of `shaders/` with its parts, validates every variant, and writes the table that `kernel` includes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use naga::valid::{Capabilities, ValidationFlags, Validator};

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
    let mut faults = Vec::new();
    let parts = read_folder(Path::new("shaders/parts"), &mut faults);
    let kernels = read_folder(Path::new("shaders"), &mut faults);
    let mut table = String::from("pub static SOURCES: &[KernelSource] = &[\n");
    for (name, kernel) in &kernels {
        let _ = writeln!(table, "KernelSource {{ name: {name:?}, variants: &[");
        let roles = roles_of(kernel);
        for variant in variants_of(&roles) {
            let mut source = kernel.clone();
            for (part, _) in &variant {
                match parts.get(part) {
                    Some(text) => {
                        let _ = write!(source, "\n// part {part}\n{text}");
                    }
                    None => faults.push(format!("{name}: there is no part {part}")),
                }
            }
            let chosen: Vec<&String> = variant.iter().filter(|(_, chosen)| *chosen).map(|(part, _)| part).collect();
            if let Err(fault) = validate(&source) {
                faults.push(format!("{name} {chosen:?}: {fault}"));
            }
            let _ = writeln!(table, "Variant {{ parts: &{chosen:?}, source: r####\"{source}\"#### }},");
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

/// Reads the header's line `// parts  role (a | b), other`.
fn roles_of(kernel: &str) -> Vec<Role> {
    let line = kernel
        .lines()
        .take_while(|line| line.starts_with("//"))
        .find_map(|line| line.strip_prefix("// parts "))
        .unwrap_or_default();
    line.split(',')
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

/// Plain WGSL only: no extension may slip in, since the same text runs in browsers. (naga counts `unpack2x16float` apart.)
fn validate(source: &str) -> Result<(), String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16_IN_FLOAT32)
        .validate(&module)
        .map(|_| ())
        .map_err(|error| error.emit_to_string(source))
}
