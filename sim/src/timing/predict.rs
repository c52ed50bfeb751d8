//! [`predict`]: what a person wants to know of a model before any download, for one device or many: does it fit, when is it
//! loaded, how long until the first word, how many words a second.

use gpu::model::qwen3_vl::config::Config;
use gpu::model::qwen3_vl::published::tensors;
use gpu::protocol::LoadOptions;
use rayon::prelude::*;
use serde::Serialize;

use super::device::{Bound, Device, Taken};
use super::dry::{Costed, DryEngine, Grid, Plans, Use};
use super::profile::Profile;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    pub config: Config,
    pub options: LoadOptions,
    /// Tokens in the KV cache before a decode step; those that it cannot hold are left out.
    pub contexts: Vec<usize>,
    /// Tokens of prompts of text.
    pub prompts: Vec<usize>,
    /// Width and height of a picture, and its patches once it is resized.
    pub pictures: Vec<([usize; 2], Grid)>,
    /// Tokens of words around a picture.
    pub n_words: usize,
}

/// Something that an engine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A decode step.
    Step { n_cached: usize },
    /// A prompt of text and the choice of a token.
    Prompt { n_tokens: usize },
    /// A picture through the vision tower.
    Tower { grid: Grid },
    /// A picture encoded, fed with some words, and the choice of a token.
    Picture { grid: Grid, n_words: usize },
}

/// The answer for one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    pub gpu: String,
    pub name: String,
    /// Why there is no plan at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    pub fits: bool,
    pub memory: MemoryUse,
    pub load_s: f64,
    pub decode: Vec<DecodeRow>,
    pub prefill: Vec<PrefillRow>,
    pub pictures: Vec<PictureRow>,
    pub dispatches_a_step: usize,
}

/// Bytes by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryUse {
    pub layers_bytes: u64,
    pub embeddings_bytes: u64,
    pub vision_bytes: u64,
    pub cache_bytes: u64,
    pub activations_bytes: u64,
    pub features_bytes: u64,
    /// Inputs, rotary tables.
    pub rest_bytes: u64,
    pub total_bytes: u64,
    pub available_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecodeRow {
    pub context: usize,
    pub ms: f64,
    pub tokens_per_s: f64,
    /// What most of the time is spent on.
    pub bound: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrefillRow {
    pub n_tokens: usize,
    pub tokens_per_s: f64,
    /// Until the first token.
    pub first_token_s: f64,
    pub bound: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PictureRow {
    pub width: usize,
    pub height: usize,
    pub n_tokens: usize,
    #[serde(flatten)]
    pub time: PictureTime,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PictureTime {
    Taken {
        encode_s: f64,
        /// Until the first token: encoded, fed, chosen.
        first_token_s: f64,
        bound: &'static str,
    },
    /// Why the adapter cannot encode it.
    TooLarge { problem: String },
}

impl PictureRow {
    /// Until the first token, if there can be one.
    pub fn first_token_s(&self) -> Option<f64> {
        match self.time {
            PictureTime::Taken { first_token_s, .. } => Some(first_token_s),
            PictureTime::TooLarge { .. } => None,
        }
    }
}

impl Question {
    /// Bytes of a checkpoint as published: bf16.
    pub fn checkpoint_bytes(&self) -> u64 {
        2 * self.n_parameters()
    }

    pub fn n_parameters(&self) -> u64 {
        let tensors = tensors(&self.config);
        tensors
            .iter()
            .map(|(_, extents)| extents.iter().product::<usize>() as u64)
            .sum()
    }

    /// Tokens of all prompts, and whether media are in them.
    fn all_prompts(&self) -> Vec<(usize, bool)> {
        let pictures = self.pictures.iter().map(|(_, grid)| (grid.n_tokens() + self.n_words, true));
        self.prompts.iter().map(|&n| (n, false)).chain(pictures).collect()
    }

    /// The plans on an adapter like the profile's.
    ///
    /// Errors: `AdapterTooSmall`.
    pub fn plans(&self, profile: &Profile) -> gpu::Result<Plans> {
        let grids: Vec<Grid> = self.pictures.iter().map(|&(_, grid)| grid).collect();
        Plans::make(
            DryEngine::of(profile),
            &self.config,
            &self.options,
            &self.all_prompts(),
            &grids,
        )
    }

    /// All that is measured and predicted, with a name for tables.
    pub fn works(&self) -> Vec<(String, Work)> {
        let held = self
            .contexts
            .iter()
            .filter(|&&n_cached| n_cached <= self.options.context_tokens);
        let steps = held.map(|&n_cached| (format!("decode at {n_cached}"), Work::Step { n_cached }));
        let prompts = self.prompts.iter();
        let prompts = prompts.map(|&n_tokens| (format!("prompt of {n_tokens}"), Work::Prompt { n_tokens }));
        let pictures = self.pictures.iter().map(|&([width, height], grid)| {
            let n_words = self.n_words;
            (format!("picture {width}×{height}"), Work::Picture { grid, n_words })
        });
        steps.chain(prompts).chain(pictures).collect()
    }
}

impl Plans {
    /// What is played for it, with the tokens that are in the cache then.
    pub fn pieces(&self, work: Work) -> Vec<(&Costed, usize)> {
        match work {
            Work::Step { n_cached } => vec![(&self.step, n_cached)],
            Work::Prompt { n_tokens } => {
                let mut pieces = self.prompt_pieces(n_tokens, false);
                pieces.push((&self.head, n_tokens));
                pieces
            }
            Work::Tower { grid } => self.towers.get(&grid).map(|tower| (tower, 0)).into_iter().collect(),
            Work::Picture { grid, .. } if self.too_large.contains_key(&grid) => Vec::new(),
            Work::Picture { grid, n_words } => {
                let n_tokens = grid.n_tokens() + n_words;
                let mut pieces = self.pieces(Work::Tower { grid });
                pieces.extend(self.prompt_pieces(n_tokens, true));
                pieces.push((&self.head, n_tokens));
                pieces
            }
        }
    }

    /// How long it takes, and on what that is spent: the whole in seconds, and by bound.
    pub fn time(&self, device: &Device, work: Work) -> Time {
        let mut time = Time::default();
        for (costed, n_cached) in self.pieces(work) {
            costed.taken(device, n_cached).iter().for_each(|taken| time.add(taken));
        }
        // Steps are queued ahead; whatever begins anew waits for its submission.
        if !matches!(work, Work::Step { .. }) {
            time.launch(device.profile.launch.submit_us * 1e-6);
        }
        // A picture is uploaded before, and its first slices are waited for, which says how many come next.
        if let Work::Tower { grid } | Work::Picture { grid, .. } = work {
            let launch = device.profile.launch;
            time.launch(grid.pixel_bytes() as f64 / (launch.upload_gb_s * 1e9) + launch.submit_us * 1e-6);
        }
        time
    }
}

/// A time and what it is spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Time {
    pub total_s: f64,
    /// In the order of [`Bound::ALL`].
    pub by_bound: [f64; 5],
}

impl Time {
    fn add(&mut self, taken: &Taken) {
        self.total_s += taken.total_s();
        for (bound, spent_s) in taken.by_bound() {
            self.by_bound[bound as usize] += spent_s;
        }
    }

    /// More of what comes before or between launches.
    fn launch(&mut self, spent_s: f64) {
        self.total_s += spent_s;
        self.by_bound[Bound::Launch as usize] += spent_s;
    }

    /// What most of it is spent on.
    pub fn bound(&self) -> Bound {
        let spent = |bound: &Bound| self.by_bound[*bound as usize];
        let most = Bound::ALL.into_iter().max_by(|a, b| spent(a).total_cmp(&spent(b)));
        most.unwrap_or(Bound::Memory)
    }
}

/// The answers for all of these profiles. Plans are made once for adapters that are alike.
pub fn predict(question: &Question, profiles: &[Profile]) -> Vec<Prediction> {
    let checkpoint_bytes = question.checkpoint_bytes();
    let mut kinds: Vec<(Alike, &Profile)> = Vec::new();
    for profile in profiles {
        let alike = alike(profile);
        if kinds.iter().all(|(other, _)| *other != alike) {
            kinds.push((alike, profile));
        }
    }
    let made: Vec<_> = kinds.par_iter().map(|(_, profile)| question.plans(profile)).collect();
    let answer = |profile: &Profile| {
        let alike = alike(profile);
        let made = kinds.iter().zip(&made).find(|((other, _), _)| *other == alike);
        match made.map(|(_, made)| made) {
            Some(Ok(plans)) => prediction(question, &Device::new(profile.clone()), plans, checkpoint_bytes),
            Some(Err(error)) => no_prediction(profile, error.to_string()),
            None => no_prediction(profile, "no plan was made".to_owned()),
        }
    };
    profiles.par_iter().map(answer).collect()
}

type Alike = (gpu::engine::Adapter, gpu::plan::Variants);

/// All that a plan depends on.
fn alike(profile: &Profile) -> Alike {
    let adapter = gpu::engine::Adapter {
        name: String::new(),
        ..profile.adapter()
    };
    (adapter, profile.variants())
}

/// The answer for one device whose plans are made.
pub fn prediction(question: &Question, device: &Device, plans: &Plans, checkpoint_bytes: u64) -> Prediction {
    let profile = &device.profile;
    let memory = memory_use(plans, profile);
    let mut prediction = Prediction {
        gpu: profile.key.clone(),
        name: profile.name.clone(),
        problem: None,
        fits: memory.total_bytes <= memory.available_bytes,
        memory,
        load_s: checkpoint_bytes as f64 / (profile.load.gb_s * 1e9),
        decode: Vec::new(),
        prefill: Vec::new(),
        pictures: Vec::new(),
        dispatches_a_step: plans.step.plan.dispatches.len(),
    };
    for (_, work) in question.works() {
        let time = plans.time(device, work);
        let (total_s, bound) = (time.total_s, time.bound().name());
        match work {
            Work::Step { n_cached } => prediction.decode.push(DecodeRow {
                context: n_cached,
                ms: total_s * 1e3,
                tokens_per_s: 1.0 / total_s,
                bound,
            }),
            Work::Prompt { n_tokens } => prediction.prefill.push(PrefillRow {
                n_tokens,
                tokens_per_s: n_tokens as f64 / total_s,
                first_token_s: total_s,
                bound,
            }),
            Work::Picture { grid, .. } => {
                let size = question.pictures.iter().find(|(_, other)| *other == grid);
                let [width, height] = size.map_or([0, 0], |&(size, _)| size);
                prediction.pictures.push(PictureRow {
                    width,
                    height,
                    n_tokens: grid.n_tokens(),
                    time: match plans.too_large.get(&grid) {
                        Some(problem) => PictureTime::TooLarge {
                            problem: problem.clone(),
                        },
                        None => PictureTime::Taken {
                            encode_s: plans.time(device, Work::Tower { grid }).total_s,
                            first_token_s: total_s,
                            bound,
                        },
                    },
                });
            }
            Work::Tower { .. } => {}
        }
    }
    prediction
}

fn memory_use(plans: &Plans, profile: &Profile) -> MemoryUse {
    let held = |of: Use| plans.held_bytes.get(&of).copied().unwrap_or(0);
    let held_bytes: u64 = plans.held_bytes.values().sum();
    MemoryUse {
        layers_bytes: held(Use::Layers),
        embeddings_bytes: held(Use::Words),
        vision_bytes: held(Use::Vision),
        cache_bytes: held(Use::Cache),
        activations_bytes: plans.activation_bytes,
        features_bytes: plans.feature_bytes,
        rest_bytes: held(Use::Rest),
        total_bytes: held_bytes + plans.activation_bytes + plans.feature_bytes,
        available_bytes: (profile.memory.size_gib * f64::from(1 << 30)) as u64,
    }
}

fn no_prediction(profile: &Profile, problem: String) -> Prediction {
    Prediction {
        gpu: profile.key.clone(),
        name: profile.name.clone(),
        problem: Some(problem),
        fits: false,
        memory: MemoryUse::default(),
        load_s: 0.0,
        decode: Vec::new(),
        prefill: Vec::new(),
        pictures: Vec::new(),
        dispatches_a_step: 0,
    }
}
