import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { readSettings } from '../base/settings.ts';
import { sizeText } from '../base/size-text.ts';
import { type Field, isRequired } from '../catalog/fields.ts';
import { loadModels, slug } from '../catalog/list.ts';
import type { ModelDefinition } from '../catalog/model.ts';
import { type FileState, missingFiles, type RepositoryState, repositoryState, wayToGet } from '../weights/inventory.ts';
import { placesText } from '../weights/locate.ts';
import { singleFile } from '../weights/single-file.ts';
import { type Command, UsageError } from './command.ts';

const help = `Lists the models of this Darkroom, or everything about one.

Usage: darkroom models [owner/name]

Examples
  darkroom models                          every model with its version
  darkroom models rossjillian/controlnet   its inputs, defaults, limits; its weights, their licences, which of them
                                           are on this disk, and how to get the others
`;

async function run(args: string[]): Promise<number> {
  const { positionals } = parseArgs({ args, allowPositionals: true });
  if (positionals.length > 1) throw new UsageError('Name one model, or none: darkroom models [owner/name]');
  const settings = readSettings();
  const models = await loadModels(settings.modelFolders);
  if (positionals.length === 0) {
    for (const model of models) process.stdout.write(`${slug(model)}:${model.version}\n  ${model.description}\n`);
    return 0;
  }
  const model = findModel(models, positionals[0]!);
  const states = await Promise.all(model.weights.map((weights) => repositoryState(weights, settings)));
  const isComplete = states.every((state) => missingFiles(state).length === 0);
  process.stdout.write(
    `${describeModel(model)}\nFull weights (a prediction needs those that its inputs ask for)\n` +
      states.map(describeWeights).join('') +
      (isComplete ? '' : `\nLooked for in ${placesText(settings)}.\n`),
  );
  return 0;
}

/** By `owner/name`, or by the name alone where only one owner has it. @throws UsageError listing the models */
export function findModel(models: readonly ModelDefinition[], wanted: string): ModelDefinition {
  const name = wanted.replace(/:[0-9a-f]{64}$/, '');
  const found = models.filter((model) => slug(model) === name || model.name === name);
  if (found.length === 1) return found[0]!;
  throw new UsageError(`There is no model "${wanted}". There are: ${models.map(slug).join(', ')}.`);
}

function describeModel(model: ModelDefinition): string {
  const inputs = Object.entries(model.inputs).map(([name, field]) => {
    const facts = [typeOf(field), isRequired(field) ? 'required' : undefined, limits(field), defaultOf(field)];
    const lines = [field.description, facts.filter(Boolean).join(', ')].filter(Boolean);
    return `  ${name}\n${lines.map((line) => `      ${line}\n`).join('')}`;
  });
  return `${slug(model)}\n${model.description}\nversion ${model.version}\n\nInputs\n${inputs.join('')}`;
}

function describeWeights(state: RepositoryState): string {
  const { repository, licence, commercialUse, mayBeSingleFile } = state.repository;
  const isHere = state.files.some(({ found }) => found);
  const lines = [
    repository,
    `    ${licence}${commercialUse ? ', commercial use allowed' : '; not counted as free for commercial use'}`,
    ...(isHere ? [`    in ${state.folder}`] : []),
    ...state.files.map((file) => `    ${file.found ? 'present' : 'missing'}  ${file.path}${sizeOf(file)}`),
  ];
  const way = wayToGet(state);
  if (way) lines.push(`    get it:  ${way}`);
  if (way && mayBeSingleFile)
    lines.push(`    or save: the model in one file as <DARKROOM_WEIGHTS_PATH>/${repository}/${singleFile}`);
  return lines.map((line) => `  ${line}\n`).join('');
}

/** A published size that the file on this disk does not have is worth a look: the download may have been cut short. */
function sizeOf({ path, bytes, found }: FileState): string {
  if (!found) return bytes ? `  ${sizeText(bytes)}` : '';
  const isVariant = !found.path.endsWith(path);
  const note = isVariant
    ? ` as ${basename(found.path)}`
    : bytes && bytes !== found.bytes
      ? `, published ${sizeText(bytes)}`
      : '';
  return `  ${sizeText(found.bytes)}${note}`;
}

const kinds = {
  text: 'text',
  number: 'number',
  integer: 'whole number',
  toggle: 'true or false',
  image: 'image file',
  lora: 'LoRA file or its address',
} as const;

function typeOf(field: Field): string {
  if (field.kind === 'choice') return `one of ${field.choices.join(', ')}`;
  return kinds[field.kind];
}

function limits(field: Field): string | undefined {
  if (field.kind !== 'number' && field.kind !== 'integer') return undefined;
  if (field.minimum === undefined && field.maximum === undefined) return undefined;
  return `from ${field.minimum ?? 'any'} to ${field.maximum ?? 'any'}`;
}

function defaultOf(field: Field): string | undefined {
  return 'default' in field && field.default !== undefined ? `default ${JSON.stringify(field.default)}` : undefined;
}

export default { help, run } satisfies Command;
