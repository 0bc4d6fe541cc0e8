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

// prototypes are smooth planes, so that their mixtures have outlines like objects.
function prototypes(r, count, w, h) {
  const data = new Float32Array(count * w * h);
  for (let p = 0, at = 0; p < count; p++) {
    const waves = Array.from({ length: 4 }, () => [r() * 9, r() * 9, r() * 6.28, r() - .5]);
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++, at++) {
      data[at] = waves.reduce((v, [fx, fy, phase, size]) => v + size * Math.sin(fx * x / w + fy * y / h + phase), 0);
    }
  }
  return data;
}
const coefs = (r, n) => Array.from({ length: n }, () => 2 * r() - 1);
// columns turns rows of n values into [values, rows].
function columns(data, n) {
  const rows = data.length / n, out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let k = 0; k < n; k++) out[k * rows + i] = data[i * n + k];
  return out;
}

{ // ultralytics/yolov5 export.py of a -seg model: output0 [1,25200,5+nc+32], output1 [1,32,160,160] at 640; here 160x128 and 8.
  const r = random(11), w = 160, h = 128, p = 8, classes = 5, n = 3 * (20 * 16 + 10 * 8 + 5 * 4), width = 5 + classes + p;
  const list = objects(r, 6, 4, w, h, classes), data = new Float32Array(n * width), keep = keepOf(r, n, list.length);
  list.forEach((o, i) => {
    const s = Array.from(noise(r, classes)), obj = .8 + .2 * r();
    s[o.cls] = o.score / obj;
    data.set([o.cx, o.cy, o.w, o.h, obj, ...s, ...coefs(r, p)], keep[i] * width);
  });
  save('yolov5-seg.in.json', { manifest: manifest('yolov5-seg', w, h), classes, frame: [320, 240], params, outputs: [
    reduce('output0', [1, n, width], data, 1, keep, 0), whole('output1', [1, p, h / 4, w / 4], prototypes(r, p, w / 4, h / 4))] });
}
{ // ultralytics export of YOLOv8-seg and YOLO11-seg: output0 [1,4+nc+32,8400], output1 [1,32,160,160] at 640; here 128x160 and 6.
  const r = random(12), w = 128, h = 160, p = 6, classes = 4, n = 20 * 16 + 10 * 8 + 5 * 4, width = 4 + classes + p;
  const list = objects(r, 6, 4, w, h, classes), data = new Float32Array(n * width), keep = keepOf(r, n, list.length);
  list.forEach((o, i) => {
    const s = Array.from(noise(r, classes));
    s[o.cls] = o.score;
    data.set([o.cx, o.cy, o.w, o.h, ...s, ...coefs(r, p)], keep[i] * width);
  });
  save('yolov8-seg.in.json', { manifest: manifest('yolov8-seg', w, h), classes, frame: [301, 203], params, outputs: [
    reduce('output0', [1, width, n], columns(data, width), 2, keep, 0), whole('output1', [1, p, h / 4, w / 4], prototypes(r, p, w / 4, h / 4))] });
}
{ // ultralytics export of YOLO26-seg (end2end): output0 [1,300,6+32], output1 [1,32,160,160] at 640. The frame is smaller than a plane.
  const r = random(13), w = 160, h = 160, p = 5, n = 20, width = 6 + p, list = objects(r, 7, 1, w, h, 3), data = new Float32Array(n * width);
  list.sort((a, b) => b.score - a.score).forEach((o, i) => data.set([...corners(o), o.score, o.cls, ...coefs(r, p)], i * width));
  save('yolo26-seg.in.json', { manifest: manifest('yolo26-seg', w, h, { input: { position: 'top-left' } }), classes: 3, frame: [31, 37],
    params: { ...params, iou: 1 }, outputs: [whole('output0', [1, n, width], data), whole('output1', [1, p, h / 4, w / 4], prototypes(r, p, w / 4, h / 4))] });
}
{ // roboflow/rf-detr export of a Seg model: as rfdetr, and masks [1,N,H/4,W/4], logits of each query's own.
  const r = random(14), n = 8, classes = 6, side = 96, q = side / 4;
  const logits = Float32Array.from({ length: n * classes }, () => -6 + 2 * r()), boxes = [];
  for (let i = 0; i < n; i++) {
    logits[i * classes + i % classes] = 3 * r() - .7;
    boxes.push(.25 + .5 * r(), .25 + .5 * r(), .1 + .4 * r(), .1 + .4 * r());
  }
  logits[(2 + 3) % classes + 2 * classes] = .5; // one query may be two classes; both have its mask
  save('rfdetr-seg.in.json', { manifest: manifest('rfdetr-seg', side, side, { input: { resize: 'stretch' } }), classes, frame: [200, 120],
    params: { ...params, iou: 1 }, outputs: [whole('dets', [1, n, 4], Float32Array.from(boxes)), whole('labels', [1, n, classes], logits),
      whole('masks', [1, n, q, q], prototypes(r, n, q, q))] });
}
// joints are n points in and around a box, each with a score.
const joints = (r, o, n) => Array.from({ length: n }, () => [o.cx + (r() - .5) * 1.2 * o.w, o.cy + (r() - .5) * 1.2 * o.h, r()]);
{ // ultralytics export of YOLOv8-pose and YOLO11-pose: output0 [1,56,8400] at 640: cx cy w h score, 17 times x y score; here 256x192.
  const r = random(15), w = 256, h = 192, n = 32 * 24 + 16 * 12 + 8 * 6, width = 56, list = objects(r, 6, 4, w, h, 1);
  const data = new Float32Array(n * width), keep = keepOf(r, n, list.length);
  list.forEach((o, i) => data.set([o.cx, o.cy, o.w, o.h, o.score, ...joints(r, o, 17).flat()], keep[i] * width));
  save('yolov8-pose.in.json', { manifest: manifest('yolov8-pose', w, h), classes: 1, frame: [1280, 720], params,
    outputs: [reduce('output0', [1, width, n], columns(data, width), 2, keep, 0)] });
}
{ // The same of a data set with two classes and kpt_shape [4, 2]: points without a score.
  const r = random(16), w = 128, h = 128, n = 16 * 16 + 8 * 8 + 4 * 4, width = 4 + 2 + 8, list = objects(r, 4, 3, w, h, 2);
  const data = new Float32Array(n * width), keep = keepOf(r, n, list.length);
  list.forEach((o, i) => {
    const s = [.1, .1];
    s[o.cls] = o.score;
    data.set([o.cx, o.cy, o.w, o.h, ...s, ...joints(r, o, 4).flatMap(p => p.slice(0, 2))], keep[i] * width);
  });
  const head = { keypoints: ['a', 'b', 'c', 'd'], point_values: 2 };
  save('yolov8-pose-corners.in.json', { manifest: manifest('yolov8-pose', w, h, { head }), classes: 2, frame: [640, 480], params,
    outputs: [reduce('output0', [1, width, n], columns(data, width), 2, keep, 0)] });
}
{ // ultralytics export of YOLO26-pose (end2end): output0 [1,300,57].
  const r = random(17), w = 256, h = 256, n = 30, list = objects(r, 9, 1, w, h, 1), data = new Float32Array(n * 57);
  list.sort((a, b) => b.score - a.score).forEach((o, i) => data.set([...corners(o), o.score, 0, ...joints(r, o, 17).flat()], i * 57));
  save('yolo26-pose.in.json', { manifest: manifest('yolo26-pose', w, h), classes: 1, frame: [768, 576], params: { ...params, iou: 1 },
    outputs: [whole('output0', [1, n, 57], data)] });
}
const byHeight = ([x, y, s]) => [y, x, s];
{ // TensorFlow Hub movenet/singlepose/thunder/4: [1,1,17,3], y x score from 0 to 1, input int32 256x256.
  const r = random(18), points = joints(r, { cx: .5, cy: .45, w: .3, h: .5 }, 17);
  save('movenet.in.json', { manifest: manifest('movenet', 256, 256, { input: { layout: 'nhwc', type: 'int32' } }), classes: 1, frame: [1920, 1080],
    params: { ...params, iou: 1 }, outputs: [whole('output_0', [1, 1, 17, 3], Float32Array.from(points.flatMap(byHeight)))] });
}
{ // TensorFlow Hub movenet/multipose/lightning/1: [1,6,56], 17 times y x score, then y1 x1 y2 x2 score, all from 0 to 1.
  const r = random(19), data = new Float32Array(6 * 56);
  for (let i = 0; i < 6; i++) {
    const o = { cx: .2 + .6 * r(), cy: .3 + .4 * r(), w: .1 + .2 * r(), h: .2 + .3 * r() }, [x1, y1, x2, y2] = corners(o);
    data.set([...joints(r, o, 17).flatMap(byHeight), y1, x1, y2, x2, .9 - .15 * i], i * 56);
  }
  save('movenet-multi.in.json', { manifest: manifest('movenet-multi', 256, 192, { input: { layout: 'nhwc', type: 'int32' } }), classes: 1,
    frame: [640, 480], params: { ...params, iou: 1 }, outputs: [whole('output_0', [1, 6, 56], data)] });
}
