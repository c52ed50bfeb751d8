// The two ends of sound, on the browser's own thread for it: what a microphone hears goes to a worker, and what a worker sends is
// played. The page's thread has no part in either.
const PIECE = 1024; // frames of a piece: about 20 ms
const TOLD_EVERY = 4; // pieces: some twelve times a second
const MAX_UNHEARD = 64; // pieces that a worker has not taken: about 1.4 s

// Pieces of one channel: { frame, lost, samples }, each to be answered once it was taken. A closed gate hears silence. To the page:
// how loud it is.
class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.isOpen = true;
    this.loudness = this.nMeasured = 0;
    this.unheard = 0;
    this.lost = 0;
    this.begin();
    this.port.onmessage = ({ data }) => {
      if ("open" in data) this.isOpen = data.open;
      if ("end" in data) this.isOver = true;
      if (!data.worker) return;
      this.worker?.close();
      this.worker = data.worker;
      this.unheard = 0;
      this.worker.onmessage = () => (this.unheard -= 1);
    };
  }

  begin() {
    this.piece = new Float32Array(PIECE);
    this.n = 0;
  }

  process([channels]) {
    if (this.isOver) return false;
    const n = channels[0]?.length ?? 128;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.piece[this.n++] = this.isOpen && channels.length > 0 ? sum / channels.length : 0;
      if (this.n === PIECE) this.send(currentFrame + i + 1 - PIECE);
    }
    return true;
  }

  send(frame) {
    const samples = this.piece;
    this.begin();
    this.loudness = Math.max(this.loudness, Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / PIECE));
    if (++this.nMeasured === TOLD_EVERY) {
      this.port.postMessage(this.loudness);
      this.loudness = this.nMeasured = 0;
    }
    if (!this.worker) return;
    if (this.unheard >= MAX_UNHEARD) {
      this.lost += PIECE;
      return;
    }
    this.unheard += 1;
    this.worker.postMessage({ frame, lost: this.lost, samples }, [samples.buffer]);
    this.lost = 0;
  }
}

// Plays what a worker pushes, in order, and says which frames of it sounded when: { done, frame, n } is n frames, the first of them
// at `frame` of the context, after the command `done`. Commands have numbers that grow: { id, push }, { id, cut }, { id, hold }.
class Loudspeaker extends AudioWorkletProcessor {
  constructor() {
    super();
    this.waiting = [];
    this.next = 0; // in the first of them
    this.done = 0;
    this.isHeld = false;
    this.isHushed = false; // by the page, until what waits was cut
    this.played = 0; // frames that were not told yet, and where they began
    this.start = 0;
    this.port.onmessage = ({ data }) => {
      if (data.hush) this.isHushed = true;
      if (data.end) this.isOver = true;
      if (!data.worker) return;
      this.worker = data.worker;
      this.worker.onmessage = (event) => this.obey(event.data);
    };
  }

  obey({ id, push, cut, hold }) {
    this.tell();
    if (push) this.waiting.push(push);
    if (cut) {
      this.waiting = [];
      this.next = 0;
      this.isHeld = this.isHushed = false;
    }
    if (hold !== undefined) this.isHeld = hold;
    this.done = id;
    this.worker.postMessage({ done: id, frame: currentFrame, n: 0 });
  }

  tell() {
    if (this.played > 0) this.worker.postMessage({ done: this.done, frame: this.start, n: this.played });
    this.played = 0;
  }

  process(_inputs, [[out]]) {
    if (this.isOver) return false;
    let n = 0;
    while (n < out.length && this.waiting.length > 0 && !this.isHeld && !this.isHushed) {
      const [first] = this.waiting;
      const part = first.subarray(this.next, this.next + out.length - n);
      out.set(part, n);
      n += part.length;
      this.next += part.length;
      if (this.next === first.length) {
        this.waiting.shift();
        this.next = 0;
      }
    }
    if (n > 0 && this.played === 0) this.start = currentFrame;
    this.played += n;
    // What follows a gap is told by itself.
    if (this.played >= PIECE || n < out.length) this.tell();
    return true;
  }
}

registerProcessor("microphone", Microphone);
registerProcessor("loudspeaker", Loudspeaker);
