//! The house rules that a machine can see: what a file starts with, how long it is, how much the tree weighs.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{output, root};

/// All tracked files together, so that a clone stays quick.
const TREE_LIMIT_BYTES: u64 = 36 << 20;
/// Where a second idea hides in a Rust file.
const LINES_LIMIT: usize = 500;

/// Looks at every tracked file; all faults are reported together.
pub fn run() -> Result<()> {
    let Some(list) = output(Command::new("git").args(["ls-files", "-z"]).current_dir(root())) else {
        eprintln!("── house rules: not looked at, since this is no git clone");
        return Ok(());
    };
    let paths: Vec<&str> = list.split('\0').filter(|path| !path.is_empty()).collect();
    let mut faults = Vec::new();
    let mut size_bytes = 0;
    for path in &paths {
        let file = root().join(path);
        size_bytes += file.metadata().map_or(0, |data| data.len());
        if let (true, Ok(text)) = (path.ends_with(".rs"), std::fs::read_to_string(&file)) {
            faults.extend(rust_faults(path, &text));
        }
    }
    if size_bytes > TREE_LIMIT_BYTES {
        faults.push(format!(
            "tracked files are {size_bytes} bytes together, at most {TREE_LIMIT_BYTES} are allowed"
        ));
    }
    if !faults.is_empty() {
        bail!("house rules:\n  {}", faults.join("\n  "));
    }
    eprintln!(
        "── house rules: {} files, {:.1} MiB",
        paths.len(),
        size_bytes as f64 / f64::from(1 << 20)
    );
    Ok(())
}

fn rust_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: does not say first, in `//!`, what it is for"));
    }
    let n_lines = text.lines().count();
    if n_lines > LINES_LIMIT {
        faults.push(format!(
            "{path}: {n_lines} lines, more than {LINES_LIMIT}: look for the second idea"
        ));
    }
    let is_gpu = Path::new(path).starts_with("gpu");
    if !is_gpu && text.lines().any(|line| line.trim_start().starts_with("unsafe ")) {
        faults.push(format!("{path}: `unsafe` outside gpu"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_the_rule() {
        let long = format!("//! Long.\n{}", "\n".repeat(LINES_LIMIT));
        let cases = [
            ("sim/src/lib.rs", "//! Fine.\n", 0),
            ("sim/src/lib.rs", "fn main() {}\n", 1),
            ("sim/src/lib.rs", long.as_str(), 1),
            ("sim/src/lib.rs", "//! No.\nunsafe fn f() {}\n", 1),
            ("gpu/src/lib.rs", "//! May.\nunsafe fn f() {}\n", 0),
        ];
        for (path, text, expected) in cases {
            assert_eq!(rust_faults(path, text).len(), expected, "{path}: {text:.20}");
        }
    }
}
