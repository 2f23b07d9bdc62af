// The plain `openai` package for Node, which speaks TLS only: an order that calls a tool, a change that interrupts the
// answer. openai.mjs ADDRESS ORDER.pcm CHANGE.pcm; what happened is printed as JSON.
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const [address, ...sounds] = process.argv.slice(2);
const saw = { calls: [], heard: [], said: [], errors: [], bytes: 0, interruptions: 0 };
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: 'any' });
const live = new OpenAIRealtimeWS({ model: 'gpt-realtime' }, client);
let done = 0;
let speaking = null; // the item that is played, and since when
let owed = false;
const tool = {
  type: 'function',
  name: 'order_drink',
  description: 'Order a drink for the customer.',
  parameters: {
    type: 'object',
    properties: {
      drink: { type: 'string', description: 'The kind of coffee drink.' },
      size: { type: 'string', description: 'Size of the drink.' },
      roast: { type: 'string', description: 'The roast of the coffee.' },
      milk: { type: 'string', description: 'Kind and amount of milk.' },
    },
    required: ['drink'],
  },
};

live.on('error', (error) => saw.errors.push(error.message));
live.on('conversation.item.input_audio_transcription.completed', (event) => saw.heard.push(event.transcript));
live.on('response.output_audio_transcript.done', (event) => saw.said.push(event.transcript));
live.on('response.output_audio.delta', (event) => {
  saw.bytes += Buffer.from(event.delta, 'base64').length;
  if (speaking?.item !== event.item_id) speaking = { item: event.item_id, since: Date.now(), bytes: 0 };
  speaking.bytes += Buffer.from(event.delta, 'base64').length;
});
live.on('input_audio_buffer.speech_started', () => {
  if (!speaking) return;
  const played = Math.floor(Math.min(Date.now() - speaking.since, speaking.bytes / 48));
  live.send({ type: 'conversation.item.truncate', item_id: speaking.item, content_index: 0, audio_end_ms: played });
  saw.interruptions += 1;
  speaking = null;
});
live.on('response.function_call_arguments.done', (event) => {
  saw.calls.push(JSON.parse(event.arguments));
  const item = { type: 'function_call_output', call_id: event.call_id, output: JSON.stringify({ ready_at: 'nine' }) };
  live.send({ type: 'conversation.item.create', item });
  owed = true;
});
live.on('response.done', (event) => {
  done += 1;
  if (owed && event.response.status === 'completed') live.send({ type: 'response.create' });
  owed = false;
});

async function say(name) {
  const pcm = Buffer.concat([readFileSync(name), Buffer.alloc(48000)]);
  for (let start = 0; start < pcm.length; start += 4800) {
    live.send({ type: 'input_audio_buffer.append', audio: pcm.subarray(start, start + 4800).toString('base64') });
    await sleep(5);
  }
}

async function until(what) {
  for (const end = Date.now() + 90000; !what(); await sleep(20)) if (Date.now() > end) throw new Error('timeout');
}

try {
  await new Promise((resolve, reject) => { live.socket.on('open', resolve); live.socket.on('error', reject); });
  const input = { transcription: { model: 'whisper-1' }, turn_detection: { type: 'server_vad' } };
  const instructions = 'You are a helpful assistant. Be brief and polite.';
  live.send({ type: 'session.update', session: { type: 'realtime', instructions, tools: [tool], audio: { input } } });
  await say(sounds[0]);
  await until(() => saw.calls.length && done >= 1); // and the answer about the result begins
  await until(() => speaking);
  await say(sounds[1]);
  await until(() => saw.calls.length > 1 && done >= 4);
} catch (error) {
  saw.errors.push(String(error.message));
}
console.log(JSON.stringify(saw));
live.close();
process.exit(0);
