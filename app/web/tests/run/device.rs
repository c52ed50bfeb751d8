//! A loudspeaker that does what `public/sound.js` does, in the clock's time or at once, and keeps what sounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use app_web::run::devices::{Command, Done, Loudspeaker};
use async_channel::{Receiver, Sender};
use pipeline::time::{Clock, Timestamp};

/// Frames that are played at once.
const QUANTUM: usize = 128;

pub struct Device {
    commands: Receiver<Command>,
    done: Sender<Done>,
    rate_hz: u32,
    waiting: VecDeque<f32>,
    is_held: bool,
    id: u64,
    frame: u64,
    sounded: Arc<Mutex<Vec<f32>>>,
}

/// A loudspeaker for a stage, and the device behind it.
pub fn loudspeaker(rate_hz: u32) -> (Loudspeaker, Device) {
    let (loudspeaker, commands, done) = Loudspeaker::new(rate_hz);
    let device = Device {
        commands,
        done,
        rate_hz,
        waiting: VecDeque::new(),
        is_held: false,
        id: 0,
        frame: 0,
        sounded: Arc::default(),
    };
    (loudspeaker, device)
}

impl Device {
    async fn obey(&mut self, command: Command) {
        self.id = match command {
            Command::Push(id, samples) => {
                self.waiting.extend(samples.iter());
                id
            }
            Command::Cut(id) => {
                self.waiting.clear();
                self.is_held = false;
                id
            }
            Command::Hold(id, held) => {
                self.is_held = held;
                id
            }
        };
        self.tell(0).await;
    }

    async fn quantum(&mut self) {
        let n = if self.is_held { 0 } else { self.waiting.len().min(QUANTUM) };
        let mut block: Vec<f32> = self.waiting.drain(..n).collect();
        block.resize(QUANTUM, 0.0);
        self.sounded.lock().unwrap().extend(block);
        if n > 0 {
            self.tell(n).await;
        }
        self.frame += QUANTUM as u64;
    }

    async fn tell(&self, n_frames: usize) {
        let (id, frame) = (self.id, self.frame);
        // Whoever mirrors it may be gone.
        let _ = self.done.send(Done { id, n_frames, frame }).await;
    }

    /// Plays each sound as it comes, for as long as it runs.
    pub async fn play_at_once(mut self) {
        while let Ok(command) = self.commands.recv().await {
            self.obey(command).await;
            while !self.waiting.is_empty() && !self.is_held {
                self.quantum().await;
            }
        }
    }

    /// What has sounded so far, from time 0 on.
    pub fn sounded(&self) -> Arc<Mutex<Vec<f32>>> {
        self.sounded.clone()
    }

    /// Plays in the clock's time for as long as it runs.
    pub async fn play(mut self, clock: Clock) {
        loop {
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command).await;
            }
            self.quantum().await;
            let due = Duration::from_secs_f64(self.frame as f64 / f64::from(self.rate_hz));
            clock.sleep_until(Timestamp(due)).await;
        }
    }
}
