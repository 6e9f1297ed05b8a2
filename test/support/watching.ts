import type { Tensor } from '../../src/math/tensor.ts';
import type { Residency } from '../../src/runtime/residency.ts';

type Tensors = Readonly<Record<string, Tensor>>;

export interface NetworkRun {
  /** Of the network. */
  key: string;
  feeds: Tensors;
  results: Tensors;
}

/** Shows each run of a network. @param onRun may return other results in place of the network's own */
export function watching(
  residency: Residency,
  onRun: (run: NetworkRun) => Record<string, Tensor> | undefined,
): Residency {
  return {
    ...residency,
    use: (network, work) =>
      residency.use(network, (session) =>
        work({
          ...session,
          async run(feeds) {
            const results = await session.run(feeds);
            return onRun({ key: network.key, feeds, results }) ?? results;
          },
        }),
      ),
  };
}
