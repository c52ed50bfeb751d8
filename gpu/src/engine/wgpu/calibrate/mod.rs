//! What a device can do, measured: bandwidths, rates, the cost of launches. With shaders of its own, which do nothing but that;
//! how near a model's kernels come is not asked here.

use std::time::Duration;

use pipeline::time::Clock;

use super::WgpuEngine;
use crate::engine::{Adapter, Engine};
use crate::error::Result;
use crate::kernel::cost::Unit;
use crate::kernel::preamble::{Compiler, Need, preamble};

/// What was measured; 0 where the adapter has no such unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Bytes that were read over and over, and bytes a second, by size.
    pub reads: Vec<(u64, f64)>,
    /// Operations a second, a multiply with its add being two.
    pub f32_ops: f64,
    pub f16_ops: f64,
    pub int8_ops: f64,
    pub matrix_ops: f64,
    /// From one launch to the next, which reads what the first wrote; and where it does not.
    pub dependent_launch: Duration,
    pub independent_launch: Duration,
    /// From a submission until the CPU knows that it ran.
    pub round_trip: Duration,
    /// Bytes a second from the CPU's memory to the device's.
    pub upload: f64,
}

impl Measured {
    /// Bytes a second of memory: of the largest range.
    pub fn memory(&self) -> f64 {
        self.reads.last().map_or(0.0, |&(_, speed)| speed)
    }

    /// The last cache's bytes a second, and its size: the largest range that is nearer to the fastest than to memory, and the speed
    /// of half of it, which is not yet disturbed. `None` where no range is clearly faster than memory.
    pub fn cache(&self) -> Option<(f64, u64)> {
        let fastest = self.reads.iter().map(|&(_, speed)| speed).fold(0.0, f64::max);
        if fastest <= 1.25 * self.memory() {
            return None;
        }
        let is_held = |&&(_, speed): &&(u64, f64)| speed > (fastest + self.memory()) / 2.0;
        let &(size, speed) = self.reads.iter().rfind(is_held)?;
        let half = self.reads.iter().find(|(other, _)| *other == size / 2);
        Some((half.map_or(speed, |&(_, speed)| speed), size))
    }
}

/// Workgroups of 256 lanes that read.
const READERS: u32 = 1024;
/// A count ends when it takes this long.
const LONG_ENOUGH: Duration = Duration::from_millis(3);
/// Of so many counts the shortest.
const COUNTS: usize = 3;
/// Clocks rise over tens of milliseconds.
const WARM_UP: Duration = Duration::from_millis(100);
const SMALLEST_READ: u64 = 4 << 20;
const LARGEST_READ: u64 = 512 << 20;
const LARGEST_READ_IN_SOFTWARE: u64 = 64 << 20;
const UPLOAD_BYTES: usize = 64 << 20;
/// Workgroups that compute, at most.
const MOST_GROUPS: u32 = 1 << 15;
const LAUNCHES: usize = 64;
const ROUND_TRIPS: u32 = 20;

/// A shader that runs alone.
struct Probe {
    pipeline: ::wgpu::ComputePipeline,
}

/// All of them; rates with the operations of a workgroup.
struct Probes {
    rates: Vec<(Unit, Probe, u64)>,
    read: Probe,
    nothing: Probe,
}

/// Rounds of the loops that compute.
const TURNS: u64 = 64;

/// A launch: pipeline, bind group, workgroups.
type Launch<'a> = (&'a Probe, &'a ::wgpu::BindGroup, u32);

impl WgpuEngine {
    /// Measures the device. Takes a few seconds; nothing else should run.
    ///
    /// Errors: those of the device.
    pub async fn calibrate(&mut self) -> Result<Measured> {
        let adapter = self.adapter.clone();
        let y = self.storage("calibrate", 4096)?;
        let mut words = [0.75f32; 16];
        words[12] = f32::from_bits(TURNS as u32);
        self.queue.write_buffer(&y, 0, bytemuck::cast_slice(&words));
        let started = Clock::new();
        let began = started.now();
        let probes = self.probes(&adapter);
        tracing::debug!(took = ?started.now().since(began), "probes compiled");
        let mut measured = Measured::default();
        for (what, probe, operations) in &probes.rates {
            let rate = self.rate(probe, &y, *operations).await?;
            match what {
                Unit::F32 => measured.f32_ops = rate,
                Unit::F16 => measured.f16_ops = rate,
                Unit::Int8 => measured.int8_ops = rate,
                Unit::Matrix => measured.matrix_ops = rate,
            }
        }
        measured.reads = self.reads(&probes.read, &y).await?;
        (measured.dependent_launch, measured.independent_launch) = self.launches(&probes.nothing, &y).await?;
        measured.round_trip = self.round_trip(&y).await?;
        measured.upload = self.upload().await?;
        self.faults.check("calibrate", "", 0)?;
        Ok(measured)
    }

    /// Operations a second of a shader that does so many a workgroup.
    async fn rate(&mut self, probe: &Probe, y: &::wgpu::Buffer, operations: u64) -> Result<f64> {
        let group = self.bind(probe, &[y]);
        let mut groups = 64;
        let clock = Clock::new();
        let started = clock.now();
        loop {
            let took = self.time(&[(probe, &group, groups)]).await?;
            let is_long = took >= LONG_ENOUGH || groups >= MOST_GROUPS;
            if !is_long {
                groups *= 2;
            } else if clock.now().since(started) >= WARM_UP {
                break;
            }
        }
        let best = self.best(&[(probe, &group, groups)]).await?;
        Ok(operations as f64 * f64::from(groups) / best.as_secs_f64())
    }

    async fn reads(&mut self, probe: &Probe, y: &::wgpu::Buffer) -> Result<Vec<(u64, f64)>> {
        let largest = match self.adapter.software {
            true => LARGEST_READ_IN_SOFTWARE,
            false => LARGEST_READ,
        };
        let limit = self.adapter.max_binding_bytes.min(self.adapter.max_buffer_bytes);
        let largest = largest.min((limit + 1).next_power_of_two() / 2);
        let x = self.storage("calibrate", largest)?;
        let bytes_a_turn = 4 * 16 * 256 * u64::from(READERS);
        let mut found = Vec::new();
        // Memory that was never touched may not be there yet.
        let words = [(largest / 16 - 1) as u32, (largest / bytes_a_turn).max(1) as u32, 0, 0];
        let group = self.bind(probe, &[&self.uniform(&words), &x, y]);
        self.time(&[(probe, &group, READERS)]).await?;
        let mut size = SMALLEST_READ.min(largest);
        while size <= largest {
            let mut turns = (size / bytes_a_turn).max(1) as u32;
            let (best, turns) = loop {
                let words = [(size / 16 - 1) as u32, turns, 0, 0];
                let params = self.uniform(&words);
                let group = self.bind(probe, &[&params, &x, y]);
                let launch = [(probe, &group, READERS)];
                let took = self.time(&launch).await?;
                if took >= LONG_ENOUGH || turns >= 1 << 14 {
                    break (self.best(&launch).await?, turns);
                }
                turns *= 2;
            };
            found.push((size, (bytes_a_turn * u64::from(turns)) as f64 / best.as_secs_f64()));
            size *= 2;
        }
        Ok(found)
    }

    /// What a launch costs that waits for the one before it, and one that does not.
    async fn launches(&mut self, probe: &Probe, y: &::wgpu::Buffer) -> Result<(Duration, Duration)> {
        let one = self.bind(probe, &[y]);
        let dependent = vec![(probe, &one, 1); LAUNCHES];
        let buffers = (0..LAUNCHES)
            .map(|_| self.storage("calibrate", 256))
            .collect::<Result<Vec<_>>>()?;
        let groups: Vec<_> = buffers.iter().map(|buffer| self.bind(probe, &[buffer])).collect();
        let independent: Vec<Launch<'_>> = groups.iter().map(|group| (probe, group, 1)).collect();
        let n = LAUNCHES as u32;
        Ok((self.best(&dependent).await? / n, self.best(&independent).await? / n))
    }

    async fn round_trip(&mut self, y: &::wgpu::Buffer) -> Result<Duration> {
        let clock = Clock::new();
        let mut best = Duration::MAX;
        for _ in 0..ROUND_TRIPS {
            let started = clock.now();
            self.reader.read(y, 0, 4).await?;
            best = best.min(clock.now().since(started));
        }
        Ok(best)
    }

    async fn upload(&mut self) -> Result<f64> {
        let bytes = vec![1u8; UPLOAD_BYTES];
        let tensor = self.create("calibrate", UPLOAD_BYTES as u64)?;
        let clock = Clock::new();
        let mut best = Duration::MAX;
        for _ in 0..2 {
            let started = clock.now();
            self.write(tensor, 0, &bytes)?;
            self.read(tensor, 0, 4).await?;
            best = best.min(clock.now().since(started));
        }
        self.release(tensor);
        Ok(UPLOAD_BYTES as f64 / best.as_secs_f64())
    }

    async fn best(&mut self, launches: &[Launch<'_>]) -> Result<Duration> {
        let mut best = Duration::MAX;
        for _ in 0..COUNTS {
            best = best.min(self.time(launches).await?);
        }
        Ok(best.max(Duration::from_nanos(1)))
    }

    /// How long launches take in one pass: by time stamps, else by the clock.
    async fn time(&mut self, launches: &[Launch<'_>]) -> Result<Duration> {
        let stamps = self.adapter.timestamps.then(|| {
            self.device.create_query_set(&::wgpu::QuerySetDescriptor {
                label: None,
                ty: ::wgpu::QueryType::Timestamp,
                count: 2,
            })
        });
        let buffer = self.device.create_buffer(&::wgpu::BufferDescriptor {
            label: Some("stamps"),
            size: 16,
            usage: ::wgpu::BufferUsages::QUERY_RESOLVE | ::wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let mut encoder = self
            .device
            .create_command_encoder(&::wgpu::CommandEncoderDescriptor::default());
        {
            let writes = stamps.as_ref().map(|query_set| ::wgpu::ComputePassTimestampWrites {
                query_set,
                beginning_of_pass_write_index: Some(0),
                end_of_pass_write_index: Some(1),
            });
            let mut pass = encoder.begin_compute_pass(&::wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: writes,
            });
            for &(probe, group, groups) in launches {
                pass.set_pipeline(&probe.pipeline);
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups(groups, 1, 1);
            }
        }
        if let Some(stamps) = &stamps {
            encoder.resolve_query_set(stamps, 0..2, &buffer, 0);
        }
        let clock = Clock::new();
        let started = clock.now();
        self.queue.submit([encoder.finish()]);
        let bytes = self.reader.read(&buffer, 0, 16).await?;
        let waited = clock.now().since(started);
        match (stamps, bytes.first_chunk::<16>()) {
            (Some(_), Some(pair)) => super::timed::time_of(pair, f64::from(self.queue.get_timestamp_period())),
            _ => Ok(waited),
        }
    }

    fn storage(&self, name: &str, size: u64) -> Result<::wgpu::Buffer> {
        let buffer = self.device.create_buffer(&::wgpu::BufferDescriptor {
            label: Some(name),
            size,
            usage: ::wgpu::BufferUsages::STORAGE | ::wgpu::BufferUsages::COPY_SRC | ::wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.faults.check("tensor", name, size)?;
        Ok(buffer)
    }

    fn uniform(&self, words: &[u32; 4]) -> ::wgpu::Buffer {
        let buffer = self.device.create_buffer(&::wgpu::BufferDescriptor {
            label: Some("calibrate"),
            size: 16,
            usage: ::wgpu::BufferUsages::UNIFORM | ::wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        buffer
    }

    /// Compiled side by side where there are threads.
    fn probes(&self, adapter: &Adapter) -> Probes {
        let multiply = TURNS * 16 * 4 * 2 * 256;
        let mut rates = vec![
            (Unit::F32, rate_of("f32"), vec![], multiply),
            (
                Unit::Int8,
                include_str!("rate_int8.wgsl").to_owned(),
                vec![],
                TURNS * 8 * 8 * 256,
            ),
        ];
        if adapter.has(Need::F16) {
            rates.push((Unit::F16, rate_of("f16"), vec![Need::F16], multiply));
        }
        let needs = vec![Need::F16, Need::Subgroups, Need::Coop];
        let has_matrices = adapter.coop_f16_side() == Some(16) && adapter.subgroups == Some((32, 32));
        if has_matrices && needs.iter().all(|&need| adapter.has(need)) {
            let operations = TURNS * 8 * 8 * 2 * 16 * 16 * 16;
            rates.push((Unit::Matrix, include_str!("rate_matrix.wgsl").to_owned(), needs, operations));
        }
        let made = super::pipelines::side_by_side(&rates, |(unit, source, needs, operations)| {
            (*unit, self.probe(source, needs), *operations)
        });
        Probes {
            rates: made,
            read: self.probe(include_str!("read.wgsl"), &[]),
            nothing: self.probe(include_str!("nothing.wgsl"), &[]),
        }
    }

    fn probe(&self, source: &str, needs: &[Need]) -> Probe {
        let compiler = match cfg!(target_arch = "wasm32") {
            true => Compiler::Browser,
            false => Compiler::Naga,
        };
        let text = format!("{}{source}", preamble(needs, compiler));
        let descriptor = ::wgpu::ShaderModuleDescriptor {
            label: Some("calibrate"),
            source: ::wgpu::ShaderSource::Wgsl(text.into()),
        };
        #[expect(unsafe_code, reason = "what is measured must be what kernels run as")]
        // SAFETY: the shaders beside this file, whose indices are masked or constant and whose loops end.
        let module = unsafe {
            self.device
                .create_shader_module_trusted(descriptor, ::wgpu::ShaderRuntimeChecks::unchecked())
        };
        let pipeline = self.device.create_compute_pipeline(&::wgpu::ComputePipelineDescriptor {
            label: Some("calibrate"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: ::wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        Probe { pipeline }
    }

    fn bind(&self, probe: &Probe, buffers: &[&::wgpu::Buffer]) -> ::wgpu::BindGroup {
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| ::wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        self.device.create_bind_group(&::wgpu::BindGroupDescriptor {
            label: Some("calibrate"),
            layout: &probe.pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }
}

/// `rate.wgsl` for a type.
fn rate_of(real: &str) -> String {
    let source = include_str!("rate.wgsl");
    format!("alias Real = {real};\nalias Four = vec4<{real}>;\n{source}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_what_is_clearly_faster_than_memory() {
        let gib = f64::from(1 << 30);
        let measured = |speeds: &[f64]| Measured {
            reads: (0..).map(|i| 4 << (20 + i)).zip(speeds.iter().map(|s| s * gib)).collect(),
            ..Measured::default()
        };
        let found = measured(&[5.0, 6.0, 5.5, 3.0, 2.0, 2.0]);
        assert_eq!((found.memory(), found.cache()), (2.0 * gib, Some((6.0 * gib, 16 << 20))));
        assert_eq!(measured(&[2.1, 2.0, 2.0]).cache(), None);
        assert_eq!(Measured::default().memory(), 0.0);
    }
}
