/**
 * Models as a whole at full size, in float32 over random weights: seconds for the structure, a step and the decoding,
 * and the memory of the engine process, as `darkroom predict` runs them.
 *
 *   npm run build && node bench/whole-models.js controlnet|animate-diff|turns [steps] [--structures a,b] [--torch]
 *
 * `turns` is controlnet, animate-diff, controlnet in one engine; with DARKROOM_MEMORY the log shows what goes for what.
 * The weights are written once to DARKROOM_BENCH_WEIGHTS, some 15 GB (full-size-weights.js); by default below the
 * temporary folder. With `--torch` the reference runs the same steps afterwards (tools/reference/setup.sh). Prints one
 * JSON object, and the log of each prediction before it on standard error.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createLog } from '../dist/base/log.js';
import { startEngineProcess } from '../dist/predictions/engine-process.js';
import { writeFullSizeWeights } from './full-size-weights.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { structures: { type: 'string' }, torch: { type: 'boolean' }, frames: { type: 'string' } },
});
const [what = 'controlnet', stepsText = '3'] = positionals;
const steps = Number(stepsText);
const structures = (values.structures ?? 'canny,depth,hed,hough,normal,pose,scribble,seg').split(',');

const weights = process.env.DARKROOM_BENCH_WEIGHTS ?? join(tmpdir(), 'darkroom-full-size');
await writeFullSizeWeights(weights);
const home = await mkdtemp(join(tmpdir(), 'darkroom-bench-'));
process.once('exit', () => rmSync(home, { recursive: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const environment = {
  ...process.env,
  DARKROOM_HOME: home,
  DARKROOM_WEIGHTS: 'full',
  DARKROOM_WEIGHTS_PATH: weights,
};
const engine = await startEngineProcess(environment, new AbortController().signal, createLog('warn'));
const [pid] = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ');
const memory = { resident: 0, private: 0 };
const timer = setInterval(() => sampleMemory(pid, memory), 100);

const photograph = path('../test/fixtures/photos/eileen-collins.jpg');
const controlnet = (structure) => [
  'rossjillian/controlnet',
  {
    image: photograph,
    prompt: 'a bronze bust',
    negative_prompt: 'lowres',
    structure,
    steps,
    num_outputs: 1,
    image_resolution: 512,
    scheduler: 'DDIM',
    scale: 9,
    seed: 1,
    eta: 0,
    low_threshold: 100,
    high_threshold: 200,
    return_reference_image: true,
  },
];
const animateDiff = [
  'lucataco/animate-diff',
  {
    prompt: 'cherry blossoms',
    n_prompt: 'blurry',
    motion_module: 'mm_sd_v14',
    path: 'toonyou_beta3.safetensors',
    steps,
    guidance_scale: 7.5,
    seed: 1,
  },
];
const jobs = {
  controlnet: structures.map(controlnet),
  'animate-diff': [animateDiff],
  turns: [controlnet('canny'), animateDiff, controlnet('canny')],
}[what];
/** Of the models' own schemas. */
const usualSteps = { 'rossjillian/controlnet': 20, 'lucataco/animate-diff': 25 };

const runs = [];
for (const [model, input] of jobs) runs.push(await run(model, input));
clearInterval(timer);
engine.kill();
const machine = { processor: cpus()[0].model, cores: cpus().length, node: process.version, load: loadavg()[0] };
console.log(JSON.stringify({ ...machine, runs, peakMegabytes: memory, torch: values.torch && torch() }, null, 2));

/** One prediction in the engine; its times are those at which its messages arrive. */
function run(model, input) {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const before = { ...memory };
  const at = { steps: [], files: [] };
  return new Promise((resolve, reject) => {
    engine.onMessage((message) => {
      if (message.type === 'log') process.stderr.write(`${seconds().toFixed(1).padStart(7)} s  ${message.text}`);
      else if (message.type === 'progress') at.steps.push(seconds());
      else if (message.type === 'output') at.files.push([message.name, seconds()]);
      else if (message.type === 'succeeded') resolve(summary());
      else reject(new Error(`${model}: ${message.error ?? message.type}`));
    });
    engine.send({ type: 'predict', id: model, model, input, outputFolder: home });
  });

  function summary() {
    const total = seconds();
    // A bar for the frames follows that of the steps, which begins at nought.
    const bar = at.steps.slice(0, steps + 1);
    const taken = bar.slice(1).map((time, index) => time - bar[index]);
    // The first step allocates and reads the weights from the disk.
    const step = median(taken.slice(taken.length > 1 ? 1 : 0));
    const reference = at.files.find(([name]) => name === 'reference.png');
    return {
      model,
      structure: input.structure,
      steps,
      structureSeconds: reference && round(reference[1]),
      stepSeconds: round(step),
      afterLastStepSeconds: round(total - bar.at(-1)),
      totalSeconds: round(total),
      totalOfUsualSteps: round(total + (usualSteps[model] - steps) * step),
      newPeakMegabytes: memory.private > before.private ? { ...memory } : undefined,
    };
  }
}

function torch() {
  const model = what === 'animate-diff' ? 'animate-diff' : 'controlnet';
  const python = path('../tools/reference/.venv/bin/python');
  const args = [path('../tools/reference/bench_models.py'), model, weights, String(steps), values.frames ?? '16'];
  const { status, stdout } = spawnSync(python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status !== 0) throw new Error('The reference failed.');
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** Megabytes; pages mapped from the weight files are resident but not private. */
function sampleMemory(process, peak) {
  let status;
  try {
    status = readFileSync(`/proc/${process}/status`, 'utf8');
  } catch {
    return; // Not Linux, or the process has just ended.
  }
  const megabytes = (key) => Math.round(Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1024);
  peak.resident = Math.max(peak.resident, megabytes('VmHWM'));
  peak.private = Math.max(peak.private, megabytes('RssAnon'));
}

function round(value) {
  return Number(value.toFixed(2));
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}

function path(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}
