import { isFile } from '../catalog/fields.ts';
import { slug } from '../catalog/list.ts';
import type { ModelDefinition } from '../catalog/model.ts';
import { type InputSchema, inputSchema, type OpenApiDocument, openApiSchema } from '../catalog/openapi.ts';
import { type CheckedInput, compileInputCheck } from '../catalog/validate.ts';

/** A model with everything that requests need of it, made once. */
export interface CatalogueEntry {
  model: ModelDefinition;
  /** `owner/name`. */
  slug: string;
  openApiSchema: OpenApiDocument;
  /** The inputs as one schema without references: what a request is checked against. */
  inputSchema: InputSchema;
  checkInput(input: unknown): CheckedInput;
  /** Names of the inputs that hold files. */
  fileInputs: readonly string[];
}

export interface Catalogue {
  entries: readonly CatalogueEntry[];
  bySlug(slug: string): CatalogueEntry | undefined;
  /** By what a create request may name: 64 hex digits, `owner/name:` and 64 hex digits, or `owner/name`. */
  byReference(reference: string): CatalogueEntry | undefined;
}

export function createCatalogue(models: readonly ModelDefinition[]): Catalogue {
  const entries = models.map(
    (model): CatalogueEntry => ({
      model,
      slug: slug(model),
      openApiSchema: openApiSchema(model),
      inputSchema: inputSchema(model.inputs),
      checkInput: compileInputCheck(model.inputs),
      fileInputs: Object.keys(model.inputs).filter((name) => isFile(model.inputs[name]!)),
    }),
  );
  const slugs = new Map(entries.map((entry) => [entry.slug, entry]));
  const versions = new Map(entries.map((entry) => [entry.model.version, entry]));
  return {
    entries,
    bySlug: (name) => slugs.get(name),
    byReference(reference) {
      if (!reference.includes('/')) return versions.get(reference);
      const [name, version] = reference.split(':', 2) as [string, string | undefined];
      const entry = slugs.get(name);
      return version === undefined || version === entry?.model.version ? entry : undefined;
    },
  };
}
