//! How far a download or a load is: a bar where standard error is a terminal, else a line every few seconds.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use gpu::protocol::LoadProgress;
use gpu::weights::source::HubProgress;
use indicatif::{ProgressBar, ProgressStyle};

/// How often there is a line where there is no bar.
const EVERY: Duration = Duration::from_secs(3);

/// Something long of which bytes are counted.
pub struct Progress {
    what: String,
    bar: Option<ProgressBar>,
    next_line: Instant,
}

impl Progress {
    /// Shows nothing before it is told something.
    pub fn new(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0).with_prefix(what.clone());
            let style = "{prefix} {bar:30} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta} {wide_msg}";
            // The template is a constant; indicatif's own does as well.
            ProgressStyle::with_template(style).map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
        });
        Self {
            what,
            bar,
            next_line: Instant::now() + EVERY,
        }
    }

    pub fn show(&mut self, done_bytes: u64, total_bytes: u64, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(total_bytes);
            bar.set_position(done_bytes);
            bar.set_message(detail.to_owned());
        } else if Instant::now() >= self.next_line {
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
        step.show(&mut progress);
    }
}

/// What tells how far something is.
pub trait Shows {
    fn show(&self, progress: &mut Progress);
}

impl Shows for LoadProgress {
    fn show(&self, progress: &mut Progress) {
        progress.show(self.done_bytes, self.total_bytes, "");
    }
}

impl Shows for HubProgress {
    fn show(&self, progress: &mut Progress) {
        let detail = format!("{} ({} of {} files)", self.file, self.files_done + 1, self.n_files);
        progress.show(self.done_bytes, self.size_bytes, &detail);
    }
}
