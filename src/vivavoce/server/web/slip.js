/** Calls as slips of paper: the newest on top, those before it pinned behind. */

/** A value as somebody reads it who does not program; the call below it stands as it was made. */
function shown(value) {
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(shown).join(", ");
  if (typeof value !== "object") return String(value);
  return Object.entries(value)
    .map(([key, inner]) => `${words(key.replaceAll("_", " "))}: ${shown(inner)}`)
    .join(", ");
}

const words = (name) => name.replace(/([A-Z])/g, " $1").toLowerCase();

export class Slips {
  /**
   * `tools` whose first required argument is what a slip is about; that of any other has the tool's name on top.
   * `labels` are the names of arguments where their own would not do.
   */
  constructor(place, tools, labels = {}) {
    Object.assign(this, { place, tools, labels, count: 0, response: null, slip: null });
  }

  /** A call; several of one response stand on one slip. Gives it in one line. */
  add(response, name, text) {
    if (response !== this.response || !this.slip) this.newSlip(response);
    let given;
    try {
      given = JSON.parse(text);
    } catch {
      given = {};
    }
    const schema = this.tools.find((tool) => tool.name === name)?.parameters ?? {};
    const main = schema.required?.[0];
    const line = document.createElement("section");
    const title = document.createElement("h3");
    title.textContent = given[main] === undefined ? words(name.replaceAll("_", " ")) : shown(given[main]);
    const list = document.createElement("dl");
    for (const key of [...Object.keys(schema.properties ?? {}), ...Object.keys(given)]) {
      if (key === main || given[key] === undefined || list.querySelector(`[data-key="${CSS.escape(key)}"]`)) continue;
      const term = document.createElement("dt");
      const value = document.createElement("dd");
      term.dataset.key = key;
      term.textContent = this.labels[key] ?? words(key.replaceAll("_", " "));
      value.textContent = shown(given[key]);
      list.append(term, value);
    }
    const raw = document.createElement("details");
    const summary = document.createElement("summary");
    const code = document.createElement("code");
    summary.textContent = "the call";
    code.textContent = `${name}(${JSON.stringify(given)})`;
    raw.append(summary, code);
    line.append(title, list, raw);
    this.slip.append(line);
    return [title, ...list.querySelectorAll("dd")].map((part) => part.textContent).join(", ");
  }

  newSlip(response) {
    this.response = response;
    const slip = document.createElement("article");
    slip.className = "slip";
    const head = document.createElement("header");
    const number = document.createElement("span");
    const time = document.createElement("time");
    number.textContent = `No. ${String(++this.count).padStart(3, "0")}`;
    time.textContent = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    head.append(number, time);
    slip.append(head);
    this.place.querySelector(".slip.blank")?.remove();
    this.place.prepend(slip);
    [...this.place.querySelectorAll(".slip")].slice(3).forEach((old) => old.remove());
    this.slip = slip;
  }
}
