/**
 * Reads Python's pickle format, protocols 2 to 5, and runs nothing. The opcodes are those of CPython 3.12
 * `Lib/pickletools.py`; a pickle is a program for a stack machine, and what makes it dangerous is that it may name any
 * Python function and call it. Here a name is looked up in a list that the caller gives, and nothing else exists.
 *
 * Not here, each an error: protocols 0 and 1 (text opcodes, INST, OBJ), the extension registry, out-of-band buffers.
 * A list becomes an array, a tuple a frozen array, a dict a Map.
 */
import { decodeLong, decodeUtf8, type Fault, type PickleBytes, pickleBytes } from './pickle-bytes.ts';

/** Something that a pickle may name. Only one with `call` may be called. */
export interface PickleGlobal {
  readonly name: string;
  call?(args: readonly unknown[]): unknown;
  /** What stays of a Python object that means nothing here: it may be given a state, which is passed over. */
  readonly inert?: true;
}

export interface PickleHost {
  /** By `module.name`. */
  globals: ReadonlyMap<string, PickleGlobal>;
  /** Stands for an object outside the pickle. */
  persistent(id: unknown): unknown;
  fault: Fault;
}

/** A file of weights has about 25 operations and 6 containers per tensor, so this is room for 60,000 tensors. */
const mostOperations = 4_000_000;
const mostContainers = 400_000;
const longestNumber = 32;

interface Machine {
  host: PickleHost;
  read: PickleBytes;
  stack: unknown[];
  /** Heights of the stack at the marks that are still open. */
  marks: number[];
  memo: Map<number, unknown>;
  containers: number;
}

/** The object of the pickle that begins at `start`, and the position after it. */
export function unpickle(bytes: Uint8Array, start: number, host: PickleHost): { value: unknown; end: number } {
  const read = pickleBytes(bytes, start, host.fault);
  const machine: Machine = { host, read, stack: [], marks: [], memo: new Map(), containers: 0 };
  for (let count = 0; count < mostOperations; count++) {
    const code = read.byte();
    if (code === stop) {
      const value = pop(machine);
      if (machine.stack.length > 0) throw damaged(machine);
      return { value, end: read.position };
    }
    const operation = operations[code];
    if (!operation) {
      throw host.fault(`its pickle has the operation 0x${code.toString(16)}, which PyTorch does not write. ${remedy}`);
    }
    operation(machine);
  }
  throw host.fault(`its pickle has more than ${mostOperations} operations. ${remedy}`);
}

export const remedy = 'Use these weights as .safetensors';

const stop = '.'.charCodeAt(0);

function damaged({ host, read }: Machine): Error {
  return host.fault(`its pickle makes no sense at byte ${read.position}. Download it again`);
}

function push(machine: Machine, value: unknown): void {
  machine.stack.push(value);
}

function pop(machine: Machine): unknown {
  if (machine.stack.length <= (machine.marks.at(-1) ?? 0)) throw damaged(machine);
  return machine.stack.pop();
}

function top(machine: Machine): unknown {
  const value = pop(machine);
  push(machine, value);
  return value;
}

function popMark(machine: Machine): unknown[] {
  const mark = machine.marks.pop();
  if (mark === undefined) throw damaged(machine);
  return machine.stack.splice(mark);
}

function pushContainer(machine: Machine, value: unknown): void {
  if (++machine.containers > mostContainers) {
    throw machine.host.fault(`its pickle makes more than ${mostContainers} lists and maps. ${remedy}`);
  }
  push(machine, value);
}

function pushTuple(machine: Machine, items: unknown[]): void {
  pushContainer(machine, Object.freeze(items));
}

function popTuple(machine: Machine, count: number): void {
  pushTuple(machine, Array.from({ length: count }, () => pop(machine)).reverse());
}

function setItems(machine: Machine, items: readonly unknown[]): void {
  const map = top(machine);
  if (!(map instanceof Map) || items.length % 2 === 1) throw damaged(machine);
  for (let index = 0; index < items.length; index += 2) {
    const key = items[index];
    // As in Python, a key cannot be something that may change.
    if (key instanceof Map || (Array.isArray(key) && !Object.isFrozen(key))) throw damaged(machine);
    map.set(key, items[index + 1]);
  }
}

function append(machine: Machine, items: readonly unknown[]): void {
  const list = top(machine);
  if (!Array.isArray(list) || Object.isFrozen(list)) throw damaged(machine);
  for (const item of items) list.push(item);
}

/** Sets are read, and never of use. */
function addItems(machine: Machine): void {
  popMark(machine);
  if (!(top(machine) instanceof Set)) throw damaged(machine);
}

function pushGlobal(machine: Machine, module: unknown, name: unknown): void {
  if (typeof module !== 'string' || typeof name !== 'string') throw damaged(machine);
  const found = machine.host.globals.get(`${module}.${name}`);
  if (!found) {
    throw machine.host.fault(
      `it wants the Python object "${module}.${name}", which weights do not need and which may be harmful. ` +
        `Nothing was run. ${remedy}`,
    );
  }
  push(machine, found);
}

function call(machine: Machine, callee: unknown, args: unknown): void {
  const global = callee as PickleGlobal | null;
  // By identity: an object of the pickle may look like an entry of the list.
  if (typeof global?.name !== 'string' || machine.host.globals.get(global.name) !== global) throw damaged(machine);
  if (!Array.isArray(args)) throw damaged(machine);
  if (!global.call) throw machine.host.fault(`it calls "${global.name}", which is no function. ${remedy}`);
  pushContainer(machine, global.call(args));
}

/** The state of an object: attributes of an OrderedDict (its version numbers), or of what is inert anyway. */
function build(machine: Machine): void {
  pop(machine);
  const value = top(machine);
  if (!(value instanceof Map) && (value as PickleGlobal | null)?.inert !== true) throw damaged(machine);
}

function remember(machine: Machine, index: number): void {
  machine.memo.set(index, top(machine));
}

function recall(machine: Machine, index: number): void {
  if (!machine.memo.has(index)) throw damaged(machine);
  push(machine, machine.memo.get(index));
}

function pushLong(machine: Machine, length: number): void {
  if (length > longestNumber) throw machine.host.fault(`its pickle has a number of ${length} bytes. ${remedy}`);
  push(machine, decodeLong(machine.read.take(length)));
}

function pushText(machine: Machine, length: number): void {
  push(machine, decodeUtf8(machine.read.take(length), machine.host.fault));
}

/** Text of Python 2, which may also be bytes: a character for each. */
function pushByteText(machine: Machine, length: number): void {
  push(machine, Buffer.from(machine.read.take(length)).toString('latin1'));
}

function startProtocol(machine: Machine): void {
  const protocol = machine.read.byte();
  if (protocol < 2 || protocol > 5) throw machine.host.fault(`its pickle has the protocol ${protocol}. ${remedy}`);
}

/** By the codes of `pickletools`, where a printable code is written as its character. */
const table: Record<string, (machine: Machine) => void> = {
  '\x80': startProtocol,
  '\x95': (m) => void m.read.take(8), // FRAME: how far to read ahead
  '(': (m) => void m.marks.push(m.stack.length),
  '0': (m) => void pop(m),
  '1': (m) => void popMark(m),
  '2': (m) => push(m, top(m)),
  q: (m) => remember(m, m.read.byte()),
  r: (m) => remember(m, m.read.uint32()),
  '\x94': (m) => remember(m, m.memo.size),
  h: (m) => recall(m, m.read.byte()),
  j: (m) => recall(m, m.read.uint32()),
  N: (m) => push(m, null),
  '\x88': (m) => push(m, true),
  '\x89': (m) => push(m, false),
  J: (m) => push(m, m.read.int32()),
  K: (m) => push(m, m.read.byte()),
  M: (m) => push(m, m.read.uint16()),
  '\x8a': (m) => pushLong(m, m.read.byte()),
  '\x8b': (m) => pushLong(m, m.read.uint32()),
  G: (m) => push(m, m.read.float64()),
  X: (m) => pushText(m, m.read.uint32()),
  '\x8c': (m) => pushText(m, m.read.byte()),
  '\x8d': (m) => pushText(m, m.read.length64()),
  T: (m) => pushByteText(m, m.read.uint32()),
  U: (m) => pushByteText(m, m.read.byte()),
  B: (m) => push(m, m.read.take(m.read.uint32())),
  C: (m) => push(m, m.read.take(m.read.byte())),
  '\x8e': (m) => push(m, m.read.take(m.read.length64())),
  '\x96': (m) => push(m, m.read.take(m.read.length64())),
  ')': (m) => pushTuple(m, []),
  t: (m) => pushTuple(m, popMark(m)),
  '\x85': (m) => popTuple(m, 1),
  '\x86': (m) => popTuple(m, 2),
  '\x87': (m) => popTuple(m, 3),
  ']': (m) => pushContainer(m, []),
  a: (m) => append(m, [pop(m)]),
  e: (m) => append(m, popMark(m)),
  '}': (m) => pushContainer(m, new Map()),
  s: (m) => setItems(m, [pop(m), pop(m)].reverse()),
  u: (m) => setItems(m, popMark(m)),
  '\x8f': (m) => pushContainer(m, new Set()),
  '\x90': addItems,
  '\x91': (m) => pushTuple(m, popMark(m)), // FROZENSET
  c: (m) => pushGlobal(m, m.read.line(), m.read.line()),
  '\x93': (m) => {
    const name = pop(m);
    pushGlobal(m, pop(m), name);
  },
  R: (m) => {
    const args = pop(m);
    call(m, pop(m), args);
  },
  '\x81': (m) => {
    const args = pop(m); // NEWOBJ: for the few classes of the list the same as a call
    call(m, pop(m), args);
  },
  b: build,
  Q: (m) => pushContainer(m, m.host.persistent(pop(m))),
};

const operations = Array.from({ length: 256 }, (_, code) => table[String.fromCharCode(code)]);
