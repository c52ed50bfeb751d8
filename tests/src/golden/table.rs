//! The table: a row for each engine, precision and case, with the tensor that is furthest from its tolerance.

use crate::close::relative_rms;

/// What one comparison came to.
#[derive(Clone, Debug)]
pub struct Row {
    pub folder: String,
    pub engine: String,
    pub precision: String,
    pub case: String,
    /// The tensor whose error is the largest share of its tolerance.
    pub worst: String,
    pub error: f64,
    pub tolerance: f64,
    /// How many tensors and integers were compared.
    pub n_compared: usize,
    /// What is wrong, if anything is.
    pub faults: Vec<String>,
}

impl Row {
    pub fn new(folder: &str, engine: &str, precision: &str, case: &str) -> Self {
        Self {
            folder: folder.into(),
            engine: engine.into(),
            precision: precision.into(),
            case: case.into(),
            worst: "-".into(),
            error: 0.0,
            tolerance: 0.0,
            n_compared: 0,
            faults: Vec::new(),
        }
    }

    pub fn failed(folder: &str, engine: &str, precision: &str, case: &str, fault: String) -> Self {
        Self {
            faults: vec![fault],
            ..Self::new(folder, engine, precision, case)
        }
    }

    pub fn ok(&self) -> bool {
        self.faults.is_empty() && self.n_compared > 0
    }

    /// Holds a tensor to relative RMS.
    pub fn close(&mut self, name: &str, found: &[f32], expected: &[f32], tolerance: f64) {
        self.n_compared += 1;
        if found.len() != expected.len() {
            self.faults
                .push(format!("{name} has {} values, expected {}", found.len(), expected.len()));
            return;
        }
        let error = f64::from(relative_rms(found, expected));
        if self.tolerance == 0.0 || error / tolerance > self.error / self.tolerance {
            (self.worst, self.error, self.tolerance) = (name.into(), error, tolerance);
        }
        if error > tolerance {
            self.faults
                .push(format!("{name} is off by {error:.1e}, tolerance {tolerance:.1e}"));
        }
    }

    /// Holds integers, texts or flags to equality.
    pub fn equal<T: PartialEq + std::fmt::Debug>(&mut self, name: &str, found: &T, expected: &T) {
        self.n_compared += 1;
        if found != expected {
            let text = |value: &T| {
                let text = format!("{value:?}");
                if text.chars().count() > 60 {
                    text.chars().take(60).collect::<String>() + "…"
                } else {
                    text
                }
            };
            self.faults
                .push(format!("{name} is {}, expected {}", text(found), text(expected)));
        }
    }
}

/// Prints all rows, then the faults of those that failed; true if none did.
pub fn print(rows: &[Row]) -> bool {
    let width = |of: fn(&Row) -> &String, head: &str| {
        rows.iter()
            .map(|row| of(row).chars().count())
            .max()
            .unwrap_or(0)
            .max(head.len())
    };
    let widths = [
        width(|row| &row.folder, "folder"),
        width(|row| &row.engine, "engine"),
        width(|row| &row.precision, "precision"),
        width(|row| &row.case, "case"),
        width(|row| &row.worst, "worst tensor"),
    ];
    let [f, e, p, c, w] = widths;
    println!(
        "{:f$}  {:e$}  {:p$}  {:c$}  {:w$}  {:>8}  {:>9}  {:>5}",
        "folder", "engine", "precision", "case", "worst tensor", "error", "tolerance", "n"
    );
    for row in rows {
        let mark = if row.ok() { "ok" } else { "FAILED" };
        println!(
            "{:f$}  {:e$}  {:p$}  {:c$}  {:w$}  {:>8.1e}  {:>9.1e}  {:>5}  {mark}",
            row.folder, row.engine, row.precision, row.case, row.worst, row.error, row.tolerance, row.n_compared
        );
    }
    let failed: Vec<_> = rows.iter().filter(|row| !row.ok()).collect();
    for row in &failed {
        let faults = if row.faults.is_empty() {
            "nothing was compared".into()
        } else {
            row.faults.join("\n    ")
        };
        println!(
            "\n{} {} {} {}:\n    {faults}",
            row.folder, row.engine, row.precision, row.case
        );
    }
    println!("\n{} rows passed, {} failed", rows.len() - failed.len(), failed.len());
    failed.is_empty() && !rows.is_empty()
}
