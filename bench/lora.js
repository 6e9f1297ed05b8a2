/**
 * What a LoRA costs: one step of Stable Diffusion 1.5 at full size without one, and with LoRAs of several kinds, taking
 * turns in one process over the same random weights.
 *
 *   npm run build && node bench/lora.js [rounds]
 *
 * Writes 4 GB of weights to the temporary folder (TMPDIR) and removes them. Prints one JSON object. Ratios are of
 * processor time as well, which other work on the machine disturbs less than the clock.
 */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { unetModel } from '../dist/networks/unet.js';
import { mirrored, unetConfig } from '../dist/networks/unet-config.js';
import { openSession } from '../dist/runtime/session.js';
import { openLoras, withLoras } from '../dist/weights/lora.js';
import { inventWeights } from '../dist/weights/random-weights.js';
import { openWeights } from '../dist/weights/scope.js';

const rounds = Number(process.argv[2] ?? 5);
const shape = { batch: 2, height: 64, width: 64, textLength: 77 };
const levels = [320, 640, 1280, 1280].map((channels, index) => ({ channels, heads: 8, depth: index < 3 ? 1 : null }));
const config = {
  inChannels: 4,
  outChannels: 4,
  ...mirrored(levels, 2),
  contextWidth: 768,
  linearProjection: false,
  norm: { groups: 32, epsilon: 1e-5 },
};
const kinds = {
  'attentions, rank 16': { rank: 16, layers: /attn[12]\.to_/ },
  'transformers, rank 32': { rank: 32, layers: /attentions\./ },
  'every layer, rank 64 (as the LCM LoRA)': { rank: 64, layers: /_block/ },
};

const folder = await mkdtemp(join(tmpdir(), 'darkroom-lora-'));
process.once('exit', () => rmSync(folder, { recursive: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const file = join(folder, 'unet.safetensors');
const invented = inventWeights();
unetModel({ config, weights: invented.weights }, shape);
await invented.write(file, 'unet');

const contestants = [await start('none')];
for (const [name, kind] of Object.entries(kinds)) contestants.push(await start(name, await writeLora(kind)));
// The first step allocates; it is not counted.
for (const contestant of contestants) await contestant.step();
for (let round = 0; round < rounds; round++) {
  for (const contestant of contestants) contestant.steps.push(await contestant.step());
}
const [plain] = contestants.map(summary);
const machine = { processor: cpus()[0].model, cores: cpus().length, node: process.version, load: loadavg()[0] };
const results = contestants.map(summary).map((result) => ({
  ...result,
  times: Number((result.stepSeconds / plain.stepSeconds).toFixed(3)),
  timesByProcessorTime: Number((result.stepProcessorSeconds / plain.stepProcessorSeconds).toFixed(3)),
}));
console.log(JSON.stringify({ ...machine, shape, rounds, results }, null, 2));

async function writeLora({ rank, layers }) {
  const weights = await openWeights([file]);
  const lora = inventWeights();
  for (const name of weights.names()) {
    const [out, inSize, ...kernel] = weights.shape(name);
    if (inSize === undefined || !layers.test(name)) continue;
    const layer = lora.weights.at(`lora_unet_${name.replace(/\.weight$/, '').replaceAll('.', '_')}`);
    layer.tensor('lora_down.weight', [rank, inSize, ...kernel]);
    layer.tensor('lora_up.weight', [out, rank, ...kernel.map(() => 1)]);
  }
  const path = join(folder, `lora-${rank}.safetensors`);
  await lora.write(path, 'lora');
  return path;
}

async function start(name, lora) {
  const before = performance.now();
  const plainWeights = await openWeights([file]);
  const weights = withLoras(plainWeights, lora ? await openLoras([lora], 'unet') : []);
  const model = unetModel({ config: unetConfig({}, plainWeights), weights }, shape);
  const session = await openSession(model, 'cpu');
  const openMilliseconds = Math.round(performance.now() - before);
  const feeds = Object.fromEntries(
    model.inputs.map(({ name: input, dims }, phase) => [input, wave(input, dims, phase)]),
  );
  const step = async () => {
    const [started, used] = [performance.now(), process.cpuUsage()];
    await session.run(feeds);
    const { user, system } = process.cpuUsage(used);
    return { seconds: (performance.now() - started) / 1000, processorSeconds: (user + system) / 1e6 };
  };
  return { name, openMilliseconds, steps: [], step };
}

function wave(name, dims, phase) {
  const fixed = { timestep: 501, 'lora_scale.0': 0.8 };
  const size = dims.reduce((product, dim) => product * dim, 1);
  const value = (_, index) => fixed[name] ?? Math.sin(index * 0.37 + phase);
  return { type: 'float32', dims, data: Float32Array.from({ length: size }, value) };
}

function summary({ name, openMilliseconds, steps }) {
  const stepSeconds = median(steps.map(({ seconds }) => seconds));
  return {
    name,
    openMilliseconds,
    stepSeconds,
    stepProcessorSeconds: median(steps.map((step) => step.processorSeconds)),
  };
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}
