/** The page: joins the microphone, the line, the loudspeaker and what is shown. */

import { Connection } from "./connection.js";
import { Meters } from "./meters.js";
import { Microphone } from "./microphone.js";
import { Playback } from "./playback.js";
import { Slips } from "./slip.js";
import { RATE, fromBase64 } from "./sound.js";
import { Transcript } from "./transcript.js";
import { Voices } from "./voices.js";
import { credit, dress } from "./words.js";

const $ = (id) => document.getElementById(id);
const character = await (await fetch("character.json")).json();
const wire = new URL("v1/realtime?model=vivavoce-mini", location.href.replace(/^http/, "ws"));

let voice = character.voice;
let response = null; // the one being made
let message = null; // the item that it speaks, until all of it was played
let talking = false; // somebody pressed Talk, so the microphone is wanted
let asked = 0; // when the user's last words ended
const silenced = new Set(); // items whose sound is not wanted any more

const announce = (text) => ($("announce").textContent = text);
const { page } = character;
const transcript = new Transcript($("lines"), announce, page.name);
const slips = new Slips($("slips"), character.persona ? character.tools : [], page.labels); // an assistant's tools are about anything
const playback = new Playback(played);
const microphone = new Microphone((pcm) => connection.sound(pcm), () => {
  trouble("The microphone went away. Plug it in and press Talk again, or write instead.");
  showMicrophone();
});
const connection = new Connection({ url: wire, hello, told, changed });
new Meters($("meters"), $("level"), () => [microphone.muted ? null : microphone.analyser, playback.analyser]);

// ---- the line ----

function hello() {
  const session = {
    type: "realtime",
    instructions: character.persona && `You are ${character.persona}.`,
    output_modalities: ["audio"],
    audio: {
      input: {
        format: { type: "audio/pcm", rate: RATE },
        transcription: { model: "vivavoce-mini" },
        turn_detection: { type: "semantic_vad" },
      },
      output: { format: { type: "audio/pcm", rate: RATE }, voice },
    },
    // the character confirms an order in the same breath as the call, so calls are shown and not answered
    tools: character.tools,
    tool_choice: "auto",
  };
  const before = transcript.items().map((item) => ({ type: "conversation.item.create", item }));
  transcript.shelve();
  silenced.clear();
  return [{ type: "session.update", session }, ...before];
}

function changed(state, message, code) {
  $("state").textContent = page.states[state];
  $("state").dataset.state = state;
  if (state === "open") microphone.restart();
  else forget();
  if (state === "refused" || state === "closed") stopListening();
  else showMicrophone();
  if (code === "invalid_api_key") $("keyform").hidden = false;
  trouble(message);
}

/** A line that is gone finishes nothing; how much of the last words was heard is guessed from how long they sounded. */
async function forget() {
  response = message = null;
  $("hush").disabled = true;
  transcript.settle();
  for (const { id, played, queued } of await playback.stop()) transcript.cutAt(id, played / (played + queued));
}

const OURS = "playback"; // marks events that may come too late to matter

const known = {
  error: ({ error }) => error.event_id !== OURS && trouble(error.message),
  "input_audio_buffer.speech_started": ({ item_id }) => {
    interrupt();
    welcome(false);
    transcript.begin(item_id, "user");
  },
  "input_audio_buffer.speech_stopped": ({ audio_end_ms }) => {
    asked = microphone.timeOf((audio_end_ms * RATE) / 1000);
  },
  "conversation.item.input_audio_transcription.delta": ({ item_id, delta }) => transcript.more(item_id, "user", delta),
  "conversation.item.input_audio_transcription.completed": ({ item_id, transcript: text }) => transcript.done(item_id, "user", text),
  "response.created": (event) => {
    response = event.response.id;
    message = null;
    $("hush").disabled = false;
  },
  "response.output_item.added": ({ item }) => item.type === "message" && (message = item.id),
  "response.output_audio_transcript.delta": ({ item_id, delta }) => !silenced.has(item_id) && transcript.more(item_id, "assistant", delta),
  "response.output_audio_transcript.done": ({ item_id, transcript: text }) => !silenced.has(item_id) && transcript.done(item_id, "assistant", text),
  "response.output_audio.delta": ({ item_id, delta }) => !silenced.has(item_id) && playback.push(item_id, fromBase64(delta)),
  "response.output_audio.done": ({ item_id }) => playback.whole(item_id),
  "response.function_call_arguments.done": (event) =>
    transcript.call(slips.add(event.response_id, event.name, event.arguments)),
  "response.done": ({ response: done }) => {
    response = null;
    $("hush").disabled = !playback.speaking;
    if (done.status === "failed") trouble(done.status_details.error.message);
  },
  "conversation.item.truncated": ({ item_id }) =>
    connection.send({ type: "conversation.item.retrieve", event_id: OURS, item_id }),
  // an answer is taken back when its question goes on after all
  "conversation.item.deleted": ({ item_id }) => transcript.remove(item_id),
  "conversation.item.retrieved": ({ item }) => silenced.has(item.id) && transcript.cut(item.id, item.content[0].transcript ?? ""),
  // somebody makes a sound while we speak: wait, until it is clear whether it was meant for us
  "vivavoce.playback.paused": () => playback.pause(),
  "vivavoce.playback.resumed": () => playback.resume(),
  "vivavoce.playback.stopped": () => interrupt(),
};

function told(event) {
  known[event.type]?.(event);
}

/** Silence now; the house is told how much of its words was heard. */
async function interrupt() {
  const unheard = playback.open.has(message) ? null : message;
  for (const id of [...playback.open, unheard]) silenced.add(id);
  message = null;
  for (const { id, played } of await playback.stop()) truncate(id, played);
  if (unheard) truncate(unheard, 0);
  $("hush").disabled = response === null;
}

function truncate(id, played) {
  const audio_end_ms = Math.floor((1000 * played) / RATE);
  connection.send({ type: "conversation.item.truncate", event_id: OURS, item_id: id, content_index: 0, audio_end_ms });
}

/** As `interrupt`, and nothing more of this answer is to be made. */
async function hush() {
  // first, since truncating what is being spoken ends it as well
  if (response) connection.send({ type: "response.cancel", event_id: OURS });
  await interrupt();
}

function played({ type, id, at }) {
  if (type === "ended") {
    if (id === message) message = null;
    $("hush").disabled = response === null && !playback.speaking;
  }
  if (type !== "began" || !asked) return;
  const took = `${(Math.max(0, at - asked) / 1000).toFixed(2)} s`;
  asked = 0;
  transcript.note(id, `first sound after ${took}`);
  $("latency").querySelector("b").textContent = took;
}

// ---- what the user does ----

async function listen() {
  if (!microphone.on) await microphone.start();
  showMicrophone();
  return microphone;
}

function stopListening() {
  talking = false;
  microphone.stop();
  showMicrophone();
}

function showMicrophone() {
  $("start").textContent = talking ? "Leave" : "Talk";
  $("start").classList.toggle("on", talking);
  $("mute").disabled = !microphone.on;
  if (connection.state === "open") $("state").textContent = microphone.on ? page.states.open : page.states.quiet;
}

function trouble(message = "") {
  $("trouble").textContent = message;
  $("trouble").hidden = !message;
}

function welcome(shown) {
  $("welcome").hidden = !shown;
}

/** The line, open or about to be. */
function connect() {
  if (["closed", "refused"].includes(connection.state)) connection.open();
}

async function start() {
  if (talking) return connection.close();
  trouble();
  talking = true;
  showMicrophone();
  try {
    await playback.start();
    await listen();
  } catch (error) {
    talking = false;
    showMicrophone();
    trouble(error.message);
    $("text").focus();
    return;
  }
  connect();
}

async function write(text) {
  await playback.start();
  await hush();
  const id = `typed_${Date.now().toString(36)}`;
  const item = { id, type: "message", role: "user", content: [{ type: "input_text", text }] };
  welcome(false);
  transcript.done(id, "user", text);
  // a line that has to be opened first begins with all that was said, so with these words too
  connection.send({ type: "conversation.item.create", item });
  connection.later({ type: "response.create" });
  asked = performance.now();
  connect();
}

function mute() {
  microphone.muted = !microphone.muted;
  $("mute").setAttribute("aria-pressed", microphone.muted);
  $("mute").textContent = microphone.muted ? "Muted" : "Mute";
}

async function request(path, options = {}) {
  const headers = connection.key ? { Authorization: `Bearer ${connection.key}` } : {};
  const answer = await fetch(new URL(path.slice(1), location.href), { ...options, headers });
  const body = await answer.json();
  if (answer.status === 401) $("keyform").hidden = false;
  if (!answer.ok) throw new Error(body.error?.message ?? `The server answered ${answer.status}.`);
  return body;
}

const voices = new Voices({
  box: $("voices"),
  request,
  listen,
  rest: () => talking || stopListening(),
  announce,
  choose(chosen, name) {
    voice = chosen;
    announce(`The house speaks like ${name} now.`);
    // a session keeps its voice once it has spoken, so the conversation moves to another one
    if (connection.state === "open") connection.close({ again: true });
  },
});

$("start").addEventListener("click", start);
$("mute").addEventListener("click", mute);
$("hush").addEventListener("click", hush);
$("write").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  $("text").value = "";
  if (text) write(text);
});
$("ideas").addEventListener("click", ({ target }) => target.closest("button") && write(target.textContent));
$("keyform").addEventListener("submit", (event) => {
  event.preventDefault();
  connection.key = $("key").value;
  $("keyform").hidden = true;
  voices.refresh().catch((error) => trouble(error.message));
  start();
});
addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "m" && !$("mute").disabled) mute();
  if (event.key === "Escape" && !$("hush").disabled) hush();
});

dress(page);
credit($("parts"), character.parts);
voices.fill(character).catch((error) => trouble(error.message));
document.documentElement.dataset.ready = "";
