/** The JSON shapes of the API. The web page imports the types. */
import { cogVersion, type OpenApiDocument } from '../catalog/openapi.ts';
import { isTerminal, type Prediction } from '../predictions/prediction.ts';
import { type FileRef, parseFileRef } from '../storage/file-ref.ts';
import { missingFiles, type RepositoryState, wayToGet } from '../weights/inventory.ts';
import type { CatalogueEntry } from './catalogue.ts';

export interface PredictionJson {
  id: string;
  model: string;
  version: string;
  input: Record<string, unknown>;
  logs: string;
  output: unknown;
  data_removed: boolean;
  error: string | null;
  source: 'api' | 'web';
  status: 'starting' | 'processing' | 'succeeded' | 'failed' | 'canceled';
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
  metrics: Record<string, number>;
  /** Never null inside: the Python client reads it as a map of strings. */
  urls: Record<string, string>;
}

export interface VersionJson {
  id: string;
  created_at: string;
  cog_version: string;
  openapi_schema: OpenApiDocument;
}

export interface ModelJson {
  url: string;
  owner: string;
  name: string;
  description: string;
  visibility: 'public';
  is_official: boolean;
  github_url: string | null;
  paper_url: string | null;
  weights_url: string | null;
  license_url: string | null;
  run_count: number;
  cover_image_url: string | null;
  default_example: PredictionJson | null;
  latest_version: VersionJson;
  created_at: string;
}

/** What a model's page says of its published weights; the public service has no such field. */
export interface WeightsJson {
  repository: string;
  license: string;
  commercial_use: boolean;
  /** Whether every file is on the server's disk. */
  present: boolean;
  files: { path: string; present: boolean; size: number | null; sha256: string | null }[];
  /** A command, or a page to get them from; null when nothing is missing. */
  get: string | null;
}

export interface PageJson<Item> {
  next: string | null;
  previous: string | null;
  results: Item[];
}

/**
 * @param origin where the caller reaches this server, without path
 * @param fileInputs names of the model's inputs that hold files; a prompt may look like a reference and stays a prompt
 */
export function predictionJson(prediction: Prediction, origin: string, fileInputs: readonly string[]): PredictionJson {
  const input = Object.entries(prediction.input).map(([name, value]) => [
    name,
    fileInputs.includes(name) ? withFileUrls(value, origin) : value,
  ]);
  const self = `${origin}/v1/predictions/${prediction.id}`;
  return {
    id: prediction.id,
    model: prediction.model,
    version: prediction.version,
    input: Object.fromEntries(input),
    logs: prediction.logs,
    // Whole or not at all: to some clients any output means that the prediction is done.
    output: isTerminal(prediction.status) ? withFileUrls(prediction.output ?? null, origin) : null,
    data_removed: prediction.dataRemoved,
    error: prediction.error,
    source: prediction.source,
    // Most clients do not know `aborted` and would poll for ever.
    status: prediction.status === 'aborted' ? 'canceled' : prediction.status,
    created_at: prediction.createdAt.toISOString(),
    started_at: prediction.startedAt?.toISOString() ?? null,
    completed_at: prediction.completedAt?.toISOString() ?? null,
    metrics: prediction.metrics,
    urls: { cancel: `${self}/cancel`, get: self },
  };
}

/**
 * A create request's answer when its time was over first. The JavaScript client takes every status but `starting` for
 * the end, so that is what it is told; the next request tells the truth.
 */
export function asStillStarting(prediction: Prediction): Prediction {
  if (isTerminal(prediction.status)) return prediction;
  return { ...prediction, status: 'starting', startedAt: null };
}

export function versionJson({ model, openApiSchema }: CatalogueEntry): VersionJson {
  return {
    id: model.version,
    created_at: new Date(model.createdAt).toISOString(),
    cog_version: cogVersion,
    openapi_schema: openApiSchema,
  };
}

export function modelJson(entry: CatalogueEntry, origin: string): ModelJson {
  const { owner, name, description, createdAt } = entry.model;
  return {
    url: `${origin}/${owner}/${name}`,
    owner,
    name,
    description,
    visibility: 'public',
    is_official: false,
    github_url: null,
    paper_url: null,
    weights_url: null,
    license_url: null,
    run_count: 0,
    cover_image_url: null,
    default_example: null,
    latest_version: versionJson(entry),
    created_at: new Date(createdAt).toISOString(),
  };
}

export function weightsJson(state: RepositoryState): WeightsJson {
  const { repository, licence, commercialUse } = state.repository;
  return {
    repository,
    license: licence,
    commercial_use: commercialUse,
    present: missingFiles(state).length === 0,
    files: state.files.map(({ path, bytes, sha256, found }) => ({
      path,
      present: found !== undefined,
      size: found?.bytes ?? bytes ?? null,
      sha256: sha256 ?? null,
    })),
    get: wayToGet(state) ?? null,
  };
}

export function fileUrl({ key, name }: FileRef, origin: string): string {
  return `${origin}/f/${key}/${encodeURIComponent(name)}`;
}

const ownFilePath = /^(?:\/v1)*\/f\/([A-Za-z0-9_-]+)\/([^/]+)$/;

/** The file that a URL of this server names, whatever host name it was given; `undefined` for any other URL. */
export function parseFileUrl(url: string): FileRef | undefined {
  const match = URL.canParse(url) ? ownFilePath.exec(new URL(url).pathname) : null;
  if (!match) return undefined;
  try {
    return { key: match[1]!, name: decodeURIComponent(match[2]!) };
  } catch {
    return undefined;
  }
}

/** References to stored files become URLs, at any depth. */
function withFileUrls(value: unknown, origin: string): unknown {
  if (Array.isArray(value)) return value.map((item) => withFileUrls(item, origin));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withFileUrls(item, origin)]));
  }
  const ref = parseFileRef(value);
  return ref ? fileUrl(ref, origin) : value;
}
