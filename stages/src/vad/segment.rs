//! Where speech begins and ends, from a probability for every 32 ms. No sound and no actor: windows are numbered.

/// How speech is told from silence. Times are rounded up to windows of 32 ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentOptions {
    /// A window of this probability may begin speech.
    pub start_threshold: f32,
    /// Speech goes on while the probability is at least this.
    pub end_threshold: f32,
    /// Speech has begun after so much of it.
    pub start_ms: u32,
    /// A pause begins after so much silence.
    pub pause_ms: u32,
    /// Speech has ended after so much silence.
    pub end_ms: u32,
    /// Less speech than this was none: a click, a cough.
    pub min_speech_ms: u32,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            start_threshold: 0.5,
            end_threshold: 0.35,
            start_ms: 96,
            pause_ms: 128,
            end_ms: 256,
            min_speech_ms: 128,
        }
    }
}

/// Milliseconds of a window.
pub const WINDOW_MS: u32 = 32;

/// What changed with a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Speech has begun, with window `first`.
    Began { first: u64 },
    /// The speaker pauses.
    Paused,
    /// Speech ended before window `end`. If not `kept`, it was too short to be any.
    Ended { end: u64, kept: bool },
}

/// The state between windows.
#[derive(Clone, Debug)]
pub struct Segmenter {
    options: SegmentOptions,
    next: u64,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// `n_voiced` windows of speech count so far, the first of them `first`; silent ones take one off.
    Quiet { n_voiced: u32, first: u64 },
    /// Windows of speech, of silence since, and where the silence began.
    Speaking { n_voiced: u32, n_silent: u32, end: u64 },
}

fn windows(ms: u32) -> u32 {
    ms.div_ceil(WINDOW_MS).max(1)
}

impl Segmenter {
    pub fn new(options: SegmentOptions) -> Self {
        Self {
            options,
            next: 0,
            state: State::Quiet { n_voiced: 0, first: 0 },
        }
    }

    pub fn is_speaking(&self) -> bool {
        matches!(self.state, State::Speaking { .. })
    }

    /// The next window; `own`: it is the program's own voice, whatever the probability.
    pub fn push(&mut self, probability: f32, own: bool) -> Option<Change> {
        let (index, options) = (self.next, self.options);
        self.next += 1;
        match &mut self.state {
            State::Quiet { n_voiced, first } => {
                if probability < options.start_threshold || own {
                    *n_voiced = n_voiced.saturating_sub(1);
                    return None;
                }
                if *n_voiced == 0 {
                    *first = index;
                }
                *n_voiced += 1;
                if *n_voiced < windows(options.start_ms) {
                    return None;
                }
                let first = *first;
                self.state = State::Speaking {
                    n_voiced: *n_voiced,
                    n_silent: 0,
                    end: index + 1,
                };
                Some(Change::Began { first })
            }
            State::Speaking { n_voiced, n_silent, end } => {
                if probability >= options.end_threshold && !own {
                    *n_voiced += 1;
                    *n_silent = 0;
                    *end = index + 1;
                    return None;
                }
                *n_silent += 1;
                if *n_silent >= windows(options.end_ms) {
                    let (end, kept) = (*end, *n_voiced >= windows(options.min_speech_ms));
                    self.state = State::Quiet { n_voiced: 0, first: 0 };
                    return Some(Change::Ended { end, kept });
                }
                (*n_silent == windows(options.pause_ms)).then_some(Change::Paused)
            }
        }
    }

    /// The sound is over.
    pub fn finish(&mut self) -> Option<Change> {
        let State::Speaking { n_voiced, end, .. } = self.state else {
            return None;
        };
        self.state = State::Quiet { n_voiced: 0, first: 0 };
        Some(Change::Ended {
            end,
            kept: n_voiced >= windows(self.options.min_speech_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `#` is speech, `o` something between the thresholds, `e` the own voice, `.` silence.
    fn changes(sound: &str) -> Vec<(usize, Change)> {
        let mut segmenter = Segmenter::new(SegmentOptions::default());
        let push = |(index, window): (usize, char)| {
            let probability = match window {
                '#' | 'e' => 0.9,
                'o' => 0.4,
                _ => 0.01,
            };
            segmenter.push(probability, window == 'e').map(|change| (index, change))
        };
        let mut found: Vec<_> = sound.chars().enumerate().filter_map(push).collect();
        found.extend(segmenter.finish().map(|change| (sound.len(), change)));
        found
    }

    #[test]
    fn speech_begins_after_three_windows_and_ends_after_eight_silent_ones() {
        let began = (4, Change::Began { first: 2 });
        let ended = |at, end| (at, Change::Ended { end, kept: true });
        assert_eq!(changes("..####........"), [began, (9, Change::Paused), ended(13, 6)]);
        assert_eq!(changes("..####.....####"), [began, (9, Change::Paused), ended(15, 15)]);
    }

    #[test]
    fn between_the_thresholds_nothing_begins_and_nothing_ends() {
        assert_eq!(changes("oooooo#.#.#.."), []);
        let expected = [(2, Change::Began { first: 0 }), (30, Change::Ended { end: 30, kept: true })];
        assert_eq!(changes(&format!("###{}", "o".repeat(27))), expected);
    }

    #[test]
    fn a_short_sound_is_not_kept() {
        let expected = [
            (2, Change::Began { first: 0 }),
            (6, Change::Paused),
            (10, Change::Ended { end: 3, kept: false }),
        ];
        assert_eq!(changes("###........"), expected);
    }

    #[test]
    fn the_own_voice_begins_nothing_and_is_silence_after_speech() {
        assert_eq!(changes(&"e".repeat(40)), []);
        let found = changes("####eeeeeeee");
        assert_eq!(found.last(), Some(&(11, Change::Ended { end: 4, kept: true })));
    }
}
