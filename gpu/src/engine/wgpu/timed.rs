//! A play with time stamps: a pass a dispatch, so that each is told apart. For measuring, not for answering.

use std::time::Duration;

use super::prepared::{Prepared, Step};
use super::reader::Reader;
use crate::engine::{Stamps, StampsFuture, TimesFuture};
use crate::error::Error;

/// Dispatches whose stamps fit one query set, two each.
const STAMPED: usize = ::wgpu::QUERY_SET_MAX_QUERIES as usize / 2;
const STAMP_BYTES: u64 = 8;

/// Queues all dispatches of a plan, each in a pass of its own with a stamp before and behind it, whatever its gate says.
pub fn play(device: &::wgpu::Device, queue: &::wgpu::Queue, reader: &Reader, prepared: &Prepared) -> TimesFuture {
    if !has_stamps(device) {
        let mut encoder = device.create_command_encoder(&::wgpu::CommandEncoderDescriptor::default());
        super::prepared::encode(&mut encoder, prepared.gate(0), prepared.all_steps());
        queue.submit([encoder.finish()]);
        return Box::pin(async { Ok(None) });
    }
    let steps: Vec<&Step> = prepared.all_steps().iter().collect();
    let spans = stamped(device, queue, reader, &steps, Step::encode_ungated);
    Box::pin(async move {
        Ok(Some(
            spans
                .await?
                .into_iter()
                .map(|(begin, end)| end.saturating_sub(begin))
                .collect(),
        ))
    })
}

/// Queues a slice behind its gate, the same way; `None` if the adapter has no stamps: then the slice is not queued.
///
/// Errors: `Engine` if there is no such slice.
pub fn play_slice(
    device: &::wgpu::Device,
    queue: &::wgpu::Queue,
    reader: &Reader,
    prepared: &Prepared,
    slice: usize,
) -> Result<Option<StampsFuture>, Error> {
    let (gate, steps) = (prepared.gate(slice), prepared.steps(slice)?);
    if !has_stamps(device) {
        return Ok(None);
    }
    let all: Vec<&Step> = gate.into_iter().chain(steps).collect();
    let (spans, is_gated) = (stamped(device, queue, reader, &all, Step::encode), gate.is_some());
    Ok(Some(Box::pin(async move { Ok(Some(stamps_of(&spans.await?, is_gated))) })))
}

/// The spans of a slice's dispatches, the first of them its gate's if it has one.
fn stamps_of(spans: &[Span], is_gated: bool) -> Stamps {
    let taken = |(begin, end): &Span| end.saturating_sub(*begin);
    let start = spans.first().map_or(Duration::ZERO, |(begin, _)| *begin);
    let (gate, dispatches) = spans.split_at(usize::from(is_gated).min(spans.len()));
    Stamps {
        gate: gate.first().map(taken),
        dispatches: dispatches.iter().map(taken).collect(),
        begins: dispatches.iter().map(|(begin, _)| begin.saturating_sub(start)).collect(),
        whole: spans.last().map_or(Duration::ZERO, |(_, end)| end.saturating_sub(start)),
    }
}

fn has_stamps(device: &::wgpu::Device) -> bool {
    device.features().contains(::wgpu::Features::TIMESTAMP_QUERY)
}

/// When a dispatch began and ended, by the adapter's clock.
type Span = (Duration, Duration);

/// Submits the steps and gives their spans when they are through.
fn stamped(
    device: &::wgpu::Device,
    queue: &::wgpu::Queue,
    reader: &Reader,
    steps: &[&Step],
    encode: fn(&Step, &mut ::wgpu::ComputePass<'_>),
) -> impl Future<Output = Result<Vec<Span>, Error>> + use<> {
    let ns_a_tick = f64::from(queue.get_timestamp_period());
    let reads: Vec<_> = steps
        .chunks(STAMPED)
        .map(|steps| reader.read(&submit(device, queue, steps, encode), 0, 2 * STAMP_BYTES * steps.len() as u64))
        .collect();
    async move {
        let mut spans = Vec::new();
        for read in reads {
            let bytes = read.await?;
            for pair in bytes.as_chunks::<16>().0 {
                spans.push(span_of(pair, ns_a_tick)?);
            }
        }
        Ok(spans)
    }
}

/// Submits steps whose stamps fit one query set, and gives the buffer that these go to.
fn submit(
    device: &::wgpu::Device,
    queue: &::wgpu::Queue,
    steps: &[&Step],
    encode: fn(&Step, &mut ::wgpu::ComputePass<'_>),
) -> ::wgpu::Buffer {
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
        encode(step, &mut pass);
    }
    encoder.resolve_query_set(&stamps, 0..count, &buffer, 0);
    queue.submit([encoder.finish()]);
    buffer
}

/// What lies between two stamps.
///
/// Errors: as [`span_of`].
pub fn time_of(pair: &[u8; 16], ns_a_tick: f64) -> Result<Duration, Error> {
    span_of(pair, ns_a_tick).map(|(begin, end)| end.saturating_sub(begin))
}

/// From the stamps before and behind.
///
/// Errors: `Engine` for a clock that ran backwards, as some drivers' do.
fn span_of(pair: &[u8; 16], ns_a_tick: f64) -> Result<Span, Error> {
    let (words, _) = pair.as_chunks::<8>();
    let [begin, end] = [words[0], words[1]].map(u64::from_le_bytes);
    if end < begin {
        return Err(Error::Engine {
            what: "play",
            message: format!("its clock ran from {begin} to {end}"),
        });
    }
    // In floating point a clock that has run for days would lose nanoseconds.
    let at = |ticks: u64| match ns_a_tick {
        1.0 => Duration::from_nanos(ticks),
        _ => Duration::from_secs_f64(ticks as f64 * ns_a_tick * 1e-9),
    };
    Ok((
        at(begin),
        at(begin) + Duration::from_nanos(((end - begin) as f64 * ns_a_tick) as u64),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_ticks_apart() {
        let pair = |begin: u64, end: u64| [begin.to_le_bytes(), end.to_le_bytes()].concat().try_into();
        let pair = |begin, end| pair(begin, end).expect("16 bytes");
        let span = Ok((Duration::from_nanos(2500), Duration::from_nanos(7500)));
        assert_eq!(span_of(&pair(1000, 3000), 2.5), span);
        assert_eq!(
            span_of(&pair(u64::MAX - 1, u64::MAX), 1.0).map(|(begin, end)| end - begin),
            Ok(Duration::from_nanos(1))
        );
        assert!(span_of(&pair(3, 2), 1.0).is_err());
    }

    #[test]
    fn a_slices_stamps_begin_at_its_first() {
        let us = Duration::from_micros;
        let spans = [(us(100), us(101)), (us(103), us(108)), (us(109), us(110))];
        let gated = Stamps {
            gate: Some(us(1)),
            dispatches: vec![us(5), us(1)],
            begins: vec![us(3), us(9)],
            whole: us(10),
        };
        assert_eq!(stamps_of(&spans, true), gated);
        let plain = stamps_of(&spans[1..], false);
        assert_eq!((plain.gate, plain.begins, plain.whole), (None, vec![us(0), us(6)], us(7)));
        assert_eq!(stamps_of(&[], true).whole, Duration::ZERO);
    }
}
