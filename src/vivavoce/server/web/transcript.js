/** What both sides said, as it is said; what was cut off is shown as not heard. */

export class Transcript {
  constructor(list, announce, name) {
    Object.assign(this, { list, announce, name, lines: new Map() });
  }

  /** Everything that was really said and heard, as items for another session. */
  items() {
    const items = [];
    for (const { role, heard } of this.lines.values()) {
      if (!heard.trim()) continue;
      const kind = role === "user" ? "input_text" : "output_text";
      items.push({ type: "message", role, content: [{ type: kind, text: heard }] });
    }
    return items;
  }

  /** Another session counts its items anew. */
  shelve() {
    const old = [...this.lines.values()];
    this.lines = new Map(old.map((line, place) => [`shelved ${place}`, line]));
  }

  line(id, role) {
    let line = this.lines.get(id);
    if (!line) {
      const row = document.createElement("li");
      row.className = role === "user" ? "you" : "house";
      row.innerHTML = '<span class="who"></span><p><span class="said"></span><del></del></p><span class="note"></span>';
      row.querySelector(".who").textContent = role === "user" ? "You" : this.name;
      this.list.append(row);
      line = { role, row, heard: "", open: true };
      this.lines.set(id, line);
    }
    return line;
  }

  show(line) {
    line.row.querySelector(".said").textContent = line.heard.replace(/\bi\b(?!-)/g, "I");
    line.row.classList.toggle("open", line.open);
    line.row.scrollIntoView({ block: "nearest" });
  }

  /** Somebody begins; the words come later. */
  begin(id, role) {
    this.show(this.line(id, role));
  }

  more(id, role, delta) {
    const line = this.line(id, role);
    line.heard += delta;
    this.show(line);
  }

  /** These are the words; said once to screen readers. */
  done(id, role, text) {
    const line = this.line(id, role);
    line.heard = text;
    line.open = false;
    if (!text.trim()) return this.remove(id);
    this.show(line);
    this.announce(`${role === "user" ? "You" : this.name}: ${text}`);
  }

  /** It was never said, as far as the house remembers. */
  remove(id) {
    this.lines.get(id)?.row.remove();
    this.lines.delete(id);
  }

  /** Where the slip is out of sight, on a phone, the order stands between the lines as well. */
  call(text) {
    const row = document.createElement("li");
    row.className = "call";
    row.textContent = text;
    row.setAttribute("aria-hidden", "true"); // the slip is read out
    this.list.append(row);
  }

  /** Only the first words were heard. */
  cut(id, heard) {
    const line = this.lines.get(id);
    if (!line) return;
    const whole = line.heard;
    line.heard = heard;
    line.open = false;
    this.show(line);
    const rest = whole.startsWith(heard) ? whole.slice(heard.length) : "";
    line.row.querySelector("del").textContent = rest;
    if (rest.trim()) this.note(id, heard ? "cut off" : "not heard");
  }

  /** Only this share of it was heard. */
  cutAt(id, share) {
    const words = this.lines.get(id)?.heard.split(/(?=\s)/) ?? [];
    this.cut(id, words.slice(0, Math.floor(share * words.length)).join(""));
  }

  /** What was begun will not be finished. */
  settle() {
    for (const [id, line] of this.lines) if (line.open) this.done(id, line.role, line.heard);
  }

  note(id, text) {
    const line = this.lines.get(id);
    if (!line) return;
    const note = line.row.querySelector(".note");
    note.textContent = [note.textContent, text].filter(Boolean).join(" · ");
    if (line.row === this.list.lastElementChild) line.row.scrollIntoView({ block: "nearest" });
  }
}
