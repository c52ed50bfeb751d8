// Microphone and loudspeaker for the program: permission, the sound's own thread, and which worker each end belongs to.
let context = null;
let module = null; // the promise of its worklets
let microphone = null; // { stream, node }
const loudspeakers = new Set();
const workers = new Set(); // those that are told the sound's time

const TIME_EVERY_MS = 1000;

function audio() {
  if (!context) {
    context = new AudioContext();
    module = context.audioWorklet.addModule(document.querySelector("meta[name=sound]").content);
    setInterval(() => workers.forEach(tellTime), TIME_EVERY_MS);
  }
  return context;
}

// When frame 0 of the context sounded, by the clock that all threads have.
function zero() {
  const { contextTime, performanceTime } = context.getOutputTimestamp();
  const [at, sounds] = contextTime > 0
    ? [performanceTime, contextTime]
    : [performance.now() + 1000 * (context.outputLatency || 0), context.currentTime];
  return performance.timeOrigin + at - 1000 * sounds;
}

function tellTime(worker) {
  worker.postMessage(JSON.stringify({ to: "audio_time", unix_ms: zero() }));
}

// Joins a node of the sound's thread to a worker, which hears of it as `name`.
function join(node, worker, name) {
  const { port1, port2 } = new MessageChannel();
  node.port.postMessage({ worker: port1 }, [port1]);
  worker.postMessage({ [name]: port2, rate: context.sampleRate }, [port2]);
  workers.add(worker);
  tellTime(worker);
}

export const sound = {
  canHear: () => Boolean(navigator.mediaDevices?.getUserMedia && globalThis.AudioWorkletNode),

  // Sound may only start from a person's own act: called from one.
  unlock() {
    audio().resume();
  },

  // Asks for the microphone. `level` hears how loud it is some twelve times a second, `ended` that the device is gone.
  async openMicrophone(level, ended) {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, autoGainControl: true, noiseSuppression: false } });
    sound.closeMicrophone();
    await (audio(), module);
    context.resume();
    const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => microphone?.node === node && level(data);
    context.createMediaStreamSource(stream).connect(node);
    microphone = { stream, node };
    const [track] = stream.getAudioTracks();
    track.addEventListener("ended", () => microphone?.stream === stream && ended());
    return track.label;
  },

  joinMicrophone(worker) {
    join(microphone.node, worker, "microphone");
  },

  // A closed gate hears silence.
  gate(open) {
    microphone?.node.port.postMessage({ open });
  },

  closeMicrophone() {
    microphone?.stream.getTracks().forEach((track) => track.stop());
    microphone?.node.port.postMessage({ end: true });
    microphone = null;
  },

  // A loudspeaker for a worker, until the worker is let go.
  async joinLoudspeaker(worker) {
    await (audio(), module);
    const node = new AudioWorkletNode(context, "loudspeaker", { numberOfInputs: 0, outputChannelCount: [1] });
    node.connect(context.destination);
    loudspeakers.add({ node, worker });
    join(node, worker, "loudspeaker");
  },

  // The worker is no more.
  leave(worker) {
    workers.delete(worker);
    for (const speaker of loudspeakers) {
      if (speaker.worker !== worker) continue;
      speaker.node.port.postMessage({ end: true });
      speaker.node.disconnect();
      loudspeakers.delete(speaker);
    }
  },

  // Silence at once. What waits is for the worker to cut.
  hush() {
    for (const { node } of loudspeakers) node.port.postMessage({ hush: true });
  },

  // Joins the parts of a pipeline that two workers have.
  bridge(one, placeOfOne, other, placeOfOther) {
    const { port1, port2 } = new MessageChannel();
    one.postMessage({ bridge: port1, place: placeOfOther }, [port1]);
    other.postMessage({ bridge: port2, place: placeOfOne }, [port2]);
  },
};
