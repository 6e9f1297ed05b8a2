import type { TObject, TSchema } from 'typebox';

/** One thing that callers may ask, for the OpenAPI document. */
export interface Operation {
  method: 'get' | 'post' | 'patch' | 'delete' | 'query';
  /** As a route has it: `/predictions/:id`. */
  path: string;
  /** The name of the function that a generated client gets. */
  id: string;
  tag: string;
  summary: string;
  description?: string;
  /** The schema that the route checks its query against. */
  query?: TObject;
  headers?: readonly Header[];
  /** The schema that the route checks its body against. */
  body?: { schema: TSchema; mediaType?: string; optional?: true };
  /** By status. */
  answers: Record<number, Answer>;
  /** Statuses of problems beside those that every operation may be answered with. */
  problems?: readonly number[];
  /** Answers without a token. */
  public?: true;
}

export interface Header {
  name: string;
  description: string;
}

export interface Answer {
  description: string;
  schema?: TSchema;
  /** JSON unless given. */
  mediaType?: string;
  headers?: readonly Header[];
}
