import { RATE, Resampler } from "./sound.js";

const CHUNK = RATE / 25;

/** Hands on what the microphone gives: 24 kHz, 40 ms at a time. */
class Ears extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate);
    this.chunk = new Float32Array(CHUNK);
    this.filled = 0;
  }

  process([[channel]]) {
    if (!channel) return true;
    for (const x of this.resampler.push(channel)) {
      this.chunk[this.filled++] = x;
      if (this.filled === CHUNK) {
        this.port.postMessage(this.chunk, [this.chunk.buffer]);
        this.chunk = new Float32Array(CHUNK);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("ears", Ears);
