//! What the worker has, and what it does with each message of the page.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use app_web::protocol::{Failure, FailureKind, MeasuredBy, Source, StepTold, ToEngine, ToPage, WINDOW};
use app_web::run::plan;
use app_web::run::prepared::{Prepared, check, prepare};
use app_web::run::source::{PictureFiles, Shots, picture_from_rgba};
use app_web::run::step;
use app_web::run::voice::{self, Sound};
use app_web::run::{Error, Result, play};
use async_channel::{Receiver, Sender, bounded};
use gpu::weights::source::Source as Files;
use js_sys::{Float32Array, Function};
use pipeline::runtime::RunHandle;
use pipeline::time::Clock;
use stages::capture::picture::Picture;
use stages::tts::voices::VoiceFiles;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::assets::{Fetcher, Steering};

/// Messages that wait for room to the page.
const MAX_WAITING: usize = 64;

/// Cheap to clone: everything is shared with the tasks under way.
#[derive(Clone)]
pub struct Worker(Rc<State>);

struct State {
    page: Sender<ToPage>,
    /// A permit a message that the page may still get.
    permits: Sender<()>,
    manifest: String,
    steering: Steering,
    prepared: RefCell<Option<Rc<Prepared>>>,
    run: RefCell<Option<RunHandle>>,
    shots: (Sender<Option<Picture>>, Receiver<Option<Picture>>),
    pictures: RefCell<Vec<(String, Vec<u8>)>>,
    sample: RefCell<Option<PictureFiles>>,
    sound: Function,
    /// What the voice is to say, once it is here.
    words: RefCell<Option<Sender<String>>>,
}

impl Worker {
    pub fn new(post: Function, sound: Function, manifest: String) -> Self {
        let (page, to_page) = bounded(MAX_WAITING);
        let (permits, free) = bounded(WINDOW);
        for _ in 0..WINDOW {
            let _ = permits.try_send(());
        }
        spawn_local(pump(post, to_page, free));
        let _ = page.try_send(ToPage::Awake);
        Self(Rc::new(State {
            page,
            permits,
            manifest,
            steering: Steering::default(),
            prepared: RefCell::default(),
            run: RefCell::default(),
            shots: bounded(1),
            pictures: RefCell::default(),
            sample: RefCell::default(),
            sound,
            words: RefCell::default(),
        }))
    }

    pub fn receive(&self, message: &str) {
        let state = &self.0;
        match serde_json::from_str(message) {
            Ok(ToEngine::Heard) => drop(state.permits.try_send(())),
            Ok(ToEngine::Prepare { config, engine }) => {
                state.steering.held.set(false);
                state.steering.cancelled.set(false);
                self.work(async move |worker| worker.prepare(&config, engine).await);
            }
            Ok(ToEngine::Check { config }) => {
                let faults = check(&config).err().map_or(Vec::new(), |error| faults_of(&error));
                self.work(async move |worker| {
                    drop(worker.0.page.send(ToPage::Checked { faults }).await);
                    Ok(())
                });
            }
            Ok(ToEngine::Plan) => self.work(async move |worker| {
                let clock = Clock::new();
                for model in plan::MODELS {
                    drop(worker.0.page.send(ToPage::Planned { rows: plan::rows(model) }).await);
                    // Whatever else the worker does has its turn.
                    clock.sleep(Duration::from_millis(1)).await;
                }
                Ok(())
            }),
            Ok(ToEngine::Step { profile, measure }) => self.work(async move |worker| {
                let message = match worker.step(profile.as_deref(), measure).await {
                    Ok(told) => ToPage::Step(Box::new(told)),
                    Err(error) => ToPage::NoStep {
                        message: error.failure().message,
                    },
                };
                drop(worker.0.page.send(message).await);
                Ok(())
            }),
            Ok(ToEngine::Compare) => self.work(async move |worker| {
                let clock = Clock::new();
                let prepared = worker.0.prepared.borrow().clone();
                for row in step::compared(prepared.as_ref().and_then(|prepared| prepared.answering.as_ref())) {
                    drop(worker.0.page.send(ToPage::Compared(row)).await);
                    clock.sleep(Duration::from_millis(1)).await;
                }
                Ok(())
            }),
            Ok(ToEngine::Start { source }) => self.work(async move |worker| worker.start(source).await),
            Ok(ToEngine::Stop) => {
                if let Some(run) = &*state.run.borrow() {
                    run.stop();
                    run.next_turn();
                }
            }
            Ok(ToEngine::Hush) => {
                if let Some(run) = &*state.run.borrow() {
                    run.next_turn();
                }
            }
            Ok(ToEngine::Voice) => self.work(async move |worker| worker.voice().await),
            Ok(ToEngine::Speak { text }) => {
                if let Some(words) = &*state.words.borrow() {
                    // The newest words are worth more than those that wait.
                    drop(words.force_send(text));
                }
            }
            Ok(ToEngine::Hold { on }) => state.steering.held.set(on),
            Ok(ToEngine::Cancel) => state.steering.cancelled.set(true),
            Ok(ToEngine::ShareEnded) => drop(state.shots.0.try_send(None)),
            Err(error) => self.fail(&Error::from(error)),
        }
    }

    pub fn shot(&self, width: u32, height: u32, rgba: &[u8]) {
        // There is room unless it was not asked for.
        let _ = self.0.shots.0.try_send(Some(picture_from_rgba(width, height, rgba)));
    }

    pub fn picture(&self, name: String, bytes: Vec<u8>, is_first: bool) {
        let mut pictures = self.0.pictures.borrow_mut();
        if is_first {
            pictures.clear();
        }
        pictures.push((name, bytes));
    }

    /// Runs `work` beside; the page hears of its failure.
    fn work(&self, work: impl AsyncFnOnce(Self) -> Result<()> + 'static) {
        let worker = self.clone();
        spawn_local(async move {
            if let Err(error) = work(worker.clone()).await {
                worker.fail(&error);
            }
        });
    }

    fn fail(&self, error: &Error) {
        let failure: Failure = error.failure();
        let page = self.0.page.clone();
        // A device that was lost for good does not come back by itself: the next attempt opens another.
        if failure.kind == FailureKind::GpuLost {
            self.0.prepared.borrow_mut().take();
        }
        spawn_local(async move { drop(page.send(ToPage::Failed(failure)).await) });
    }

    fn fetcher(&self) -> Fetcher {
        Fetcher {
            base: self.0.manifest.clone(),
            page: self.0.page.clone(),
            steering: self.0.steering.clone(),
        }
    }

    async fn prepare(&self, config: &str, engine: app_web::protocol::EngineKind) -> Result<()> {
        self.0.prepared.borrow_mut().take();
        let fetcher = self.fetcher();
        let files = async |name: &str| -> Result<Arc<dyn Files>> {
            let manifest = fetcher.manifest().await?;
            let files = manifest.models.get(name).map(Vec::as_slice).unwrap_or_default();
            let model: Arc<dyn Files> = Arc::new(fetcher.model(name, files).await?);
            Ok(model)
        };
        let prepared = prepare(config, engine, files, &self.0.page).await?;
        let ready = prepared.ready.clone();
        *self.0.prepared.borrow_mut() = Some(Rc::new(prepared));
        drop(self.0.page.send(ToPage::Ready(ready)).await);
        Ok(())
    }

    async fn step(&self, profile: Option<&str>, measure: bool) -> Result<StepTold> {
        let prepared = self.0.prepared.borrow().clone();
        let answering = prepared.as_ref().and_then(|prepared| prepared.answering.as_ref());
        if measure {
            prepared.as_ref().ok_or(Error::NotPrepared)?;
            answering.ok_or(Error::NoAnswer)?.measure().await?;
        }
        let told = step::told(answering, profile)?;
        match measure && told.by == MeasuredBy::Nothing {
            true => Err(Error::NothingMeasured),
            false => Ok(told),
        }
    }

    async fn start(&self, source: Source) -> Result<()> {
        let state = &self.0;
        let prepared = state.prepared.borrow().clone().ok_or(Error::NotPrepared)?;
        let shots = match source {
            Source::Share => {
                while state.shots.1.try_recv().is_ok() {}
                Shots::Shared {
                    want: state.page.clone(),
                    shots: state.shots.1.clone(),
                }
            }
            Source::Pictures => Shots::Files(state.pictures.borrow().as_slice().into()),
            Source::Sample => Shots::Files(self.sample().await?),
        };
        let started = |run| *state.run.borrow_mut() = Some(run);
        let played = play(&prepared, shots, &state.page, started).await;
        state.run.borrow_mut().take();
        played?;
        drop(state.page.send(ToPage::Ended).await);
        Ok(())
    }

    /// Brings the voice here and speaks what comes, as long as the worker lives.
    async fn voice(&self) -> Result<()> {
        let fetcher = self.fetcher();
        let manifest = fetcher.manifest().await?;
        let listed = manifest.models.get(voice::VOICE).map(Vec::as_slice).unwrap_or_default();
        let mut files = fetcher.all(listed).await?.into_iter();
        let mut bytes = || files.next().map(|(_, bytes)| bytes).unwrap_or_default().into();
        let (onnx, json) = (bytes(), bytes());
        let (words, to_say) = bounded(1);
        let (sound, heard) = bounded::<Sound>(2);
        let post = self.0.sound.clone();
        spawn_local(async move {
            while let Ok(part) = heard.recv().await {
                let samples = Float32Array::from(&*part.samples);
                // A page that is gone hears nothing.
                drop(post.call3(&JsValue::NULL, &samples, &part.rate_hz.into(), &(part.turn as f64).into()));
            }
        });
        *self.0.words.borrow_mut() = Some(words);
        drop(self.0.page.send(ToPage::VoiceReady).await);
        let started = |run| *self.0.run.borrow_mut() = Some(run);
        voice::speak(VoiceFiles { onnx, json }, to_say, sound, started).await
    }

    async fn sample(&self) -> Result<PictureFiles> {
        if let Some(sample) = &*self.0.sample.borrow() {
            return Ok(sample.clone());
        }
        let fetcher = self.fetcher();
        let manifest = fetcher.manifest().await?;
        let sample: PictureFiles = fetcher.all(&manifest.sample).await?.into();
        *self.0.sample.borrow_mut() = Some(sample.clone());
        Ok(sample)
    }
}

/// The faults of a configuration, a line each.
fn faults_of(error: &pipeline::error::Error) -> Vec<String> {
    match error {
        pipeline::error::Error::Config { faults } => faults.iter().map(ToString::to_string).collect(),
        other => vec![pipeline::error::chain(other)],
    }
}

/// Takes messages to the page, never more than it acknowledges.
async fn pump(post: Function, messages: Receiver<ToPage>, free: Receiver<()>) {
    while let Ok(message) = messages.recv().await {
        if free.recv().await.is_err() {
            return;
        }
        match serde_json::to_string(&message) {
            Ok(text) => drop(post.call1(&JsValue::NULL, &JsValue::from_str(&text))),
            Err(error) => tracing::error!(%error, "a message to the page was lost"),
        }
    }
}
