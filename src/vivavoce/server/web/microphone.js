/** The microphone as chunks of 40 ms at 24 kHz, with the moment at which each sample was heard. */

import { RATE } from "./sound.js";

const WISHES = { echoCancellation: true, noiseSuppression: false, autoGainControl: true, channelCount: 1 };

const TROUBLE = {
  NotAllowedError:
    "The microphone was refused. Allow it beside the address of this page and press Talk again, or write instead.",
  NotFoundError: "There is no microphone. Plug one in and press Talk again, or write instead.",
  NotReadableError: "The microphone is in use by another program. Close that one and press Talk again, or write instead.",
};

export class Microphone {
  /** `onChunk` gets samples; `onLost` is called when the device goes away. */
  constructor(onChunk, onLost) {
    Object.assign(this, { onChunk, onLost, muted: false, recording: null, context: null, analyser: null });
    this.restart();
  }

  get on() {
    return this.context !== null;
  }

  /** Asks for the microphone; an Error with a sentence for the user when there is none. */
  async start() {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers give the microphone to pages from https or localhost only. You can write instead.");
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: WISHES });
    } catch (error) {
      throw new Error(TROUBLE[error.name] ?? `The microphone does not work (${error.message}). You can write instead.`);
    }
    const context = new AudioContext({ latencyHint: "interactive" });
    await context.audioWorklet.addModule(new URL("microphone-worklet.js", import.meta.url));
    const source = context.createMediaStreamSource(stream);
    const ears = new AudioWorkletNode(context, "ears", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    ears.port.onmessage = ({ data }) => this.hear(data);
    source.connect(ears);
    this.analyser = context.createAnalyser();
    source.connect(this.analyser);
    const [track] = stream.getAudioTracks();
    track.onended = () => {
      this.stop();
      this.onLost();
    };
    await context.resume();
    Object.assign(this, { stream, context });
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.context?.close();
    Object.assign(this, { stream: null, context: null, analyser: null });
  }

  /** A new conversation counts its samples from nothing. */
  restart() {
    this.sent = 0;
    this.times = [];
  }

  hear(pcm) {
    if (this.recording) this.recording.push(pcm.slice());
    // muted, the clock goes on: the house hears silence, so a sentence that was begun can end
    if (this.muted || this.recording) pcm = new Float32Array(pcm.length);
    if (!this.onChunk(pcm)) return;
    this.sent += pcm.length;
    this.times.push([this.sent, performance.now()]);
    if (this.times.length > 1500) this.times.splice(0, 500);
  }

  /** When the sample was heard, as performance.now() counts. */
  timeOf(sample) {
    const found = this.times.find(([sent]) => sent >= sample) ?? this.times.at(-1);
    return found ? found[1] - ((found[0] - sample) / RATE) * 1000 : performance.now();
  }

  /** Keeps what is said from now on; nothing of it goes into the conversation. */
  record() {
    this.recording = [];
  }

  /** What was said since `record`. */
  recorded() {
    const chunks = this.recording ?? [];
    this.recording = null;
    const all = new Float32Array(chunks.reduce((sum, c) => sum + c.length, 0));
    chunks.reduce((at, chunk) => (all.set(chunk, at), at + chunk.length), 0);
    return all;
  }
}
