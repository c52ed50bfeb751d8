//! Files that stages need besides models. The program carries them; a page, which has to travel first, fetches them and gives
//! them to its workers.

#[cfg(target_arch = "wasm32")]
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
    pub const ALL: [Self; 2] = [Self::Lexicon, Self::Silero];

    /// Its folder and its name there.
    pub fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Lexicon => ("en-us", "lexicon.bin"),
            Self::Silero => ("silero", "silero.onnx.zz"),
        }
    }

    /// Its contents; nothing before they were given.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lexicon => include_bytes!("../../models/en-us/lexicon.bin"),
            Self::Silero => include_bytes!("../../models/silero/silero.onnx.zz"),
        }
    }

    /// Its contents; nothing before they were given.
    #[cfg(target_arch = "wasm32")]
    pub fn bytes(self) -> &'static [u8] {
        self.given().get().map_or(&[], Vec::as_slice)
    }

    /// Gives its contents to what runs in this thread; the first time counts.
    #[cfg(target_arch = "wasm32")]
    pub fn give(self, bytes: Vec<u8>) {
        let _ = self.given().set(bytes);
    }

    #[cfg(target_arch = "wasm32")]
    fn given(self) -> &'static OnceLock<Vec<u8>> {
        static LEXICON: OnceLock<Vec<u8>> = OnceLock::new();
        static SILERO: OnceLock<Vec<u8>> = OnceLock::new();
        match self {
            Self::Lexicon => &LEXICON,
            Self::Silero => &SILERO,
        }
    }
}
