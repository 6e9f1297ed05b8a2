/**
 * Compares the published documents of models (`test/fixtures/seeds/*.md`), table by table, with the OpenAPI documents
 * that the server makes of its models.
 *
 *     npm run build && node tools/compare-seeds.js [folder of published documents]
 *
 * Prints what differs and ends with 1 when anything does that is not explained below, or when an explanation fits nothing
 * any more.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

/** What differs in every document on purpose. Keys are places as `differences` writes them. */
export const explained = {
  'POST /predictions: status 200 is 201': 'The service itself answers 201, and clients rely on it.',
  'POST /predictions: the answer is a prediction':
    "The document shows the model's output alone; a prediction with that output is what is answered.",
  'POST /predictions: webhook_events_filter is also a list':
    'Clients send a list; a text with commas, as the document has it, is taken too.',
};

/** The service's name is the only word that is another. */
const rename = (text) => text.replaceAll('Replicate will', 'Darkroom will');

/**
 * A published document, taken apart.
 *
 * @param {string} markdown
 */
export function parseSeed(markdown) {
  const [head, ...sections] = markdown.split(/^## /m);
  const [, title, version] = /^<h1 id="[^"]+">(\S+) v(\S+)<\/h1>$/m.exec(head);
  const description = /^> Scroll down.*\n\n(.+)\n\nBase URLs:/m.exec(head)[1];
  return { slug: title.replace('_', '/'), version, description, operations: sections.map(parseOperation) };
}

function parseOperation(section) {
  const [, method, path] = /^`(GET|POST|PATCH|PUT|DELETE) (\S+)`$/m.exec(section);
  const [, summary, description] = /^\*(.+)\*\n\n(.+)$/m.exec(section);
  const body = /^> Body parameter\n\n```json\n([\s\S]*?)\n```$/m.exec(section);
  const answer = /^> 200 Response\n\n```json\n([\s\S]*?)\n```$/m.exec(section);
  return {
    method,
    path,
    summary,
    description,
    body: body && JSON.parse(rename(body[1])),
    answer: answer && JSON.parse(answer[1]),
    parameters: table(section, 'Name').map(([name, where, type, required, text]) => ({
      name,
      where,
      type,
      required: required === 'true',
      text: rename(text),
    })),
    choices: table(section, 'Parameter').map(([name, value]) => ({ name, value })),
    statuses: table(section, 'Status').map(([status, , text]) => ({ status, text })),
  };
}

/** Rows of the table whose first column has this head. Cells are not trimmed: some texts end in a space. */
function table(section, head) {
  const lines = section.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`|${head}|`));
  if (start === -1) return [];
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map((line) => line.slice(1, -1).split('|'));
}

/**
 * What a published document says and ours does not, in words; each begins with the operation.
 *
 * @param {ReturnType<typeof parseSeed>} seed
 * @param {object} document OpenAPI 3.1
 * @returns {string[]}
 */
export function differences(seed, document) {
  const found = [];
  const same = (place, published, ours) => {
    if (!isDeepStrictEqual(inOrder(published), inOrder(ours))) {
      found.push(`${place} is ${JSON.stringify(ours)} and not ${JSON.stringify(published)}`);
    }
  };
  same('title', seed.slug, document.info.title);
  same('version', seed.version, document.info.version);
  same('description', seed.description, document.info.description);
  for (const operation of seed.operations) {
    const place = `${operation.method} ${operation.path}`;
    const ours = document.paths[operation.path]?.[operation.method.toLowerCase()];
    if (!ours) found.push(`${place} is missing`);
    else compareOperation(place, operation, ours, document, same, found);
  }
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const published = seed.operations.map(({ method, path }) => `${method} ${path}`);
  for (const operation of operations) if (!published.includes(operation)) found.push(`${operation} is not published`);
  return found;
}

function compareOperation(place, seed, ours, document, same, found) {
  same(`${place}: summary`, seed.summary, ours.summary);
  same(`${place}: description`, seed.description, ours.description);
  const schema = ours.requestBody?.content['application/json']?.schema;
  if (seed.body) compareBody(place, seed.body, schema, same, found);

  let depth = [schema];
  for (const row of seed.parameters) {
    const [, marks, name] = /^(»*) ?(.*)$/.exec(row.name);
    const at = `${place}: row ${row.name}`;
    if (row.where === 'header') compareHeader(at, row, ours, document, same);
    else if (row.where === 'path') {
      const parameter = ours.parameters?.find((candidate) => candidate.name === name && candidate.in === 'path');
      same(
        at,
        [row.type, row.required, row.text],
        [parameter?.schema.type, parameter?.required, parameter?.description],
      );
    } else if (name !== 'body') {
      const parent = depth[marks.length - 1];
      const property = parent?.properties?.[name];
      depth = [...depth.slice(0, marks.length), property];
      const text = property?.description ?? 'none';
      same(
        at,
        [row.type, row.required, row.text],
        [typeName(name, property), parent?.required?.includes(name) ?? false, text],
      );
    }
  }

  const named = (name) => schema?.properties?.input?.properties?.[name.replace(/^» */g, '').replace(/^»* */, '')];
  for (const name of new Set(seed.choices.map((choice) => choice.name))) {
    const values = seed.choices.filter((choice) => choice.name === name).map(({ value }) => value);
    same(`${place}: choices of ${name}`, values, named(name)?.enum?.map(String));
  }

  const [[status, answer]] = Object.entries(ours.responses);
  for (const row of seed.statuses) {
    if (row.status === '200' && status === '201') found.push(`${place}: status 200 is 201`);
    else same(`${place}: status`, row.status, status);
    same(`${place}: text of the status`, row.text, answer.description);
  }
  compareAnswer(place, seed, answer, document, same, found);
}

/** The JSON under "Body parameter": everything about `input`, and what stands around it. */
function compareBody(place, published, ours, same, found) {
  same(`${place}: required around input`, published.required.toSorted(), (ours?.required ?? []).toSorted());
  same(
    `${place}: names around input`,
    Object.keys(published.properties).toSorted(),
    Object.keys(ours?.properties ?? {}).toSorted(),
  );
  for (const [name, property] of Object.entries(published.properties)) {
    const own = ours?.properties?.[name];
    if (name === 'input') {
      const { required = [], properties, ...rest } = property;
      const { required: ownRequired = [], properties: ownProperties = {}, ...ownRest } = own ?? {};
      same(`${place}: input`, rest, ownRest);
      same(`${place}: required inputs`, required.toSorted(), ownRequired.toSorted());
      same(`${place}: names of inputs`, Object.keys(properties).toSorted(), Object.keys(ownProperties).toSorted());
      for (const [input, schema] of Object.entries(properties)) {
        // What a form needs, and what the published documents have lost.
        const { title: _title, 'x-order': _order, ...meaning } = ownProperties[input] ?? {};
        same(`${place}: input ${input}`, schema, meaning);
      }
      continue;
    }
    if (own?.anyOf?.some(({ type }) => type === 'array')) found.push(`${place}: ${name} is also a list`);
    same(`${place}: ${name}`, [property.type, property.description], [typeName(name, own), own?.description]);
  }
}

/** Headers are not parameters in OpenAPI where it has a place of its own for what they say. */
function compareHeader(place, row, ours, document, same) {
  if (row.name === 'Authorization') {
    const { token } = document.components.securitySchemes;
    const required = document.security.every((way) => 'token' in way);
    same(place, [row.type, row.required, row.text, 'bearer'], ['string', required, token.description, token.scheme]);
    return;
  }
  const types = Object.keys(ours.requestBody?.content ?? {});
  same(
    place,
    [row.name, row.required, row.text],
    ['Content-Type', ours.requestBody?.required, `Eg: ${types.join()}. `],
  );
}

function compareAnswer(place, seed, answer, document, same, found) {
  if (!seed.answer) return;
  let schema = dereferenced(answer.content['application/json'].schema, document);
  if (seed.body) {
    found.push(`${place}: the answer is a prediction`);
    schema = schema.properties.output.anyOf.find(({ type }) => type !== 'null');
  }
  same(`${place}: type of the answer`, seed.answer.type, schema.type);
}

function dereferenced(schema, document) {
  return schema.$ref ? document.components.schemas[schema.$ref.split('/').at(-1)] : schema;
}

/** As the tables write it. A text that may be a list too is a text. */
function typeName(name, property) {
  const own = property?.anyOf ? property.anyOf.find(({ type }) => type === 'string') : property;
  // Our webhooks say of themselves that they are URLs.
  return own?.format && name !== 'webhook' ? `${own.type}(${own.format})` : own?.type;
}

/** The same object with its keys in alphabetical order. */
function inOrder(value) {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, inOrder(value[key])]));
}

/**
 * @param {string[]} markdowns published documents
 * @param {Record<string, object>} documents ours, by `owner/name`
 */
export function compareAll(markdowns, documents) {
  const faults = [];
  const compared = [];
  const used = new Set();
  for (const seed of markdowns.map(parseSeed)) {
    const document = documents[seed.slug];
    if (!document) {
      faults.push(`${seed.slug} is absent`);
      continue;
    }
    compared.push(seed.slug);
    for (const difference of differences(seed, document)) {
      if (difference in explained) used.add(difference);
      else faults.push(`${seed.slug}: ${difference}`);
    }
  }
  for (const difference of Object.keys(explained)) {
    if (!used.has(difference)) faults.push(`explained and not found: ${difference}`);
  }
  return { compared, faults };
}

async function main([folder = 'test/fixtures/seeds']) {
  const { loadModels } = await import('../dist/catalog/list.js');
  const { createCatalogue } = await import('../dist/server/catalogue.js');
  const { modelDocument } = await import('../dist/server/document/model-document.js');
  const { entries } = createCatalogue(await loadModels());
  const documents = Object.fromEntries(entries.map((entry) => [entry.slug, modelDocument(entry, 'http://localhost')]));
  const files = readdirSync(folder).filter((file) => file.endsWith('.md'));
  const { compared, faults } = compareAll(
    files.map((file) => readFileSync(`${folder}/${file}`, 'utf8')),
    documents,
  );
  for (const slug of compared) console.log(`compared  ${slug}`);
  for (const [difference, reason] of Object.entries(explained)) console.log(`explained ${difference}: ${reason}`);
  for (const fault of faults) console.log(`differs   ${fault}`);
  process.exitCode = faults.length > 0 ? 1 : 0;
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
