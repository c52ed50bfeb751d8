//! Which blocks of the KV cache hold which tokens: sequences, sharing, copy on write. Bookkeeping only; the engine's
//! tensors are the model's [`crate::model::qwen3_vl::text::Memory`].

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::protocol::SequenceId;

/// What makes two cached tokens the same: the id, and for a pad which features replaced it (0 for text).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey {
    pub id: u32,
    pub features: u64,
}

/// A block that must be copied in every layer before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockCopy {
    pub from: u32,
    pub to: u32,
}

/// The blocks of one model's cache and the sequences in them.
#[derive(Debug)]
pub struct KvCache {
    /// Tokens a block.
    block: usize,
    free: Vec<u32>,
    /// How many sequences hold each block.
    holders: Vec<u32>,
    sequences: BTreeMap<SequenceId, Sequence>,
    next_id: u64,
    /// Counts uses, for "least recently used".
    uses: u64,
}

#[derive(Debug, Default)]
struct Sequence {
    tokens: Vec<TokenKey>,
    blocks: Vec<u32>,
    /// Opened by a request, and so never taken away to make room.
    pinned: bool,
    last_use: u64,
}

/// The actor's own sequences: prompts without a sequence go on from whichever shares most with them.
const MAX_OWN: usize = 4;
/// Sharing less than this is not worth giving up what else a sequence holds.
const WORTH_SHARING: usize = 16;

impl KvCache {
    /// `n_blocks` blocks of `block` tokens (at least 1); ids of sequences count up from `first_id` + 1.
    pub fn new(n_blocks: usize, block: usize, first_id: u64) -> Self {
        Self {
            block: block.max(1),
            free: (0..n_blocks as u32).rev().collect(),
            holders: vec![0; n_blocks],
            sequences: BTreeMap::new(),
            next_id: first_id + 1,
            uses: 0,
        }
    }

    pub fn total_tokens(&self) -> usize {
        self.holders.len() * self.block
    }

    /// Tokens in blocks that somebody holds.
    pub fn used_tokens(&self) -> usize {
        (self.holders.len() - self.free.len()) * self.block
    }

    pub fn n_sequences(&self) -> usize {
        self.sequences.len()
    }

    /// A new empty sequence that stays until it is closed.
    pub fn open(&mut self) -> SequenceId {
        self.insert(Sequence {
            pinned: true,
            ..Sequence::default()
        })
    }

    /// One of the actor's own sequences for this prompt: the one that shares its beginning, a fresh one, or the one
    /// that was not used for longest.
    pub fn own(&mut self, prompt: &[TokenKey]) -> SequenceId {
        let own = || self.sequences.iter().filter(|(_, sequence)| !sequence.pinned);
        let best = own().map(|(id, sequence)| (shared(&sequence.tokens, prompt), *id)).max();
        let oldest = own().min_by_key(|(_, sequence)| sequence.last_use).map(|(id, _)| *id);
        match best {
            Some((length, id)) if length >= WORTH_SHARING => id,
            _ if own().count() < MAX_OWN => self.insert(Sequence::default()),
            _ => oldest.unwrap_or_else(|| self.insert(Sequence::default())),
        }
    }

    /// A second sequence with the same tokens. The blocks are shared until one of the two writes.
    pub fn fork(&mut self, id: SequenceId) -> Result<SequenceId> {
        let source = self.sequences.get(&id).ok_or_else(|| unknown(id))?;
        let (tokens, blocks) = (source.tokens.clone(), source.blocks.clone());
        for &block in &blocks {
            self.holders[block as usize] += 1;
        }
        Ok(self.insert(Sequence {
            tokens,
            blocks,
            pinned: true,
            last_use: 0,
        }))
    }

    /// Keeps the first `n` tokens; more than there are keeps all.
    pub fn truncate(&mut self, id: SequenceId, n: usize) -> Result<()> {
        let block = self.block;
        let sequence = self.sequences.get_mut(&id).ok_or_else(|| unknown(id))?;
        sequence.tokens.truncate(n);
        let kept = sequence.tokens.len().div_ceil(block);
        let dropped = sequence.blocks.split_off(kept.min(sequence.blocks.len()));
        self.give_back(dropped);
        Ok(())
    }

    /// Empties every sequence, because what the engine held is gone. Sequences stay open under their ids.
    pub fn forget(&mut self) {
        self.holders.fill(0);
        self.free = (0..self.holders.len() as u32).rev().collect();
        for sequence in self.sequences.values_mut() {
            sequence.tokens.clear();
            sequence.blocks.clear();
        }
    }

    pub fn close(&mut self, id: SequenceId) {
        if let Some(sequence) = self.sequences.remove(&id) {
            self.give_back(sequence.blocks);
        }
    }

    /// Tokens from the start that the sequence has in common with `prompt`.
    pub fn shared_prefix(&self, id: SequenceId, prompt: &[TokenKey]) -> Result<usize> {
        Ok(shared(&self.get(id)?.tokens, prompt))
    }

    pub fn len(&self, id: SequenceId) -> Result<usize> {
        Ok(self.get(id)?.tokens.len())
    }

    /// Block numbers, in order.
    pub fn blocks(&self, id: SequenceId) -> Result<&[u32]> {
        Ok(&self.get(id)?.blocks)
    }

    /// Makes room for the sequence to grow to `n` tokens, taking blocks from unpinned sequences if need be. The copies
    /// returned must be made before anything is appended.
    ///
    /// Errors: [`Error::ContextFull`]; nothing of this sequence is lost then.
    pub fn reserve(&mut self, id: SequenceId, n: usize) -> Result<Vec<BlockCopy>> {
        self.uses += 1;
        let uses = self.uses;
        let sequence = self.sequences.get_mut(&id).ok_or_else(|| unknown(id))?;
        sequence.last_use = uses;
        let (held, length) = (sequence.blocks.len(), sequence.tokens.len());
        // The block that the next token goes into, if it is there already and others hold it too.
        let shared_tail = (length < n && length / self.block < held)
            .then(|| sequence.blocks[length / self.block])
            .filter(|&block| self.holders[block as usize] > 1);
        let needed = n.div_ceil(self.block).saturating_sub(held) + usize::from(shared_tail.is_some());
        self.make_room(id, needed, n)?;
        let mut fresh: Vec<u32> = self.free.split_off(self.free.len() - needed);
        for &block in &fresh {
            self.holders[block as usize] = 1;
        }
        let mut copies = Vec::new();
        if let Some(from) = shared_tail
            && let Some(to) = fresh.pop()
        {
            self.holders[from as usize] -= 1;
            copies.push(BlockCopy { from, to });
        }
        let sequence = self.sequences.get_mut(&id).ok_or_else(|| unknown(id))?;
        for copy in &copies {
            sequence.blocks[length / self.block] = copy.to;
        }
        sequence.blocks.extend(fresh);
        Ok(copies)
    }

    /// Notes tokens that were appended on the engine, in room that was reserved.
    pub fn push(&mut self, id: SequenceId, tokens: &[TokenKey]) -> Result<()> {
        let block = self.block;
        let sequence = self.sequences.get_mut(&id).ok_or_else(|| unknown(id))?;
        let (needed, available) = (sequence.tokens.len() + tokens.len(), sequence.blocks.len() * block);
        if needed > available {
            return Err(Error::ContextFull { needed, available });
        }
        sequence.tokens.extend_from_slice(tokens);
        Ok(())
    }

    fn get(&self, id: SequenceId) -> Result<&Sequence> {
        self.sequences.get(&id).ok_or_else(|| unknown(id))
    }

    fn insert(&mut self, mut sequence: Sequence) -> SequenceId {
        self.uses += 1;
        sequence.last_use = self.uses;
        let id = SequenceId(self.next_id);
        self.next_id += 1;
        self.sequences.insert(id, sequence);
        id
    }

    /// Closes unpinned sequences, the least recently used first, until `needed` blocks are free.
    fn make_room(&mut self, keep: SequenceId, needed: usize, n_tokens: usize) -> Result<()> {
        while self.free.len() < needed {
            let victim = self
                .sequences
                .iter()
                .filter(|(id, sequence)| **id != keep && !sequence.pinned && !sequence.blocks.is_empty())
                .min_by_key(|(_, sequence)| sequence.last_use)
                .map(|(id, _)| *id);
            let Some(victim) = victim else {
                let held = self.get(keep)?.blocks.len();
                return Err(Error::ContextFull {
                    needed: n_tokens,
                    available: (held + self.free.len()) * self.block,
                });
            };
            self.close(victim);
        }
        Ok(())
    }

    fn give_back(&mut self, blocks: Vec<u32>) {
        for block in blocks {
            let holders = &mut self.holders[block as usize];
            *holders -= 1;
            if *holders == 0 {
                self.free.push(block);
            }
        }
    }
}

fn shared(a: &[TokenKey], b: &[TokenKey]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn unknown(id: SequenceId) -> Error {
    Error::Prompt {
        message: format!("sequence {} is not open", id.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(ids: impl IntoIterator<Item = u32>) -> Vec<TokenKey> {
        ids.into_iter().map(|id| TokenKey { id, features: 0 }).collect()
    }

    #[test]
    fn a_fork_shares_blocks_until_it_writes() -> Result<()> {
        let mut cache = KvCache::new(8, 4, 0);
        let a = cache.open();
        assert_eq!(cache.reserve(a, 6)?, []);
        cache.push(a, &keys(0..6))?;
        let b = cache.fork(a)?;
        assert_eq!(cache.used_tokens(), 8);
        assert_eq!(cache.blocks(a)?, cache.blocks(b)?);
        let copies = cache.reserve(b, 7)?;
        assert_eq!(
            copies,
            [BlockCopy {
                from: cache.blocks(a)?[1],
                to: cache.blocks(b)?[1]
            }]
        );
        assert_eq!(cache.blocks(a)?[0], cache.blocks(b)?[0]);
        assert_eq!(cache.reserve(a, 7)?, [], "a is alone in its last block again");
        Ok(())
    }

    #[test]
    fn truncate_gives_whole_blocks_back_and_another_picture_ends_the_shared_prefix() -> Result<()> {
        let mut cache = KvCache::new(4, 4, 0);
        let a = cache.open();
        cache.reserve(a, 9)?;
        cache.push(a, &keys(0..9))?;
        cache.truncate(a, 4)?;
        assert_eq!((cache.len(a)?, cache.used_tokens()), (4, 4));
        let mut prompt = keys(0..8);
        prompt[2].features = 9;
        assert_eq!(cache.shared_prefix(a, &prompt)?, 2);
        Ok(())
    }

    #[test]
    fn room_is_taken_from_the_least_recently_used_own_sequence_and_never_from_pinned_ones() -> Result<()> {
        let mut cache = KvCache::new(4, 4, 0);
        let pinned = cache.open();
        cache.reserve(pinned, 4)?;
        cache.push(pinned, &keys(0..4))?;
        let own = cache.own(&keys(100..110));
        cache.reserve(own, 8)?;
        cache.push(own, &keys(100..108))?;
        let other = cache.open();
        cache.reserve(other, 12)?;
        assert!(cache.len(own).is_err(), "the own sequence made room");
        assert_eq!(cache.len(pinned)?, 4);
        let full = cache.reserve(other, 13);
        assert!(
            matches!(
                full,
                Err(Error::ContextFull {
                    needed: 13,
                    available: 12
                })
            ),
            "{full:?}"
        );
        Ok(())
    }

    #[test]
    fn a_prompt_goes_on_from_the_sequence_that_shares_its_beginning() -> Result<()> {
        let mut cache = KvCache::new(64, 4, 0);
        let first = cache.own(&keys(0..40));
        cache.reserve(first, 40)?;
        cache.push(first, &keys(0..40))?;
        assert_eq!(cache.own(&keys(0..50)), first);
        assert_ne!(cache.own(&keys(200..250)), first);
        Ok(())
    }

    proptest! {
        /// Whatever happens, a block is free or held by exactly the sequences that list it, and each has room for its tokens.
        #[test]
        fn blocks_are_never_lost_or_doubly_owned(steps in prop::collection::vec((0u8..6, 0usize..8, 0usize..30), 1..60)) {
            let mut cache = KvCache::new(12, 4, 0);
            let mut ids = vec![cache.open()];
            for (what, which, n) in steps {
                let id = ids[which % ids.len()];
                match what {
                    0 => ids.push(cache.open()),
                    1 => if let Ok(new) = cache.fork(id) { ids.push(new) },
                    2 => { let _ = cache.truncate(id, n); }
                    3 => cache.close(id),
                    4 if n == 0 => cache.forget(),
                    _ => if let Ok(length) = cache.len(id) && cache.reserve(id, length + n).is_ok() {
                        cache.push(id, &keys(0..n as u32)).map_err(|e| TestCaseError::fail(e.to_string()))?;
                    },
                }
                let mut holders = vec![0u32; 12];
                for sequence in cache.sequences.values() {
                    prop_assert!(sequence.blocks.len() * 4 >= sequence.tokens.len());
                    sequence.blocks.iter().for_each(|&block| holders[block as usize] += 1);
                }
                prop_assert_eq!(&holders, &cache.holders);
                let mut free = cache.free.clone();
                free.sort_unstable();
                let unheld: Vec<u32> = (0..12).filter(|&block| holders[block as usize] == 0).collect();
                prop_assert_eq!(free, unheld);
            }
        }
    }
}
