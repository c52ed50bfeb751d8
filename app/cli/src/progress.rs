//! How far a download or a load is: a bar where standard error is a terminal, else a line every few seconds.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use gpu::protocol::LoadProgress;
use gpu::weights::source::HubProgress;
use indicatif::{ProgressBar, ProgressStyle};

/// How often there is a line where there is no bar.
const EVERY: Duration = Duration::from_secs(3);
/// What is over before this is not worth a bar.
const SOON: Duration = Duration::from_millis(400);

const BAR: &str = "{prefix} {bar:24} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta} {msg}";

/// Something long of which bytes are counted.
struct Progress {
    what: String,
    started: Instant,
    next_line: Instant,
    is_terminal: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(what: String) -> Self {
        let started = Instant::now();
        let is_terminal = std::io::stderr().is_terminal();
        Self {
            what,
            started,
            next_line: started + EVERY,
            is_terminal,
            bar: None,
        }
    }

    fn show(&mut self, done_bytes: u64, total_bytes: u64, detail: &str) {
        if self.is_terminal && self.started.elapsed() >= SOON {
            let bar = self.bar.get_or_insert_with(|| {
                let bar = ProgressBar::new(total_bytes).with_prefix(self.what.clone());
                // The template is a constant; were it wrong, indicatif's own would do as well.
                let style = ProgressStyle::with_template(BAR);
                style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
            });
            bar.set_length(total_bytes);
            bar.set_position(done_bytes);
            bar.set_message(detail.to_owned());
        } else if !self.is_terminal && Instant::now() >= self.next_line {
            self.next_line = Instant::now() + EVERY;
            let megabytes = |bytes: u64| bytes as f64 / 1e6;
            eprintln!(
                "{}: {:.0} of {:.0} MB {detail}",
                self.what,
                megabytes(done_bytes),
                megabytes(total_bytes)
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Runs `work`, which tells how far it is through the sender that it is given, and shows that.
pub async fn shown<P: Shows, T>(what: String, work: impl AsyncFnOnce(Sender<P>) -> T) -> T {
    let (sender, receiver) = async_channel::bounded(16);
    let show = show_all(what, receiver);
    futures::future::join(work(sender), show).await.0
}

async fn show_all<P: Shows>(what: String, receiver: Receiver<P>) {
    let mut progress = Progress::new(what);
    while let Ok(step) = receiver.recv().await {
        let (done_bytes, total_bytes, detail) = step.state();
        progress.show(done_bytes, total_bytes, &detail);
    }
}

/// What tells how far something is.
pub trait Shows {
    /// Bytes done, bytes in all, and what else there is to say.
    fn state(&self) -> (u64, u64, String);
}

impl Shows for LoadProgress {
    fn state(&self) -> (u64, u64, String) {
        (self.done_bytes, self.total_bytes, String::new())
    }
}

impl Shows for HubProgress {
    fn state(&self) -> (u64, u64, String) {
        let detail = format!("{} ({} of {} files)", self.file, self.files_done + 1, self.n_files);
        (self.done_bytes, self.size_bytes, detail)
    }
}
