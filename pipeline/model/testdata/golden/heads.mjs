// Decodes every *.in.json with plain arithmetic into *.want.json: node heads.mjs
import fs from 'node:fs';
import { expand, here, load, save } from './tensors.mjs';

const sigmoid = v => 1 / (1 + Math.exp(-v));
const softmax = a => { const m = Math.max(...a), e = a.map(v => Math.exp(v - m)), s = e.reduce((x, y) => x + y); return e.map(v => v / s); };
const argmax = a => a.reduce((best, v, i) => v > a[best] ? i : best, 0);
const around = (cx, cy, w, h) => [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2];
const chunk = (list, n) => Array.from({ length: Math.floor(list.length / n) }, (_, i) => list.slice(i * n, i * n + n));
const slice = (t, i, n) => Array.from(t.data.slice(i * n, i * n + n));

// cells lists every cell of every level: x, y and stride.
function cells(w, h, strides) {
  const list = [];
  for (const s of strides) for (let y = 0; y < Math.ceil(h / s); y++) for (let x = 0; x < Math.ceil(w / s); x++) list.push({ x, y, s });
  return list;
}

// Each head gives candidates {box, cls, score, points?} in pixels of the input.
const heads = {
  yolov8({ outs: [t] }) {
    const n = t.shape[2], c = t.shape[1] - 4, at = (k, i) => t.data[k * n + i];
    return Array.from({ length: n }, (_, i) => {
      const s = Array.from({ length: c }, (_, k) => at(4 + k, i)), cls = argmax(s);
      return { box: around(at(0, i), at(1, i), at(2, i), at(3, i)), cls, score: s[cls] };
    });
  },
  yolov5({ outs: [t] }) {
    return Array.from({ length: t.shape[1] }, (_, i) => {
      const [x, y, w, h, o, ...s] = slice(t, i, t.shape[2]), cls = argmax(s);
      return { box: around(x, y, w, h), cls, score: o * s[cls] };
    });
  },
  yolox({ outs: [t], w, h, head }) {
    return cells(w, h, [8, 16, 32]).map((c, i) => {
      const [x, y, bw, bh, o, ...s] = slice(t, i, t.shape[2]), cls = argmax(s);
      const box = head.decoded ? around(x, y, bw, bh) : around((x + c.x) * c.s, (y + c.y) * c.s, Math.exp(bw) * c.s, Math.exp(bh) * c.s);
      return { box, cls, score: o * s[cls] };
    });
  },
  'rtdetr-ultralytics'({ outs: [t], w, h }) {
    return Array.from({ length: t.shape[1] }, (_, i) => {
      const [x, y, bw, bh, ...s] = slice(t, i, t.shape[2]), cls = argmax(s);
      return { box: around(x * w, y * h, bw * w, bh * h), cls, score: s[cls] };
    });
  },
  yolov10({ outs: [t] }) {
    return Array.from({ length: t.shape[1] }, (_, i) => { const r = slice(t, i, 6); return { box: r.slice(0, 4), score: r[4], cls: r[5] }; });
  },
  rtdetr({ by }) {
    return Array.from(by.scores.data, (score, i) => ({ box: slice(by.boxes, i, 4), score, cls: by.labels.data[i] }));
  },
  rfdetr({ by, w, h }) {
    const c = by.labels.shape[2];
    return Array.from(by.labels.data, (v, k) => {
      const [x, y, bw, bh] = slice(by.dets, Math.floor(k / c), 4);
      return { box: around(x * w, y * h, bw * w, bh * h), score: sigmoid(v), cls: k % c };
    });
  },
  ssd({ by, w, h }) {
    return Array.from({ length: by.num_detections.data[0] }, (_, i) => {
      const [y1, x1, y2, x2] = slice(by.detection_boxes, i, 4);
      return { box: [x1 * w, y1 * h, x2 * w, y2 * h], score: by.detection_scores.data[i], cls: by.detection_classes.data[i] - 1 };
    });
  },
  nanodet({ outs, w, h, head }) {
    const strides = head.strides ?? [8, 16, 32], bins = head.reg_max + 1, offset = strides.length === 4 ? 0 : .5;
    const scores = [], dists = [];
    const levels = outs.length === 1 ? [[outs[0], outs[0]]] : strides.map((_, l) => [outs[l], outs[l + strides.length]]);
    for (const [s, d] of levels) for (let i = 0; i < s.shape[1]; i++) {
      const row = slice(s, i, s.shape[2]);
      scores.push(s === d ? row.slice(0, row.length - 4 * bins) : row);
      dists.push(s === d ? row.slice(-4 * bins) : slice(d, i, d.shape[2]));
    }
    return cells(w, h, strides).map((c, i) => {
      const cls = argmax(scores[i]);
      const [l, t, r, b] = [0, 1, 2, 3].map(k => softmax(dists[i].slice(k * bins, (k + 1) * bins)).reduce((m, p, v) => m + p * v, 0) * c.s);
      const x = (c.x + offset) * c.s, y = (c.y + offset) * c.s;
      return { box: [x - l, y - t, x + r, y + b], cls, score: scores[i][cls] };
    });
  },
  yunet({ by, w, h }) {
    return [8, 16, 32].flatMap(s => cells(w, h, [s]).map((c, i) => {
      const [x, y, bw, bh] = slice(by[`bbox_${s}`], i, 4), k = slice(by[`kps_${s}`], i, 10);
      const score = Math.sqrt(by[`cls_${s}`].data[i] * by[`obj_${s}`].data[i]);
      const points = [0, 2, 4, 6, 8].map(j => [(k[j] + c.x) * s, (k[j + 1] + c.y) * s]);
      return { box: around((x + c.x) * s, (y + c.y) * s, Math.exp(bw) * s, Math.exp(bh) * s), cls: 0, score, points };
    }));
  },
  blazeface({ outs, w }) {
    // MediaPipe's SsdAnchorsCalculator: two anchors a cell for each layer; layers of one stride share their cells.
    const anchors = [...cells(w, w, [w / 16]).flatMap(c => [c, c]), ...cells(w, w, [w / 8]).flatMap(c => Array(6).fill(c))];
    const rows = [outs[2], outs[3]].flatMap(t => Array.from({ length: t.shape[1] }, (_, i) => slice(t, i, 16)));
    return [...outs[0].data, ...outs[1].data].map((v, i) => {
      const x = (anchors[i].x + .5) * anchors[i].s, y = (anchors[i].y + .5) * anchors[i].s, r = rows[i];
      const points = [4, 6, 8, 10, 12, 14].map(j => [r[j] + x, r[j + 1] + y]);
      return { box: around(r[0] + x, r[1] + y, r[2], r[3]), cls: 0, score: sigmoid(v), points };
    });
  },
  classification({ outs: [t], w, h }) {
    let p = Array.from(t.data);
    if (p.some(v => v < 0 || v > 1) || Math.abs(p.reduce((a, b) => a + b) - 1) > .01) p = softmax(p);
    return p.map((score, cls) => ({ box: [0, 0, w, h], score, cls }));
  },
  'multi-label'({ outs: [t], w, h }) {
    return Array.from(t.data, (v, cls) => ({ box: [0, 0, w, h], score: sigmoid(v), cls }));
  },
  'yolov5-seg'({ outs: [t, protos] }) {
    const p = protos.shape[1];
    return heads.yolov5({ outs: [{ shape: [1, t.shape[1], t.shape[2] - p], data: rowsOf(t).flatMap(r => r.slice(0, -p)) }] })
      .map((c, i) => ({ ...c, plane: mixture(protos, slice(t, i, t.shape[2]).slice(-p)) }));
  },
  'yolov8-seg'({ outs: [t, protos] }) {
    const [, rows, n] = t.shape, p = protos.shape[1];
    return heads.yolov8({ outs: [{ shape: [1, rows - p, n], data: t.data }] })
      .map((c, i) => ({ ...c, plane: mixture(protos, Array.from({ length: p }, (_, k) => t.data[(rows - p + k) * n + i])) }));
  },
  'yolo26-seg'({ outs: [t, protos] }) {
    return rowsOf(t).map(r => ({ box: r.slice(0, 4), score: r[4], cls: r[5], plane: mixture(protos, r.slice(6)) }));
  },
  'rfdetr-seg'({ by, w, h }) {
    const [, n, ph, pw] = by.masks.shape;
    const planes = Array.from({ length: n }, (_, i) => ({ w: pw, h: ph, at: (x, y) => by.masks.data[(i * ph + y) * pw + x] }));
    return heads.rfdetr({ by, w, h }).map((c, k) => ({ ...c, plane: planes[Math.floor(k / by.labels.shape[2])] }));
  },
  'yolov8-pose'({ outs: [t], head }) {
    const [, rows, n] = t.shape, each = head.point_values ?? 3, values = (head.keypoints?.length ?? 17) * each;
    return heads.yolov8({ outs: [{ shape: [1, rows - values, n], data: t.data }] }).map((c, i) => ({
      ...c, points: chunk(Array.from({ length: values }, (_, k) => t.data[(rows - values + k) * n + i]), each).map(([x, y, s]) => [x, y, s ?? c.score]),
    }));
  },
  'yolo26-pose'({ outs: [t] }) {
    return rowsOf(t).map(r => ({ box: r.slice(0, 4), score: r[4], cls: r[5], points: chunk(r.slice(6), 3) }));
  },
  movenet({ outs: [t], w, h }) {
    const points = chunk(Array.from(t.data), 3).map(([y, x, s]) => [x * w, y * h, s]), seen = points.filter(p => p[2] > .2);
    const x = seen.map(p => p[0]), y = seen.map(p => p[1]), score = seen.reduce((a, p) => a + p[2], 0) / seen.length;
    return [{ box: [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)], cls: 0, score, points }];
  },
  'movenet-multi'({ outs: [t], w, h }) {
    return rowsOf(t).map(r => {
      const [y1, x1, y2, x2, score] = r.slice(51);
      return { box: [x1 * w, y1 * h, x2 * w, y2 * h], cls: 0, score, points: chunk(r.slice(0, 51), 3).map(([y, x, s]) => [x * w, y * h, s]) };
    });
  },
};
heads.centernet = heads.yolov10;
heads.dfine = heads.rtdetr;

function rowsOf(t) { return Array.from({ length: t.shape[1] }, (_, i) => slice(t, i, t.shape[2])); }

// mixture is a plane of logits: the prototypes, each times its coefficient.
function mixture(protos, coefs) {
  const [, , h, w] = protos.shape;
  return { w, h, at: (x, y) => coefs.reduce((v, c, k) => v + c * protos.data[(k * h + y) * w + x], 0) };
}

// maskOf samples a plane at the centre of each pixel of the frame that the box touches, and keeps what is above 0.
function maskOf(plane, box, input, frame, nearest) {
  const [x0, y0, x1, y1] = [Math.floor(box[0]), Math.floor(box[1]), Math.ceil(box[2]), Math.ceil(box[3])];
  const back = fromFrame(input, frame), clamp = (v, n) => Math.min(Math.max(v, 0), n - 1), bits = [];
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) {
    const [px, py] = back([x + .5, y + .5]), u = px / input.width * plane.w, v = py / input.height * plane.h;
    if (nearest) {
      bits.push(plane.at(clamp(Math.floor(u), plane.w), clamp(Math.floor(v), plane.h)) > 0);
      continue;
    }
    const a = clamp(u - .5, plane.w), b = clamp(v - .5, plane.h), i = Math.floor(a), j = Math.floor(b), i1 = clamp(i + 1, plane.w), j1 = clamp(j + 1, plane.h);
    const top = plane.at(i, j) * (1 - a + i) + plane.at(i1, j) * (a - i), low = plane.at(i, j1) * (1 - a + i) + plane.at(i1, j1) * (a - i);
    bits.push(top * (1 - b + j) + low * (b - j) > 0);
  }
  const bytes = new Uint8Array(Math.ceil(bits.length / 8)); // without padding between rows
  bits.forEach((on, i) => { if (on) bytes[i >> 3] |= 128 >> (i & 7); });
  return { x: x0, y: y0, w: x1 - x0, h: y1 - y0, bits: Buffer.from(bytes).toString('base64') };
}

function iou(a, b) {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (w <= 0 || h <= 0) return 0;
  const area = r => (r[2] - r[0]) * (r[3] - r[1]);
  return w * h / (area(a) + area(b) - w * h);
}

// placed is where a letterboxed or stretched frame lies in the input.
function placed({ width: w, height: h, resize, position }, [fw, fh]) {
  let cw = w, ch = h, left = 0, up = 0;
  if (resize !== 'stretch') {
    const r = Math.min(w / fw, h / fh);
    cw = Math.round(fw * r); ch = Math.round(fh * r);
    if (position !== 'top-left') { left = Math.floor((w - cw) / 2); up = Math.floor((h - ch) / 2); }
  }
  return { cw, ch, left, up };
}

// toFrame maps a point of the input to the frame, fromFrame the other way; what follows x and y stays.
function toFrame(input, frame) {
  const { cw, ch, left, up } = placed(input, frame);
  return ([x, y, ...more]) => [(x - left) * frame[0] / cw, (y - up) * frame[1] / ch, ...more];
}
function fromFrame(input, frame) {
  const { cw, ch, left, up } = placed(input, frame);
  return ([x, y]) => [x * cw / frame[0] + left, y * ch / frame[1] + up];
}

for (const file of fs.readdirSync(here).filter(f => f.endsWith('.in.json')).sort()) {
  const g = load(file), { manifest: { input, head }, frame, params } = g;
  const outs = g.outputs.map(t => ({ ...t, data: expand(t) }));
  const found = heads[head.family]({ outs, by: Object.fromEntries(outs.map(t => [t.name, t])), w: input.width, h: input.height, head })
    .filter(c => c.score >= params.confidence).sort((a, b) => b.score - a.score); // stable
  const kept = [];
  for (const c of found) {
    if (kept.length < params.max && !(params.iou < 1 && kept.some(k => k.cls === c.cls && iou(k.box, c.box) > params.iou))) kept.push(c);
  }
  const map = toFrame(input, frame), clamp = (v, n) => Math.min(Math.max(v, 0), n);
  const want = kept.map(c => {
    const [x0, y0] = map(c.box), [x1, y1] = map(c.box.slice(2));
    const box = [clamp(x0, frame[0]), clamp(y0, frame[1]), clamp(x1, frame[0]), clamp(y1, frame[1])];
    const mask = c.plane && box[2] > box[0] && box[3] > box[1] && { mask: maskOf(c.plane, box, input, frame), fast: maskOf(c.plane, box, input, frame, true) };
    return { box, cls: c.cls, score: c.score, ...(c.points && { points: c.points.map(map) }), ...mask };
  }).filter(c => c.box[2] > c.box[0] && c.box[3] > c.box[1]); // not those that lie in the padding
  save(file.replace('.in.', '.want.'), want);
  console.log(file, found.length, '->', want.length);
}
