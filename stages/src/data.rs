//! Files that stages need besides models. The program carries them; a page, which has to travel first, fetches them and gives
//! them to its workers.

use std::sync::OnceLock;

/// A file below `models`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataFile {
    /// How American English words are said: `tts.piper`.
    Lexicon,
    /// Silero's network: `vad.silero`.
    Silero,
}

impl DataFile {
    /// The folder that it alone is in.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Lexicon => "en-us",
            Self::Silero => "silero",
        }
    }

    /// Its contents: what was given, else what the program carries.
    pub fn bytes(self) -> &'static [u8] {
        self.given().get().map_or(self.carried(), Vec::as_slice)
    }

    /// Gives its contents to all that runs in this program; the first time counts.
    pub fn give(self, bytes: Vec<u8>) {
        let _is_there_already = self.given().set(bytes);
    }

    fn given(self) -> &'static OnceLock<Vec<u8>> {
        static LEXICON: OnceLock<Vec<u8>> = OnceLock::new();
        static SILERO: OnceLock<Vec<u8>> = OnceLock::new();
        match self {
            Self::Lexicon => &LEXICON,
            Self::Silero => &SILERO,
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn carried(self) -> &'static [u8] {
        match self {
            Self::Lexicon => include_bytes!("../../models/en-us/lexicon.bin"),
            Self::Silero => include_bytes!("../../models/silero/silero.onnx.zz"),
        }
    }

    #[cfg(target_arch = "wasm32")]
    fn carried(self) -> &'static [u8] {
        &[]
    }
}
