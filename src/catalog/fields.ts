/**
 * The inputs of a model, written once. From these fields come the JSON Schema of the API (`openapi.ts`), the
 * validation of a request, the flags and help of the command line, and the type of `predict`'s first argument.
 */

interface Common {
  /** Empty where the published document has none. */
  description: string;
  /** May be left out although it has no default; `predict` then sees `undefined`. */
  optional?: true;
}

export interface TextField extends Common {
  kind: 'text';
  default?: string;
}
export interface NumberField extends Common {
  kind: 'number' | 'integer';
  default?: number;
  minimum?: number;
  maximum?: number;
  /** An integer of up to 64 bits; see `wide-integer.ts`. */
  wide?: true;
}
export interface ToggleField extends Common {
  kind: 'toggle';
  default: boolean;
}
export interface ChoiceField<Value extends string | number = string | number> extends Common {
  kind: 'choice';
  choices: readonly Value[];
  default?: Value;
}
/** A file that holds an image: a URL on the wire, a local path in `predict`. */
export interface ImageField extends Common {
  kind: 'image';
  /** Another name that it may be sent under: some clients call the one picture of every model `image`. */
  alias?: string;
}
/**
 * A LoRA of the caller's: a URL on the wire, in `predict` the local path of a `.safetensors` file from anywhere, which
 * `weights/fit-lora.ts` checks. Where it may come from is the operator's decision (docs/loras.md).
 */
export interface LoraField extends Common {
  kind: 'lora';
}

export type Field = TextField | NumberField | ToggleField | ChoiceField | ImageField | LoraField;
export type Fields = Record<string, Field>;

type ValueOf<F extends Field> =
  F extends ChoiceField<infer Value>
    ? Value
    : F extends NumberField
      ? F extends { wide: true }
        ? number | string
        : number
      : F extends ToggleField
        ? boolean
        : string;

/** What `predict` receives: defaults filled in, files as local paths. */
export type InputOf<F extends Fields> = {
  [Name in keyof F]: F[Name] extends { optional: true } ? ValueOf<F[Name]> | undefined : ValueOf<F[Name]>;
};

/** Whether what is sent names a file, and `predict` gets a path. */
export function isFile(field: Field): boolean {
  return field.kind === 'image' || field.kind === 'lora';
}

/** A field must be sent when it has no default and is not marked optional. */
export function isRequired(field: Field): boolean {
  return !field.optional && !('default' in field && field.default !== undefined);
}

export function text<const O extends Omit<TextField, 'kind'>>(options: O): O & { kind: 'text' } {
  return { kind: 'text', ...options };
}
export function number<const O extends Omit<NumberField, 'kind'>>(options: O): O & { kind: 'number' } {
  return { kind: 'number', ...options };
}
export function integer<const O extends Omit<NumberField, 'kind'>>(options: O): O & { kind: 'integer' } {
  return { kind: 'integer', ...options };
}
export function toggle<const O extends Omit<ToggleField, 'kind'>>(options: O): O & { kind: 'toggle' } {
  return { kind: 'toggle', ...options };
}
export function choice<
  const Value extends string | number,
  const O extends Omit<ChoiceField<Value>, 'kind' | 'choices'>,
>(choices: readonly Value[], options: O): O & ChoiceField<Value> {
  return { kind: 'choice', choices, ...options };
}
export function image<const O extends Omit<ImageField, 'kind'>>(options: O): O & { kind: 'image' } {
  return { kind: 'image', ...options };
}
export function lora<const O extends Omit<LoraField, 'kind'>>(options: O): O & { kind: 'lora' } {
  return { kind: 'lora', ...options };
}
