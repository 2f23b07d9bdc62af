/** Sound as numbers: the wire's base64, WAV files, and another sample rate. No browser needed, so worklets use it too. */

export const RATE = 24000;

const clip = (x) => Math.max(-1, Math.min(1, x));

/** Samples in [-1, 1] as base64 of 16 bit little endian. */
export function toBase64(pcm) {
  const view = new DataView(new ArrayBuffer(2 * pcm.length));
  pcm.forEach((x, i) => view.setInt16(2 * i, Math.round(clip(x) * 32767), true));
  let text = "";
  for (let i = 0; i < view.byteLength; i++) text += String.fromCharCode(view.getUint8(i));
  return btoa(text);
}

/** The samples that base64 of 16 bit little endian holds. */
export function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length >> 1 }, (_, i) => view.getInt16(2 * i, true) / 32768);
}

/** A WAV file of one channel. */
export function wavFile(pcm, rate = RATE) {
  const view = new DataView(new ArrayBuffer(44 + 2 * pcm.length));
  const word = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  word(0, "RIFF"), word(8, "WAVEfmt "), word(36, "data");
  view.setUint32(4, 36 + 2 * pcm.length, true), view.setUint32(16, 16, true), view.setUint32(40, 2 * pcm.length, true);
  view.setUint16(20, 1, true), view.setUint16(22, 1, true);
  view.setUint32(24, rate, true), view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true), view.setUint16(34, 16, true);
  pcm.forEach((x, i) => view.setInt16(44 + 2 * i, Math.round(clip(x) * 32767), true));
  return new Blob([view], { type: "audio/wav" });
}

/** Changes the rate of a stream: a windowed sinc whose edge lies below the lower of the two Nyquist rates. */
export class Resampler {
  constructor(from, to = RATE) {
    this.step = from / to;
    this.edge = 0.92 * Math.min(1, to / from);
    this.half = Math.ceil(16 / this.edge);
    this.past = new Float32Array(2 * this.half); // silence, so that the first sample has neighbours
    this.at = this.half;
    this.kernels = new Map(); // common rates meet the same few phases again and again
  }

  /** The weights of the samples around a moment that lies this far behind one of them. */
  kernel(phase) {
    const key = Math.round(1e6 * phase);
    let taps = this.kernels.get(key);
    if (!taps) {
      taps = Float64Array.from({ length: 2 * this.half }, (_, i) => {
        const t = i - this.half + 1 - phase;
        const angle = Math.PI * this.edge * t;
        const sinc = Math.abs(t) < 1e-9 ? 1 : Math.sin(angle) / angle;
        return this.edge * sinc * (0.5 + 0.5 * Math.cos((Math.PI * t) / (this.half + 1)));
      });
      if (this.kernels.size < 1000) this.kernels.set(key, taps);
    }
    return taps;
  }

  push(pcm) {
    if (this.step === 1) return pcm;
    const x = new Float32Array(this.past.length + pcm.length);
    x.set(this.past), x.set(pcm, this.past.length);
    const made = [];
    for (; this.at + this.half < x.length; this.at += this.step) {
      const middle = Math.floor(this.at);
      const taps = this.kernel(this.at - middle);
      let sum = 0;
      for (let i = 0, j = middle - this.half + 1; i < taps.length; i++, j++) sum += taps[i] * x[j];
      made.push(sum);
    }
    const drop = Math.max(0, Math.floor(this.at) - this.half);
    this.past = x.slice(drop);
    this.at -= drop;
    return Float32Array.from(made);
  }
}
