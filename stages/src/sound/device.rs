//! Microphones and speakers through `cpal` (feature `desktop`). A stream lives on a thread of its own, since on some systems it
//! cannot leave the one that opened it, and ends when its [`Keep`] is dropped.

use std::sync::mpsc;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Device, FromSample, SampleFormat, SizedSample, Stream, SupportedStreamConfig};

/// Keeps a stream open.
pub struct Keep(#[expect(dead_code, reason = "dropping it ends the thread")] mpsc::Sender<()>);

/// Opens a stream on a thread of its own, waits until it runs, and gives what `open` says of it. Blocks.
fn on_thread<T: Send + 'static>(
    name: &str,
    open: impl FnOnce() -> Result<(Stream, T), String> + Send + 'static,
) -> Result<(Keep, T), String> {
    let (keep, kept) = mpsc::channel::<()>();
    let (ready, is_ready) = mpsc::channel();
    let body = move || {
        let opened = open().and_then(|(stream, value)| match stream.play() {
            Ok(()) => Ok((stream, value)),
            Err(error) => Err(error.to_string()),
        });
        match opened {
            Ok((stream, value)) => {
                let _ = ready.send(Ok(value));
                // Until the other end is dropped.
                let _ = kept.recv();
                drop(stream);
            }
            Err(message) => drop(ready.send(Err(message))),
        }
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| error.to_string())?;
    let value = is_ready.recv().map_err(|_| "its thread ended".to_owned())??;
    Ok((Keep(keep), value))
}

/// The device whose name has `wanted` in it, or the usual one.
fn find(devices: Vec<Device>, usual: Option<Device>, wanted: Option<&str>) -> Result<Device, String> {
    let Some(wanted) = wanted else {
        return usual.ok_or_else(|| "there is none".to_owned());
    };
    let lower = wanted.to_lowercase();
    let names: Vec<String> = devices.iter().map(ToString::to_string).collect();
    let found = devices
        .into_iter()
        .zip(&names)
        .find(|(_, name)| name.to_lowercase().contains(&lower));
    found
        .map(|(device, _)| device)
        .ok_or_else(|| format!("none is called \"{wanted}\"; there are: {}", names.join(", ")))
}

fn text(error: cpal::Error) -> String {
    error.to_string()
}

/// Opens a microphone; `hear` gets the mean of its channels, a piece at a time, on the device's own thread, and `fail` what goes wrong
/// later. Gives its samples a second. Blocks.
///
/// Errors: a sentence about what is not there.
pub fn open_microphone(
    wanted: Option<String>,
    hear: impl FnMut(&[f32]) + Send + 'static,
    fail: impl FnMut(String) + Send + 'static,
) -> Result<(Keep, u32), String> {
    on_thread("microphone", move || {
        let host = cpal::default_host();
        let devices = host.input_devices().map_err(text)?.collect();
        let device = find(devices, host.default_input_device(), wanted.as_deref())?;
        let config = device.default_input_config().map_err(text)?;
        let stream = match config.sample_format() {
            SampleFormat::I16 => input::<i16>(&device, &config, hear, fail),
            SampleFormat::U16 => input::<u16>(&device, &config, hear, fail),
            SampleFormat::I32 => input::<i32>(&device, &config, hear, fail),
            SampleFormat::F32 => input::<f32>(&device, &config, hear, fail),
            other => return Err(format!("{device} gives samples of type {other}, which are not read")),
        };
        Ok((stream.map_err(text)?, config.sample_rate()))
    })
}

fn input<T: SizedSample>(
    device: &Device,
    config: &SupportedStreamConfig,
    mut hear: impl FnMut(&[f32]) + Send + 'static,
    mut fail: impl FnMut(String) + Send + 'static,
) -> Result<Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels()).max(1);
    let mut mono = Vec::new();
    let data = move |samples: &[T], _: &cpal::InputCallbackInfo| {
        mono.clear();
        mono.extend(samples.chunks_exact(channels).map(|frame| {
            let sum: f32 = frame.iter().map(|sample| f32::from_sample_(*sample)).sum();
            sum / channels as f32
        }));
        hear(&mono);
    };
    device.build_input_stream(config.config(), data, move |error| fail(error.to_string()), None)
}

/// Opens a speaker; `give` fills pieces of one channel on the device's own thread, and is told how long it is until they sound.
/// Gives its samples a second. Blocks.
///
/// Errors: a sentence about what is not there.
pub fn open_speaker<G: FnMut(&mut [f32], std::time::Duration) + Send + 'static>(
    wanted: Option<String>,
    give: impl FnOnce(u32) -> G + Send + 'static,
    fail: impl FnMut(String) + Send + 'static,
) -> Result<(Keep, u32), String> {
    on_thread("speaker", move || {
        let host = cpal::default_host();
        let devices = host.output_devices().map_err(text)?.collect();
        let device = find(devices, host.default_output_device(), wanted.as_deref())?;
        let config = device.default_output_config().map_err(text)?;
        let give = give(config.sample_rate());
        let stream = match config.sample_format() {
            SampleFormat::I16 => output::<i16>(&device, &config, give, fail),
            SampleFormat::U16 => output::<u16>(&device, &config, give, fail),
            SampleFormat::I32 => output::<i32>(&device, &config, give, fail),
            SampleFormat::F32 => output::<f32>(&device, &config, give, fail),
            other => return Err(format!("{device} takes samples of type {other}, which are not written")),
        };
        Ok((stream.map_err(text)?, config.sample_rate()))
    })
}

fn output<T: SizedSample + FromSample<f32>>(
    device: &Device,
    config: &SupportedStreamConfig,
    mut give: impl FnMut(&mut [f32], std::time::Duration) + Send + 'static,
    mut fail: impl FnMut(String) + Send + 'static,
) -> Result<Stream, cpal::Error> {
    let channels = usize::from(config.channels()).max(1);
    let mut mono = Vec::new();
    let data = move |samples: &mut [T], info: &cpal::OutputCallbackInfo| {
        mono.resize(samples.len() / channels, 0.0);
        let times = info.timestamp();
        give(&mut mono, times.playback.duration_since(times.callback));
        for (frame, sample) in samples.chunks_mut(channels).zip(&mono) {
            frame.fill(T::from_sample_(*sample));
        }
    };
    device.build_output_stream(config.config(), data, move |error| fail(error.to_string()), None)
}
