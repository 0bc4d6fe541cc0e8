// Outputs shaped as published exports are, with reproducible contents: node synthetic.mjs
import { reduce, whole, save, size } from './tensors.mjs';

// random is mulberry32: numbers from 0 to 1.
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const manifest = (family, w, h, more = {}) => ({
  id: 'golden', input: { name: 'images', width: w, height: h, ...more.input }, head: { family, ...more.head },
});

// objects places n things, each seen by several overlapping candidates.
function objects(r, n, each, w, h, classes) {
  const list = [];
  for (let k = 0; k < n; k++) {
    const bw = 20 + r() * w / 3, bh = 20 + r() * h / 3, cx = bw / 2 + r() * (w - bw), cy = bh / 2 + r() * (h - bh);
    const cls = Math.floor(r() * classes), score = .35 + .6 * r();
    for (let e = 0; e < each; e++) {
      list.push({ cx: cx + (r() - .5) * bw * .3, cy: cy + (r() - .5) * bh * .3, w: bw * (.85 + .3 * r()), h: bh * (.85 + .3 * r()),
        cls: e === each - 1 ? (cls + 1) % classes : cls, score: score * (.6 + .4 * r()) });
    }
  }
  return list;
}

const keepOf = (r, count, n) => { const s = new Set(); while (s.size < n) s.add(Math.floor(r() * count)); return [...s].sort((a, b) => a - b); };
const noise = (r, n) => Float32Array.from({ length: n }, () => r() * .2);

// rows puts candidates into rows of cx cy w h [object] classes.
function rows(seed, count, classes, object, w, h, unit = [1, 1]) {
  const r = random(seed), list = objects(r, 12, 5, w, h, classes), width = 4 + object + classes;
  const data = new Float32Array(count * width), keep = keepOf(r, count, list.length);
  list.forEach((o, i) => {
    const at = keep[i] * width;
    data.set([o.cx * unit[0], o.cy * unit[1], o.w * unit[0], o.h * unit[1]], at);
    data.set(noise(r, classes), at + 4 + object);
    const obj = object ? .8 + .2 * r() : 1;
    if (object) data[at + 4] = obj;
    data[at + 4 + object + o.cls] = o.score / obj;
  });
  return { data, keep, width };
}

const params = { confidence: .3, iou: .5, max: 100 };

{ // ultralytics/yolov5 export.py: output0 [1,25200,85] at 640, here 320x256: 3*(40*32+20*16+10*8) = 5040 rows, 20 classes.
  // WongKinYiu/yolov7 export.py --grid writes the same.
  const { data, keep, width } = rows(1, 5040, 20, 1, 320, 256);
  save('yolov5.in.json', { manifest: manifest('yolov5', 320, 256), classes: 20, frame: [1280, 720], params,
    outputs: [reduce('output0', [1, 5040, width], data, 1, keep, 0)] });
}
{ // Megvii YOLOX tools/export_onnx.py --decode_in_inference: the grid has been added.
  const { data, keep, width } = rows(2, 1680, 80, 1, 320, 256);
  save('yolox-decoded.in.json', { manifest: manifest('yolox', 320, 256, { input: { position: 'top-left' }, head: { decoded: true } }),
    classes: 80, frame: [640, 480], params, outputs: [reduce('output', [1, 1680, width], data, 1, keep, 0)] });
}
{ // ultralytics RT-DETR export: output0 [1,300,4+nc], boxes from 0 to 1, scores after sigmoid, stretched input.
  const { data, width } = rows(3, 300, 12, 0, 320, 320, [1 / 320, 1 / 320]);
  save('rtdetr-ultralytics.in.json', { manifest: manifest('rtdetr-ultralytics', 320, 320, { input: { resize: 'stretch' } }), classes: 12,
    frame: [1920, 1080], params: { ...params, iou: 1 }, outputs: [whole('output0', [1, 300, width], data)] });
}
// corners gives x1 y1 x2 y2.
const corners = o => [o.cx - o.w / 2, o.cy - o.h / 2, o.cx + o.w / 2, o.cy + o.h / 2];
{ // THU-MIG/yolov10 and ultralytics YOLO26 (end2end): output0 [1,300,6], x1 y1 x2 y2 score class in pixels, sorted by score.
  const r = random(4), list = objects(r, 40, 1, 640, 384, 80).sort((a, b) => b.score - a.score), data = new Float32Array(1800);
  list.forEach((o, i) => data.set([...corners(o), o.score, o.cls], i * 6));
  save('yolov10.in.json', { manifest: manifest('yolov10', 640, 384), classes: 80, frame: [768, 576], params: { ...params, iou: 1, max: 20 },
    outputs: [whole('output0', [1, 300, 6], data)] });
}
for (const family of ['rtdetr', 'dfine']) {
  // lyuwenyu/RT-DETR rtdetrv2_pytorch/tools/export_onnx.py and Peterande/D-FINE tools/deployment/export_onnx.py: labels int64
  // [N,300], boxes [N,300,4] x1 y1 x2 y2 times orig_target_sizes (width, height), scores [N,300].
  const r = random(family.length), list = objects(r, 60, 5, 640, 640, 80), n = list.length;
  save(`${family}.in.json`, { manifest: manifest(family, 640, 640, { input: { resize: 'stretch' } }), classes: 80, frame: [1920, 1080],
    params: { ...params, iou: 1 }, outputs: [
      { name: 'labels', shape: [1, n], ints: list.map(o => o.cls) },
      whole('boxes', [1, n, 4], Float32Array.from(list.flatMap(corners))),
      whole('scores', [1, n], Float32Array.from(list.map(o => o.score)))] });
}
{ // roboflow/rf-detr rfdetr/deploy/export.py: dets [1,300,4] cx cy w h from 0 to 1, labels [1,300,91] logits.
  const r = random(6), n = 60, list = objects(r, 12, 5, 1, 1, 91).map(o => ({ ...o, w: .05 + r() * .3, h: .05 + r() * .3 }));
  const logits = Float32Array.from({ length: n * 91 }, () => -6 + 2 * r());
  list.forEach((o, i) => {
    logits[i * 91 + o.cls] = Math.log(o.score / (1 - o.score));
    if (i % 4 === 0) logits[i * 91 + (o.cls + 7) % 91] = 1.5 * r(); // one query may be two classes
  });
  save('rfdetr.in.json', { manifest: manifest('rfdetr', 384, 384, { input: { resize: 'stretch' } }), classes: 91, frame: [1280, 960],
    params: { ...params, iou: 1 }, outputs: [
      whole('dets', [1, n, 4], Float32Array.from(list.flatMap(o => [.2 + .6 * o.cx / 21, .2 + .6 * (o.cy % 1), o.w, o.h]))),
      whole('labels', [1, n, 91], logits)] });
}
{ // tensorflow/models research/object_detection exporter: detection_boxes [1,N,4] y1 x1 y2 x2 from 0 to 1, classes from 1, num_detections.
  const r = random(7), list = objects(r, 10, 4, 300, 300, 90), n = 50;
  const boxes = new Float32Array(n * 4), classes = new Float32Array(n).fill(1), scores = new Float32Array(n);
  list.forEach((o, i) => {
    const [x1, y1, x2, y2] = corners(o);
    boxes.set([y1 / 300, x1 / 300, y2 / 300, x2 / 300], i * 4);
    classes[i] = o.cls + 1; scores[i] = o.score;
  });
  scores.fill(.9, 40); // beyond num_detections: must not count
  save('ssd.in.json', { manifest: manifest('ssd', 300, 300, { input: { layout: 'nhwc', type: 'uint8', resize: 'stretch' } }), classes: 90,
    frame: [640, 480], params: { ...params, iou: 1 }, outputs: [
      whole('detection_boxes', [1, n, 4], boxes), whole('detection_classes', [1, n], classes),
      whole('detection_scores', [1, n], scores), whole('num_detections', [1], Float32Array.of(40))] });
}
{ // RangiLyu/nanodet tools/export_onnx.py (NanoDet-Plus): output [1,3598,112] at 416, here 192: 24*24+12*12+6*6+3*3 = 765 rows.
  const r = random(8), n = 765, width = 80 + 32, data = new Float32Array(n * width), keep = keepOf(r, n, 80);
  for (const i of keep) {
    for (let c = 0; c < 80; c++) data[i * width + c] = r() * .25;
    data[i * width + Math.floor(r() * 80)] = .3 + .6 * r();
    for (let c = 80; c < width; c++) data[i * width + c] = (r() - .5) * 6;
  }
  save('nanodet-plus.in.json', { manifest: manifest('nanodet', 192, 192, { head: { strides: [8, 16, 32, 64], reg_max: 7 } }), classes: 80,
    frame: [640, 480], params, outputs: [reduce('output', [1, n, width], data, 1, keep, 0)] });
}
{ // torchvision and timm classifiers: logits [1,1000].
  const r = random(9), data = Float32Array.from({ length: 1000 }, () => (r() - .5) * 8);
  data[321] = 9; data[17] = 8.5; data[999] = 8.5;
  save('classification-logits.in.json', { manifest: manifest('classification', 224, 224, { input: { resize: 'stretch' } }), classes: 1000,
    frame: [640, 480], params: { confidence: .01, iou: 1, max: 5 }, outputs: [whole('logits', [1, 1000], data)] });
}
{ // The same classifiers trained for several labels at once (timm with BCE): logits [1,40], each for itself.
  const r = random(10), data = Float32Array.from({ length: 40 }, () => -6 + 3 * r());
  for (const [k, v] of [[3, 2.5], [17, .4], [18, .4], [39, -.3], [8, -1.2]]) data[k] = v;
  save('multi-label.in.json', { manifest: manifest('multi-label', 224, 224, { input: { resize: 'stretch' } }), classes: 40,
    frame: [640, 480], params: { confidence: .3, iou: 1, max: 10 }, outputs: [whole('logits', [1, 40], data)] });
}
