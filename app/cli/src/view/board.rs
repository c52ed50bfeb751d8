//! What the view shows: the run's counters now and a second ago, the last words, the last notes. Not how it looks.

use std::collections::VecDeque;
use std::time::Duration;

use pipeline::packet::{Body, Event, Packet};
use pipeline::runtime::Report;
use pipeline::time::Timestamp;

/// Over how long a stage's busy share is taken.
const WINDOW: Duration = Duration::from_secs(1);
/// How many answers are kept.
const N_ANSWERS: usize = 64;

/// An answer, or what there is of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which picture, and when.
    pub head: String,
    pub text: String,
    key: (u64, Timestamp),
    is_finished: bool,
}

/// The counters of a run at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    pub elapsed: Duration,
    pub stages: Vec<StageLine>,
    pub links: Vec<LinkLine>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StageLine {
    pub name: String,
    pub type_name: String,
    pub received: u64,
    pub sent: u64,
    pub restarts: u64,
    /// Packets that it had in hand when it failed, and that nobody got again.
    pub lost: u64,
    pub busy: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LinkLine {
    pub name: String,
    pub depth: usize,
    pub size: usize,
    pub when_full: &'static str,
    pub dropped: u64,
    pub waited: Duration,
}

impl From<Report> for Counters {
    fn from(report: Report) -> Self {
        let stages = report.stages.into_iter().map(|stage| StageLine {
            name: stage.name,
            type_name: stage.type_name,
            received: stage.received,
            sent: stage.sent,
            restarts: stage.restarts,
            lost: stage.lost,
            busy: stage.busy,
        });
        let links = report.links.into_iter().map(|link| LinkLine {
            name: link.name,
            depth: link.counters.depth,
            size: link.bound.size.get(),
            when_full: link.bound.when_full.name(),
            dropped: link.counters.dropped,
            waited: link.counters.waited,
        });
        Self {
            elapsed: report.elapsed,
            stages: stages.collect(),
            links: links.collect(),
        }
    }
}

/// All that is on the screen.
pub struct Board {
    pub name: String,
    pub now: Counters,
    earlier: VecDeque<Counters>,
    /// Oldest first.
    pub answers: VecDeque<Answer>,
    /// Of the last answer.
    pub tokens_per_s: Option<f64>,
    /// The last warning or failure.
    pub note: Option<String>,
}

impl Board {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            now: Counters::default(),
            earlier: VecDeque::new(),
            answers: VecDeque::new(),
            tokens_per_s: None,
            note: None,
        }
    }

    /// Takes the counters of now.
    pub fn update(&mut self, counters: Counters) {
        let now = counters.elapsed;
        self.earlier.push_back(std::mem::replace(&mut self.now, counters));
        // One that is older than the window stays, so that the window is whole.
        while self.earlier.get(1).is_some_and(|second| second.elapsed + WINDOW <= now) {
            self.earlier.pop_front();
        }
    }

    /// The share of the last second in which the stage did not wait: 0 to 1.
    pub fn busy_share(&self, stage: &StageLine) -> f64 {
        let Some(earlier) = self.earlier.front() else { return 0.0 };
        let then = earlier.stages.iter().find(|other| other.name == stage.name);
        let busy_then = then.map_or(Duration::ZERO, |stage| stage.busy);
        let elapsed = self.now.elapsed.saturating_sub(earlier.elapsed).as_secs_f64();
        let busy = stage.busy.saturating_sub(busy_then).as_secs_f64();
        if elapsed > 0.0 {
            (busy / elapsed).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// Words of the graph.
    pub fn hear(&mut self, packet: &Packet) {
        let Body::Text(text) = &packet.body else { return };
        let key = (packet.turn, packet.pts);
        let open = self
            .answers
            .back_mut()
            .filter(|answer| answer.key == key && !answer.is_finished);
        let is_finished = text.finished.is_some() && !text.thought;
        let words = if text.thought { "…" } else { text.text.trim() };
        match open {
            Some(answer) => {
                words.clone_into(&mut answer.text);
                answer.is_finished = is_finished;
            }
            None => {
                let about = text.about.as_ref().filter(|about| !about.label.is_empty());
                let label = about.map_or(String::new(), |about| format!(" {}", about.label));
                let time = text.about.as_ref().map_or(packet.pts, |about| about.pts);
                self.answers.push_back(Answer {
                    head: format!("[{:.1} s]{label}", time.as_secs_f64()),
                    text: words.to_owned(),
                    key,
                    is_finished,
                });
            }
        }
        while self.answers.len() > N_ANSWERS {
            self.answers.pop_front();
        }
    }

    /// Events and metrics of the run.
    pub fn note(&mut self, packet: &Packet) {
        match &packet.body {
            Body::Metric(metric) if metric.name == "tokens_per_s" && metric.value > 0.0 => self.tokens_per_s = Some(metric.value),
            Body::Event(Event::Warning { stage, message }) => self.note = Some(format!("{stage}: {message}")),
            Body::Event(Event::StageFailed { message, .. }) => self.note = Some(message.clone()),
            Body::Event(Event::StageRestarted { stage, message, .. }) => {
                self.note = Some(format!("{stage} was started again; {message}"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
pub mod tests {
    use pipeline::packet::{Finish, FrameRef, Text};

    use super::*;

    pub fn counters(at_ms: u64, busy_ms: u64) -> Counters {
        let stage = StageLine {
            name: "encode".to_owned(),
            type_name: "vision.encode".to_owned(),
            received: 7,
            sent: 6,
            restarts: 0,
            lost: 0,
            busy: Duration::from_millis(busy_ms),
        };
        let link = LinkLine {
            name: "screen -> encode".to_owned(),
            depth: 2,
            size: 4,
            when_full: "drop_oldest",
            dropped: 3,
            waited: Duration::from_millis(1500),
        };
        Counters {
            elapsed: Duration::from_millis(at_ms),
            stages: vec![stage],
            links: vec![link],
        }
    }

    pub fn words(text: &str, seq: u64, finished: bool) -> Packet {
        let pts = Timestamp(Duration::from_millis(500 * seq));
        Packet {
            seq,
            pts,
            turn: 0,
            body: Body::Text(Text {
                delta: String::new(),
                text: text.to_owned(),
                about: Some(FrameRef {
                    index: seq,
                    label: "007".into(),
                    pts,
                }),
                thought: false,
                finished: finished.then_some(Finish::Stop),
                spoken: None,
            }),
        }
    }

    #[test]
    fn the_busy_share_is_of_the_last_second() {
        let mut board = Board::new("g");
        for (at_ms, busy_ms) in [(0, 0), (1000, 1000), (2000, 1000), (2500, 1000), (3000, 1250)] {
            board.update(counters(at_ms, busy_ms));
        }
        let share = board.busy_share(&board.now.stages[0]);
        assert!((share - 0.25).abs() < 1e-9, "{share}");
    }

    #[test]
    fn an_answer_grows_until_it_is_finished() {
        let mut board = Board::new("g");
        board.hear(&words("A", 1, false));
        board.hear(&words("A window", 1, true));
        board.hear(&words("A list", 2, true));
        let texts: Vec<_> = board.answers.iter().map(|answer| answer.text.as_str()).collect();
        assert_eq!(texts, ["A window", "A list"]);
        assert_eq!(board.answers[1].head, "[1.0 s] 007");
    }
}
