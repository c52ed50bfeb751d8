//! What the worker has, and what it does with each message of the page.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use app_web::protocol::{Failure, FailureKind, MeasuredBy, Place, PlanRow, Source, StepTold, ToEngine, ToPage, WINDOW};
use app_web::run::beside::{self, Ready};
use app_web::run::devices::{Devices, Done, Loudspeaker, Microphone, Piece};
use app_web::run::kept::{HubFiles, Kept, serve};
use app_web::run::play::graph_of;
use app_web::run::prepared::{Files, Prepared, check, prepare};
use app_web::run::source::{PictureFiles, Shots, picture_from_rgba};
use app_web::run::{Error, Result, plan, play, step, voice};
use async_channel::{Receiver, Sender, bounded};
use gpu::protocol::Quant;
use pipeline::link::bridge::Arrivals;
use pipeline::runtime::RunHandle;
use pipeline::time::Clock;
use stages::capture::picture::Picture;
use stages::data::DataFile;
use stages::tts::voices::VoiceFiles;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::WorkerGlobalScope;

use crate::assets::{Fetcher, Steering};
use crate::outside::{self, Disk, Outside};

/// What a checkpoint is.
const CONFIG_FILE: &str = "config.json";
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
    /// The last one that was started.
    run: RefCell<Option<RunHandle>>,
    shots: (Sender<Option<Picture>>, Receiver<Option<Picture>>),
    pictures: RefCell<Vec<(String, Vec<u8>)>>,
    sample: RefCell<Option<PictureFiles>>,
    outside: Rc<Outside>,
    devices: RefCell<Devices>,
    /// Where the microphone's pieces go, and what the loudspeaker has done.
    pieces: RefCell<Option<Sender<Piece>>>,
    done: RefCell<Option<Sender<Done>>>,
    /// The configuration whose part is to run here, where there is no engine.
    joined: RefCell<Option<String>>,
    /// The voice's files, once they are here.
    voice: RefCell<Option<VoiceFiles>>,
    /// Of the run of that number.
    arrivals: RefCell<Option<(u32, Arrivals)>>,
    n_runs: Cell<u32>,
    /// Ends with the last run.
    over: RefCell<Option<Receiver<()>>>,
    /// What the voice is to say, once it is here.
    words: RefCell<Option<Sender<String>>>,
}

impl Worker {
    pub fn new(outside: Outside, manifest: String) -> Self {
        let outside = Rc::new(outside);
        let (page, to_page) = bounded(MAX_WAITING);
        let (permits, free) = bounded(WINDOW);
        for _ in 0..WINDOW {
            let _ = permits.try_send(());
        }
        spawn_local(pump(outside.clone(), to_page, free));
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
            outside,
            devices: RefCell::default(),
            pieces: RefCell::default(),
            done: RefCell::default(),
            joined: RefCell::default(),
            voice: RefCell::default(),
            arrivals: RefCell::default(),
            n_runs: Cell::default(),
            over: RefCell::default(),
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
            Ok(ToEngine::PlanHub { id }) => self.work(async move |worker| {
                let message = match worker.plan_hub(&id).await {
                    Ok(rows) => ToPage::Planned { rows },
                    Err(error) => ToPage::NoPlan {
                        message: error.failure().message,
                    },
                };
                drop(worker.0.page.send(message).await);
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
            Ok(ToEngine::Join { config, place }) => self.work(async move |worker| worker.join(config, place).await),
            Ok(ToEngine::StartPart {
                place,
                source,
                zero_unix_ms,
            }) => self.work(async move |worker| worker.start_part(place, source, zero_unix_ms).await),
            Ok(ToEngine::AudioTime { unix_ms }) => state.devices.borrow().time.sound_began(unix_ms),
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

    pub fn microphone(&self, rate_hz: u32) {
        let (microphone, pieces) = Microphone::new(rate_hz);
        self.0.devices.borrow_mut().microphone = Some(microphone);
        *self.0.pieces.borrow_mut() = Some(pieces);
    }

    pub fn heard(&self, frame: u64, n_lost: u64, samples: Vec<f32>) {
        let piece = Piece { frame, n_lost, samples };
        if let Some(pieces) = &*self.0.pieces.borrow() {
            // Without a run nobody listens, and the newest are worth more than the oldest.
            drop(pieces.force_send(piece));
        }
    }

    pub fn loudspeaker(&self, rate_hz: u32) {
        let (loudspeaker, commands, done) = Loudspeaker::new(rate_hz);
        self.0.devices.borrow_mut().loudspeaker = Some(loudspeaker);
        *self.0.done.borrow_mut() = Some(done);
        spawn_local(outside::command(self.0.outside.clone(), commands));
    }

    pub fn played(&self, id: u64, frame: u64, n_frames: usize) {
        let Some(done) = self.0.done.borrow().clone() else { return };
        let report = Done { id, frame, n_frames };
        // Whoever mirrors the loudspeaker must hear all of it; there is room while it keeps up.
        if done.try_send(report).is_err() {
            spawn_local(async move {
                // A run that has ended mirrors nothing.
                let _ = done.send(report).await;
            });
        }
    }

    pub fn crossed(&self, run: u32, link: usize, bytes: Vec<u8>) {
        let landed = match &mut *self.0.arrivals.borrow_mut() {
            Some((current, arrivals)) if *current == run => arrivals.land(link, bytes),
            // What an earlier run still has to say.
            _ => Ok(()),
        };
        if let Err(error) = landed {
            tracing::error!(link, %error, "a bridge is broken");
        }
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
        self.fetcher_with(self.0.steering.clone())
    }

    fn fetcher_with(&self, steering: Steering) -> Fetcher {
        Fetcher {
            base: self.0.manifest.clone(),
            page: self.0.page.clone(),
            steering,
        }
    }

    async fn prepare(&self, config: &str, engine: app_web::protocol::EngineKind) -> Result<()> {
        self.0.prepared.borrow_mut().take();
        let fetcher = self.fetcher();
        let from_hub = RefCell::new(Vec::new());
        let files = async |name: &str| -> Result<Files> {
            let manifest = fetcher.manifest().await?;
            if let Some(files) = manifest.models.get(name) {
                return Ok(Files {
                    source: Arc::new(fetcher.model(name, files).await?),
                    is_coming: false,
                });
            }
            let kept = self.hub(name, self.0.steering.clone()).await?;
            let is_coming = !kept.is_whole();
            let (files, asked) = HubFiles::new(&kept);
            spawn_local(serve(kept, asked));
            let source = Arc::new(files);
            from_hub.borrow_mut().push(source.clone());
            Ok(Files { source, is_coming })
        };
        let prepared = prepare(config, engine, files, &self.0.page).await?;
        for files in from_hub.take() {
            files.seal().await;
        }
        let ready = prepared.ready.clone();
        *self.0.prepared.borrow_mut() = Some(Rc::new(prepared));
        drop(self.0.page.send(ToPage::Ready(ready)).await);
        Ok(())
    }

    /// A model of the hub, as far as it is here.
    async fn hub(&self, id: &str, steering: Steering) -> Result<Kept<Fetcher, Disk>> {
        let (fetcher, outside) = (self.fetcher_with(steering), self.0.outside.clone());
        let hosts = fetcher.manifest().await?.hosts;
        let disk = Disk {
            outside,
            model: id.to_owned(),
        };
        Kept::open(id, &hosts, fetcher, disk, Clock::new(), self.0.page.clone()).await
    }

    /// How a model of the hub would do, from its configuration and its list of files.
    async fn plan_hub(&self, id: &str) -> Result<Vec<PlanRow>> {
        // A load that was cancelled is no reason not to plan.
        let mut kept = self.hub(id, Steering::default()).await?;
        let size = kept.size(CONFIG_FILE).unwrap_or(0);
        let config = kept.read(CONFIG_FILE, 0, size as usize).await?;
        plan::rows_of(id, &String::from_utf8_lossy(&config), Quant::Q4, kept.weight_bytes())
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
        let prepared = self.0.prepared.borrow().clone().ok_or(Error::NotPrepared)?;
        let shots = self.shots(source).await?;
        let _until_it_ends = self.next_run().await;
        play(&prepared, shots, &self.0.page, self.started()).await?;
        drop(self.0.page.send(ToPage::Ended).await);
        Ok(())
    }

    async fn shots(&self, source: Source) -> Result<Shots> {
        let state = &self.0;
        Ok(match source {
            Source::Share => {
                while state.shots.1.try_recv().is_ok() {}
                Shots::Shared {
                    want: state.page.clone(),
                    shots: state.shots.1.clone(),
                }
            }
            Source::Pictures => Shots::Files(state.pictures.borrow().as_slice().into()),
            Source::Sample => Shots::Files(self.sample().await?),
            Source::Nothing => Shots::nothing(),
        })
    }

    /// Waits until the run before has ended; while what this gives is there, the next one waits.
    async fn next_run(&self) -> Sender<()> {
        let (guard, over) = bounded(1);
        let before = self.0.over.borrow_mut().replace(over);
        if let Some(before) = before {
            let _ends = before.recv().await;
        }
        guard
    }

    fn started(&self) -> impl FnOnce(RunHandle) {
        let state = self.0.clone();
        move |run| *state.run.borrow_mut() = Some(run)
    }

    /// Brings here what a part of a configuration needs.
    async fn join(&self, config: String, place: Place) -> Result<()> {
        match place {
            Place::Voice if self.0.voice.borrow().is_none() => {
                let files = self.voice_files().await?;
                *self.0.voice.borrow_mut() = Some(files);
            }
            Place::Ears => self.bring(DataFile::Silero).await?,
            Place::Engine | Place::Voice => {}
        }
        *self.0.joined.borrow_mut() = Some(config);
        drop(self.0.page.send(ToPage::Joined).await);
        Ok(())
    }

    /// Plays the part of the graph that is here.
    async fn start_part(&self, place: Place, source: Source, zero_unix_ms: f64) -> Result<()> {
        let state = &self.0;
        let ready = if place == Place::Engine {
            let prepared = state.prepared.borrow().clone().ok_or(Error::NotPrepared)?;
            let (graph, registry) = graph_of(&prepared, &self.shots(source).await?, &state.page)?;
            Ready::new(graph, registry, place)
        } else {
            let config = state.joined.borrow().clone().ok_or(Error::NotPrepared)?;
            let files = state.voice.borrow().clone().filter(|_| place == Place::Voice);
            beside::part(&config, place, files, &state.devices.borrow(), &state.page)?
        };
        let _until_it_ends = self.next_run().await;
        state.devices.borrow().time.run_began(zero_unix_ms);
        let ago_ms = (unix_ms() - zero_unix_ms).max(0.0);
        let clock = Clock::new_since(Duration::from_secs_f64(ago_ms / 1e3));
        let run = state.n_runs.get() + 1;
        state.n_runs.set(run);
        let serve = |bridges| {
            let arrivals = outside::serve(&state.outside, run, bridges);
            *state.arrivals.borrow_mut() = Some((run, arrivals));
        };
        ready.run(clock, &state.page, serve, self.started()).await?;
        drop(state.page.send(ToPage::Ended).await);
        Ok(())
    }

    /// Fetches what stages need besides models; once fetched it comes from the browser's own store.
    async fn bring(&self, file: DataFile) -> Result<()> {
        let fetcher = self.fetcher();
        let manifest = fetcher.manifest().await?;
        let listed = manifest.models.get(file.folder()).map(Vec::as_slice).unwrap_or_default();
        for (_, bytes) in fetcher.all(listed).await? {
            file.give(bytes);
        }
        Ok(())
    }

    async fn voice_files(&self) -> Result<VoiceFiles> {
        self.bring(DataFile::Lexicon).await?;
        let fetcher = self.fetcher();
        let manifest = fetcher.manifest().await?;
        let listed = manifest.models.get(voice::VOICE).map(Vec::as_slice).unwrap_or_default();
        let mut files = fetcher.all(listed).await?.into_iter();
        let mut bytes = || files.next().map(|(_, bytes)| bytes).unwrap_or_default().into();
        let (onnx, json) = (bytes(), bytes());
        Ok(VoiceFiles { onnx, json })
    }

    /// Brings the voice here and speaks what comes, as long as the worker lives.
    async fn voice(&self) -> Result<()> {
        let files = self.voice_files().await?;
        let (words, to_say) = bounded(1);
        *self.0.words.borrow_mut() = Some(words);
        drop(self.0.page.send(ToPage::VoiceReady).await);
        let devices = self.0.devices.borrow().clone();
        voice::speak(files, to_say, &devices, &self.0.page, self.started()).await
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
async fn pump(outside: Rc<Outside>, messages: Receiver<ToPage>, free: Receiver<()>) {
    while let Ok(message) = messages.recv().await {
        if free.recv().await.is_err() {
            return;
        }
        match serde_json::to_string(&message) {
            Ok(text) => outside.post(&text),
            Err(error) => tracing::error!(%error, "a message to the page was lost"),
        }
    }
}

/// Milliseconds since 1970, by the clock that all threads of the page have.
fn unix_ms() -> f64 {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    scope
        .performance()
        .map_or_else(js_sys::Date::now, |performance| performance.time_origin() + performance.now())
}
