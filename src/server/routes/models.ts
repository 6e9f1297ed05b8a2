import type { FastifyInstance } from 'fastify';
import { repositoryState } from '../../weights/inventory.ts';
import type { CatalogueEntry } from '../catalogue.ts';
import { invalidInput, notFound } from '../errors.ts';
import { pageJson, wholeList } from '../pagination.ts';
import { originOf, type Server } from '../server.ts';
import { modelJson, versionJson, weightsJson } from '../wire.ts';

interface ModelParams {
  owner: string;
  name: string;
}

export function modelRoutes(app: FastifyInstance, server: Server): void {
  const find = ({ owner, name }: ModelParams): CatalogueEntry => {
    const entry = server.catalogue.bySlug(`${owner}/${name}`);
    if (!entry) throw notFound();
    return entry;
  };

  app.get<{ Querystring: Record<string, string | undefined> }>('/models', async (request) => {
    const origin = originOf(request, server.settings);
    const direction = sortDirection(request.query);
    const byAge = server.catalogue.entries.toSorted(
      (a, b) => direction * (Date.parse(a.model.createdAt) - Date.parse(b.model.createdAt)),
    );
    return pageJson(wholeList(byAge), `${origin}/v1/models`, request.query, (entry) => modelJson(entry, origin));
  });

  app.get<{ Params: ModelParams }>('/models/:owner/:name', async (request) => {
    const entry = find(request.params);
    const states = entry.model.weights.map((weights) => repositoryState(weights, server.settings));
    return {
      ...modelJson(entry, originOf(request, server.settings)),
      weights: (await Promise.all(states)).map(weightsJson),
    };
  });

  app.get<{ Params: ModelParams }>('/models/:owner/:name/versions', async (request) => {
    const entry = find(request.params);
    const address = `${originOf(request, server.settings)}/v1/models/${entry.slug}/versions`;
    return pageJson(wholeList([entry]), address, {}, versionJson);
  });

  app.get<{ Params: ModelParams & { version: string } }>('/models/:owner/:name/versions/:version', async (request) => {
    const entry = find(request.params);
    if (entry.model.version !== request.params.version) throw notFound();
    return versionJson(entry);
  });
}

/** A model here has one version, created when the model was: both keys of the API order alike. */
function sortDirection(query: Record<string, string | undefined>): 1 | -1 {
  const { sort_by: key = 'latest_version_created_at', sort_direction: direction = 'desc' } = query;
  const faults = [
    ...choiceFault('sort_by', key, ['model_created_at', 'latest_version_created_at']),
    ...choiceFault('sort_direction', direction, ['asc', 'desc']),
  ];
  if (faults.length > 0) throw invalidInput(faults);
  return direction === 'asc' ? 1 : -1;
}

function choiceFault(field: string, value: string, choices: readonly string[]) {
  if (choices.includes(value)) return [];
  const list = choices.map((choice) => JSON.stringify(choice)).join(', ');
  return [{ type: 'enum', field, description: `${field} must be one of the following: ${list}` }];
}
