/** The JSON shapes of the API. The web page imports the types. */
import type { Collection } from '../catalog/collections.ts';
import { cogVersion, type OpenApiDocument } from '../catalog/openapi.ts';
import { isTerminal, type Prediction } from '../predictions/prediction.ts';
import { missingFiles, type RepositoryState, wayToGet } from '../weights/inventory.ts';
import type { CatalogueEntry } from './catalogue.ts';

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
  default_example: null;
  latest_version: VersionJson;
  created_at: string;
  /** Only of a model that is asked for by its address. */
  weights?: WeightsJson[];
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

export interface CollectionJson {
  slug: string;
  name: string;
  description: string;
}

/** A model in the answer to a search. */
export interface FoundModelJson {
  model: ModelJson;
  metadata: { generated_description: string; score: number; tags: readonly string[] };
}

export interface PageJson<Item> {
  next: string | null;
  previous: string | null;
  results: Item[];
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

/** @param runs how often each model ran, by `owner/name` */
export function modelJson(entry: CatalogueEntry, origin: string, runs: ReadonlyMap<string, number>): ModelJson {
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
    run_count: runs.get(entry.slug) ?? 0,
    cover_image_url: null,
    default_example: null,
    latest_version: versionJson(entry),
    created_at: new Date(createdAt).toISOString(),
  };
}

export function foundModelJson(model: ModelJson, score: number, tags: readonly string[]): FoundModelJson {
  return { model, metadata: { generated_description: model.description, score, tags } };
}

export function collectionJson({ slug, name, description }: Collection): CollectionJson {
  return { slug, name, description };
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
