import { createHash } from 'node:crypto';
import type { Tensor } from '../../src/math/tensor.ts';
import type { Residency } from '../../src/runtime/residency.ts';
import type { Session } from '../../src/runtime/session.ts';

type Tensors = Record<string, Tensor>;

/**
 * Answers from memory what a network was asked before, and computes the rest: tests that change one input of a model wait
 * for what that input changes. Of use where nobody writes into results.
 */
export function remembering(residency: Residency): Residency {
  const sessions = new Map<string, Omit<Session, 'run'>>();
  const answers = new Map<string, Promise<Tensors>>();
  return {
    ...residency,
    async use(network, work) {
      const { inputs, outputs } = sessions.get(network.key) ?? (await residency.use(network, async (found) => found));
      sessions.set(network.key, { inputs, outputs });
      return work({
        inputs,
        outputs,
        run(feeds) {
          const question = `${network.key} ${digestOf(feeds)}`;
          const answer = answers.get(question) ?? residency.use(network, (session) => session.run(feeds));
          answers.set(question, answer);
          return answer;
        },
      });
    },
  };
}

function digestOf(feeds: Readonly<Tensors>): string {
  const hash = createHash('sha256');
  for (const [name, { type, dims, data }] of Object.entries(feeds)) {
    hash.update(`${name} ${type} ${dims} `).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}
