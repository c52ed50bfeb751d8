//! A voice's JSON: `NAME.onnx.json`, as Piper writes it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What stands in the JSON, with Piper's defaults.
#[derive(Clone, Debug, Deserialize)]
pub struct VoiceConfig {
    pub audio: AudioConfig,
    #[serde(default)]
    pub espeak: EspeakConfig,
    #[serde(default)]
    pub inference: Scales,
    /// How text becomes phonemes: `espeak`, `text` …
    #[serde(default = "espeak")]
    pub phoneme_type: String,
    /// The ids of each phoneme (a code point in NFD).
    pub phoneme_id_map: BTreeMap<String, Vec<i32>>,
    /// Phonemes to put in the place of others.
    #[serde(default)]
    pub phoneme_map: BTreeMap<String, Vec<String>>,
    #[serde(default = "n_symbols")]
    pub num_symbols: u64,
    #[serde(default = "one")]
    pub num_speakers: u64,
    #[serde(default)]
    pub speaker_id_map: BTreeMap<String, u32>,
    #[serde(default)]
    pub default_speaker_id: Option<u32>,
    /// Samples of a frame.
    #[serde(default = "hop_length")]
    pub hop_length: u64,
    #[serde(default)]
    pub piper_version: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct AudioConfig {
    #[serde(rename = "sample_rate")]
    pub rate_hz: u32,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct EspeakConfig {
    /// `en-us`.
    #[serde(default)]
    pub voice: String,
}

/// How an utterance varies.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Scales {
    /// Of the sound: 0.667.
    pub noise_scale: f32,
    /// Of all durations: 1; greater is slower.
    pub length_scale: f32,
    /// Of single durations: 0.8.
    pub noise_w: f32,
}

impl Default for Scales {
    fn default() -> Self {
        Self {
            noise_scale: 0.667,
            length_scale: 1.0,
            noise_w: 0.8,
        }
    }
}

fn espeak() -> String {
    "espeak".into()
}

fn n_symbols() -> u64 {
    256
}

fn one() -> u64 {
    1
}

fn hop_length() -> u64 {
    256
}

impl VoiceConfig {
    /// Reads a JSON.
    ///
    /// `Err` says what is wrong with it.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        let config: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let is_rate = (4_000..=192_000).contains(&self.audio.rate_hz);
        if !is_rate {
            return Err(format!("audio.sample_rate is {}", self.audio.rate_hz));
        }
        for (name, value) in [
            ("noise_scale", self.inference.noise_scale),
            ("length_scale", self.inference.length_scale),
            ("noise_w", self.inference.noise_w),
        ] {
            if !(value.is_finite() && (0.0..=10.0).contains(&value)) {
                return Err(format!("inference.{name} is {value}"));
            }
        }
        for symbol in [PAD, START, END] {
            if self.phoneme_id_map.get(symbol).is_none_or(Vec::is_empty) {
                return Err(format!("phoneme_id_map has no {symbol:?}"));
            }
        }
        for (phoneme, ids) in &self.phoneme_id_map {
            let is_id = |id: &i32| u64::try_from(*id).is_ok_and(|id| id < self.num_symbols);
            if let Some(id) = ids.iter().find(|id| !is_id(id)) {
                return Err(format!(
                    "phoneme_id_map gives {phoneme:?} the id {id}, num_symbols is {}",
                    self.num_symbols
                ));
            }
        }
        let is_speaker = |id: u32| u64::from(id) < self.num_speakers.max(1);
        if let Some((name, id)) = self.speaker_id_map.iter().find(|(_, id)| !is_speaker(**id)) {
            return Err(format!(
                "speaker_id_map gives {name:?} the id {id}, num_speakers is {}",
                self.num_speakers
            ));
        }
        match self.default_speaker_id.filter(|id| !is_speaker(*id)) {
            Some(id) => Err(format!("default_speaker_id is {id}, num_speakers is {}", self.num_speakers)),
            None => Ok(()),
        }
    }

    /// The ids of a run of phonemes, with the pads, start and end that the model was trained with; and for each `char` where
    /// its ids start. Phonemes that the voice lacks are passed over.
    pub fn ids(&self, phonemes: &str) -> (Vec<i32>, Vec<usize>) {
        let of = |symbol: &str| self.phoneme_id_map.get(symbol).map_or(&[][..], Vec::as_slice);
        let mut ids = [of(START), of(PAD)].concat();
        let mut starts = Vec::new();
        for phoneme in phonemes.chars() {
            starts.push(ids.len());
            let text = phoneme.to_string();
            let mapped = self.phoneme_map.get(&text);
            let names: Vec<&str> = mapped.map_or_else(|| vec![text.as_str()], |to| to.iter().map(String::as_str).collect());
            for name in names {
                let found = of(name);
                if !found.is_empty() {
                    ids.extend(found);
                    ids.extend(of(PAD));
                }
            }
        }
        starts.push(ids.len());
        ids.extend(of(END));
        (ids, starts)
    }
}

const PAD: &str = "_";
const START: &str = "^";
const END: &str = "$";

#[cfg(test)]
mod tests {
    use super::*;

    fn json(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
        let mut json = serde_json::json!({
            "audio": {"sample_rate": 22050},
            "phoneme_id_map": {"_": [0], "^": [1], "$": [2], "a": [3], "b": [4, 5]},
        });
        change(&mut json);
        serde_json::to_vec(&json).unwrap()
    }

    #[test]
    fn defaults_are_pipers() {
        let config = VoiceConfig::read(&json(|_| {})).unwrap();
        assert_eq!(config.inference, Scales::default());
        assert_eq!((config.hop_length, config.num_symbols, config.num_speakers), (256, 256, 1));
        assert_eq!(config.ids("ab?"), (vec![1, 0, 3, 0, 4, 5, 0, 2], vec![2, 4, 7, 7]));
        assert_eq!(config.ids(""), (vec![1, 0, 2], vec![2]));
    }

    type Change<'a> = &'a dyn Fn(&mut serde_json::Value);

    #[test]
    fn what_cannot_be_is_named() {
        let cases: [(&str, Change<'_>); 7] = [
            ("sample_rate", &|json| json["audio"]["sample_rate"] = 7.into()),
            ("length_scale", &|json| {
                json["inference"] = serde_json::json!({"length_scale": -1})
            }),
            ("\"^\"", &|json| json["phoneme_id_map"]["^"] = serde_json::json!([])),
            ("num_symbols", &|json| json["num_symbols"] = 4.into()),
            ("speaker_id_map", &|json| json["speaker_id_map"] = serde_json::json!({"x": 1})),
            ("default_speaker_id", &|json| json["default_speaker_id"] = 3.into()),
            ("phoneme_id_map", &|json| json["phoneme_id_map"] = 3.into()),
        ];
        for (word, change) in cases {
            let message = VoiceConfig::read(&json(change)).map(|_| ()).unwrap_err();
            assert!(message.contains(word) || word == "phoneme_id_map", "{word}: {message}");
        }
        assert!(VoiceConfig::read(b"").is_err() && VoiceConfig::read(b"[]").is_err());
    }
}
