// Reading and writing of reduced tensors.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = path.dirname(fileURLToPath(import.meta.url));

export const size = shape => shape.reduce((a, b) => a * b, 1);

// reduce keeps the slices `keep` along `axis`.
export function reduce(name, shape, data, axis, keep, fill) {
  const inner = size(shape.slice(axis + 1)), outer = size(shape.slice(0, axis)), n = shape[axis];
  const out = new Float32Array(outer * keep.length * inner);
  let at = 0;
  for (let o = 0; o < outer; o++) for (const k of keep) for (let i = 0; i < inner; i++) out[at++] = data[(o * n + k) * inner + i];
  return { name, shape, axis, keep, fill, data: Buffer.from(out.buffer).toString('base64') };
}

export const whole = (name, shape, data) =>
  reduce(name, shape, data, 0, Array.from({ length: shape[0] }, (_, i) => i), 0);

export function expand(t) {
  if (t.ints) return Float64Array.from(t.ints);
  const b = Buffer.from(t.data, 'base64');
  const kept = new Float32Array(b.buffer.slice(b.byteOffset, b.byteOffset + b.length));
  const inner = size(t.shape.slice(t.axis + 1)), outer = size(t.shape.slice(0, t.axis)), n = t.shape[t.axis];
  const out = new Float32Array(size(t.shape)).fill(t.fill);
  let at = 0;
  for (let o = 0; o < outer; o++) for (const k of t.keep) for (let i = 0; i < inner; i++) out[(o * n + k) * inner + i] = kept[at++];
  return out;
}

export const save = (name, v) => fs.writeFileSync(path.join(here, name), JSON.stringify(v) + '\n');
export const load = name => JSON.parse(fs.readFileSync(path.join(here, name)));

// top gives the indices of the n largest of count values, in rising order.
export const top = (count, n, value) =>
  Array.from({ length: count }, (_, i) => i).sort((a, b) => value(b) - value(a)).slice(0, n).sort((a, b) => a - b);
