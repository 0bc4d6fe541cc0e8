// Runs real networks on photographs: node capture.mjs MODELS IMAGES
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { reduce, whole, save, top } from './tensors.mjs';

const require = createRequire(process.cwd() + '/');
const ort = require('onnxruntime-node'), jpeg = require('jpeg-js');
const [models, images] = process.argv.slice(2);

// input samples an image (nearest pixel: what matters here is the head) into a network's input.
function input(file, o) {
  const img = jpeg.decode(fs.readFileSync(`${images}/${file}`), { useTArray: true });
  const c = o.order.length, S = o.size, out = new Float32Array(S * S * c).fill(o.value ? o.value(o.pad ?? 0, 0) : 0);
  const r = Math.min(S / img.width, S / img.height);
  const w = o.stretch ? S : Math.round(img.width * r), h = o.stretch ? S : Math.round(img.height * r);
  const left = o.topLeft || o.stretch ? 0 : (S - w) >> 1, up = o.topLeft || o.stretch ? 0 : (S - h) >> 1;
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const p = (Math.floor((y + .5) * img.height / h) * img.width + Math.floor((x + .5) * img.width / w)) * 4;
    const px = { r: img.data[p], g: img.data[p + 1], b: img.data[p + 2] };
    px.y = .299 * px.r + .587 * px.g + .114 * px.b;
    [...o.order].forEach((k, i) => {
      out[o.nhwc ? ((y + up) * S + x + left) * c + i : (i * S + y + up) * S + x + left] = o.value ? o.value(px[k], i) : px[k];
    });
  }
  return { frame: [img.width, img.height], tensor: new ort.Tensor('float32', out, o.nhwc ? [1, S, S, c] : [1, c, S, S]) };
}

async function run(folder, file, o) {
  const s = await ort.InferenceSession.create(`${models}/${folder}/model.onnx`, { logSeverityLevel: 3 });
  const { frame, tensor } = input(file, o);
  const out = await s.run({ [s.inputNames[0]]: tensor });
  return { frame, out: s.outputNames.map(n => ({ name: n, shape: [...out[n].dims], data: out[n].data })) };
}

const manifest = (family, size, more = {}) => ({
  id: 'golden', input: { name: 'x', width: size, height: size, ...more.input }, head: { family, ...more.head },
});

const bestOf = (data, at, n, step = 1) => { let m = -Infinity; for (let i = 0; i < n; i++) m = Math.max(m, data[at + i * step]); return m; };

{ // NanoDet in the layout of YOLOv8
  const { frame, out: [t] } = await run('nanodet-416', 'person.jpg', { size: 416, order: 'rgb', value: v => v / 255 });
  const keep = top(3549, 120, i => bestOf(t.data, 4 * 3549 + i, 80, 3549));
  save('yolov8.in.json', { manifest: manifest('yolov8', 416), classes: 80, frame, params: { confidence: .3, iou: .6, max: 100 },
    outputs: [reduce('output0', t.shape, t.data, 2, keep, 0)] });
}
{ // the same network, raw head
  const mean = [103.53, 116.28, 123.675], std = [57.375, 57.12, 58.395];
  const { frame, out } = await run('nanodet-raw', 'person.jpg', { size: 416, order: 'bgr', value: (v, c) => (v - mean[c]) / std[c] });
  const outputs = [];
  for (let l = 0; l < 3; l++) {
    const s = out[l], d = out[l + 3];
    const keep = top(s.shape[1], 60, i => bestOf(s.data, i * 80, 80));
    outputs[l] = reduce(s.name, s.shape, s.data, 1, keep, 0);
    outputs[l + 3] = reduce(d.name, d.shape, d.data, 1, keep, 0);
  }
  save('nanodet.in.json', { manifest: manifest('nanodet', 416, { head: { reg_max: 10 } }), classes: 80, frame,
    params: { confidence: .3, iou: .6, max: 100 }, outputs });
  // NanoDet's own export joins the levels and writes scores and distances side by side.
  const rows = 3549, width = 124, merged = new Float32Array(rows * width);
  let first = 0;
  for (let l = 0; l < 3; l++) {
    const n = out[l].shape[1];
    for (let i = 0; i < n; i++) {
      merged.set(out[l].data.subarray(i * 80, i * 80 + 80), (first + i) * width);
      merged.set(out[l + 3].data.subarray(i * 44, i * 44 + 44), (first + i) * width + 80);
    }
    first += n;
  }
  save('nanodet-merged.in.json', { manifest: manifest('nanodet', 416, { head: { reg_max: 10 } }), classes: 80, frame,
    params: { confidence: .3, iou: .6, max: 100 },
    outputs: [reduce('output', [1, rows, width], merged, 1, top(rows, 100, i => bestOf(merged, i * width, 80)), 0)] });
}
{
  const { frame, out: [t] } = await run('yolox-nano', 'person.jpg', { size: 416, order: 'bgr', pad: 114, topLeft: true, value: v => v });
  const keep = top(3549, 150, i => t.data[i * 85 + 4]);
  save('yolox.in.json', { manifest: manifest('yolox', 416, { input: { position: 'top-left' } }), classes: 80, frame,
    params: { confidence: .3, iou: .5, max: 100 }, outputs: [reduce('output', t.shape, t.data, 1, keep, 0)] });
}
{
  const { frame, out } = await run('centernet-512', 'person.jpg', { size: 512, order: 'rgb', nhwc: true });
  save('centernet.in.json', { manifest: manifest('centernet', 512, { input: { layout: 'nhwc' } }), classes: 80, frame,
    params: { confidence: .2, iou: 1, max: 100 }, outputs: [whole(out[0].name, out[0].shape, out[0].data)] });
}
{
  const { frame, out } = await run('yunet-320', 'sample1.jpg', { size: 320, order: 'bgr' });
  const by = Object.fromEntries(out.map(t => [t.name, t]));
  const outputs = [];
  for (const s of [8, 16, 32]) {
    const n = by[`cls_${s}`].shape[1];
    const keep = top(n, 60, i => by[`cls_${s}`].data[i] * by[`obj_${s}`].data[i]);
    for (const k of ['cls', 'obj', 'bbox', 'kps']) { const t = by[`${k}_${s}`]; outputs.push(reduce(t.name, t.shape, t.data, 1, keep, 0)); }
  }
  save('yunet.in.json', { manifest: manifest('yunet', 320), classes: 1, frame, params: { confidence: .5, iou: .3, max: 100 }, outputs });
}
{
  const { frame, out } = await run('blazeface-256', 'sample1.jpg', { size: 256, order: 'rgb', nhwc: true, value: v => v / 127.5 - 1 });
  const outputs = [];
  for (let l = 0; l < 2; l++) {
    const s = out[l], b = out[l + 2], keep = top(s.shape[1], 60, i => s.data[i]);
    outputs[l] = reduce(s.name, s.shape, s.data, 1, keep, -100);
    outputs[l + 2] = reduce(b.name, b.shape, b.data, 1, keep, 0);
  }
  save('blazeface.in.json', { manifest: manifest('blazeface', 256, { input: { layout: 'nhwc' } }), classes: 1, frame,
    params: { confidence: .3, iou: .3, max: 100 }, outputs });
}
{
  const { frame, out: [t] } = await run('emotion', 'person.jpg', { size: 64, order: 'y', nhwc: true, stretch: true, value: v => v / 255 });
  save('classification-probabilities.in.json', { manifest: manifest('classification', 64, { input: { layout: 'nhwc', colour: 'grey', resize: 'stretch' } }),
    classes: 7, frame, params: { confidence: .05, iou: 1, max: 5 }, outputs: [whole(t.name, t.shape, t.data)] });
}
