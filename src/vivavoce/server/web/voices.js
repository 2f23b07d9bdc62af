/** The voice box: presets, a voice in words, and voices cloned from a clip with their owner's consent. */

import { wavFile } from "./sound.js";

const LONGEST = 20; // seconds of one recording

const PRESETS = [
  ["Bright", "a bright, lively young woman, a little fast"],
  ["Low", "a very low, calm voice of a man"],
  ["Whisper", "a soft whispering woman, slow"],
  ["Dwarf", "a grumpy old dwarf, loud and rough"],
  ["Goblin", "a squeaky goblin, quick and excited"],
  ["Machine", "a flat, monotone robot"],
];

export class Voices {
  /**
   * `choose` gets a voice as the session takes it and words for the user; `listen` gives the running microphone, `rest`
   * says that it is not needed any more.
   */
  constructor({ box, request, choose, listen, rest, announce }) {
    Object.assign(this, { box, request, choose, listen, rest, announce, takes: {}, recording: null });
    this.find = (name) => box.querySelector(`[name="${name}"], #${name}`);
    this.words = this.find("description");
    box.querySelector("#describe").addEventListener("submit", (event) => {
      event.preventDefault();
      this.describe(this.words.value.trim());
    });
    this.find("stock").addEventListener("change", ({ target }) => target.value && this.choose(target.value, target.value));
    box.querySelector("#clone").addEventListener("submit", (event) => {
      event.preventDefault();
      this.clone();
    });
    for (const button of box.querySelectorAll("[data-record]")) {
      button.addEventListener("click", () => this.record(button));
    }
    for (const field of box.querySelectorAll(".file input")) {
      field.addEventListener("change", () => this.picked(field));
    }
    const clone = box.querySelector("details");
    clone.addEventListener("toggle", () => clone.open && clone.scrollIntoView({ block: "start" }));
    this.find("owner").addEventListener("input", () => this.sentence());
    this.sentence();
  }

  /** The character's own voice is the first preset; a speaker with voices of its own can be given no others. */
  async fill(character) {
    if (character.fixed_voices) {
      this.box.querySelector("#describe").hidden = this.box.querySelector("details").hidden = true;
      this.find("named").hidden = false;
      this.find("fixed").addEventListener("change", ({ target }) => this.choose(target.value, target.value));
      const { presets } = await this.request("/v1/audio/voices");
      const options = presets.map((name) => new Option(name, name));
      return this.find("fixed").replaceChildren(new Option("as it comes", character.voice), ...options);
    }
    const presets = this.find("presets");
    for (const [name, words] of [[character.general ? "Its own" : "The house", character.voice], ...PRESETS]) {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.textContent = name;
      chip.title = words;
      chip.addEventListener("click", () => {
        this.words.value = words;
        this.describe(words);
      });
      presets.append(chip);
    }
    this.words.value = character.voice;
    await this.refresh();
  }

  /** One word is the name of a voice, several describe one. */
  describe(words) {
    if (!words) return this.say("describe-note", "Say in a few words how it should sound: old or young, high or low, slow, gruff …");
    this.choose(words.includes(" ") ? words : `a ${words} voice`, words);
    this.say("describe-note", `Speaking as “${words}”.`);
  }

  say(id, text) {
    this.find(id).textContent = text;
  }

  async refresh() {
    const { data, presets } = await this.request("/v1/audio/voices");
    const stock = this.find("stock");
    stock.replaceChildren(new Option("a named voice …", ""), ...presets.map((name) => new Option(name, name)));
    const mine = this.find("mine");
    mine.replaceChildren(...data.map((voice) => this.entry(voice)));
    mine.hidden = !data.length;
  }

  entry(voice) {
    const row = document.createElement("li");
    const use = document.createElement("button");
    const drop = document.createElement("button");
    use.type = drop.type = "button";
    use.textContent = voice.name;
    drop.textContent = "Forget";
    drop.className = "quiet";
    drop.setAttribute("aria-label", `Forget the voice ${voice.name}`);
    use.addEventListener("click", () => this.choose({ id: voice.id }, voice.name));
    drop.addEventListener("click", () => this.forget(voice).catch((error) => this.say("clone-note", error.message)));
    row.append(use, drop);
    return row;
  }

  /** Nothing of a clone stays: its consent is a recording of the same person, and deleting it deletes the voice. */
  async forget({ id, name, consent }) {
    await this.request(consent ? `/v1/audio/voice_consents/${consent}` : `/v1/audio/voices/${id}`, { method: "DELETE" });
    this.say("clone-note", "");
    this.announce(`The voice ${name} and its recordings were deleted.`);
    await this.refresh();
  }

  /** The label says which file was chosen. */
  picked(field) {
    const label = field.closest(".file");
    const file = field.files[0];
    label.firstElementChild.textContent = file ? file.name : "or a file …";
    label.classList.toggle("chosen", Boolean(file));
  }

  sentence() {
    const name = this.find("owner").value.trim() || "…";
    this.say("sentence", `I am ${name}, and I agree that this program imitates my voice.`);
  }

  /** Starts or ends a recording of the consent or of the clip. */
  async record(button) {
    const which = button.dataset.record;
    if (this.recording) {
      if (this.recording === button) this.keep();
      return;
    }
    let microphone;
    try {
      microphone = await this.listen();
    } catch (error) {
      return this.say("clone-note", error.message);
    }
    microphone.record();
    this.recording = button;
    button.setAttribute("aria-pressed", "true");
    button.textContent = "Stop recording";
    this.say("clone-note", which === "consent" ? "Read the sentence aloud." : "Say a few sentences, as you like.");
    this.timer = setTimeout(() => this.keep(), 1000 * LONGEST);
    this.keep = () => {
      clearTimeout(this.timer);
      const pcm = microphone.recorded();
      this.recording = null;
      this.rest();
      button.setAttribute("aria-pressed", "false");
      button.textContent = "Record again";
      this.takes[which] = new File([wavFile(pcm)], `${which}.wav`, { type: "audio/wav" });
      this.say("clone-note", `Recorded ${(pcm.length / 24000).toFixed(1)} s.`);
    };
  }

  /** The recording, or the file that was picked instead. */
  take(which) {
    return this.find(`${which}-file`).files[0] ?? this.takes[which];
  }

  async clone() {
    const owner = this.find("owner").value.trim();
    const consent = this.take("consent");
    if (!owner) return this.say("clone-note", "Whose voice is it? Write the name first.");
    if (!this.find("agree").checked) return this.say("clone-note", "A voice is cloned only if its owner agrees: tick the box.");
    if (!consent) return this.say("clone-note", "Record the sentence, or pick a file in which the owner says it.");
    const form = (fields) => Object.entries(fields).reduce((data, [key, value]) => (data.append(key, value), data), new FormData());
    this.say("clone-note", "Listening to the clip …");
    let record;
    try {
      record = await this.request("/v1/audio/voice_consents", {
        method: "POST",
        body: form({ name: owner, language: "en", recording: consent }),
      });
      const voice = await this.request("/v1/audio/voices", {
        method: "POST",
        body: form({ name: owner, consent: record.id, audio_sample: this.take("clip") ?? consent }),
      });
      record = null;
      await this.refresh();
      this.choose({ id: voice.id }, owner);
      this.say("clone-note", `The house speaks with the voice of ${owner} now. “Forget” deletes it.`);
    } catch (error) {
      this.say("clone-note", error.message);
      // a consent that no voice rests on is not kept
      if (record) this.request(`/v1/audio/voice_consents/${record.id}`, { method: "DELETE" }).catch(() => {});
    }
  }
}
