//! Gives out blocks, in order, the lowest free core first.

use super::core::Core;

#[derive(Clone, Debug)]
pub struct Dispatcher {
    threads: u8,
    threads_per_block: usize,
    total: usize,
    pub blocks_dispatched: usize,
    pub blocks_done: usize,
    pub done: bool,
}

impl Dispatcher {
    pub fn new(threads: u8, threads_per_block: usize) -> Self {
        Self {
            threads,
            threads_per_block,
            total: usize::from(threads).div_ceil(threads_per_block),
            blocks_dispatched: 0,
            blocks_done: 0,
            done: false,
        }
    }

    /// One edge, after the cores' own: `core_done` is what they said before it.
    pub fn step(&mut self, cores: &mut [Core], core_done: u128) {
        if self.blocks_done == self.total {
            self.done = true;
        }
        for (idx, core) in cores.iter_mut().enumerate() {
            let (was_reset, was_started) = (core.reset, core.start);
            if was_reset {
                core.reset = false;
                if self.blocks_dispatched < self.total {
                    core.start = true;
                    core.block = self.blocks_dispatched as u8;
                    let left = usize::from(self.threads) - self.blocks_dispatched * self.threads_per_block;
                    core.threads = left.min(self.threads_per_block);
                    self.blocks_dispatched += 1;
                }
            }
            if was_started && core_done >> idx & 1 == 1 {
                core.reset = true;
                core.start = false;
                self.blocks_done += 1;
            }
        }
    }
}
