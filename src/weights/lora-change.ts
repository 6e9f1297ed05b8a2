/**
 * What a LoRA file does to one tensor of a layer, in every form that ComfyUI applies. The rules are those of
 * comfy/lora.py `load_lora` and comfy/model_patcher.py `calculate_weight` at ae77590b: LoRA (arXiv 2106.09685), LoHa
 * (2108.06098), LoKr and GLoRA as LyCORIS writes them (2309.14859), whole differences, and DoRA (2402.09353) over any of
 * these but the last.
 */
import type { TensorRef } from './safetensors.ts';

/** Which tensor of a change it is; the names are those of kohya's trainer and of LyCORIS. */
export type LoraPart =
  | ('down' | 'middle' | 'up' | 'alpha' | 'dora_scale')
  | ('hada_w1_a' | 'hada_w1_b' | 'hada_t1' | 'hada_w2_a' | 'hada_w2_b' | 'hada_t2')
  | ('lokr_w1' | 'lokr_w1_a' | 'lokr_w1_b' | 'lokr_w2' | 'lokr_w2_a' | 'lokr_w2_b' | 'lokr_t2')
  | ('a1' | 'a2' | 'b1' | 'b2')
  | ('diff' | 'diff_b' | 'w_norm' | 'b_norm');

export type Parts = Readonly<Partial<Record<LoraPart, TensorRef>>>;

/**
 * A matrix [P, Q] as a * b, of ranks [P, R] and [R, Q]; Q may be the flattened rest of a kernel. With a core [I, J, h, w] a
 * kernel [P, Q, h, w]: a [I, P] times the first axis of the core, b [J, Q] times its second.
 */
export interface Factored {
  a: TensorRef;
  b: TensorRef;
  core?: TensorRef;
}

/** What is added to the weights, before factor and scale. */
export type Form =
  /** up * down; a kernel [rank, rank, h, w] may stand in the middle, `down` is then 1x1 */
  | { kind: 'lora'; up: TensorRef; down: TensorRef; middle?: TensorRef }
  /** Both multiplied element by element. */
  | { kind: 'loha'; first: Factored; second: Factored }
  /** Their Kronecker product. */
  | { kind: 'lokr'; first: TensorRef | Factored; second: TensorRef | Factored }
  /** b2 * b1 + W * a2 * a1, of the weights W as the LoRA before left them */
  | { kind: 'glora'; a1: TensorRef; a2: TensorRef; b1: TensorRef; b2: TensorRef }
  | { kind: 'difference'; difference: TensorRef };

export interface TensorChange {
  form: Form;
  /** alpha over the rank */
  factor: number;
  /** Of a DoRA: the lengths that the weights have afterwards, each of all weights of one input channel. */
  magnitudes?: TensorRef;
}

/** A change in a graph, where an input of this name holds its scale. */
export interface ScaledChange extends TensorChange {
  scale: string;
}

/** Of several forms the one that ComfyUI reads last counts, if nothing of it is missing. */
export function formOf(parts: Parts): Form | undefined {
  const { down, middle, up, a1, a2, b1, b2, hada_t1: core } = parts;
  const difference = parts.diff ?? parts.w_norm;
  if (difference) return { kind: 'difference', difference };
  if (a1 && a2 && b1 && b2) return { kind: 'glora', a1, a2, b1, b2 };
  const left = parts.lokr_w1 ?? factored(parts.lokr_w1_a, parts.lokr_w1_b);
  const right = parts.lokr_w2 ?? factored(parts.lokr_w2_a, parts.lokr_w2_b, parts.lokr_t2);
  if (left && right) return { kind: 'lokr', first: left, second: right };
  const first = factored(parts.hada_w1_a, parts.hada_w1_b, core);
  const second = factored(parts.hada_w2_a, parts.hada_w2_b, core && parts.hada_t2);
  if (first && second && (!core || second.core)) return { kind: 'loha', first, second };
  return down && up ? { kind: 'lora', up, down, ...(middle && { middle }) } : undefined;
}

function factored(a: TensorRef | undefined, b: TensorRef | undefined, core?: TensorRef): Factored | undefined {
  return a && b && { a, b, ...(core && { core }) };
}

export function biasDifference({ diff_b, b_norm }: Parts): TensorRef | undefined {
  return diff_b ?? b_norm;
}

export function isFactored(factor: TensorRef | Factored): factor is Factored {
  return 'a' in factor;
}

export function tensorsOf(form: Form): TensorRef[] {
  const { kind: _, ...entries } = form;
  return Object.values<TensorRef | Factored>(entries).flatMap((entry) =>
    isFactored(entry) ? Object.values<TensorRef>({ ...entry }) : [entry],
  );
}

/** What alpha is divided by; nothing where alpha does not count: a difference, a LoKr of two matrices that are whole. */
export function rankOf(form: Form): number | undefined {
  switch (form.kind) {
    case 'lora':
      return form.down.shape[0];
    case 'loha':
      return form.first.b.shape[0];
    case 'lokr':
      return [form.second, form.first].find(isFactored)?.b.shape[0];
    case 'glora':
      return form.a1.shape[0];
    case 'difference':
      return undefined;
  }
}
