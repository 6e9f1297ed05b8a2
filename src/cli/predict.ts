import { access, constants, copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, extname, isAbsolute, join, parse } from 'node:path';
import { parseArgs } from 'node:util';
import { CanceledError, InputError } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import { readSettings, type Settings } from '../base/settings.ts';
import { isFile } from '../catalog/fields.ts';
import { loadModels, slug } from '../catalog/list.ts';
import type { ModelDefinition } from '../catalog/model.ts';
import { compileInputCheck } from '../catalog/validate.ts';
import { type EngineProcess, startEngineProcess } from '../predictions/engine-process.ts';
import { resolveInput } from '../predictions/resolve-input.ts';
import { createLocalFileStore } from '../storage/local-files.ts';
import { takeLora } from '../storage/lora-archive.ts';
import type { HostMessage } from '../worker/protocol.ts';
import { type Command, UsageError } from './command.ts';
import { parseInputFlags } from './input-flags.ts';
import { findModel } from './models.ts';
import { createProgress, type Progress } from './progress.ts';

const help = `Runs one prediction on this machine and saves what it made. No server is needed.

Usage: darkroom predict <owner/name> -i name=value … [-o file]

Options
  -i, --input name=value   an input of the model; name=@photo.jpg reads a file, name=https://… fetches one
  -o, --output file        where to save; with several outputs the number is put before the ending (out-0.png)
                           (default: the model's own names, in this folder)
  -q, --quiet              print nothing but the names of the saved files

Exit code: 0 saved, 1 the prediction failed, 2 the input cannot be used, 130 canceled by Ctrl+C.
\`darkroom models <owner/name>\` shows the inputs of a model.

Example
  darkroom predict rossjillian/controlnet -i image=@photo.jpg -i structure=canny -i prompt="a bronze bust" -o out.png
`;

const options = {
  input: { type: 'string', short: 'i', multiple: true },
  output: { type: 'string', short: 'o' },
  quiet: { type: 'boolean', short: 'q' },
} as const;

type Job = HostMessage & { type: 'predict' };

interface MadeFile {
  name: string;
  path: string;
}

async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  if (positionals.length !== 1) throw new UsageError('Name one model: darkroom predict <owner/name> -i name=value …');
  const settings = readSettings();
  const model = findModel(await loadModels(settings.modelFolders), positionals[0]!);
  const input = parseInputFlags(values.input ?? [], model.inputs);
  checkInput(model, input);
  await checkTarget(values.output);

  const scratch = await mkdtemp(join(tmpdir(), 'darkroom-'));
  const progress = createProgress(values.quiet ?? false);
  const canceled = new AbortController();
  process.once('SIGINT', () => {
    canceled.abort();
    progress.log('Canceling after this step; Ctrl+C once more ends it at once.\n');
  });
  let engine: EngineProcess | undefined;
  try {
    engine = await startEngineProcess(process.env, canceled.signal, createLog('warn'));
    const resolved = await resolve(model, input, { scratch, settings, signal: canceled.signal, progress });
    // Pressed while an archive was taken apart.
    if (canceled.signal.aborted) throw new CanceledError();
    const job: Job = { type: 'predict', id: 'predict', model: slug(model), input: resolved, outputFolder: scratch };
    const files = await predict(engine, job, progress, canceled.signal);
    for (const [index, file] of files.entries()) {
      const target = outputPath(values.output, file.name, index, files.length);
      await copyFile(file.path, target);
      process.stdout.write(`${target}\n`);
      if (!values.quiet && kindOf(target) !== kindOf(file.name)) {
        process.stderr.write(`${target} has the bytes of ${file.name}: files are saved as the model made them.\n`);
      }
    }
    return 0;
  } catch (error) {
    if (error instanceof CanceledError || canceled.signal.aborted) return 130;
    if (error instanceof InputError) throw new UsageError(error.message);
    if (!(error instanceof PredictionFailed)) throw error;
    process.stderr.write(`darkroom: the prediction failed. ${error.message}\n`);
    return 1;
  } finally {
    engine?.kill();
    await rm(scratch, { recursive: true, force: true });
  }
}

class PredictionFailed extends Error {}

/** Before minutes of work. @throws UsageError when nothing can be saved there */
async function checkTarget(output: string | undefined): Promise<void> {
  const folder = dirname(output ?? 'file');
  const isWritable = await access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!isWritable) throw new UsageError(`Nothing can be saved in the folder ${folder}. Name a file elsewhere with -o.`);
  const isFolder = output !== undefined && (await stat(output).catch(() => undefined))?.isDirectory();
  if (isFolder) throw new UsageError(`-o ${output} is a folder. Name a file in it.`);
}

/** @throws UsageError with a line for each fault */
function checkInput(model: ModelDefinition, input: Record<string, unknown>): void {
  const urls = Object.entries(input).map(([name, value]) => [name, isLocal(model, name) ? 'data:,' : value]);
  const { faults } = compileInputCheck(model.inputs)(Object.fromEntries(urls));
  if (faults.length === 0) return;
  const lines = faults.map(({ field, description }) => `  ${faultLine(field.replace(/^input\.?/, ''), description)}`);
  throw new UsageError(`The input cannot be used:\n${lines.join('\n')}\nSee: darkroom models ${slug(model)}`);

  function isLocal(definition: ModelDefinition, name: string): boolean {
    return isFile(definition.inputs[name]!) && isPath(input[name]);
  }
}

/** Some descriptions begin with the name of the input. */
function faultLine(name: string, description: string): string {
  return name === '' || description.startsWith(`${name} `) ? description : `${name}: ${description}`;
}

interface ResolveContext {
  scratch: string;
  settings: Settings;
  signal: AbortSignal;
  progress: Progress;
}

/** Paths stay as they are; URLs are fetched, defaults filled in. */
async function resolve(
  model: ModelDefinition,
  input: Record<string, unknown>,
  { scratch, settings, signal, progress }: ResolveContext,
): Promise<Record<string, unknown>> {
  const isPathOf = (name: string): boolean => isFile(model.inputs[name]!) && isPath(input[name]);
  const local = Object.fromEntries(Object.entries(input).filter(([name]) => isPathOf(name)));
  const rest = Object.fromEntries(Object.entries(input).filter(([name]) => !isPathOf(name)));
  const files = createLocalFileStore(join(settings.home, 'files'));
  const log = (line: string): void => progress.log(`${line}\n`);
  for (const [name, path] of Object.entries(local)) {
    if (model.inputs[name]!.kind !== 'lora') continue;
    local[name] = await takeLora(String(path), join(scratch, `${name}.safetensors`), name);
  }
  return { ...(await resolveInput(model.inputs, rest, { files, settings, folder: scratch, signal, log })), ...local };
}

function isPath(value: unknown): boolean {
  return typeof value === 'string' && isAbsolute(value);
}

/** @throws PredictionFailed, InputError, CanceledError */
function predict(engine: EngineProcess, job: Job, progress: Progress, signal: AbortSignal): Promise<MadeFile[]> {
  const files: MadeFile[] = [];
  const cancel = (): void => engine.send({ type: 'cancel', id: job.id });
  signal.addEventListener('abort', cancel);
  return new Promise<MadeFile[]>((resolve, reject) => {
    engine.onMessage((message) => {
      switch (message.type) {
        case 'log':
          return progress.log(message.text);
        case 'progress':
          return progress.step(message.current, message.total);
        case 'output':
          files.push(message);
          return;
        case 'succeeded':
          return resolve(files);
        case 'failed':
          return reject(
            message.cause === 'input' ? new InputError(message.error) : new PredictionFailed(message.error),
          );
        case 'canceled':
          return reject(new CanceledError());
      }
    });
    void engine.ended.then((how) => reject(new PredictionFailed(`The engine process ended (${how}).${remedy(how)}`)));
    engine.send(job);
  }).finally(() => progress.end());
}

function remedy(howItEnded: string): string {
  if (howItEnded !== 'signal SIGKILL') return '';
  return ' The system ends processes so when memory runs out; DARKROOM_MEMORY bounds what loaded networks take.';
}

/** `-o out.png` with three files gives out-0.png, out-1.png, out-2.png. */
function outputPath(wanted: string | undefined, name: string, index: number, count: number): string {
  if (wanted === undefined) return name;
  if (count === 1) return wanted;
  const { dir, name: stem, ext } = parse(wanted);
  return join(dir, `${stem}-${index}${ext}`);
}

function kindOf(path: string): string {
  return extname(path).toLowerCase().replace('.jpg', '.jpeg');
}

export default { help, run } satisfies Command;
