import { WeightError } from '../base/errors.ts';
import { type Component, countsOf, isLeftover, originalComponents, renamed } from './original-names.ts';
import type { TensorRef } from './safetensors.ts';

export type { Component };

/** The tensors of each network of a checkpoint, by the names that networks here ask for. */
export type Components = Partial<Record<Component, ReadonlyMap<string, TensorRef>>>;

type Tensors = ReadonlyMap<string, TensorRef>;

/**
 * The networks of a file in the layout of its training code; `undefined` where the names are none of such a file.
 *
 * @throws WeightError naming the tensors that belong to no network and are no known leftovers
 */
export function splitCheckpoint(tensors: Tensors, source: string): Components | undefined {
  const names = [...tensors.keys()];
  const sections = originalComponents.filter(({ prefix }) => names.some((name) => name.startsWith(prefix)));
  if (sections.length > 0) return split(tensors, sections, source);
  const whole = originalComponents.filter(({ mark }) => mark !== undefined && tensors.has(mark));
  // A ControlNet has the names of a UNet too.
  const alone = whole.find(({ component }) => component === 'controlnet') ?? whole[0];
  return alone && split(tensors, [{ ...alone, prefix: '' }], source);
}

function split(tensors: Tensors, sections: typeof originalComponents, source: string): Components {
  const components: Partial<Record<Component, Map<string, TensorRef>>> = {};
  const unknown = new Set([...tensors.keys()].filter((name) => !isLeftover(name)));
  for (const { component, prefix, rules } of sections) {
    const own = [...unknown].filter((name) => name.startsWith(prefix));
    const counts = countsOf(own.map((name) => name.slice(prefix.length)));
    const found = components[component] ?? new Map<string, TensorRef>();
    for (const original of own) {
      unknown.delete(original);
      for (const tensor of renamedTensors(
        tensors.get(original)!,
        renamed(original.slice(prefix.length), rules, counts),
      )) {
        if (found.has(tensor.name)) {
          throw new WeightError(`The checkpoint ${source} holds "${tensor.name}" of its ${component} twice.`);
        }
        found.set(tensor.name, tensor);
      }
    }
    components[component] = found;
  }
  if (unknown.size > 0) {
    throw new WeightError(
      `The checkpoint ${source} has ${unknown.size} tensors that belong to no network: ${[...unknown].slice(0, 24).join(', ')}. ` +
        'Only Stable Diffusion 1.5, SDXL and their ControlNets are known in this layout.',
    );
  }
  return components;
}

/** One tensor, or the three that it holds one after another. */
function renamedTensors(tensor: TensorRef, name: string): TensorRef[] {
  if (name.includes('{q,k,v}')) {
    const third = Math.floor(tensor.shape[0]! / 3);
    const byteLength = tensor.byteLength / 3;
    if (third * 3 !== tensor.shape[0] || tensor.axes) {
      throw new WeightError(
        `The tensor "${tensor.name}" of ${tensor.file} cannot be divided into query, key and value.`,
      );
    }
    return ['q', 'k', 'v'].map((letter, index) => ({
      ...tensor,
      name: name.replace('{q,k,v}', letter),
      offset: tensor.offset + index * byteLength,
      byteLength,
      shape: tensor.shape.with(0, third),
    }));
  }
  if (name.endsWith('{transposed}')) {
    if (tensor.shape.length !== 2) throw new WeightError(`The tensor "${tensor.name}" of ${tensor.file} is no matrix.`);
    const axes = (tensor.axes ?? [0, 1]).map((axis) => 1 - axis);
    return [withAxes({ ...tensor, name: name.replace('{transposed}', ''), shape: tensor.shape.toReversed() }, axes)];
  }
  if (/\.attentions\.0\.to_.*weight$/.test(name) && isPointwise(tensor.shape)) {
    // The VAE's attention was written as 1x1 convolutions. [C, C, 1, 1] -> [C, C]
    const axes = (tensor.axes ?? [0, 1]).filter((axis) => axis < 2);
    return [withAxes({ ...tensor, name, shape: tensor.shape.slice(0, 2) }, axes)];
  }
  return [{ ...tensor, name }];
}

function withAxes({ axes: _, ...tensor }: TensorRef, axes: readonly number[]): TensorRef {
  return axes.every((axis, index) => axis === index) ? tensor : { ...tensor, axes };
}

function isPointwise(shape: readonly number[]): boolean {
  return shape.length === 4 && shape[2] === 1 && shape[3] === 1;
}
