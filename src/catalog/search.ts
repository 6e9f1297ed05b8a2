import { slug } from './list.ts';
import type { ModelDefinition } from './model.ts';

type Searchable = Pick<ModelDefinition, 'owner' | 'name' | 'description' | 'inputs'>;

/** What a word of the query is worth, by where it was found. */
const worth = { name: 1, partOfName: 0.8, description: 0.6, input: 0.3 };

/**
 * How well a model answers a query, from 0 (not at all) to 1: each word counts by the best place in which it is found.
 * Every model answers a query without words.
 */
export function relevance(model: Searchable, query: string): number {
  const words = wordsOf(query);
  if (words.length === 0) return 1;
  const name = wordsOf(slug(model));
  const description = wordsOf(model.description);
  const inputs = Object.entries(model.inputs).flatMap(([input, field]) => wordsOf(`${input} ${field.description}`));
  const scores = words.map((word) => {
    if (name.includes(word)) return worth.name;
    if (slug(model).toLowerCase().includes(word)) return worth.partOfName;
    if (description.some((other) => other.startsWith(word))) return worth.description;
    return inputs.includes(word) ? worth.input : 0;
  });
  return scores.reduce((sum, score) => sum + score, 0) / words.length;
}

/** Whether one of the query's words begins a word of the text. */
export function mentions(text: string, query: string): boolean {
  const words = wordsOf(text);
  return wordsOf(query).some((word) => words.some((other) => other.startsWith(word)));
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{Letter}\p{Number}]+/gu) ?? [];
}
