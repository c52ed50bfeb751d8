//! What stands before a kernel's text for the compiler that reads it: naga natively, the browser's own in a tab. The only
//! place where the two differ; `build.rs` reads this file too.

/// What a kernel's header line `// needs  f16, subgroups, coop` can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// The type f16.
    F16,
    /// Subgroup operations.
    Subgroups,
    /// Cooperative matrices.
    Coop,
}

impl Need {
    /// The word of the header.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "f16" => Some(Self::F16),
            "subgroups" => Some(Self::Subgroups),
            "coop" => Some(Self::Coop),
            _ => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Subgroups => "subgroups",
            Self::Coop => "coop",
        }
    }
}

/// Who compiles WGSL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    Naga,
    Browser,
}

/// The directives that a kernel with these needs starts with. naga has subgroups without one and refuses theirs; browsers
/// have no cooperative matrices.
pub fn preamble(needs: &[Need], compiler: Compiler) -> String {
    let line = |need: &Need| match (need, compiler) {
        (Need::F16, _) => "enable f16;\n",
        (Need::Subgroups, Compiler::Browser) => "enable subgroups;\n",
        (Need::Subgroups, Compiler::Naga) => "",
        (Need::Coop, _) => "enable wgpu_cooperative_matrix;\n",
    };
    needs.iter().map(line).collect()
}
