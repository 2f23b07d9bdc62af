const LEAD = 0.08; // this much is kept ready before a reply begins, and again after the line ran dry
const FADE = 1 / 960; // per sample: 40 ms from full to nothing

/**
 * Plays replies in their order and knows to the sample how much of each left for the loudspeaker. What has left cannot
 * be called back, so it counts as heard.
 */
class Mouth extends AudioWorkletProcessor {
  constructor() {
    super();
    this.items = []; // {id, chunks, at, queued, played, whole, started}
    this.gain = 1;
    this.wanted = 1;
    this.dry = true;
    this.reported = 0;
    this.port.onmessage = ({ data }) => this[data.type](data);
  }

  item(id) {
    let item = this.items.find((known) => known.id === id);
    if (!item) {
      item = { id, chunks: [], at: 0, queued: 0, played: 0, whole: false, started: false };
      this.items.push(item);
    }
    return item;
  }

  push({ id, pcm }) {
    const item = this.item(id);
    item.chunks.push(pcm);
    item.queued += pcm.length;
  }

  whole({ id }) {
    const item = this.items.find((known) => known.id === id);
    if (item) item.whole = true;
  }

  pause() {
    this.wanted = 0;
  }

  resume() {
    this.wanted = 1;
  }

  stop() {
    const cut = this.items.map(({ id, played, queued }) => ({ id, played, queued }));
    this.items = [];
    this.gain = this.wanted = 1;
    this.dry = true;
    this.port.postMessage({ type: "stopped", cut });
  }

  process(_, [[out]]) {
    const item = this.items[0];
    if (item && (!this.dry || item.whole || item.queued >= LEAD * sampleRate)) this.play(item, out);
    return true;
  }

  play(item, out) {
    this.dry = false;
    for (let i = 0; i < out.length; i++) {
      this.gain += Math.max(-FADE, Math.min(FADE, this.wanted - this.gain));
      if (this.gain <= 0) break; // paused: the rest waits where it is
      const chunk = item.chunks[0];
      if (!chunk) break;
      const x = chunk[item.at++];
      out[i] = x * this.gain;
      item.played++;
      item.queued--;
      if (!item.started && Math.abs(x) > 0.004) {
        item.started = true;
        this.port.postMessage({ type: "began", id: item.id, time: currentTime + i / sampleRate });
      }
      if (item.at === chunk.length) {
        item.chunks.shift();
        item.at = 0;
      }
    }
    if (!item.chunks.length) {
      this.dry = true;
      if (item.whole) {
        this.items.shift();
        this.port.postMessage({ type: "ended", id: item.id, played: item.played });
      }
    }
    if (currentTime - this.reported >= 0.1) {
      this.reported = currentTime;
      this.port.postMessage({ type: "progress", id: item.id, played: item.played });
    }
  }
}

registerProcessor("mouth", Mouth);
