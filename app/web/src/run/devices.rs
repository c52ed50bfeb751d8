//! Microphone and loudspeaker as the stages of a worker see them: pieces and commands that the browser's own thread for sound
//! gives and takes (`public/sound.js`), and what its frames are in the run's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use pipeline::time::Timestamp;

/// Pieces of the microphone that wait.
const PIECES: usize = 32;
/// Commands on their way to the loudspeaker, and what it says, that wait.
const COMMANDS: usize = 64;

/// The devices of a worker; those that it has not are `None`.
#[derive(Clone, Default)]
pub struct Devices {
    pub microphone: Option<Microphone>,
    pub loudspeaker: Option<Loudspeaker>,
    pub time: AudioTime,
}

/// What a microphone has heard: frames of one channel, −1 … 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The first one's number.
    pub frame: u64,
    /// Frames before it for which there was no room.
    pub n_lost: u64,
    pub samples: Vec<f32>,
}

/// A microphone that is open.
#[derive(Clone)]
pub struct Microphone {
    pub rate_hz: u32,
    /// Ends when the device is gone.
    pub pieces: Receiver<Piece>,
}

impl Microphone {
    pub fn new(rate_hz: u32) -> (Self, Sender<Piece>) {
        let (sender, pieces) = bounded(PIECES);
        (Self { rate_hz, pieces }, sender)
    }
}

/// To the loudspeaker. Each has a number; they grow.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Play this after what waits.
    Push(u64, Arc<[f32]>),
    /// Forget what waits; be held no longer.
    Cut(u64),
    /// Fall silent and keep what waits, or go on.
    Hold(u64, bool),
}

/// What the loudspeaker has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// The last command that was obeyed.
    pub id: u64,
    /// After that command so many frames of what was pushed sounded, the first of them at `frame`.
    pub n_frames: usize,
    pub frame: u64,
}

/// A loudspeaker that is open.
#[derive(Clone)]
pub struct Loudspeaker {
    pub rate_hz: u32,
    pub commands: Sender<Command>,
    pub done: Receiver<Done>,
    next_id: Arc<AtomicU64>,
}

impl Loudspeaker {
    /// With the device's side: what it is to do, and where it says what it did.
    pub fn new(rate_hz: u32) -> (Self, Receiver<Command>, Sender<Done>) {
        let (commands, to_device) = bounded(COMMANDS);
        let (from_device, done) = bounded(COMMANDS);
        let speaker = Self {
            rate_hz,
            commands,
            done,
            next_id: Arc::new(AtomicU64::new(1)),
        };
        (speaker, to_device, from_device)
    }

    /// A number for the next command.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// When the sound's frame 0 sounds, in the run's time. Clones share it.
#[derive(Clone, Default)]
pub struct AudioTime(Arc<Zeros>);

/// Nanoseconds since 1970; 0: not known yet.
#[derive(Default)]
struct Zeros {
    sound: AtomicI64,
    run: AtomicI64,
}

impl AudioTime {
    /// Frame 0 sounds at this time, in milliseconds since 1970. Told again and again: the sound's clock is another than the
    /// system's.
    pub fn sound_began(&self, unix_ms: f64) {
        self.0.sound.store(nanos(unix_ms), Ordering::Relaxed);
    }

    /// The run's clock read 0 at this time.
    pub fn run_began(&self, unix_ms: f64) {
        self.0.run.store(nanos(unix_ms), Ordering::Relaxed);
    }

    /// When a frame sounds, or is heard; `otherwise` while that is not known.
    pub fn at(&self, frame: u64, rate_hz: u32, otherwise: Timestamp) -> Timestamp {
        let (sound, run) = (self.0.sound.load(Ordering::Relaxed), self.0.run.load(Ordering::Relaxed));
        if sound == 0 || run == 0 {
            return otherwise;
        }
        let after = i128::from(frame) * 1_000_000_000 / i128::from(rate_hz.max(1));
        let nanos = i128::from(sound) - i128::from(run) + after;
        Timestamp(Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)))
    }
}

fn nanos(unix_ms: f64) -> i64 {
    (unix_ms * 1e6) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_time_to_the_sample() {
        let time = AudioTime::default();
        let now = Timestamp(Duration::from_secs(9));
        assert_eq!(time.at(48_000, 48_000, now), now, "nothing is known");
        time.run_began(1_000_000.0);
        time.sound_began(999_500.0);
        let at = |frame| time.at(frame, 48_000, now).0;
        assert_eq!(at(48_000), Duration::from_millis(500));
        assert_eq!(at(48_001) - at(48_000), Duration::from_nanos(20_833));
        assert_eq!(at(0), Duration::ZERO, "before the run");
    }
}
