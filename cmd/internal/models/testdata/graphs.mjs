// Writes small ONNX graphs of our own, one for each head family that tests need and no free weights exist for:
// node graphs.mjs. What they find is known: boxes are constants, a score is the picture's mean brightness (so that
// pictures cannot be mixed up), and masks are cut from the picture's own red, green and blue.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'graphs');

// Protobuf, as much of it as onnx.proto needs: numbers are varints, all else is bytes.
const varint = n => { const b = []; for (n = BigInt.asUintN(64, BigInt(n)); n > 127n; n >>= 7n) b.push(Number(n & 127n) | 128); return Buffer.from([...b, Number(n)]); };
const num = (field, n) => Buffer.concat([varint(field << 3), varint(n)]);
const bytes = (field, b) => Buffer.concat([varint(field << 3 | 2), varint(Buffer.byteLength(b)), Buffer.from(b)]);
const msg = (field, ...parts) => bytes(field, Buffer.concat(parts));

const FLOAT = 1, INT32 = 6, INT64 = 7;
// value is a graph's input or output; 'N' is the open number of pictures.
const value = ({ name, type = FLOAT, shape }) => Buffer.concat([bytes(1, name), msg(2, msg(1, num(1, type),
  msg(2, ...shape.map(d => msg(1, typeof d === 'number' ? num(1, d) : bytes(2, d))))))]);
const tensor = (name, shape, data) => {
  const ints = data instanceof BigInt64Array;
  return Buffer.concat([...shape.map(d => num(1, d)), num(2, ints ? INT64 : FLOAT), bytes(8, name), bytes(9, Buffer.from(data.buffer))]);
};
const attribute = ([name, v]) => Array.isArray(v)
  ? Buffer.concat([bytes(1, name), ...v.map(n => num(8, n)), num(20, 7)]) : Buffer.concat([bytes(1, name), num(3, v), num(20, 2)]);
const node = (op, ins, out, attributes = {}) => Buffer.concat([...ins.map(i => bytes(1, i)), bytes(2, out), bytes(4, op),
  ...Object.entries(attributes).map(a => msg(5, attribute(a)))]);

// graph writes one model. nodes and constants are lists; brightness is there for free: "mean" [N,1] and "mean3" [N,1,1].
function graph(name, { input, nodes = [], constants = [], outputs, metadata = {} }) {
  const channels = input.shape[3] === 3 ? [1, 2] : [2, 3];
  const floats = input.type === INT32 ? [node('Cast', ['x'], 'f', { to: FLOAT }), node('Mul', ['f', 'level'], 'p')] : [node('Identity', ['x'], 'p')];
  const all = [...floats, node('ReduceMean', ['p'], 'means', { axes: channels, keepdims: 0 }),
    node('ReduceMean', ['means'], 'mean', { axes: [1], keepdims: 1 }), node('Unsqueeze', ['mean', 'two'], 'mean3'), ...nodes];
  const fixed = [tensor('level', [1], Float32Array.of(1 / 255)), tensor('two', [1], BigInt64Array.of(2n)), ...constants];
  const model = Buffer.concat([num(1, 8), bytes(2, 'perch-test'), msg(7, ...all.map(n => msg(1, n)), bytes(2, name), ...fixed.map(c => msg(5, c)),
    msg(11, value({ name: 'x', ...input })), ...outputs.map(o => msg(12, value(o)))), msg(8, bytes(1, ''), num(2, 13)),
  ...Object.entries(metadata).map(([k, v]) => msg(14, bytes(1, k), bytes(2, v)))]);
  fs.mkdirSync(path.join(folder, name), { recursive: true });
  fs.writeFileSync(path.join(folder, name, 'model.onnx'), model);
}

const images = { shape: ['N', 3, 64, 64] };
// rows are constants of which element i of row k takes the brightness: [1,...shape] plus brightness where `at` says so.
function bright(out, shape, rows, at) {
  const data = new Float32Array(shape[0] * shape[1]), where = new Float32Array(data.length);
  for (const [k, values] of Object.entries(rows)) values.forEach((v, i) => { data[k * shape[1] + i] = v; });
  for (const [k, i] of at) where[k * shape[1] + i] = 1;
  return {
    constants: [tensor(out + '_is', [1, ...shape], data), tensor(out + '_at', [1, ...shape], where)],
    nodes: [node('Mul', ['mean3', out + '_at'], out + '_b'), node('Add', [out + '_is', out + '_b'], out)],
    output: { name: out, shape: ['N', ...shape] },
  };
}
// channels are the picture's red, green and blue at a quarter of its size, less one half: above 0 where it is light.
const channels = out => ({
  constants: [tensor('half', [1], Float32Array.of(.5))],
  nodes: [node('AveragePool', ['p'], 'pooled', { kernel_shape: [4, 4], strides: [4, 4] }), node('Sub', ['pooled', 'half'], out)],
  output: { name: out, shape: ['N', 3, 16, 16] },
});
const join = (...parts) => ({ nodes: parts.flatMap(p => p.nodes), constants: parts.flatMap(p => p.constants), outputs: parts.map(p => p.output) });

// The box of all detectors: centre (32, 32), 40 wide, 24 high, in an input of 64 by 64.
const centred = [32, 32, 40, 24], corners = [12, 20, 52, 44], light = [1, 0, 0], dark = [-1, 0, 0];
const transposed = (shape, rows) => { // {row: values} of [C,N] for one candidate a column
  const out = {};
  rows.forEach((values, i) => values.forEach((v, k) => { (out[k] ??= Array(shape[1]).fill(0))[i] = v; }));
  return out;
};
const seg = { task: 'segment', names: "{0: 'light', 1: 'dark'}" };
// 8x8 + 4x4 + 2x2 = 84 cells. Candidate 5 is class 0 (score: brightness), 9 is class 1 (score .9 and brightness), its box moved by 8.
{
  const shape = [4 + 2 + 3, 84], list = Array.from({ length: 84 }, () => []);
  list[5] = [...centred, 0, 0, ...light];
  list[9] = [24, 32, 40, 24, 0, .4, ...dark];
  graph('yolov8-seg', { input: images, metadata: seg, ...join(bright('output0', shape, transposed(shape, list), [[4, 5]]), channels('output1')) });
}
{
  const width = 5 + 2 + 3;
  graph('yolov5-seg', { input: images, metadata: seg,
    ...join(bright('output0', [252, width], { 7: [...centred, 1, 0, 0, ...light] }, [[7, 5]]), channels('output1')) });
}
graph('yolo26-seg', { input: images, metadata: seg,
  ...join(bright('output0', [20, 9], { 0: [...corners, 0, 1, ...light] }, [[0, 4]]), channels('output1')) });
{ // Queries: 0 is class 2, with the red plane for a mask and the brightness for a logit.
  const dets = bright('dets', [3, 4], { 0: [.5, .5, 40 / 64, 24 / 64], 1: [.5, .5, .1, .1], 2: [.5, .5, .1, .1] }, []);
  const labels = bright('labels', [3, 4], { 0: [-9, -9, 0, -9], 1: Array(4).fill(-9), 2: Array(4).fill(-9) }, [[0, 2]]);
  graph('rfdetr-seg', { input: images, ...join(dets, labels, channels('masks')) });
}
// Points lie along the box's diagonal, point k with a score of k/20.
const diagonal = n => Array.from({ length: n }, (_, k) => [12 + 40 * k / (n - 1), 20 + 24 * k / (n - 1), k / 20]);
{
  const shape = [56, 84], list = Array.from({ length: 84 }, () => []);
  list[5] = [...centred, 0, ...diagonal(17).flat()];
  graph('yolov8-pose', { input: images, metadata: { task: 'pose', kpt_shape: '[17, 3]', names: "{0: 'person'}" },
    ...join(bright('output0', shape, transposed(shape, list), [[4, 5]])) });
}
graph('yolo26-pose', { input: images, metadata: { task: 'pose', kpt_shape: '[5, 3]', names: "{0: 'tag'}" },
  ...join(bright('output0', [20, 21], { 0: [...corners, 0, 0, ...diagonal(5).flat()] }, [[0, 4]])) });
const whole = { type: INT32, shape: ['N', 64, 64, 3] };
{ // One person: point k scores k/20.
  const part = bright('points', [17, 3], Object.fromEntries(diagonal(17).map(([x, y, s], k) => [k, [y / 64, x / 64, s]])), []);
  graph('movenet', { input: whole, constants: [...part.constants, tensor('one', [1], BigInt64Array.of(1n))],
    nodes: [...part.nodes, node('Unsqueeze', ['points', 'one'], 'output_0')], outputs: [{ name: 'output_0', shape: ['N', 1, 17, 3] }] });
}
graph('movenet-multi', { input: whole, ...join(bright('output_0', [6, 56],
  { 1: [...diagonal(17).flatMap(([x, y, s]) => [y / 64, x / 64, s]), 20 / 64, 12 / 64, 44 / 64, 52 / 64, 0] }, [[1, 55]])) });
// Ten times the picture's mean red, green and blue.
graph('colours', { input: images, metadata: { task: 'classify', names: "{0: 'red', 1: 'green', 2: 'blue'}" },
  constants: [tensor('ten', [1], Float32Array.of(10))], nodes: [node('Mul', ['means', 'ten'], 'logits')], outputs: [{ name: 'logits', shape: ['N', 3] }] });
// The same, less one half: red, green and blue may all be there. Its model.yaml says that it is for several labels.
graph('tags', { input: images, constants: [tensor('half', [1], Float32Array.of(.5)), tensor('ten', [1], Float32Array.of(10))],
  nodes: [node('Sub', ['means', 'half'], 'above'), node('Mul', ['above', 'ten'], 'logits')], outputs: [{ name: 'logits', shape: ['N', 3] }] });
