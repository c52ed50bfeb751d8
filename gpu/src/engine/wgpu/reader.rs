//! Reads: a copy into a staging buffer, mapped when the device gets there. Natively a thread polls the device while reads
//! are pending, so that neither the actor nor its executor waits; in a browser the page's event loop does that.

use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::oneshot;

use super::fault::Faults;
use crate::engine::ReadFuture;
use crate::error::Result;

/// Staging buffers up to this size are kept for the next read.
const KEEP_BYTES: u64 = 64 << 10;
/// How many are kept.
const KEEP_COUNT: usize = 32;

pub struct Reader {
    device: ::wgpu::Device,
    queue: ::wgpu::Queue,
    faults: Faults,
    idle: Arc<Mutex<Vec<::wgpu::Buffer>>>,
    #[cfg(not(target_arch = "wasm32"))]
    poller: native::Poller,
}

impl Reader {
    /// Errors: `Engine` if the polling thread does not start.
    pub fn new(device: ::wgpu::Device, queue: ::wgpu::Queue, faults: Faults) -> Result<Self> {
        Ok(Self {
            #[cfg(not(target_arch = "wasm32"))]
            poller: native::Poller::start(device.clone(), faults.clone())?,
            device,
            queue,
            faults,
            idle: Arc::default(),
        })
    }

    /// Queues the copy now; the bytes come later. `size_bytes` is a positive multiple of 4 within the buffer.
    pub fn read(&self, from: &::wgpu::Buffer, offset: u64, size_bytes: u64) -> ReadFuture {
        let staging = self.staging(size_bytes);
        let mut encoder = self
            .device
            .create_command_encoder(&::wgpu::CommandEncoderDescriptor { label: Some("read") });
        encoder.copy_buffer_to_buffer(from, offset, &staging, 0, size_bytes);
        let submission = self.queue.submit([encoder.finish()]);
        let (tell, mapped) = oneshot::channel();
        staging.map_async(::wgpu::MapMode::Read, ..size_bytes, move |outcome| {
            // The reader may have been dropped: then nobody wants to know.
            let _ = tell.send(outcome);
        });
        #[cfg(not(target_arch = "wasm32"))]
        self.poller.wait_for(submission);
        #[cfg(target_arch = "wasm32")]
        drop(submission);
        let (device, faults, idle) = (self.device.clone(), self.faults.clone(), self.idle.clone());
        Box::pin(async move {
            let failed = |message: String| {
                // Whether the device is lost is only said to those who ask; any error of that is the one below.
                let _ = device.poll(::wgpu::PollType::Poll);
                faults.cause("read", message)
            };
            match mapped.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(failed(error.to_string())),
                Err(_) => return Err(failed("the device went away".into())),
            }
            let range = staging.get_mapped_range(..size_bytes);
            let bytes = range.map(|range| range.to_vec()).map_err(|error| failed(error.to_string()))?;
            staging.unmap();
            if staging.size() <= KEEP_BYTES {
                let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < KEEP_COUNT {
                    idle.push(staging);
                }
            }
            faults.check("read", "", size_bytes)?;
            Ok(bytes)
        })
    }

    fn staging(&self, size_bytes: u64) -> ::wgpu::Buffer {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = idle.iter().position(|buffer| buffer.size() >= size_bytes) {
            return idle.swap_remove(i);
        }
        drop(idle);
        self.device.create_buffer(&::wgpu::BufferDescriptor {
            label: Some("staging"),
            size: if size_bytes <= KEEP_BYTES {
                size_bytes.next_power_of_two()
            } else {
                size_bytes
            },
            usage: ::wgpu::BufferUsages::MAP_READ | ::wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::collections::VecDeque;
    use std::sync::{Arc, Condvar, Mutex, PoisonError};
    use std::thread;

    use super::Faults;
    use crate::error::{Error, Result};

    #[derive(Default)]
    struct Pending {
        submissions: VecDeque<::wgpu::SubmissionIndex>,
        closed: bool,
    }

    /// Waits for submissions in order, which runs the callbacks of their reads. The queue is as long as the reads that are
    /// pending, which their callers bound.
    pub struct Poller {
        shared: Arc<(Mutex<Pending>, Condvar)>,
        thread: Option<thread::JoinHandle<()>>,
    }

    impl Poller {
        pub fn start(device: ::wgpu::Device, faults: Faults) -> Result<Self> {
            let shared = Arc::new((Mutex::new(Pending::default()), Condvar::new()));
            let theirs = shared.clone();
            let spawned = thread::Builder::new()
                .name("gpu-poll".into())
                .spawn(move || poll(&device, &faults, &theirs));
            match spawned {
                Ok(thread) => Ok(Self {
                    shared,
                    thread: Some(thread),
                }),
                Err(error) => Err(Error::Engine {
                    what: "starting the polling thread",
                    message: error.to_string(),
                }),
            }
        }

        pub fn wait_for(&self, submission: ::wgpu::SubmissionIndex) {
            let (pending, changed) = &*self.shared;
            let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.submissions.push_back(submission);
            changed.notify_one();
        }
    }

    impl Drop for Poller {
        fn drop(&mut self) {
            let (pending, changed) = &*self.shared;
            pending.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
            changed.notify_one();
            // A thread inside the driver when the process ends crashes in the driver's own exit handlers.
            if let Some(thread) = self.thread.take() {
                let _ = thread.join();
            }
        }
    }

    /// Ends when the engine is gone and no read is pending.
    fn poll(device: &::wgpu::Device, faults: &Faults, shared: &(Mutex<Pending>, Condvar)) {
        let (pending, changed) = shared;
        loop {
            let mut guard = pending.lock().unwrap_or_else(PoisonError::into_inner);
            while guard.submissions.is_empty() && !guard.closed {
                guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            let Some(submission) = guard.submissions.pop_front() else {
                return;
            };
            drop(guard);
            let wait = ::wgpu::PollType::Wait {
                submission_index: Some(submission),
                timeout: None,
            };
            if let Err(error) = device.poll(wait) {
                faults.failed(format!("polling the device: {error}"));
            }
        }
    }
}
