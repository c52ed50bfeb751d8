//! Standard error while the view has the terminal: what is written waits, and comes out when the view closes.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most that waits; what comes after it is left out.
const LIMIT_BYTES: usize = 256 << 10;

static HELD: Mutex<Option<Vec<u8>>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Vec<u8>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on what is written waits.
pub fn hold() {
    lock().get_or_insert_default();
    // A panic's words would be drawn over the view.
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_held = lock().is_some();
            match is_held {
                true => note(&info.to_string()),
                false => default(info),
            }
        }));
    });
}

/// What waited comes out, and what is written comes out at once again.
pub fn release() {
    if let Some(held) = lock().take() {
        // Nobody is left to tell.
        let _ = io::stderr().write_all(&held);
    }
}

/// A line on standard error.
pub fn note(line: &str) {
    // Nobody is left to tell.
    let _ = writeln!(Stderr, "{line}");
}

/// Standard error, or what waits for it.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *lock() {
            Some(held) => {
                if held.len() + bytes.len() <= LIMIT_BYTES {
                    held.extend_from_slice(bytes);
                }
                Ok(bytes.len())
            }
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
