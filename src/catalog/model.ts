import type { Residency } from '../runtime/residency.ts';
import type { Fields, InputOf } from './fields.ts';

/** What a prediction of the model returns: one file, or a list of them. */
export type OutputKind = 'file' | 'file-list';

/** A file of published weights, named as on the Hugging Face hub. */
export interface WeightFile {
  /** `owner/name` on the hub. */
  repository: string;
  /** Path inside the repository. */
  path: string;
  /** Other paths under which the same weights are published, tried in order. */
  alternatives?: readonly string[];
}

/** A repository of weights that a model needs. */
export interface WeightRepository {
  /** `owner/name` on the hub. */
  repository: string;
  /** Repositories that hold the same files, tried in order after `repository`. */
  mirrors?: readonly string[];
  /** Licence of the weights, as its holder names it. */
  licence: string;
  commercialUse: boolean;
}

/** A folder on this disk that is laid out as the repository is. */
export interface LocatedRepository {
  set: 'mini' | 'full';
  folder: string;
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
  signal: CancelSignal;
  /** The only way to a loaded network. */
  residency: Residency;
  /** Finds the weights of a repository; logs in plain words which set runs. @throws WeightError when missing */
  locate(repository: WeightRepository): Promise<LocatedRepository>;
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
  /** When the published version was created, ISO 8601; shown as `created_at`. */
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
