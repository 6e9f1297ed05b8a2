import type { FastifyInstance } from 'fastify';
import { type Collection, collectionsOf } from '../../catalog/collections.ts';
import { mentions, relevance } from '../../catalog/search.ts';
import type { CatalogueEntry } from '../catalogue.ts';
import { notFound } from '../errors.ts';
import { pageJson, wholeList } from '../pagination.ts';
import { queryReader } from '../read-request.ts';
import { searchQuery } from '../requests.ts';
import { originOf, type Server } from '../server.ts';
import { collectionJson, foundModelJson, modelJson } from '../wire.ts';

const readSearch = queryReader(searchQuery);

/** Finding models: by words, and by what they do. */
export function searchRoutes(app: FastifyInstance, server: Server): void {
  const { entries } = server.catalogue;
  const collections = collectionsOf(entries.map(({ slug }) => slug));

  /** The best first. */
  const search = (query: string): { entry: CatalogueEntry; score: number }[] =>
    entries
      .map((entry) => ({ entry, score: relevance(entry.model, query) }))
      .filter(({ score }) => score > 0)
      .toSorted((a, b) => b.score - a.score || (a.entry.slug < b.entry.slug ? -1 : 1));

  app.route({
    method: 'QUERY',
    url: '/models',
    handler: async (request) => {
      const { query } = readSearch({ query: queryOf(request.body) });
      const origin = originOf(request, server.settings);
      const runs = await server.predictions.runs();
      const models = search(query).map(({ entry }) => entry);
      return pageJson(wholeList(models), `${origin}/v1/models`, {}, (entry) => modelJson(entry, origin, runs));
    },
  });

  app.get('/search', async (request) => {
    const { query, limit = 20 } = readSearch(request.query);
    const origin = originOf(request, server.settings);
    const runs = await server.predictions.runs();
    return {
      query,
      models: search(query)
        .slice(0, limit)
        .map(({ entry, score }) => foundModelJson(modelJson(entry, origin, runs), score, tagsOf(entry, collections))),
      collections: collections
        .filter(({ name, description }) => mentions(`${name} ${description}`, query))
        .map(collectionJson),
      pages: [],
    };
  });

  app.get('/collections', async (request) => {
    const address = `${originOf(request, server.settings)}/v1/collections`;
    return pageJson(wholeList(collections), address, {}, collectionJson);
  });

  app.get<{ Params: { slug: string } }>('/collections/:slug', async (request) => {
    const collection = collections.find(({ slug }) => slug === request.params.slug);
    if (!collection) throw notFound();
    const origin = originOf(request, server.settings);
    const runs = await server.predictions.runs();
    const models = collection.models.map(server.catalogue.bySlug).filter((entry) => entry !== undefined);
    return {
      ...collectionJson(collection),
      full_description: collection.fullDescription,
      models: models.map((entry) => modelJson(entry, origin, runs)),
    };
  });
}

function tagsOf({ slug }: CatalogueEntry, collections: readonly Collection[]): string[] {
  return collections.filter(({ models }) => models.includes(slug)).map((collection) => collection.slug);
}

/** Clients send the words as they are, or as JSON in quotes. */
function queryOf(body: unknown): string {
  const text = typeof body === 'string' ? body.trim() : '';
  const [, inQuotes] = /^"(.*)"$/s.exec(text) ?? [];
  return inQuotes ?? text;
}
