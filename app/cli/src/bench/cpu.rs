//! How much of the processor's time this program has used. Not of the device's.

use std::time::Duration;

/// Time on a processor, of all threads that live, from the kernel's own count; `None` where there is none of this form (it is
/// Linux's).
pub fn processor_time() -> Option<Duration> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let of_thread = |path: std::path::PathBuf| -> Option<u64> {
        // A thread may end meanwhile.
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    let all: Vec<u64> = threads.flatten().filter_map(|thread| of_thread(thread.path())).collect();
    (!all.is_empty()).then(|| Duration::from_nanos(all.iter().sum()))
}
