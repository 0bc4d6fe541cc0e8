// Runs the default model on JPEG images without a line of Perch: npm's jpeg-js
// decodes, npm's onnxruntime-node runs the network, and this file samples the
// input and decodes the head, following the documentation of pipeline/model
// (doc.go). It knows what the default model needs and no more.
//
//   node reference.mjs MODEL_FOLDER IMAGES > reference.jsonl
//
// Decoders of JPEG differ by one level in some samples, and the model is not
// smooth: where neighbouring cells score alike, one level decides which of two
// boxes is suppressed. So that such noise is not taken for a difference in what
// is compared here, RAW may name a folder with the planes of each image as
// GStreamer's jpegdec gives them (NAME.jpg.i420), which is what Perch sees.
import { createRequire } from 'node:module'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { iou } from './detections.mjs'

// The packages are installed outside the source tree; NODE_MODULES names where.
const require = createRequire(process.env.NODE_MODULES ? join(process.env.NODE_MODULES, 'x.js') : import.meta.url)
const ort = require('onnxruntime-node')
const jpeg = require('jpeg-js')

const size = 416, floor = 0.01, nms = 0.6, most = 300

const raw = process.env.RAW
const [folder, pictures] = process.argv.slice(2)
if (!pictures) {
  console.error('usage: [RAW=FOLDER] node reference.mjs MODEL_FOLDER IMAGES')
  process.exit(64)
}
const labels = readFileSync(join(folder, 'model.yaml'), 'utf8').split(/^labels:\n/m)[1].match(/^ *- .+$/gm).map(l => l.replace(/^ *- /, ''))
const session = await ort.InferenceSession.create(join(folder, 'model.onnx'), { executionProviders: ['cpu'], logSeverityLevel: 4 })

const images = readdirSync(pictures).filter(f => /\.jpe?g$/i.test(f)).sort().map(f => join(pictures, f))
for (const path of images) {
  const { tensor, place } = input(path)
  const { output0 } = await session.run({ images: tensor })
  console.log(JSON.stringify({ image: basename(path), detections: suppress(candidates(output0, place)) }))
}

/** Samples a JPEG into f32[1,3,416,416] as steps 1 to 5 of the documentation say. */
function input(path) {
  const { W, H, Y, U, V } = planes(path)
  const r = Math.min(size / W, size / H)
  const w = Math.max(1, Math.floor(W * r + 0.5)), h = Math.max(1, Math.floor(H * r + 0.5))
  if (W / w >= 2 || H / h >= 2) throw new Error(`${path}: ${W}x${H} is reduced to half or less, which this script does not do`)
  const left = Math.floor((size - w) / 2), top = Math.floor((size - h) / 2)
  const luma = sampler(Y, W, axis(w, W, W, 1), axis(h, H, H, 1))
  const cw = (W + 1) >> 1, ch = (H + 1) >> 1
  const [cb, cr] = [U, V].map(c => sampler(c, cw, axis(w, W, cw, 2), axis(h, H, ch, 2)))
  const dst = new Float32Array(3 * size * size)
  for (let j = 0; j < h; j++) {
    const [y, u, v] = [luma(j), cb(j), cr(j)]
    for (let i = 0; i < w; i++) {
      const at = (top + j) * size + left + i
      const b = u(i) - 128, r = v(i) - 128
      const rgb = [y(i) + 1.402 * r, y(i) - 0.202008 / 0.587 * b - 0.419198 / 0.587 * r, y(i) + 1.772 * b] // full-range BT.601
      rgb.forEach((x, c) => { dst[c * size * size + at] = Math.min(Math.max(round(x, 4), 0), 255) / 255 })
    }
  }
  return { tensor: new ort.Tensor('float32', dst, [1, 3, size, size]), place: { W, H, w, h, left, top } }
}

/** Where each of n outputs lies between the count samples of a plane with one for every step of the src pixels. */
function axis(n, src, count, step) {
  return Array.from({ length: n }, (_, i) => {
    const x = Math.min(Math.max((i + 0.5) * src / n / step - 0.5, 0), count - 1), a = Math.floor(x)
    return [a, Math.min(a + 1, count - 1), round(x - a, 256)]
  })
}

/** To the nearest multiple of 1/parts, half up. */
function round(x, parts) { return Math.floor(x * parts + 0.5) / parts }

/** Samples a plane bilinearly, to quarters. */
function sampler(plane, width, xs, ys) {
  return j => {
    const [a, b, f] = ys[j]
    const row = x => plane[a * width + x] * (1 - f) + plane[b * width + x] * f
    return i => {
      const [c, d, g] = xs[i]
      return round(row(c) * (1 - g) + row(d) * g, 4)
    }
  }
}

/** The planes of a JPEG of 4:2:0, full range. */
function planes(path) {
  const file = readFileSync(path)
  const { W, H, factors } = frameHeader(file)
  if (factors !== '22 11 11') throw new Error(`${path}: sampling factors ${factors}, want 22 11 11 (4:2:0)`)
  return raw ? dumped(join(raw, basename(path) + '.i420'), W, H) : decoded(file, W, H)
}

/** Reads I420 as GStreamer lays it out: rows begin at multiples of four, planes after an even number of rows. */
function dumped(path, W, H) {
  const file = readFileSync(path), even = n => n + (n & 1), four = n => (n + 3) & ~3
  let at = 0
  const take = (w, h, stride, rows) => {
    const p = new Uint8Array(w * h)
    for (let y = 0; y < h; y++) p.set(file.subarray(at + y * stride, at + y * stride + w), y * w)
    at += stride * rows
    return p
  }
  const chroma = () => take(even(W) / 2, even(H) / 2, four(even(W) / 2), even(H) / 2)
  const r = { W, H, Y: take(W, H, four(W), even(H)), U: chroma(), V: chroma() }
  if (at !== file.length) throw new Error(`${path}: ${file.length} bytes, want ${at} for I420 of ${W}x${H}`)
  return r
}

function decoded(file, W, H) {
  const { data } = jpeg.decode(file, { useTArray: true, formatAsRGBA: false, colorTransform: false, tolerantDecoding: false })
  const plane = (c, step) => {
    const w = Math.ceil(W / step), h = Math.ceil(H / step), p = new Uint8Array(w * h)
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) p[y * w + x] = data[(y * step * W + x * step) * 3 + c]
    return p
  }
  // The decoder repeats each sample of chroma for the pixels that it covers.
  return { W, H, Y: plane(0, 1), U: plane(1, 2), V: plane(2, 2) }
}

/** The size of a JPEG and its components' sampling factors in hexadecimal (ITU-T T.81, B.2.2). */
function frameHeader(file) {
  for (let at = 2; at < file.length - 18; at += 2 + file.readUInt16BE(at + 2)) {
    if (file[at + 1] < 0xc0 || file[at + 1] > 0xc2) continue
    const factors = Array.from({ length: file[at + 9] }, (_, i) => file[at + 11 + 3 * i].toString(16)).join(' ')
    return { W: file.readUInt16BE(at + 7), H: file.readUInt16BE(at + 5), factors }
  }
  return { factors: 'unknown' }
}

/** The best class of each of the cells of f32[1,4+C,N], as boxes in pixels of the image. */
function candidates({ data, dims }, { W, H, w, h, left, top }) {
  const [, rows, n] = dims, found = []
  if (rows !== 4 + labels.length) throw new Error(`the model has ${rows - 4} classes, the manifest names ${labels.length}`)
  const clamp = (v, max) => Math.min(Math.max(v, 0), max)
  for (let i = 0; i < n; i++) {
    let cls = 0
    for (let k = 1; k < labels.length; k++) if (data[(4 + k) * n + i] > data[(4 + cls) * n + i]) cls = k
    const score = data[(4 + cls) * n + i]
    if (score < floor) continue
    const [cx, cy, bw, bh] = [0, 1, 2, 3].map(k => data[k * n + i])
    found.push({
      label: labels[cls], class: cls, score, raw: [cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2],
      box: [clamp((cx - bw / 2 - left) * W / w, W), clamp((cy - bh / 2 - top) * H / h, H), clamp((cx + bw / 2 - left) * W / w, W), clamp((cy + bh / 2 - top) * H / h, H)],
    })
  }
  return found
}

/** Greedy non-maximum suppression within each class, best first. */
function suppress(found) {
  const kept = []
  for (const c of found.sort((a, b) => b.score - a.score)) {
    if (kept.length === most) break
    if (!kept.some(k => k.class === c.class && iou(k.raw, c.raw) > nms)) kept.push(c)
  }
  return kept.filter(c => c.box[2] > c.box[0] && c.box[3] > c.box[1]).map(({ raw, ...d }) => d)
}
