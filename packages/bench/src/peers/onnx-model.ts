/** The unary operators that a model can consist of. */
export type OnnxOp = 'Softmax' | 'LogSoftmax' | 'Exp';

/** An operator that a model applies to x and a second input b first; the shape is that of b, which is broadcast. */
export interface OnnxFirst {
  readonly op: 'Add' | 'Div';
  readonly shape: readonly number[];
}

/**
 * An ONNX model `y = op(x)`, or `y = op(first(x, b))`, Softmax and LogSoftmax over the last axis, as bytes: the few fields of
 * onnx.proto (ModelProto, GraphProto, NodeProto, ValueInfoProto) that a session needs.
 */
export function onnxModel(
  op: OnnxOp,
  dtype: 'float32' | 'float64',
  shape: readonly number[],
  first?: OnnxFirst,
): Uint8Array {
  const elementType = dtype === 'float64' ? 11 : 1;
  const valueInfo = (name: string, dimensions: readonly number[]) => {
    const tensorShape = message(dimensions.map((d) => field(1, message([field(1, d)]))));
    const tensorType = message([field(1, elementType), field(2, tensorShape)]);
    return message([field(1, name), field(2, message([field(1, tensorType)]))]);
  };
  const axis = message([field(1, 'axis'), field(3, -1), field(20, 2)]);
  const attributes = op === 'Exp' ? [] : [field(5, axis)];
  const node = (inputs: readonly string[], output: string, name: string) => [
    ...inputs.map((input) => field(1, input)),
    field(2, output),
    field(4, name),
  ];
  const graph = message([
    ...(first ? [field(1, message(node(['x', 'b'], 'z', first.op)))] : []),
    field(1, message([...node([first ? 'z' : 'x'], 'y', op), ...attributes])),
    field(2, op),
    field(11, valueInfo('x', shape)),
    ...(first ? [field(11, valueInfo('b', first.shape))] : []),
    field(12, valueInfo('y', shape)),
  ]);
  const opset = message([field(1, ''), field(2, 13)]);
  return message([field(1, 8), field(7, graph), field(8, opset)]);
}

/** A protobuf field: a varint for a number, length-delimited for the rest. */
function field(number: number, value: number | string | Uint8Array): Uint8Array {
  if (typeof value === 'number') return concat([varint(number << 3), varint(value)]);
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function message(fields: readonly Uint8Array[]): Uint8Array {
  return concat(fields);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
