// Sound in and out: a microphone into which recordings are played when a test says so, and an ear at the loudspeaker.
import { readFileSync } from "node:fs";

const speech = process.env.SPEECH;

// The person chose the processor in the settings: beside a GPU that is played in software nothing else would have time.
export const onProcessor = (page) => page.addInitScript(() => localStorage.setItem("qwglm.simulated", "true"));

// `getUserMedia` gives a stream that is silent until `say` is called.
export async function fakeMicrophone(page, names) {
  const clips = Object.fromEntries(names.map((name) => [name, readFileSync(`${speech}/${name}.flac`).toString("base64")]));
  await page.addInitScript((clips) => {
    let context = null;
    let out = null;
    globalThis.fakeMicrophone = {
      asked: 0,
      // Begins to say a clip, from a second in it on; its length in seconds.
      async say(name, from) {
        const bytes = Uint8Array.from(atob(clips[name]), (c) => c.charCodeAt(0));
        const source = new AudioBufferSourceNode(context, { buffer: await context.decodeAudioData(bytes.buffer) });
        source.connect(out);
        source.start(0, from);
        return source.buffer.duration;
      },
      // As when a microphone is unplugged.
      unplug() {
        const [track] = out.stream.getAudioTracks();
        track.stop();
        track.dispatchEvent(new Event("ended"));
      },
      isOpen: () => out.stream.getAudioTracks().some((track) => track.readyState === "live"),
    };
    navigator.mediaDevices.getUserMedia = async () => {
      fakeMicrophone.asked += 1;
      context = new AudioContext();
      out = context.createMediaStreamDestination();
      await context.resume();
      return out.stream;
    };
  }, clips);
}

export const say = (page, name, from = 0) => page.evaluate(([name, from]) => fakeMicrophone.say(name, from), [name, from]);

// `getUserMedia` fails as a browser's does: "NotAllowedError", "NotFoundError".
export async function noMicrophone(page, error) {
  await page.addInitScript((error) => {
    navigator.mediaDevices.getUserMedia = async () => {
      throw new DOMException("no microphone", error);
    };
  }, error);
}

// Hears what the page's worklets give to the loudspeaker, as a stream would carry it: `sounded` has the loudness of every 10 ms
// with its time in seconds.
export async function hearSpeaker(page) {
  await page.addInitScript(() => {
    globalThis.sounded = [];
    const { connect } = AudioNode.prototype;
    async function hear(stream) {
      const [track] = stream.getAudioTracks();
      const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1000 }).readable.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        const samples = new Float32Array(value.numberOfFrames);
        value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
        const rms = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
        globalThis.sounded.push({ time: value.timestamp / 1e6, seconds: value.duration / 1e6, rms });
        value.close();
      }
    }
    AudioNode.prototype.connect = function (to, ...rest) {
      if (to instanceof AudioDestinationNode && this instanceof AudioWorkletNode) {
        const ear = this.context.createMediaStreamDestination();
        connect.call(this, ear);
        hear(ear.stream);
      }
      return connect.call(this, to, ...rest);
    };
  });
}

// How long there was sound so far, and how loud it was at most.
export const soundSoFar = (page) =>
  page.evaluate(() => {
    const loud = sounded.filter(({ rms }) => rms > 0.001);
    return { seconds: loud.reduce((sum, { seconds }) => sum + seconds, 0), loudness: Math.max(0, ...loud.map(({ rms }) => rms)) };
  });

// Waits until there is sound of so many seconds more than before.
export async function soundFor(page, seconds, timeout) {
  const end = (await soundSoFar(page)).seconds + seconds;
  await page.waitForFunction(
    (end) => sounded.reduce((sum, { rms, seconds }) => (rms > 0.001 ? sum + seconds : sum), 0) > end,
    end,
    { timeout, polling: 50 },
  );
  return soundSoFar(page);
}

// Waits until nothing at all has sounded for half a second; how long after `since` the last sound was, in milliseconds.
export async function silenceAfter(page, since, timeout = 20_000) {
  const last = await page.waitForFunction(
    (since) => {
      const last = sounded.findLast(({ rms }) => rms > 0)?.time ?? since;
      return sounded.at(-1).time - Math.max(last, since) > 0.5 && { last };
    },
    since,
    { timeout, polling: 50 },
  );
  return Math.max(0, 1000 * ((await last.jsonValue()).last - since));
}

export const soundTime = (page) => page.evaluate(() => sounded.at(-1).time);
