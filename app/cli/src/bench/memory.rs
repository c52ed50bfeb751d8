//! How much memory the program has now, and how much of the processors' time it has had. Not whose it is.

use std::time::Duration;

#[cfg(feature = "counted")]
#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// Bytes that are allocated and not freed; `None` in a program without the feature `counted`.
pub fn allocated_bytes() -> Option<u64> {
    #[cfg(feature = "counted")]
    return Some(ALLOCATOR.allocated() as u64);
    #[cfg(not(feature = "counted"))]
    None
}

/// Resident bytes, from the kernel's own count; `None` where there is none of this form (it is Linux's).
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// CPU time of all threads so far; `None` where there is none of this form (it is Linux's).
pub fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may have spaces; then the state is the first field, user time the 12th, system time the 13th.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    // A tick is a hundredth of a second on every Linux that programs see (`USER_HZ`).
    Some(Duration::from_millis(10 * ticks))
}
