/** A conversation over `/v1/realtime`, as any client of the protocol holds it; opens itself again when the line breaks. */

import { toBase64 } from "./sound.js";

const FULL = 2_000_000; // bytes that may wait in the socket; more is dropped, late sound is of no use

export class Connection {
  /**
   * `hello` gives the client events that begin a session (settings and what was said before); `told` gets every server
   * event; `changed` gets "opening", "open", "waiting", "closed" or "refused" and a sentence.
   */
  constructor({ url, hello, told, changed }) {
    Object.assign(this, { url, hello, told, changed, key: "", state: "closed", tries: 0, socket: null, timer: 0, held: [] });
    addEventListener("online", () => this.state === "waiting" && this.open());
  }

  open() {
    clearTimeout(this.timer);
    this.farewell = this.wish = null;
    this.set(this.tries ? "waiting" : "opening");
    const protocols = ["realtime", "vivavoce.playback"];
    if (this.key) protocols.push(`openai-insecure-api-key.${this.key}`);
    const socket = new WebSocket(this.url, protocols);
    this.socket = socket;
    socket.onmessage = ({ data }) => socket === this.socket && this.receive(JSON.parse(data));
    socket.onclose = () => socket === this.socket && this.over();
  }

  /** Ends it for good, or opens another one as soon as this one has ended. */
  close({ again = false } = {}) {
    clearTimeout(this.timer);
    const socket = this.socket;
    if (!socket || socket.readyState === WebSocket.CLOSED) {
      this.socket = null;
      return again ? this.open() : this.set("closed");
    }
    this.wish = again ? "again" : "closed";
    this.set(again ? "opening" : "closed");
    socket.close(1000);
  }

  receive(event) {
    if (event.type === "session.created") {
      this.tries = 0;
      this.set("open"); // those who count samples begin anew before the first one is sent
      for (const first of [...this.hello(), ...this.held.splice(0)]) this.send(first);
    } else if (event.type === "error" && (event.event_id === "event_refused" || event.error.code?.startsWith("session_"))) {
      this.farewell = event.error;
    }
    this.told(event);
  }

  over() {
    this.socket = null;
    const code = this.farewell?.code;
    if (this.wish === "closed") return;
    if (this.wish === "again") return this.open();
    if (code === "session_idle") return this.set("closed", "The line was quiet for long, so it was closed. Talk or write to go on.");
    if (code && !["capacity", "session_expired", "rate_limit_exceeded"].includes(code)) {
      return this.set("refused", this.farewell.message, code);
    }
    const seconds = Math.min(8, 0.5 * 2 ** this.tries++);
    this.set("waiting", this.farewell?.message ?? "");
    this.timer = setTimeout(() => this.open(), 1000 * seconds);
  }

  set(state, message = "", code = "") {
    this.state = state;
    this.changed(state, message, code);
  }

  /** Sends an event, if the line is open. */
  send(event) {
    if (this.state === "open") this.socket.send(JSON.stringify(event));
  }

  /** Sends an event, now or as soon as the line is open. */
  later(event) {
    if (this.state === "open") this.send(event);
    else this.held = [event];
  }

  /** Sends sound; false when it had to be dropped. */
  sound(pcm) {
    if (this.state !== "open" || this.socket.bufferedAmount > FULL) return false;
    this.socket.send(JSON.stringify({ type: "input_audio_buffer.append", audio: toBase64(pcm) }));
    return true;
  }
}
