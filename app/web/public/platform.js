// What the page needs of the browser's media interfaces, as plain functions for the program.
import { sound } from "./audio.js";

let stream = null;
let latest = null; // the newest VideoFrame, where tracks can be read
let video = null; // else the picture is taken from a video element

function drop() {
  latest?.close();
  latest = null;
}

// Reads the track as it comes and keeps the newest frame; works while this page is hidden, too.
async function follow(track) {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return drop();
    drop();
    latest = value;
  }
}

globalThis.platform = {
  ...sound,

  canShare: () => Boolean(navigator.mediaDevices?.getDisplayMedia),

  // Asks for a screen, a window or a tab; `ended` is called when the person ends it elsewhere. Gives its name.
  async share(ended) {
    const shared = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 5 } }, audio: false });
    platform.unshare();
    stream = shared;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => stream === shared && ended());
    if ("MediaStreamTrackProcessor" in globalThis) {
      follow(track);
    } else {
      video = document.createElement("video");
      video.muted = true;
      video.srcObject = stream;
      await video.play();
    }
    return track.label;
  },

  // Shows what is shared in a video element of the page.
  show(element) {
    if (element.srcObject !== stream) element.srcObject = stream;
  },

  unshare() {
    const old = stream;
    stream = null;
    old?.getTracks().forEach((track) => track.stop());
    drop();
    video = null;
  },

  // A picture of what is shared now, to be transferred; null when nothing is.
  async shot() {
    for (let tries = 0; stream && tries < 100; tries++) {
      if (latest) return latest.clone();
      if (video?.readyState >= 2) return createImageBitmap(video);
      await new Promise((go) => setTimeout(go, 50));
    }
    return null;
  },
};
