//! An engine that is recorded, and one that plays the recording: the same replies, words, errors and times, in whatever order
//! they are asked for. On the tiny golden checkpoint, on the simulator in virtual time.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use gpu::Error;
use gpu::actor::{Timing, record, replay};
use gpu::protocol::{EncodeRequest, FeatureHandle, GenerateEvent, GenerateRequest, GpuHandle, LoadOptions, ModelInfo, Quant};
use gpu::sampler::Sampling;
use gpu::weights::source::{Folder, Memory, Source};
use pipeline::record::{Out, Recorder, Start, Tape, kind};
use pipeline::time::Clock;
use pipeline::trace::TraceHandle;
use tests::{Kernels, sim_engine};

#[derive(Clone, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A recorder as a run has it after its graph began.
fn recorder(file: &File) -> Result<Recorder> {
    let recorder = Recorder::new(file.clone(), &Start::default())?;
    let mut out = Out::new();
    out.number(1).text("source").bool(true).number(0);
    recorder.write(kind::GRAPH, &out.0);
    Ok(recorder)
}

async fn load(gpu: &GpuHandle, source: Arc<dyn Source>) -> Result<ModelInfo> {
    let options = LoadOptions {
        quant: Quant::DenseF32,
        context_tokens: 512,
        kv_f16: false,
    };
    Ok(gpu.load(source, options, None).await?)
}

async fn encode(gpu: &GpuHandle, model: &ModelInfo, seed: usize) -> Result<FeatureHandle> {
    let (height, width) = (64, 96);
    let frames: Arc<[u8]> = (0..height * width * 3).map(|i| (i * (seed + 3) / 7 % 251) as u8).collect();
    let request = EncodeRequest {
        model: model.id,
        frames,
        n_frames: 1,
        height,
        width,
    };
    Ok(gpu.encode(request).await?)
}

fn question(model: &ModelInfo, picture: &FeatureHandle, seed: u64) -> GenerateRequest {
    let text = |n: u32, seed: u32| (0..n).map(move |i| (i * 37 + seed * 101 + i * i % 11) % 400);
    let pads = std::iter::repeat_n(model.image_token_id, 6);
    GenerateRequest {
        model: model.id,
        sequence: None,
        tokens: text(5, 1).chain(pads).chain(text(30, 2)).collect(),
        media: vec![(5, picture.clone())],
        sampling: Sampling {
            temperature: 0.9,
            top_k: 50,
            seed,
            ..Sampling::default()
        },
        max_new_tokens: 12,
        stop_ids: vec![u32::MAX],
        thinking: None,
    }
}

/// All events of an answer, or those up to the first token and no further.
async fn events(gpu: &GpuHandle, request: GenerateRequest, all: bool) -> Result<Vec<Result<GenerateEvent, String>>> {
    let receiver = gpu.generate(request).await?;
    let mut events = Vec::new();
    while let Ok(event) = receiver.recv().await {
        let is_token = matches!(event, Ok(GenerateEvent::Tokens { .. }));
        events.push(event.map_err(|error| error.to_string()));
        if is_token && !all {
            break;
        }
    }
    Ok(events)
}

/// What the recorded program asks, and what it hears.
async fn ask_all(gpu: &GpuHandle, source: Arc<dyn Source>, is_backwards: bool) -> Result<Vec<String>> {
    let model = load(gpu, source).await?;
    let (first, second) = match is_backwards {
        false => (encode(gpu, &model, 1).await?, encode(gpu, &model, 2).await?),
        true => {
            let second = encode(gpu, &model, 2).await?;
            (encode(gpu, &model, 1).await?, second)
        }
    };
    let mut heard = vec![format!("{model:?}"), format!("{first:?} {second:?}")];
    heard.push(format!("{:?}", events(gpu, question(&model, &first, 1), true).await?));
    heard.push(format!("{:?}", events(gpu, question(&model, &second, 2), true).await?));
    let given_up = events(gpu, question(&model, &second, 3), false).await?;
    heard.push(format!("{:?}", given_up.last()));
    let too_long = GenerateRequest {
        tokens: vec![1; 600].into(),
        media: Vec::new(),
        ..question(&model, &first, 1)
    };
    heard.push(format!("{:?}", events(gpu, too_long, true).await?));
    let sequence = gpu.open(model.id).await?;
    let fork = gpu.fork(sequence).await?;
    let truncated = gpu.truncate(fork, 0).await;
    gpu.close(fork).await?;
    heard.push(format!("{sequence:?} {fork:?} {truncated:?} {:?}", gpu.stats().await?));
    Ok(heard)
}

/// Runs `work` as a task of a virtual clock; gives when it ended too.
async fn in_virtual_time<T>(work: impl AsyncFnOnce(Clock) -> Result<T>) -> Result<(T, Duration)> {
    let clock = Clock::new_virtual();
    let done = clock.clone().track(work(clock.clone())).await?;
    Ok((done, clock.now().0))
}

fn golden() -> Result<Arc<dyn Source>> {
    let folder = goldens::folder("qwen3-vl-s1")?;
    Ok(Arc::new(Folder::open(folder)?))
}

/// What the program heard of the recorded engine, and the recording.
async fn recorded() -> Result<(Vec<String>, Tape)> {
    let (heard, bytes) = recorded_bytes().await?;
    Ok((heard, Tape::from_bytes(&bytes)?))
}

async fn recorded_bytes() -> Result<(Vec<String>, Vec<u8>)> {
    let file = File::default();
    let recorder = recorder(&file)?;
    let writer = recorder.clone();
    let (heard, _) = in_virtual_time(async |clock| {
        let timing = Timing {
            clock: clock.clone(),
            trace: TraceHandle::off(),
        };
        let engine = gpu::actor::start("gpu", timing, async || Ok(sim_engine(Kernels::Fast))).await?;
        let engine = record(engine, "main", clock, writer);
        ask_all(&engine, golden()?, false).await
    })
    .await?;
    recorder.finish(None)?;
    let bytes = file.0.lock().unwrap().clone();
    Ok((heard, bytes))
}

/// A checkpoint without a file: a replay must not look into it.
fn nothing() -> Arc<dyn Source> {
    Arc::new(Memory::new("nothing", std::iter::empty()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_engine_says_what_the_recorded_one_said() -> Result<()> {
    let (heard, tape) = recorded().await?;
    ensure!(
        heard[5].contains("Err"),
        "a prompt that is too long is an error: {}",
        heard[5]
    );
    for is_backwards in [false, true] {
        let (again, _) = in_virtual_time(async |clock| {
            let engine = replay(&tape, "main", &clock)?;
            ask_all(&engine, nothing(), is_backwards).await
        })
        .await?;
        assert_eq!(again, heard);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_times_are_charged_to_the_clock() -> Result<()> {
    let file = File::default();
    let recorder = recorder(&file)?;
    let writer = recorder.clone();
    // In real time: the simulator takes what it takes.
    let clock = Clock::new();
    let timing = Timing {
        clock: clock.clone(),
        trace: TraceHandle::off(),
    };
    let engine = gpu::actor::start("gpu", timing, async || Ok(sim_engine(Kernels::Fast))).await?;
    let engine = record(engine, "main", clock, writer);
    ask_all(&engine, golden()?, false).await?;
    recorder.finish(None)?;
    let tape = Tape::from_bytes(&file.0.lock().unwrap())?;
    let began = std::time::Instant::now();
    let (_, first) = in_virtual_time(async |clock| ask_all(&replay(&tape, "main", &clock)?, nothing(), false).await).await?;
    let (_, second) = in_virtual_time(async |clock| ask_all(&replay(&tape, "main", &clock)?, nothing(), false).await).await?;
    assert_eq!(first, second, "virtual time is the same every time");
    ensure!(first > Duration::ZERO && began.elapsed() > Duration::ZERO);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_recorded_is_named() -> Result<()> {
    let (_, tape) = recorded().await?;
    let error = in_virtual_time(async |clock| {
        let engine = replay(&tape, "main", &clock)?;
        let model = load(&engine, nothing()).await?;
        let picture = encode(&engine, &model, 1).await?;
        let mut request = question(&model, &picture, 1);
        request.max_new_tokens = 13;
        events(&engine, request, true).await
    });
    let (events, _) = error.await?;
    let words = "the replay leaves the recording at request 3 (generate): max_new_tokens is 13, recorded 12";
    assert_eq!(events, [Err(words.to_owned())]);
    let (error, _) = in_virtual_time(async |clock| {
        let engine = replay(&tape, "main", &clock)?;
        let model = load(&engine, nothing()).await?;
        encode(&engine, &model, 1).await?;
        Ok(encode(&engine, &model, 9).await.unwrap_err())
    })
    .await?;
    let error = error.downcast::<Error>()?;
    ensure!(
        matches!(&error, Error::Diverged { number: 2, difference, .. } if difference.starts_with("pixels is ")),
        "{error}"
    );
    // An engine of another name has nothing recorded.
    let (error, _) = in_virtual_time(async |clock| {
        let engine = replay(&tape, "other", &clock)?;
        Ok(engine.stats().await.unwrap_err())
    })
    .await?;
    ensure!(error.to_string().contains("never recorded"), "{error}");
    Ok(())
}

#[tokio::test]
async fn cut_at_any_byte_an_engine_says_what_it_said_or_that_the_recording_ends() -> Result<()> {
    let (heard, bytes) = recorded_bytes().await?;
    let (mut n_replays, mut most) = (0, 0);
    for n in 0..bytes.len() {
        let Ok(tape) = Tape::from_bytes(&bytes[..n]) else { continue };
        let asked = in_virtual_time(async |clock| {
            let engine = replay(&tape, "main", &clock)?;
            Ok(ask_all(&engine, nothing(), false).await)
        });
        n_replays += 1;
        match asked.await?.0 {
            Ok(again) => {
                let is_said =
                    |(again, heard): (&String, &String)| again == heard || again.contains("recording ends early at byte ");
                ensure!(again.iter().zip(&heard).all(is_said), "{n}: {again:?}");
                most = most.max(again.iter().zip(&heard).filter(|(again, heard)| again == heard).count());
            }
            Err(error) => ensure!(error.to_string().starts_with("recording ends early at byte "), "{n}: {error}"),
        }
    }
    ensure!(
        n_replays > 1000 && most == heard.len(),
        "{n_replays} replays, {most} of {} heard",
        heard.len()
    );
    Ok(())
}
