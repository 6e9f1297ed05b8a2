/** Models that do the same kind of thing. Who adds a model to one writes its name here. */

export interface Collection {
  slug: string;
  name: string;
  description: string;
  /** For a page of its own. */
  fullDescription: string;
  /** `owner/name`; those that are not loaded are left out. */
  models: readonly string[];
}

export const collections: readonly Collection[] = [
  {
    slug: 'faces',
    name: 'Faces',
    description: 'Models that keep the identity of a person.',
    fullDescription: 'Models that take a photograph of a face and make other pictures of the same person.',
    models: ['fofr/face-to-many', 'tencentarc/photomaker', 'zsxkib/instant-id'],
  },
  {
    slug: 'structure',
    name: 'Structure',
    description: 'Models that follow the structure of a picture.',
    fullDescription:
      'Models that take the edges, the depth, the poses or another structure of a picture and draw along it what a ' +
      'prompt says.',
    models: ['rossjillian/controlnet'],
  },
  {
    slug: 'film',
    name: 'Film',
    description: 'Models that make films.',
    fullDescription: 'Models that make a short film from a prompt.',
    models: ['lucataco/animate-diff'],
  },
];

/** The collections that hold any of these models. @param slugs `owner/name` */
export function collectionsOf(slugs: readonly string[]): Collection[] {
  return collections.filter(({ models }) => models.some((model) => slugs.includes(model)));
}
