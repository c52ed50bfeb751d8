//! In which order stages take packets, as they did in a recorded run. With that a run says what the other said, however fast its
//! parts are: what was dropped is dropped, and what was taken is taken in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Recorder;
use super::tape::{Tape, Took};
use crate::graph::Graph;

/// How far a run follows a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Everywhere: engines give what they gave.
    All,
    /// Up to the first stages that use an engine; what comes after them may be other packets than it was.
    UntilEngines,
}

/// A recording that a run follows: the order of its packets, and its turns.
#[derive(Clone, Debug)]
pub struct Script {
    pub tape: Arc<Tape>,
    pub follow: Follow,
}

/// What each link carries and each stage takes of a graph that follows a script.
#[derive(Default)]
pub(crate) struct Orders {
    /// By the graph's link: the numbers of the packets that were taken; the others are dropped. `None`: all go.
    pub carried: Vec<Option<Arc<BTreeSet<u64>>>>,
    /// By the graph's stage.
    pub stages: Vec<Option<StageOrder>>,
}

/// What a stage takes, in order.
pub(crate) struct StageOrder {
    took: Vec<Took>,
    next: AtomicUsize,
    /// The recording has an end, and after it nothing is taken.
    is_cut: bool,
}

/// What a stage is to take next.
pub(crate) enum Next {
    /// From this link of the graph.
    Link(usize),
    /// Whatever comes.
    Any,
    /// The recording ends here.
    End,
}

impl StageOrder {
    pub fn next(&self) -> Next {
        match self.took.get(self.next.load(Ordering::Relaxed)) {
            Some(took) => Next::Link(took.link),
            None if self.is_cut => Next::End,
            None => Next::Any,
        }
    }

    /// What was next has been taken, or cannot come any more.
    pub fn advance(&self) {
        self.next.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether one of these links is still to be taken from.
    pub fn expects(&self, is_one: impl Fn(usize) -> bool) -> bool {
        let next = self.next.load(Ordering::Relaxed).min(self.took.len());
        self.took[next..].iter().any(|took| is_one(took.link))
    }
}

/// What a stage's inputs do for a recording: keep to an order, write one down.
#[derive(Default)]
pub(crate) struct Ears {
    pub recorder: Option<Recorder>,
    pub order: Option<StageOrder>,
}

impl Ears {
    /// The stage took packet `seq` from a link.
    pub fn took(&self, link: usize, seq: u64) {
        if let Some(recorder) = &self.recorder {
            recorder.took(link, seq);
        }
    }
}

impl Script {
    /// The orders of a graph: its links are known by their names. A stage with a link that the recording does not know is free.
    pub(crate) fn orders(&self, graph: &Graph) -> Orders {
        let (stages, links) = (graph.stages(), graph.links());
        let numbers: BTreeMap<&str, usize> = self
            .tape
            .links
            .iter()
            .enumerate()
            .map(|(number, name)| (name.as_str(), number))
            .collect();
        let recorded: Vec<Option<usize>> = links
            .iter()
            .map(|link| numbers.get(graph.link_name(link).as_str()).copied())
            .collect();
        let after_engine = match self.follow {
            Follow::All => vec![false; stages.len()],
            Follow::UntilEngines => after_engines(graph),
        };
        let is_free = |stage: usize| {
            let mut inputs = links.iter().enumerate().filter(|(_, link)| link.to == stage);
            inputs.any(|(index, link)| recorded[index].is_none() || after_engine[link.from])
        };
        let is_free: Vec<bool> = (0..stages.len()).map(is_free).collect();
        let mut took: Vec<Vec<Took>> = vec![Vec::new(); stages.len()];
        let mut carried: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); links.len()];
        // Two links between the same ports have one name; the graph's checker refuses them.
        let here: BTreeMap<usize, usize> = recorded
            .iter()
            .enumerate()
            .filter_map(|(index, number)| Some(((*number)?, index)))
            .collect();
        for Took { link, seq } in &self.tape.took {
            if let Some(index) = here.get(link) {
                took[links[*index].to].push(Took { link: *index, seq: *seq });
                carried[*index].insert(*seq);
            }
        }
        let is_cut = !self.tape.is_whole();
        Orders {
            carried: links
                .iter()
                .zip(carried)
                .map(|(link, carried)| (!is_free[link.to]).then(|| Arc::new(carried)))
                .collect(),
            stages: took
                .into_iter()
                .zip(is_free)
                .map(|(took, is_free)| {
                    let next = AtomicUsize::new(0);
                    (!is_free).then_some(StageOrder { took, next, is_cut })
                })
                .collect(),
        }
    }
}

/// By stage: whether it uses an engine, or what it takes comes from one that does.
fn after_engines(graph: &Graph) -> Vec<bool> {
    let mut after: Vec<bool> = graph.stages().iter().map(|stage| stage.engine.is_some()).collect();
    // Each round reaches at least one stage more.
    for _ in 0..after.len() {
        for link in graph.links() {
            after[link.to] |= after[link.from];
        }
    }
    after
}
