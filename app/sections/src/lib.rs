//! The sections `[model.NAME]` and `[engine.NAME]` of a configuration: their keys, defaults and faults, for the program and the
//! page. Not what they start.

use gpu::protocol::{LoadOptions, Quant};
use pipeline::error::Fault;
use sim::hybrid::Beside;
use sim::timing::impossible::Switches;
use sim::timing::{Device, Profile, bundled};
use toml::{Table, Value};

/// `[model.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSection {
    /// A pocket model's name, a folder, or a Hugging Face id.
    pub source: String,
    pub quant: QuantKey,
    /// How dense weights and the KV cache are stored: `"f16"`.
    pub precision: Precision,
    /// Tokens that fit in the KV cache: 8192.
    pub context_tokens: usize,
}

/// `quant`: 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuantKey {
    Q4,
    #[default]
    Q8,
    Dense,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    #[default]
    F16,
    F32,
}

/// `[engine.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSection {
    pub kind: EngineKind,
    /// Part of the adapter's name, in any case. None: the fastest. Nothing to the simulator.
    pub adapter: Option<String>,
    /// The GPU whose time the simulator charges to the run's clock, which is virtual then. None: it takes its own time.
    /// Nothing to a real GPU.
    pub stands_for: Option<Device>,
    /// Of the hybrid engine alone.
    pub hybrid: Hybrid,
}

/// What a hybrid engine does with its two sides.
#[derive(Clone, Debug, PartialEq)]
pub enum Hybrid {
    /// All is played on the real one, and each dispatch put beside these.
    Shadow(Box<Beside>),
    /// Operations with operands of fewer bytes are simulated.
    Mixed { simulate_below: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    Wgpu,
    Sim,
    Hybrid,
}

const SOURCES: &str = "\"pocket-vl\", a folder, or a Hugging Face id (\"OWNER/NAME\")";
const QUANTS: &str = "4, 8 or \"dense\"";
const TOKENS: std::ops::RangeInclusive<i64> = 64..=1_048_576;

impl ModelSection {
    /// Reads a section; faults are relative to it.
    pub fn read(table: &Table) -> Result<Self, Vec<Fault>> {
        let mut keys = Keys::new(table, &["source", "quant", "precision", "context_tokens"]);
        let source = match table.get("source") {
            Some(Value::String(source)) if !source.trim().is_empty() => source.clone(),
            Some(_) => keys.fault("source", "is no name", SOURCES),
            None => keys.fault("source", "is missing", SOURCES),
        };
        let quant = match table.get("quant") {
            None => QuantKey::default(),
            Some(Value::Integer(4)) => QuantKey::Q4,
            Some(Value::Integer(8)) => QuantKey::Q8,
            Some(Value::String(word)) if word == "dense" => QuantKey::Dense,
            Some(other) => keys.fault("quant", format!("is {other}"), QUANTS),
        };
        let precision = match table.get("precision").map(|value| (value, value.as_str())) {
            None => Precision::default(),
            Some((_, Some("f16"))) => Precision::F16,
            Some((_, Some("f32"))) => Precision::F32,
            Some((other, _)) => keys.fault("precision", format!("is {other}"), "\"f16\" or \"f32\""),
        };
        let context_tokens = match table.get("context_tokens") {
            None => LoadOptions::default().context_tokens,
            Some(Value::Integer(n)) if TOKENS.contains(n) => *n as usize,
            Some(other) => {
                let accepted = format!("tokens, from {} to {}", TOKENS.start(), TOKENS.end());
                keys.fault("context_tokens", format!("is {other}"), accepted)
            }
        };
        keys.give(Self {
            source,
            quant,
            precision,
            context_tokens,
        })
    }

    pub fn load_options(&self) -> LoadOptions {
        let quant = match (self.quant, self.precision) {
            (QuantKey::Q4, _) => Quant::Q4,
            (QuantKey::Q8, _) => Quant::Q8,
            (QuantKey::Dense, Precision::F16) => Quant::DenseF16,
            (QuantKey::Dense, Precision::F32) => Quant::DenseF32,
        };
        LoadOptions {
            quant,
            context_tokens: self.context_tokens,
            kv_f16: self.precision == Precision::F16,
        }
    }
}

impl EngineSection {
    /// Reads a section; faults are relative to it.
    pub fn read(table: &Table) -> Result<Self, Vec<Fault>> {
        const TYPES: &str = "\"wgpu\", \"sim\" or \"hybrid\"";
        const KEYS: [&str; 9] = [
            "type",
            "adapter",
            "profile",
            "base",
            "perfect_cache",
            "latency_ns",
            "speedup",
            "mode",
            "simulate_below",
        ];
        let mut keys = Keys::new(table, &KEYS);
        let kind = match table.get("type").map(|value| (value, value.as_str())) {
            Some((_, Some("wgpu"))) => EngineKind::Wgpu,
            Some((_, Some("sim"))) => EngineKind::Sim,
            Some((_, Some("hybrid"))) => EngineKind::Hybrid,
            Some((other, _)) => keys.fault_with("type", format!("is {other}"), TYPES, EngineKind::Sim),
            None => keys.fault_with("type", "is missing", TYPES, EngineKind::Sim),
        };
        let adapter = match table.get("adapter") {
            None => None,
            Some(Value::String(name)) => Some(name.clone()),
            Some(other) => keys.fault(
                "adapter",
                format!("is {other}"),
                "part of an adapter's name, as `qwglm doctor` lists them",
            ),
        };
        let modelled = keys.modelled(table, kind == EngineKind::Hybrid);
        let hybrid = keys.hybrid(table, &modelled);
        let stands_for = modelled.profile.map(|profile| modelled.switches.over(&profile));
        keys.give(Self {
            kind,
            adapter,
            stands_for,
            hybrid,
        })
    }
}

/// The profile that is a real one with switches, and the one that it is of unless `base` names another.
const IMPOSSIBLE: &str = "impossible";
const BASE: &str = "rtx-4090";
/// Of a mixed engine unless it says otherwise: activations of one token stay below it, weights do not.
const SIMULATE_BELOW: u64 = 64 << 10;

/// A profile that was named, and switches over it.
struct Modelled {
    profile: Option<Profile>,
    switches: Switches,
}

impl Keys {
    /// `profile`, and what the impossible GPU has besides: `base`, and its switches, which are all on. A hybrid engine has that
    /// one beside it whatever the profile is.
    fn modelled(&mut self, table: &Table, is_hybrid: bool) -> Modelled {
        let name = match table.get("profile") {
            None => None,
            Some(Value::String(name)) => Some(name.as_str()),
            Some(other) => self.fault("profile", format!("is {other}"), profile_names("")),
        };
        if name == Some(IMPOSSIBLE) {
            let profile = match table.get("base") {
                None => self.profile("base", BASE),
                Some(Value::String(name)) => self.profile("base", name),
                Some(other) => self.fault("base", format!("is {other}"), profile_names("")),
            };
            let switches = self.switches(table);
            return Modelled { profile, switches };
        }
        let of_impossible = ["base", "perfect_cache", "latency_ns", "speedup"];
        let foreign = if is_hybrid { &of_impossible[..1] } else { &of_impossible[..] };
        for key in foreign {
            if table.contains_key(*key) {
                self.fault::<()>(key, "is a key of the impossible GPU alone", "profile = \"impossible\"");
            }
        }
        Modelled {
            profile: name.and_then(|name| self.profile("profile", name)),
            switches: if is_hybrid { self.switches(table) } else { Switches::OFF },
        }
    }

    /// `mode` and `simulate_below`; their defaults where the engine is no hybrid.
    fn hybrid(&mut self, table: &Table, modelled: &Modelled) -> Hybrid {
        let simulate_below = match table.get("simulate_below") {
            None => SIMULATE_BELOW,
            Some(Value::Integer(n)) if *n >= 0 => n.unsigned_abs(),
            Some(other) => self.fault("simulate_below", format!("is {other}"), "bytes, from 0"),
        };
        let shadow = Hybrid::Shadow(Box::new(Beside {
            profile: modelled.profile.clone(),
            switches: modelled.switches,
        }));
        match table.get("mode").map(|value| (value, value.as_str())) {
            None | Some((_, Some("shadow"))) => shadow,
            Some((_, Some("mixed"))) => Hybrid::Mixed { simulate_below },
            Some((other, _)) => self.fault_with("mode", format!("is {other}"), "\"shadow\" or \"mixed\"", shadow),
        }
    }

    fn switches(&mut self, table: &Table) -> Switches {
        let perfect_cache = match table.get("perfect_cache") {
            None => Switches::ON.perfect_cache,
            Some(Value::Boolean(on)) => *on,
            Some(other) => self.fault("perfect_cache", format!("is {other}"), "true or false"),
        };
        let number = |keys: &mut Self, key, usual: f64, accepted: std::ops::RangeInclusive<f64>| {
            let found = match table.get(key) {
                None => Some(usual),
                Some(Value::Float(n)) => Some(*n),
                Some(Value::Integer(n)) => Some(*n as f64),
                Some(_) => None,
            };
            found.filter(|n| accepted.contains(n)).unwrap_or_else(|| {
                let message = format!("is {}", table[key]);
                let accepted = format!("a number from {} to {}", accepted.start(), accepted.end());
                keys.fault_with(key, message, accepted, usual)
            })
        };
        let latency_ns = number(self, "latency_ns", Switches::ON.latency_ns.unwrap_or(0.1), 0.001..=1e6);
        let speedup = number(self, "speedup", Switches::ON.speedup, 0.001..=1e6);
        Switches {
            perfect_cache,
            latency_ns: Some(latency_ns),
            speedup,
        }
    }

    fn profile(&mut self, key: &str, name: &str) -> Option<Profile> {
        let found = bundled::find(name).cloned();
        if found.is_none() {
            self.fault::<()>(key, format!("there is no GPU called \"{name}\""), profile_names(name));
        }
        found
    }
}

/// The names that are near, or all.
fn profile_names(name: &str) -> String {
    let keys = bundled::profiles().iter().map(|profile| profile.key.as_str());
    let known: Vec<&str> = keys.chain([IMPOSSIBLE]).collect();
    let near = bundled::nearest(name, known.iter().copied());
    let names = if near.is_empty() { known } else { near };
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// Collects the faults of a section.
struct Keys {
    faults: Vec<Fault>,
}

impl Keys {
    fn new(table: &Table, known: &[&str]) -> Self {
        let unknown = table.keys().filter(|key| !known.contains(&key.as_str()));
        let fault = |key: &String| Fault::new(key, "is no key here", known.join(", "));
        Self {
            faults: unknown.map(fault).collect(),
        }
    }

    /// Notes a fault, and gives a value to go on with.
    fn fault<T: Default>(&mut self, key: &str, message: impl Into<String>, accepted: impl Into<String>) -> T {
        self.fault_with(key, message, accepted, T::default())
    }

    fn fault_with<T>(&mut self, key: &str, message: impl Into<String>, accepted: impl Into<String>, value: T) -> T {
        self.faults.push(Fault::new(key, message, accepted));
        value
    }

    fn give<T>(self, section: T) -> Result<T, Vec<Fault>> {
        if self.faults.is_empty() {
            Ok(section)
        } else {
            Err(self.faults)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    fn keys<T>(read: Result<T, Vec<Fault>>) -> Vec<String> {
        read.err().unwrap_or_default().into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn precision_decides_how_dense_weights_and_the_cache_are_stored() {
        let cases = [
            ("", Quant::Q8, true),
            ("quant = 4", Quant::Q4, true),
            ("quant = 4\nprecision = \"f32\"", Quant::Q4, false),
            ("quant = \"dense\"", Quant::DenseF16, true),
            ("quant = \"dense\"\nprecision = \"f32\"", Quant::DenseF32, false),
        ];
        for (text, quant, kv_f16) in cases {
            let options = ModelSection::read(&table(&format!("source = \"m\"\n{text}")))
                .unwrap()
                .load_options();
            assert_eq!((options.quant, options.kv_f16), (quant, kv_f16), "{text}");
        }
    }

    #[test]
    fn all_faults_of_a_section_come_together() {
        let model = "quant = 5\nprecision = \"bf16\"\ncontext_tokens = 0\nsources = 1";
        assert_eq!(
            keys(ModelSection::read(&table(model))),
            ["sources", "source", "quant", "precision", "context_tokens"]
        );
        let engine = "type = \"cuda\"\nadapter = 1\nlayers = 2";
        assert_eq!(keys(EngineSection::read(&table(engine))), ["layers", "type", "adapter"]);
    }

    #[test]
    fn a_hybrid_engine_is_a_shadow_of_all_or_mixes_by_size() {
        let read = |text: &str| EngineSection::read(&table(&format!("type = \"hybrid\"\n{text}")));
        let hybrid = |text: &str| read(text).unwrap().hybrid;
        let beside = |profile: Option<&str>, switches| {
            let profile = profile.and_then(bundled::find).cloned();
            Hybrid::Shadow(Box::new(Beside { profile, switches }))
        };
        assert_eq!(hybrid(""), beside(None, Switches::ON));
        assert_eq!(
            hybrid("mode = \"shadow\"\nprofile = \"h200\""),
            beside(Some("h200"), Switches::ON)
        );
        let slow = Switches {
            speedup: 2.0,
            ..Switches::ON
        };
        assert_eq!(hybrid("speedup = 2"), beside(None, slow));
        assert_eq!(hybrid("profile = \"impossible\"\nspeedup = 2"), beside(Some(BASE), slow));
        assert_eq!(hybrid("mode = \"mixed\""), Hybrid::Mixed { simulate_below: 65_536 });
        assert_eq!(
            hybrid("mode = \"mixed\"\nsimulate_below = 0"),
            Hybrid::Mixed { simulate_below: 0 }
        );
        let cases = [
            ("mode = \"both\"", "mode"),
            ("simulate_below = -1", "simulate_below"),
            ("simulate_below = \"64 KiB\"", "simulate_below"),
            ("base = \"h100\"", "base"),
            ("profile = \"rtx-4091\"", "profile"),
        ];
        for (text, key) in cases {
            let faults = read(text).unwrap_err();
            assert_eq!(faults.len(), 1, "{text}");
            assert!(faults[0].key == key && !faults[0].accepted.is_empty(), "{text}");
        }
        assert!(
            read("profile = \"rtx-4091\"").unwrap_err()[0]
                .accepted
                .contains("\"rtx-4090\"")
        );
        // One section serves all types.
        let both = "type = \"sim\"\nmode = \"mixed\"\nsimulate_below = 1024";
        assert_eq!(EngineSection::read(&table(both)).unwrap().kind, EngineKind::Sim);
    }

    #[test]
    fn the_simulator_stands_for_a_profile_or_for_an_impossible_one() {
        let read = |text: &str| EngineSection::read(&table(&format!("type = \"sim\"\n{text}")));
        let device = |text: &str| read(text).unwrap().stands_for;
        assert!(device("").is_none());
        let card = device("profile = \"rtx-4090\"").unwrap();
        let base = bundled::find("rtx-4090").unwrap();
        assert_eq!((&card.profile, card.perfect_cache), (base, false));
        let all = device("profile = \"impossible\"").unwrap();
        assert_eq!((all.profile.rates.f32, all.perfect_cache), (base.rates.f32 * 500.0, true));
        let text = "profile = \"impossible\"\nbase = \"h100\"\nperfect_cache = false\nlatency_ns = 2\nspeedup = 3.0";
        let some = device(text).unwrap();
        let h100 = bundled::find("h100").unwrap();
        assert_eq!((some.profile.rates.f32, some.perfect_cache), (h100.rates.f32 * 3.0, false));
        assert_eq!(some.profile.memory.latency_ns, 2.0);
        let cases = [
            ("profile = \"rtx-9090\"", "profile"),
            ("profile = 4090", "profile"),
            ("profile = \"impossible\"\nbase = \"impossible\"", "base"),
            ("profile = \"impossible\"\nspeedup = 0", "speedup"),
            ("profile = \"impossible\"\nlatency_ns = \"none\"", "latency_ns"),
            ("profile = \"impossible\"\nperfect_cache = 1", "perfect_cache"),
            ("profile = \"h100\"\nspeedup = 2", "speedup"),
            ("speedup = 2", "speedup"),
        ];
        for (text, key) in cases {
            let faults = read(text).unwrap_err();
            assert_eq!(faults.len(), 1, "{text}");
            assert!(faults[0].key == key && !faults[0].accepted.is_empty(), "{text}");
        }
        assert!(read("profile = \"rtx-9090\"").unwrap_err()[0].accepted.contains("rtx-4090"));
    }

    #[test]
    fn the_simulator_takes_a_section_that_was_written_for_a_gpu() {
        let section = EngineSection::read(&table("type = \"sim\"\nadapter = \"NVIDIA\"")).unwrap();
        assert_eq!(section.kind, EngineKind::Sim);
    }
}
