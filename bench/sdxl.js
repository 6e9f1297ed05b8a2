/**
 * One denoising step of the SDXL UNet at full size, in float32, over random weights: what opening and a step cost.
 *
 *   npm run build && node bench/sdxl.js [steps] [torch]
 *
 * With `torch`, diffusers runs the same step afterwards (tools/reference/setup.sh), which needs 12 GB of memory; the two
 * do not take turns, because both at once would need more than most machines have. Writes 10.3 GB of weights to the
 * temporary folder (TMPDIR) and removes them. Prints one JSON object.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unetModel } from '../dist/networks/unet.js';
import { mirrored, unetConfig } from '../dist/networks/unet-config.js';
import { openSession } from '../dist/runtime/session.js';
import { inventWeights } from '../dist/weights/random-weights.js';
import { openWeights } from '../dist/weights/scope.js';
import { writeSafetensors } from '../dist/weights/write-safetensors.js';

const steps = Number(process.argv[2] ?? 3);
const shape = { batch: 1, height: 128, width: 128, textLength: 77 };
const levels = [
  { channels: 320, heads: 5, depth: null },
  { channels: 640, heads: 10, depth: 2 },
  { channels: 1280, heads: 20, depth: 10 },
];
const config = {
  inChannels: 4,
  outChannels: 4,
  ...mirrored(levels, 2),
  contextWidth: 2048,
  linearProjection: true,
  norm: { groups: 32, epsilon: 1e-5 },
  added: { pooledWidth: 1280, timeIds: 6, timeWidth: 256 },
};
const json = { attention_head_dim: [5, 10, 20], addition_embed_type: 'text_time', addition_time_embed_dim: 256 };

const folder = await mkdtemp(join(tmpdir(), 'darkroom-sdxl-'));
process.once('exit', () => rmSync(folder, { recursive: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const invented = inventWeights();
const { inputs } = unetModel({ config, weights: invented.weights }, shape);
await invented.write(join(folder, 'unet.safetensors'), 'sdxl');
const feeds = Object.fromEntries(inputs.map(({ name, dims }, phase) => [name, wave(name, dims, phase)]));
const stored = Object.entries(feeds).map(([name, { dims, data }]) => [
  name,
  { dtype: 'F32', shape: dims, bytes: new Uint8Array(data.buffer) },
]);
await writeSafetensors(join(folder, 'inputs.safetensors'), new Map(stored));

const darkroom = await measure();
const python = fileURLToPath(new URL('../tools/reference/.venv/bin/python', import.meta.url));
const script = fileURLToPath(new URL('../tools/reference/bench_sdxl.py', import.meta.url));
const torch = process.argv[3] === 'torch' ? JSON.parse(output(python, [script, folder, String(steps)])) : undefined;
const machine = { processor: cpus()[0].model, cores: cpus().length, node: process.version, load: loadavg()[0] };
console.log(JSON.stringify({ ...machine, shape, steps, darkroom, torch }, null, 2));

async function measure() {
  const started = performance.now();
  const weights = await openWeights([join(folder, 'unet.safetensors')]);
  const model = unetModel({ config: unetConfig(json, weights), weights }, shape);
  const built = performance.now();
  const session = await openSession(model, 'cpu');
  const opened = {
    buildMilliseconds: Math.round(built - started),
    openMilliseconds: Math.round(performance.now() - built),
  };
  const taken = [];
  // The first step allocates and reads the weights from the disk; it is not counted.
  for (let step = 0; step <= steps; step++) {
    const [before, used] = [performance.now(), process.cpuUsage()];
    await session.run(feeds);
    const { user, system } = process.cpuUsage(used);
    taken.push({ seconds: (performance.now() - before) / 1000, processorSeconds: (user + system) / 1e6 });
  }
  const privateMegabytes = Math.round(
    Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024,
  );
  await session.close();
  return {
    ...opened,
    graphBytes: model.bytes.byteLength,
    privateMegabytes,
    first: taken[0],
    ...medians(taken.slice(1)),
  };
}

function medians(taken) {
  const middle = (key) => taken.map((step) => step[key]).sort((a, b) => a - b)[Math.floor((taken.length - 1) / 2)];
  return { stepSeconds: middle('seconds'), stepProcessorSeconds: middle('processorSeconds') };
}

function wave(name, dims, phase) {
  const size = dims.reduce((product, dim) => product * dim, 1);
  const value = (_, index) => (name === 'timestep' ? 501 : Math.sin(index * 0.37 + phase));
  return { type: 'float32', dims, data: Float32Array.from({ length: size }, value) };
}

function output(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status !== 0) throw new Error(`${command} failed.`);
  return stdout;
}
