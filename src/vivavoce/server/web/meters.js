/** Both voices as scrolling spectrograms, one above the other, and the microphone's level. */

const TOP = 7000; // Hz
const SPEED = 48; // columns a second

export class Meters {
  /** `channels` gives the two analysers, or null for one that is not there. */
  constructor(canvas, level, channels) {
    Object.assign(this, { canvas, level, channels, drawn: 0, loud: 0 });
    this.pen = canvas.getContext("2d", { alpha: false });
    new ResizeObserver(() => this.fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.fit());
    this.fit();
    requestAnimationFrame((now) => this.tick(now));
  }

  fit() {
    const before = document.createElement("canvas");
    Object.assign(before, { width: this.canvas.width, height: this.canvas.height });
    before.getContext("2d").drawImage(this.canvas, 0, 0);
    const ratio = Math.min(2, devicePixelRatio || 1);
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(2, Math.round(this.canvas.clientHeight * ratio));
    const style = getComputedStyle(this.canvas);
    this.back = style.getPropertyValue("--glass").trim();
    this.inks = ["--you-light", "--house-light"].map((name) => ramp(this.back, style.getPropertyValue(name).trim()));
    this.pen.fillStyle = this.back;
    this.pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.drawn) this.pen.drawImage(before, this.canvas.width - before.width, 0, before.width, this.canvas.height);
  }

  tick(now) {
    requestAnimationFrame((next) => this.tick(next));
    const columns = Math.min(24, Math.floor(((now - this.drawn) / 1000) * SPEED));
    if (columns < 1) return;
    this.drawn = now;
    const { width, height } = this.canvas;
    const pixels = columns * Math.max(1, Math.round(width / 480));
    this.pen.drawImage(this.canvas, -pixels, 0);
    this.channels().forEach((analyser, lane) => this.lane(analyser, lane, width - pixels, pixels, height / 2));
  }

  lane(analyser, lane, x, width, height) {
    const top = lane * height;
    this.pen.fillStyle = this.back;
    this.pen.fillRect(x, top, width, height);
    if (!analyser) {
      if (lane === 0) this.level.value = 0;
      return;
    }
    if (analyser.fftSize !== 1024) Object.assign(analyser, { fftSize: 1024, smoothingTimeConstant: 0.3, minDecibels: -95, maxDecibels: -30 });
    const bins = (this.bins ??= new Uint8Array(512));
    analyser.getByteFrequencyData(bins);
    const perHz = analyser.fftSize / analyser.context.sampleRate;
    const rows = Math.floor(height) - 3;
    for (let y = 0; y < rows; y += 2) {
      const hz = TOP * (1 - y / rows) ** 1.7; // low tones get more room, as the ear gives them
      this.pen.fillStyle = this.inks[lane][bins[Math.round(hz * perHz)] >> 3];
      this.pen.fillRect(x, top + y + 2, width, 2);
    }
    if (lane === 0) this.loudness(analyser);
  }

  loudness(analyser) {
    const wave = (this.wave ??= new Float32Array(1024));
    analyser.getFloatTimeDomainData(wave);
    const power = wave.reduce((sum, x) => sum + x * x, 0) / wave.length;
    const level = Math.max(0, Math.min(1, 1 + Math.log10(power + 1e-9) / 6));
    this.loud = Math.max(level, this.loud - 0.04);
    this.level.value = this.loud;
  }
}

/** 32 steps from the glass to full brightness; both colours as #rrggbb. */
function ramp(from, to) {
  const parts = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const [a, b] = [parts(from), parts(to)];
  return Array.from({ length: 32 }, (_, step) => {
    const share = (step / 31) ** 1.3;
    return `rgb(${a.map((x, i) => Math.round(x + share * (b[i] - x))).join(" ")})`;
  });
}
