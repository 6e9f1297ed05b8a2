/**
 * What a LoRA costs: one step of Stable Diffusion 1.5 at full size without one, and with LoRAs of several kinds, taking
 * turns in one process over the same random weights.
 *
 *   npm run build && node bench/lora.js [rounds] [part of the names of kinds]
 *
 * Writes 4 GB of weights to the temporary folder (TMPDIR) and removes them. Prints one JSON object. Ratios are of
 * processor time as well, which other work on the machine disturbs less than the clock. Private memory is that of all
 * sessions together, pages mapped from the weight files aside.
 */
import { readFileSync, rmSync } from 'node:fs';
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
const attentions = /attn[12]\.to_/;
const kinds = {
  'attentions, rank 16': { layers: attentions, tensors: lowRank(16) },
  'transformers, rank 32': { layers: /attentions\./, tensors: lowRank(32) },
  'every layer, rank 64 (as the LCM LoRA)': { layers: /_block/, tensors: lowRank(64) },
  'attentions, LoHa of rank 16': { layers: attentions, tensors: loha(16) },
  'attentions, LoKr of factor 8': { layers: attentions, tensors: lokr(8) },
  'attentions, DoRA of rank 16': { layers: attentions, tensors: dora(16) },
  'attentions, whole differences': { layers: attentions, tensors: (out, inSize) => ({ diff: [out, inSize] }) },
};
// Which of them run: those whose name holds the second argument.
const chosen = Object.entries(kinds).filter(([name]) => name.includes(process.argv[3] ?? ''));

const folder = await mkdtemp(join(tmpdir(), 'darkroom-lora-'));
process.once('exit', () => rmSync(folder, { recursive: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const file = join(folder, 'unet.safetensors');
const invented = inventWeights();
unetModel({ config, weights: invented.weights }, shape);
await invented.write(file, 'unet');

const contestants = [await start('none')];
for (const [name, kind] of chosen) contestants.push(await start(name, await writeLora(name, kind)));
// The first step allocates; it is not counted.
for (const contestant of contestants) await contestant.step();
for (let round = 0; round < rounds; round++) {
  for (const contestant of contestants) contestant.steps.push(await contestant.step());
}
const [plain] = contestants.map(summary);
const privateMegabytes = Math.round(
  Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024,
);
const machine = { processor: cpus()[0].model, cores: cpus().length, node: process.version, load: loadavg()[0] };
const results = contestants.map(summary).map((result) => ({
  ...result,
  times: Number((result.stepSeconds / plain.stepSeconds).toFixed(3)),
  timesByProcessorTime: Number((result.stepProcessorSeconds / plain.stepProcessorSeconds).toFixed(3)),
}));
console.log(JSON.stringify({ ...machine, shape, rounds, privateMegabytes, results }, null, 2));

function lowRank(rank) {
  return (out, inSize, kernel) => ({
    'lora_down.weight': [rank, inSize, ...kernel],
    'lora_up.weight': [out, rank, ...kernel.map(() => 1)],
  });
}

function dora(rank) {
  return (out, inSize, kernel) => ({
    ...lowRank(rank)(out, inSize, kernel),
    dora_scale: [1, inSize, ...kernel.map(() => 1)],
  });
}

function loha(rank) {
  return (out, inSize) => ({
    hada_w1_a: [out, rank],
    hada_w1_b: [rank, inSize],
    hada_w2_a: [out, rank],
    hada_w2_b: [rank, inSize],
  });
}

function lokr(factor) {
  return (out, inSize) => ({ lokr_w1: [factor, factor], lokr_w2: [out / factor, inSize / factor] });
}

async function writeLora(name, { layers, tensors }) {
  const weights = await openWeights([file]);
  const lora = inventWeights();
  for (const stored of weights.names()) {
    const [out, inSize, ...kernel] = weights.shape(stored);
    if (inSize === undefined || !layers.test(stored)) continue;
    const layer = lora.weights.at(`lora_unet_${stored.replace(/\.weight$/, '').replaceAll('.', '_')}`);
    for (const [part, shape] of Object.entries(tensors(out, inSize, kernel))) layer.tensor(part, shape);
  }
  const path = join(folder, `lora-${Object.keys(kinds).indexOf(name)}.safetensors`);
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
