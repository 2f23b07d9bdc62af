/** The loudspeaker: plays what the house says and tells how much of it was heard, to the sample. */

import { RATE } from "./sound.js";

export class Playback {
  /** `told` is called with what the worklet tells: began, progress, ended. */
  constructor(told) {
    Object.assign(this, { told, context: null, analyser: null, open: new Set(), stopping: [] });
  }

  /** Has to be called from a gesture. */
  async start() {
    if (!this.context) {
      const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
      this.context = context;
      await context.audioWorklet.addModule(new URL("playback-worklet.js", import.meta.url));
      this.node = new AudioWorkletNode(context, "mouth", { numberOfInputs: 0, outputChannelCount: [1] });
      this.node.port.onmessage = ({ data }) => this.tell(data);
      this.analyser = context.createAnalyser();
      this.node.connect(this.analyser);
      this.node.connect(context.destination);
    }
    await this.context.resume();
  }

  get speaking() {
    return this.open.size > 0;
  }

  push(id, pcm) {
    if (!this.node || !pcm.length) return;
    this.open.add(id);
    this.node.port.postMessage({ type: "push", id, pcm }, [pcm.buffer]);
  }

  /** Nothing more comes for this item. */
  whole(id) {
    this.node?.port.postMessage({ type: "whole", id });
  }

  pause() {
    this.node?.port.postMessage({ type: "pause" });
  }

  resume() {
    this.node?.port.postMessage({ type: "resume" });
  }

  /** Silence at once; gives the items that were not over, with the samples that were played of each. */
  async stop() {
    this.open.clear();
    if (!this.node) return [];
    this.node.port.postMessage({ type: "stop" });
    return new Promise((resolve) => this.stopping.push(resolve));
  }

  tell(data) {
    if (data.type === "stopped") return this.stopping.shift()(data.cut);
    if (data.type === "ended") this.open.delete(data.id);
    this.told({ ...data, at: data.time === undefined ? undefined : this.audibleAt(data.time) });
  }

  /** When a moment of the context's clock comes out of the loudspeaker, as performance.now() counts. */
  audibleAt(time) {
    const stamp = this.context.getOutputTimestamp?.();
    if (stamp?.performanceTime) return stamp.performanceTime + (time - stamp.contextTime) * 1000;
    return performance.now() + (this.context.outputLatency || this.context.baseLatency || 0) * 1000;
  }
}
