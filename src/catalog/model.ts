import type { RgbImage } from '../base/image.ts';
import type { Residency } from '../runtime/residency.ts';
import type { Fields, InputOf } from './fields.ts';

/** What a prediction of the model returns: one file, or a list of them. */
export type OutputKind = 'file' | 'file-list';

/** A published file of weights. Size and digest stand only where their source is known (docs/weights.md). */
export interface WeightFile {
  /** Inside the repository. */
  path: string;
  bytes?: number;
  /** 64 hex digits. */
  sha256?: string;
}

/** A repository of published weights, and what of it a model needs. */
export interface WeightRepository {
  /** `owner/name` on the Hugging Face hub; of files from elsewhere the folder that they are looked for in. */
  repository: string;
  /** Repositories that hold the same files, tried in order after `repository`. */
  mirrors?: readonly string[];
  /** The commit or branch on the hub that the files are of; the newest unless given. */
  revision?: string;
  /** Paths inside the repository; the repository counts as present when all of them are. */
  files: readonly (string | WeightFile)[];
  /** A Stable Diffusion XL: all of it may lie in one file, `checkpoint.safetensors`, in place of `files`. */
  mayBeSingleFile?: true;
  /** Where a person gets files that are not on the hub. */
  page?: string;
  /** Licence of the weights, as its holder names it. */
  licence: string;
  commercialUse: boolean;
}

/** Folders on this disk, laid out as the repositories are, in the order asked for; all of one set. */
export interface LocatedWeights {
  set: 'mini' | 'full';
  folders: readonly string[];
}

/** Asked between two steps: an engine in the middle of a network cannot be interrupted. */
export interface CancelSignal {
  readonly aborted: boolean;
  /** @throws CanceledError when the prediction was canceled */
  throwIfAborted(): void;
}

/** What surrounds a prediction while it runs. */
export interface PredictContext {
  /** Appends one line to the prediction's logs. */
  log(line: string): void;
  /** Reports one finished denoising step; writes the progress line that the official clients parse. */
  step(current: number, total: number): void;
  /** Offers a picture of how the output looks now. `draw` is called only when somebody watches, and not too often. */
  preview(draw: () => RgbImage): void;
  signal: CancelSignal;
  /** The only way to a loaded network. */
  residency: Residency;
  /** Whether weights may be used whose licence allows no commercial use, or says nothing clear about it. */
  licences: 'all' | 'commercial';
  /** Finds weights on this disk and logs in plain words which set runs. @throws WeightError listing what is missing */
  locate(repositories: readonly WeightRepository[]): Promise<LocatedWeights>;
}

/** A finished file, in the order of the prediction's output. */
export interface OutputFile {
  /** Name with ending, `out-0.png`. */
  name: string;
  contentType: string;
  bytes: Uint8Array;
}

export interface ModelDefinition<F extends Fields = Fields> {
  owner: string;
  name: string;
  /** 64 hex digits: the published version that the model behaves as. */
  version: string;
  description: string;
  /** When the source of the published version appeared, ISO 8601; shown as `created_at`. */
  createdAt: string;
  inputs: F;
  output: OutputKind;
  weights: readonly WeightRepository[];
  predict(input: InputOf<F>, context: PredictContext): AsyncGenerator<OutputFile>;
}

/** Types a model file's default export; the file's name is its registration (`catalog/list.ts`). */
export function defineModel<const F extends Fields>(definition: ModelDefinition<F>): ModelDefinition<F> {
  return definition;
}
