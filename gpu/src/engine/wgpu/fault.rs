//! Errors that the device reports on the side: they surface in the next call, or in a read that is waiting.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};

#[derive(Clone, Debug)]
enum Fault {
    /// Stays: nothing works any more.
    Lost(String),
    OutOfMemory,
    Failed(String),
}

/// The first fault since the last that was reported. Cheap to clone; shared with the device's callbacks.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    /// Installs the device's callbacks, so that no error ends the process.
    pub fn watch(device: &::wgpu::Device) -> Self {
        let faults = Self::default();
        let uncaptured = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error: ::wgpu::Error| {
            let message = error.to_string();
            uncaptured.put(match error {
                ::wgpu::Error::OutOfMemory { .. } => Fault::OutOfMemory,
                ::wgpu::Error::Validation { .. } | ::wgpu::Error::Internal { .. } => Fault::Failed(message),
            });
        }));
        let lost = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            lost.put(Fault::Lost(format!("{reason:?}: {message}")));
        });
        faults
    }

    /// Reports the fault that is there, once; a lost device each time.
    ///
    /// Errors: `DeviceLost`; `OutOfMemory` of `size_bytes`; `Engine`.
    pub fn check(&self, what: &'static str, name: &str, size_bytes: u64) -> Result<()> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = match &*slot {
            Some(Fault::Lost(_)) => slot.clone(),
            _ => slot.take(),
        };
        drop(slot);
        match fault {
            None => Ok(()),
            Some(Fault::Lost(message)) => Err(Error::DeviceLost { message }),
            Some(Fault::OutOfMemory) => Err(Error::OutOfMemory {
                what: format!("{what} {name}").trim_end().to_owned(),
                size_bytes,
            }),
            Some(Fault::Failed(message)) => Err(Error::Engine { what, message }),
        }
    }

    /// Why a read failed.
    pub fn cause(&self, what: &'static str, message: String) -> Error {
        match self.check(what, "", 0) {
            Err(error) => error,
            Ok(()) => Error::Engine { what, message },
        }
    }

    /// The device answered a poll with an error.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn failed(&self, message: String) {
        self.put(Fault::Failed(message));
    }

    fn put(&self, fault: Fault) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The first fault is the cause of those that follow; only a loss outranks it.
        if slot.is_none() || matches!(fault, Fault::Lost(_)) && !matches!(*slot, Some(Fault::Lost(_))) {
            *slot = Some(fault);
        }
    }
}
