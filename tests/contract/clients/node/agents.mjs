// OpenAI's agents for Node over WebSocket: an order that calls a tool, a change that interrupts the answer.
// agents.mjs ADDRESS ORDER.pcm CHANGE.pcm; what happened is printed as JSON.
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const [address, ...sounds] = process.argv.slice(2);
const calls = [];
const errors = [];
const state = { bytes: 0, interruptions: 0, done: 0 };
const order = tool({
  name: 'order_drink',
  description: 'Order a drink for the customer.',
  parameters: z.object({
    drink: z.string().describe('The kind of coffee drink.'),
    size: z.string().nullable().describe('Size of the drink.'),
    roast: z.string().nullable().describe('The roast of the coffee.'),
    milk: z.string().nullable().describe('Kind and amount of milk.'),
  }),
  execute: async (args) => { calls.push(args); return 'ready at nine'; },
});
const agent = new RealtimeAgent({ name: 'barista', instructions: 'You are a helpful assistant. Be brief.', tools: [order] });
const session = new RealtimeSession(agent, { transport: 'websocket', model: 'gpt-realtime', tracingDisabled: true });
session.on('error', (e) => errors.push(JSON.stringify(e.error ?? e)));
session.on('audio', (e) => { state.bytes += e.data.byteLength; });
session.on('audio_interrupted', () => { state.interruptions += 1; });
session.transport.on('*', (event) => { if (event.type === 'response.done') state.done += 1; });

async function say(name) {
  const pcm = Buffer.concat([readFileSync(name), Buffer.alloc(48000)]);
  for (let start = 0; start < pcm.length; start += 4800) {
    const piece = pcm.subarray(start, start + 4800);
    session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length));
    await sleep(5);
  }
}

async function until(what) {
  for (const end = Date.now() + 90000; !what(); await sleep(20)) if (Date.now() > end) throw new Error('timeout');
}

try {
  await session.connect({ apiKey: 'any', url: `${address.replace('http', 'ws')}/v1/realtime?model=gpt-realtime` });
  await say(sounds[0]);
  await until(() => calls.length && state.done >= 1);
  const before = state.bytes;
  await until(() => state.bytes > before);
  await say(sounds[1]);
  await until(() => calls.length > 1 && state.done >= 4);
} catch (error) {
  errors.push(String(error.message));
}
const of = (role) => session.history.filter((item) => item.role === role)
  .map((item) => item.content.map((part) => part.transcript ?? part.text ?? '').join(''));
console.log(JSON.stringify({ calls, heard: of('user'), said: of('assistant'), errors, ...state }));
session.close();
process.exit(0);
