import type { InferenceSession, OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { RuntimeFailure, WeightError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
import { sizeOf, type Tensor, type TensorType } from '../math/tensor.ts';
import { zeroInput } from '../onnx/hidden-sizes.ts';
import { describe, fitsDims, type OnnxModel, outputName, type ValueInfo } from '../onnx/model.ts';
import { executionProviders, isCpu, wantsBasicOperators } from './providers.ts';

/** A loaded network. */
export interface Session {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /**
   * Runs the network. Feeds are named as `inputs`, results as `outputs`; int32 and int64 stand in for each other.
   * Blocks this thread until the network is done.
   * @throws RuntimeFailure that shows every input's type and shape when the feeds do not fit or the run fails
   */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
}

/** A session that its opener has to close. */
export interface OpenSession extends Session {
  close(): Promise<void>;
}

/** Loads ONNX Runtime at the first call, so that processes which never run a network never load it. */
export async function openSession(model: OnnxModel, device: Settings['device']): Promise<OpenSession> {
  const ort = await import('onnxruntime-node');
  const supported = ort.listSupportedBackends().map(({ name }) => name);
  const bytes = wantsBasicOperators(device) ? model.basicBytes() : isCpu(device) ? model.bytes : model.fusedBytes();
  const session = await create(ort.InferenceSession, { ...model, bytes }, executionProviders(device, supported));
  const zero = new ort.Tensor('int64', BigInt64Array.of(0n), zeroInput.dims);
  const hidden: Record<string, OrtTensor> = session.inputNames.includes(zeroInput.name)
    ? { [zeroInput.name]: zero }
    : {};
  return {
    inputs: model.inputs,
    outputs: model.outputs,
    async run(feeds) {
      const checked = { ...hidden };
      for (const [name, tensor] of Object.entries(checkFeeds(model.inputs, feeds))) {
        checked[name] = new ort.Tensor(tensor.type, tensor.data as Float32Array, tensor.dims);
      }
      try {
        return results(model.outputs, await session.run(checked));
      } catch (error) {
        throw new RuntimeFailure(`The network failed. ${comparison(model.inputs, feeds)} ${reason(error)}`, {
          cause: error,
        });
      }
    },
    close: () => session.release(),
  };
}

async function create(
  sessions: typeof InferenceSession,
  model: OnnxModel,
  providers: readonly string[],
): Promise<InferenceSession> {
  try {
    return await sessions.create(model.bytes, {
      executionProviders: providers.map((name) => withCpuNodes(name, model.cpuNodes)),
      // With these two the weights stay mapped from their files: a UNet opens in 0.1 s, not in 20 s (docs/performance.md).
      graphOptimizationLevel: 'extended',
      // Planned once for all values, memory is taken a second time beside the arena's: twice as much and no faster.
      enableMemPattern: false,
      extra: {
        session: {
          disable_prepacking: '1',
          // Threads that wait for work sleep: as fast, and the processors are free for others (docs/performance.md).
          intra_op: { allow_spinning: '0' },
          model_external_initializers_file_folder_path: model.externalDataFolder,
        },
      },
      logSeverityLevel: 3,
    });
  } catch (error) {
    const hint = providers[0] === 'cpu' ? '' : ` ${deviceHint(providers[0]!)}`;
    const message = `ONNX Runtime could not load ${model.file ?? 'a network'}. ${reason(error).replace(/\.?$/, '.')}${hint}`;
    throw model.file ? new WeightError(message, { cause: error }) : new RuntimeFailure(message, { cause: error });
  }
}

/** What ONNX Runtime says of a device that is not there names no remedy. */
function deviceHint(device: string): string {
  if (device !== 'cuda') return `If this machine has no such device, set DARKROOM_DEVICE=cpu and not ${device}.`;
  const install = 'npm rebuild onnxruntime-node --onnxruntime-node-install=cuda12';
  return `CUDA needs an NVIDIA card and libraries of its own (${install}); without them set DARKROOM_DEVICE=cpu.`;
}

/** The provider with the nodes that it is to leave to the CPU. It takes no empty list. */
function withCpuNodes(name: string, nodes: readonly string[]): InferenceSession.ExecutionProviderConfig {
  return name === 'webgpu' && nodes.length > 0 ? { name, forceCpuNodeNames: nodes } : name;
}

/** The feeds as the model's types want them. @throws RuntimeFailure when a name, type or shape does not fit */
export function checkFeeds(
  inputs: readonly ValueInfo[],
  feeds: Readonly<Record<string, Tensor>>,
): Record<string, Tensor> {
  const checked: Record<string, Tensor> = {};
  for (const input of inputs) {
    const given = feeds[input.name];
    const tensor = given && withIntegerType(given, input.type);
    const fits =
      tensor !== undefined &&
      tensor.type === input.type &&
      fitsDims(tensor.dims, input.dims) &&
      tensor.data.length === sizeOf(tensor.dims);
    if (!fits) throw new RuntimeFailure(`The network was given feeds that do not fit. ${comparison(inputs, feeds)}`);
    checked[input.name] = tensor;
  }
  if (Object.keys(feeds).length !== inputs.length) {
    throw new RuntimeFailure(`The network was given feeds that it does not have. ${comparison(inputs, feeds)}`);
  }
  return checked;
}

function withIntegerType(tensor: Tensor, type: TensorType): Tensor {
  if (tensor.type === 'int32' && type === 'int64') {
    return { type, dims: tensor.dims, data: BigInt64Array.from(tensor.data as Int32Array, BigInt) };
  }
  if (tensor.type === 'int64' && type === 'int32') {
    return { type, dims: tensor.dims, data: Int32Array.from(tensor.data as BigInt64Array, Number) };
  }
  return tensor;
}

/** Every input beside what was given for it. */
function comparison(inputs: readonly ValueInfo[], feeds: Readonly<Record<string, Tensor>>): string {
  const lines = inputs.map((input) => {
    const given = feeds[input.name];
    return `${input.name} is ${describe(input)}, given ${given ? describe(given) : 'nothing'}`;
  });
  const unknown = Object.keys(feeds).filter((name) => !inputs.some((input) => input.name === name));
  if (unknown.length > 0) lines.push(`unknown: ${unknown.join(', ')}`);
  return `Inputs: ${lines.join('; ')}.`;
}

function results(outputs: readonly ValueInfo[], values: Readonly<Record<string, OnnxValue>>): Record<string, Tensor> {
  const tensors: Record<string, Tensor> = {};
  for (const output of outputs) {
    const value = values[outputName(output.name)] as OrtTensor;
    if (!fitsDims(value.dims, output.dims)) {
      throw new RuntimeFailure(
        `The network returned "${output.name}" as [${value.dims.join(', ')}] and not as ${describe(output)}.`,
      );
    }
    tensors[output.name] = { type: output.type, dims: value.dims, data: value.data as Tensor['data'] };
  }
  return tensors;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
