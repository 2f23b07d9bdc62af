// One spoken turn with a tool call through the stock @openai/agents-realtime over WebSocket; prints what happened as JSON.
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { readFileSync } from 'node:fs';

const [url, soundFile] = process.argv.slice(2);
const calls = [];
const order = tool({
  name: 'order_drink',
  description: 'Orders a drink',
  parameters: { type: 'object', properties: { coffeeDrink: { type: 'string' }, size: { type: 'string' } }, required: [], additionalProperties: true },
  strict: false,
  execute: async (args) => { calls.push(args); return 'ready at nine'; },
});
const agent = new RealtimeAgent({ name: 'clerk', instructions: 'You take orders.', tools: [order] });
const session = new RealtimeSession(agent, { transport: 'websocket', model: 'gpt-realtime', config: { audio: { input: { transcription: { model: 'whisper-1' }, turnDetection: { type: 'server_vad' } } } } });
const errors = [];
let bytes = 0;
session.on('error', (e) => errors.push(JSON.stringify(e.error ?? e)));
session.on('audio', (e) => { bytes += e.data.byteLength; });
let done = 0;
const finished = new Promise((resolve) => {
  session.transport.on('*', (event) => { if (event.type === 'response.done' && ++done === 2) resolve(); });
  setTimeout(resolve, 60000).unref();
});
await session.connect({ apiKey: 'any', url });
const sound = readFileSync(soundFile);
session.sendAudio(sound.buffer.slice(sound.byteOffset, sound.byteOffset + sound.byteLength));
await finished;
const history = session.history.map((i) => ({ type: i.type, role: i.role, text: (i.content ?? []).map((c) => c.transcript ?? c.text ?? '').join('') }));
console.log(JSON.stringify({ calls, bytes, errors, history, done }));
session.close();
process.exit(0);
