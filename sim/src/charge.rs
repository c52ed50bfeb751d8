//! [`Charge`]: a device's queue in modelled time. Plays are computed at once; whoever reads waits on the run's clock until a
//! device of the profile would have come so far.

use std::time::Duration;

use gpu::engine::ReadFuture;
use gpu::plan::Plan;
use pipeline::time::{Clock, Timestamp};

use crate::timing::Device;
use crate::timing::dry::Costed;

/// See the file's head.
pub struct Charge {
    pub device: Device,
    clock: Clock,
    /// When all that is queued is done.
    free_at: Timestamp,
}

/// A prepared recording's plan on the device, and how long its slices take as it is being played.
pub struct Charged {
    costed: Costed,
    slices: Vec<Duration>,
}

impl Charged {
    pub fn new(plan: Plan) -> Self {
        Self {
            costed: Costed::new(plan),
            slices: Vec::new(),
        }
    }
}

impl Charge {
    pub fn new(device: Device, clock: Clock) -> Self {
        Self {
            device,
            clock,
            free_at: Timestamp::default(),
        }
    }

    /// A slice is queued, with so many tokens in the KV cache before the first.
    pub fn play(&mut self, charged: &mut Charged, slice: usize, n_cached: usize) {
        if slice == 0 {
            charged.slices = charged.costed.slices(&self.device, n_cached);
        }
        let taken = charged.slices.get(slice).copied().unwrap_or_default();
        self.queue(taken);
    }

    /// A slice is queued whose dispatches find that there is nothing to do.
    pub fn play_nothing(&mut self, charged: &Charged, slice: usize) {
        let dispatches = charged.costed.plan.slices.get(slice).map_or(0, |range| range.len());
        let dispatch_s = self.device.profile.launch.dispatch_us * 1e-6;
        self.queue(Duration::from_secs_f64(dispatch_s * dispatches as f64));
    }

    /// Bytes are uploaded, as fast as weights come in.
    pub fn write(&mut self, n_bytes: usize) {
        let rate = self.device.profile.load.gb_s * 1e9;
        let start = self.free_at.max(self.clock.now());
        self.free_at = Timestamp(start.0 + Duration::from_secs_f64(n_bytes as f64 / rate));
    }

    /// The same result, when the device would have it. In real time at once.
    pub fn delay(&self, read: ReadFuture) -> ReadFuture {
        let (clock, free_at) = (self.clock.clone(), self.free_at);
        Box::pin(async move {
            clock.charge(free_at.since(clock.now())).await;
            read.await
        })
    }

    /// A queue that has run dry waits for the submission first.
    fn queue(&mut self, taken: Duration) {
        let submit = Duration::from_secs_f64(self.device.profile.launch.submit_us * 1e-6);
        let start = self.free_at.max(Timestamp(self.clock.now().0 + submit));
        self.free_at = Timestamp(start.0 + taken);
    }
}
