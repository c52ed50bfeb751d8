//! What follows a lost device: another engine with the same models on it, or, after a few tries, the same error for all.

use std::future::Future;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use pipeline::spawn;

use super::work::Work;
use super::{GpuActor, load, speech, wait};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::protocol::GpuRequest;

/// Engines in a row that may be lost, or not made, with nothing got done: no model loaded for a caller, no picture
/// encoded, no token told.
const MAX_TRIES: u32 = 5;
/// Waited before the second try; four times as long before each that follows.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Probes of an engine whose calls fail, before it is taken for lost.
const MAX_PROBES: u32 = 3;

/// The actor of an engine that could not be made again.
pub(super) struct Gone {
    work: Work,
    error: Error,
}

/// An actor with an engine that `make` gives, onto which all models are loaded again; what was under way begins anew.
pub(super) async fn rebuild<E, F, Fut>(actor: GpuActor<E>, make: &F, lost: Error) -> Result<GpuActor<E>, Gone>
where
    E: Engine,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<E>>,
{
    let GpuActor { engine, mut work } = actor;
    // Its memory may be what the next one needs.
    drop(engine);
    work.forget_engine();
    let started = work.timing.now();
    let mut why = lost.to_string();
    tracing::warn!(why, "the device is opened again");
    loop {
        work.fruitless += 1;
        if work.fruitless > MAX_TRIES {
            tracing::error!(why, "the device stays lost");
            let message = format!("{why} (after {MAX_TRIES} tries to open it again)");
            return Err(Gone {
                work,
                error: Error::DeviceLost { message },
            });
        }
        // Without a runtime nothing can wait for real time.
        if work.fruitless > 1 && (spawn::has_runtime() || work.timing.clock.is_virtual()) {
            let wait = FIRST_WAIT * 4u32.pow(work.fruitless - 2);
            work.timing.clock.sleep(wait).await;
        }
        match reopen(&mut work, make).await {
            Ok(engine) => {
                work.timing
                    .record("gpu.rebuild", started, &[("n_tries", work.fruitless.into())]);
                tracing::info!(tries = work.fruitless, "the device is there again");
                return Ok(GpuActor { engine, work });
            }
            Err(error) => why = error.to_string(),
        }
    }
}

impl<E: Engine> GpuActor<E> {
    /// The result, with the error's cause. A driver may fail calls and reads a moment before it says that the device is
    /// lost, so an engine that failed is asked for four bytes; one that cannot give them is lost, whatever it says.
    pub(super) async fn diagnosed<T>(&mut self, result: Result<T>) -> Result<T> {
        let Err(Error::Engine { .. }) = &result else {
            return result;
        };
        let mut last = Ok(());
        for _ in 0..MAX_PROBES {
            last = probe(&mut self.engine).await;
            match last {
                Err(Error::Engine { .. }) => {}
                Err(Error::DeviceLost { message }) => return Err(Error::DeviceLost { message }),
                _ => return result,
            }
        }
        match last {
            Err(error) => Err(Error::DeviceLost {
                message: error.to_string(),
            }),
            Ok(()) => result,
        }
    }
}

async fn probe<E: Engine>(engine: &mut E) -> Result<()> {
    let tensor = engine.create("probe", 4)?;
    let read = engine.read(tensor, 0, 4).await;
    engine.release(tensor);
    read.map(drop)
}

async fn reopen<E, F, Fut>(work: &mut Work, make: &F) -> Result<E>
where
    E: Engine,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<E>>,
{
    let _busy = work.timing.clock.busy();
    let mut engine = make().await?;
    for loaded in work.models.values_mut() {
        loaded.runner = load::put_on(&mut engine, loaded.source.clone(), &loaded.options, None).await?;
    }
    work.speech.put_on(&mut engine).await?;
    Ok(engine)
}

impl Gone {
    /// Tells the error to all who wait, and to all who ask later.
    pub(super) async fn refuse(mut self, inbox: &Receiver<GpuRequest>) {
        for loading in self.work.loads.drain(..) {
            tell(&loading.reply, &self.error);
        }
        for encoding in self.work.encodings.drain(..) {
            encoding.fail(&self.error);
        }
        self.work.speech.fail(&self.error);
        for mut generation in std::mem::take(&mut self.work.generations) {
            generation.fail(self.error.clone());
            self.work.close(generation);
        }
        while !self.work.closing.is_empty() || !inbox.is_closed() || !inbox.is_empty() {
            if let Some(request) = wait(&mut self.work, inbox).await {
                self.answer(request);
            }
            self.work.closing.retain_mut(|answer| !answer.flush());
        }
    }

    fn answer(&self, request: GpuRequest) {
        let error = &self.error;
        match request {
            GpuRequest::Load { reply, .. } => tell(&reply, error),
            GpuRequest::Encode { reply, .. } => tell(&reply, error),
            GpuRequest::Generate { reply, .. } => tell(&reply, error),
            GpuRequest::Open { reply, .. } | GpuRequest::Fork { reply, .. } => tell(&reply, error),
            GpuRequest::Truncate { reply, .. } => tell(&reply, error),
            GpuRequest::Stats { reply } => tell(&reply, error),
            GpuRequest::Speech(request) => speech::refuse(request, error),
            GpuRequest::Close { .. } => {}
        }
    }
}

/// A fresh reply has room for its first message; who does not listen any more need not hear it.
fn tell<T>(reply: &Sender<Result<T>>, error: &Error) {
    drop(reply.try_send(Err(error.clone())));
}
