/** Small LoRAs for the layers of the mini networks, in the layouts of the published ones. */
import type { MiniNetwork } from './mini-file.ts';
import { inventWeights } from './random-weights.ts';

/** A layer by its name, without `.weight`, and the shape of its weight. */
export type MiniLayer = readonly [name: string, shape: readonly number[]];

export interface MiniLora {
  /** For the recipe: what `layers` and `names` do. */
  layout: string;
  /** Whose layers are adapted. */
  networks: readonly MiniNetwork[];
  layers(): readonly MiniLayer[];
  /** Of the tensors of a layer. */
  names(layer: string): { down: string; up: string; alpha?: string };
  /** Where `names` has one: the same for every layer. */
  alpha?: number;
}

export const miniRank = 4;

export function miniLora({ layout, networks, layers, names, alpha = miniRank }: MiniLora): MiniNetwork {
  return {
    config: { layout, networks: networks.map(({ config }) => config), rank: miniRank, alpha },
    build(weights) {
      for (const [layer, [out, ...rest]] of layers()) {
        const tensors = names(layer);
        // A convolution becomes narrow by a kernel of its own size, and wide again by one of a single pixel.
        weights.tensor(tensors.down, [miniRank, ...rest]);
        weights.tensor(tensors.up, [out!, miniRank, ...rest.slice(1).map(() => 1)]);
        if (tensors.alpha) weights.tensor(tensors.alpha, []);
      }
    },
    spread: (name) => (name.endsWith('.alpha') ? { centre: alpha, deviation: 0 } : undefined),
  };
}

/** For the attentions of a UNet alone, by their processors and without alpha: diffusers' first layout. */
export function processorLora(unet: MiniNetwork): MiniNetwork {
  return miniLora({
    layout: 'processors',
    networks: [unet],
    layers: () => layersOf(unet, /\.(to_[qkv]|to_out\.0)\.weight$/),
    names(layer) {
      const path = layer.replace(/\.(to_[qkv]|to_out)(\.0)?$/, '.processor.$1_lora');
      return { down: `${path}.down.weight`, up: `${path}.up.weight` };
    },
  });
}

/** As kohya-ss/sd-scripts names what it adds to a layer: with underscores for dots. */
export function kohyaNames(layer: string) {
  const path = layer.replaceAll('.', '_');
  return { down: `${path}.lora_down.weight`, up: `${path}.lora_up.weight`, alpha: `${path}.alpha` };
}

/** @param which of the network's tensors; each ends in `.weight` */
export function layersOf(network: MiniNetwork, which: RegExp): MiniLayer[] {
  const invented = inventWeights();
  network.build(invented.weights);
  return [...invented.tensors('')].flatMap(([name, { shape }]) =>
    which.test(name) ? [[name.replace(/\.weight$/, ''), shape] as const] : [],
  );
}
