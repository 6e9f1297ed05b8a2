/**
 * Stable Diffusion 1.5 at full size, in float32: this engine beside diffusers on torch, over the same random weights,
 * taking turns on the same machine. `unet` is a denoising step with a ControlNet, `vae` the decoding of 512×512.
 *
 *   npm run build && node bench/engine.js [rounds] [unet|vae]
 *
 * Writes 4.9 GB of weights to the temporary folder (TMPDIR) and removes them. The torch side runs where
 * tools/reference/setup.sh has made its environment, and is left out elsewhere; Debian's torch needs libopenblas0, else
 * it multiplies with the reference BLAS. Prints one JSON object.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { unetModel } from '../dist/networks/unet.js';
import { mirrored } from '../dist/networks/unet-config.js';
import { vaeDecoderModel } from '../dist/networks/vae-decoder.js';
import { inventWeights } from '../dist/weights/random-weights.js';
import { readTensor } from '../dist/weights/read-tensor.js';
import { readSafetensors } from '../dist/weights/safetensors.js';
import { writeSafetensors } from '../dist/weights/write-safetensors.js';

const rounds = Number(process.argv[2] ?? 5);
const network = process.argv[3] ?? 'unet';
const shape = { batch: network === 'vae' ? 1 : 2, height: 64, width: 64, textLength: 77 };
const levels = [320, 640, 1280, 1280].map((channels, index) => ({ channels, heads: 8, depth: index < 3 ? 1 : null }));
const encoder = {
  inChannels: 4,
  ...mirrored(levels, 2),
  contextWidth: 768,
  linearProjection: false,
  norm: { groups: 32, epsilon: 1e-5 },
};

const folder = await mkdtemp(join(tmpdir(), 'darkroom-engine-'));
process.once('exit', () => rmSync(folder, { recursive: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

await writeInputs(network === 'vae' ? await inventVae() : await inventUnet());
const contestants = [await start('darkroom', process.execPath, [path('engine-session.js'), network])];
const python = path('../tools/reference/.venv/bin/python');
if (existsSync(python)) {
  contestants.push(await start('torch', python, [path('../tools/reference/bench_engine.py'), network]));
}
// The first step allocates; it is not counted.
for (const contestant of contestants) await contestant.step();
for (let round = 0; round < rounds; round++) {
  for (const contestant of contestants) contestant.steps.push(await contestant.step());
}
for (const contestant of contestants) await contestant.stop();
await report(contestants);

/** Writes the weights. @returns the network's inputs */
async function inventUnet() {
  const unet = inventWeights();
  const control = inventWeights();
  const config = { ...encoder, conditionChannels: [16, 32, 96, 256], conditionOrder: 'rgb' };
  const model = unetModel({ config: { ...encoder, outChannels: 4 }, weights: unet.weights }, shape, {
    controlnets: [{ config, weights: control.weights, conditionBatch: 1 }],
  });
  await unet.write(join(folder, 'unet.safetensors'), 'unet');
  await control.write(join(folder, 'controlnet.safetensors'), 'controlnet');
  await writeFile(join(folder, 'config.json'), JSON.stringify({ attention_head_dim: 8 }));
  return model.inputs;
}

async function inventVae() {
  const invented = inventWeights();
  const levels = [512, 512, 256, 128];
  const norm = { groups: 32, epsilon: 1e-6 };
  const config = { pictureChannels: 3, latentChannels: 4, levels, layers: 3, norm };
  const model = vaeDecoderModel({ config, weights: invented.weights }, shape);
  await invented.write(join(folder, 'vae.safetensors'), 'vae');
  await writeFile(join(folder, 'config.json'), '{}');
  return model.inputs;
}

async function writeInputs(wanted) {
  const inputs = wanted.map(({ name, dims }, phase) => {
    const size = dims.reduce((product, dim) => product * dim, 1);
    const fixed = { timestep: 501, 'conditioning_scale.0': 1 };
    const wave = (_, index) => fixed[name] ?? Math.sin(index * 0.37 + phase);
    return [
      name,
      { dtype: 'F32', shape: dims, bytes: new Uint8Array(Float32Array.from({ length: size }, wave).buffer) },
    ];
  });
  await writeSafetensors(join(folder, 'inputs.safetensors'), new Map(inputs));
}

/** A process that answers each line on its input with a line of JSON; the first comes when its networks are loaded. */
async function start(name, command, args) {
  const child = spawn(command, [...args, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${name} ended early.`);
    return JSON.parse(value);
  };
  const memory = { resident: 0, private: 0 };
  const timer = setInterval(() => sampleMemory(child.pid, memory), 100);
  const ask = async (question) => {
    child.stdin.write(`${question}\n`);
    return await answer();
  };
  return {
    name,
    opened: await answer(),
    memory,
    steps: [],
    step: async () => await ask('step'),
    stop: async () => {
      await ask('save');
      clearInterval(timer);
      child.stdin.end();
    },
  };
}

/** Megabytes; pages mapped from the weight files are resident but not private. */
function sampleMemory(pid, memory) {
  let status;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return; // Not Linux, or the process has just ended.
  }
  const megabytes = (key) =>
    Math.round(Number(status.match(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm'))?.[1] ?? 0) / 1024);
  memory.resident = Math.max(memory.resident, megabytes('VmHWM'));
  memory.private = Math.max(memory.private, megabytes('RssAnon'));
}

async function report(contestants) {
  const results = contestants.map(({ name, opened, steps, memory }) => ({
    name,
    opened,
    stepSeconds: median(steps.map((step) => step.seconds)),
    // Less sensitive than the wall clock to what else the machine does.
    stepProcessorSeconds: median(steps.map((step) => step.processorSeconds)),
    steps,
    peakMegabytes: memory,
  }));
  const [ours, torch] = results;
  const agreement = torch && {
    timesAsFast: Number((torch.stepSeconds / ours.stepSeconds).toFixed(2)),
    timesAsFastByProcessorTime: Number((torch.stepProcessorSeconds / ours.stepProcessorSeconds).toFixed(2)),
    relativeError: Number((await relativeError('darkroom', 'torch')).toExponential(2)),
  };
  const machine = { processor: cpus()[0].model, cores: cpus().length, node: process.version, load: loadavg()[0] };
  console.log(JSON.stringify({ ...machine, network, shape, results, ...agreement }, null, 2));
}

async function relativeError(one, other) {
  const read = async (name) => {
    const { tensors } = await readSafetensors(join(folder, `${name}-output.safetensors`));
    return (await readTensor(tensors.get('sample'))).data;
  };
  const [actual, expected] = [await read(one), await read(other)];
  const square = (sum, value) => sum + value ** 2;
  return Math.sqrt(
    actual.map((value, index) => value - expected[index]).reduce(square, 0) / expected.reduce(square, 0),
  );
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}

function path(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}
