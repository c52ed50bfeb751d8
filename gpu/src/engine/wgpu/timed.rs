//! A play with time stamps: a pass a dispatch, so that each is told apart. For measuring, not for answering.

use std::time::Duration;

use super::prepared::{Prepared, Step};
use super::reader::Reader;
use crate::engine::TimesFuture;
use crate::error::Error;

/// Dispatches whose stamps fit one query set, two each.
const STAMPED: usize = ::wgpu::QUERY_SET_MAX_QUERIES as usize / 2;
const STAMP_BYTES: u64 = 8;

/// Queues all dispatches of a plan, each in a pass of its own with a stamp before and behind it.
pub fn play(device: &::wgpu::Device, queue: &::wgpu::Queue, reader: &Reader, prepared: &Prepared) -> TimesFuture {
    if !device.features().contains(::wgpu::Features::TIMESTAMP_QUERY) {
        let mut encoder = device.create_command_encoder(&::wgpu::CommandEncoderDescriptor::default());
        super::prepared::encode(&mut encoder, prepared.gate(0), prepared.all_steps());
        queue.submit([encoder.finish()]);
        return Box::pin(async { Ok(None) });
    }
    let ns_a_tick = f64::from(queue.get_timestamp_period());
    let reads: Vec<_> = prepared
        .all_steps()
        .chunks(STAMPED)
        .map(|steps| reader.read(&stamped(device, queue, steps), 0, 2 * STAMP_BYTES * steps.len() as u64))
        .collect();
    Box::pin(async move {
        let mut times = Vec::new();
        for read in reads {
            let bytes = read.await?;
            for pair in bytes.as_chunks::<16>().0 {
                times.push(time_of(pair, ns_a_tick)?);
            }
        }
        Ok(Some(times))
    })
}

/// Submits the steps and gives the buffer that their stamps go to.
fn stamped(device: &::wgpu::Device, queue: &::wgpu::Queue, steps: &[Step]) -> ::wgpu::Buffer {
    let count = 2 * steps.len() as u32;
    let stamps = device.create_query_set(&::wgpu::QuerySetDescriptor {
        label: Some("stamps"),
        ty: ::wgpu::QueryType::Timestamp,
        count,
    });
    let buffer = device.create_buffer(&::wgpu::BufferDescriptor {
        label: Some("stamps"),
        size: STAMP_BYTES * u64::from(count),
        usage: ::wgpu::BufferUsages::QUERY_RESOLVE | ::wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&::wgpu::CommandEncoderDescriptor { label: Some("timed") });
    for (first, step) in (0..count).step_by(2).zip(steps) {
        let mut pass = encoder.begin_compute_pass(&::wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes: Some(::wgpu::ComputePassTimestampWrites {
                query_set: &stamps,
                beginning_of_pass_write_index: Some(first),
                end_of_pass_write_index: Some(first + 1),
            }),
        });
        step.encode_ungated(&mut pass);
    }
    encoder.resolve_query_set(&stamps, 0..count, &buffer, 0);
    queue.submit([encoder.finish()]);
    buffer
}

/// From the stamps before and behind.
///
/// Errors: `Engine` for a clock that ran backwards, as some drivers' do.
pub fn time_of(pair: &[u8; 16], ns_a_tick: f64) -> Result<Duration, Error> {
    let (words, _) = pair.as_chunks::<8>();
    let [begin, end] = [words[0], words[1]].map(u64::from_le_bytes);
    let ticks = end.checked_sub(begin).ok_or_else(|| Error::Engine {
        what: "play",
        message: format!("its clock ran from {begin} to {end}"),
    })?;
    Ok(Duration::from_nanos((ticks as f64 * ns_a_tick) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_ticks_apart() {
        let pair = |begin: u64, end: u64| [begin.to_le_bytes(), end.to_le_bytes()].concat().try_into();
        let pair = |begin, end| pair(begin, end).expect("16 bytes");
        assert_eq!(time_of(&pair(1000, 3000), 2.5), Ok(Duration::from_micros(5)));
        assert!(time_of(&pair(3, 2), 1.0).is_err());
    }
}
