/**
 * Scaled dot-product attention in two ways: by ONNX Runtime's own operator, and by products and a softmax where that
 * operator is wrong (docs/decisions/webgpu-operators.md).
 */
import type { Graph, Value } from './graph.ts';
import { add, concat, demand, reshape, scale, slice, transpose } from './ops.ts';

export interface AttentionOptions {
  batch: number;
  heads: number;
  /** Added to the scores before softmax: [1, 1, N, L]. */
  bias?: Value;
}

/** query [B*N, C], key and value [B*L, C] -> [B*N, C] */
export function attention(g: Graph, query: Value, key: Value, value: Value, options: AttentionOptions): Value {
  const { batch, heads, bias } = options;
  const [rowsOfQuery, width] = query.dims as [number, number];
  demand(width % heads === 0 && key.dims[1] === width && value.dims[1] === width, 'attention', query, key, value);
  const perBatch = (x: Value): Value => reshape(g, x, [batch, x.dims[0]! / batch, width]);
  const [q, k, v] = [perBatch(query), perBatch(key), perBatch(value)];
  const mixed = g.either({
    fused: () => fused(g, q, k, v, heads, bias),
    basic: () => basic(g, q, k, v, heads, bias),
  });
  return reshape(g, mixed, [rowsOfQuery, width]);
}

/** [B, N, C], [B, L, C] -> [B, N, C] */
function fused(g: Graph, query: Value, key: Value, value: Value, heads: number, bias: Value | undefined): Value {
  return g.node(
    'MultiHeadAttention',
    bias ? [query, key, value, undefined, undefined, bias] : [query, key, value],
    { dims: query.dims },
    { domain: 'com.microsoft', attributes: { num_heads: { integer: heads } } },
  );
}

/** The largest buffer that every WebGPU device can bind (`maxStorageBufferBindingSize`). */
const largestScores = 128 * 1024 * 1024;

/** [B, N, C], [B, L, C] -> [B, N, C] */
function basic(g: Graph, query: Value, key: Value, value: Value, heads: number, bias: Value | undefined): Value {
  const [batch, rows, width] = query.dims as [number, number, number];
  const length = key.dims[1]!;
  const size = width / heads;
  const perHead = (x: Value): Value => reshape(g, x, [batch, x.dims[1]!, heads, size]);
  const queries = transpose(g, perHead(scale(g, query, 1 / Math.sqrt(size))), [0, 2, 1, 3]);
  const keys = transpose(g, perHead(key), [0, 2, 3, 1]);
  const values = transpose(g, perHead(value), [0, 2, 1, 3]);
  const part = (first: number, end: number): Value => {
    const cut = (x: Value): Value => (end - first === rows ? x : slice(g, x, 2, first, end));
    const products = matrixProduct(g, cut(queries), keys); // [B, heads, N, L]
    return matrixProduct(g, softmax(g, bias ? add(g, products, cut(bias)) : products), values);
  };
  const count = Math.ceil((batch * heads * rows * length * Float32Array.BYTES_PER_ELEMENT) / largestScores);
  const step = Math.ceil(rows / count);
  const parts: Value[] = [];
  for (let first = 0; first < rows; first += step) parts.push(part(first, Math.min(first + step, rows)));
  const mixed = parts.length === 1 ? parts[0]! : concat(g, parts, 2);
  return reshape(g, transpose(g, mixed, [0, 2, 1, 3]), query.dims);
}

/** [..., N, K], [..., K, M] -> [..., N, M] */
function matrixProduct(g: Graph, a: Value, b: Value): Value {
  return g.node('MatMul', [a, b], { dims: [...a.dims.slice(0, -1), b.dims.at(-1)!] });
}

/** Along the last axis. */
function softmax(g: Graph, x: Value): Value {
  return g.node('Softmax', [x], x, { attributes: { axis: { integer: x.dims.length - 1 } } });
}
