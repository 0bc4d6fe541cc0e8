// What workflows must put out, worked out from the raw detections of their
// model and nothing else of the program: tracks by the ByteTrack of the
// benchmarks (written from the paper), lines and zones as the supervision
// package has them, tables and crops by hand.
//
//   node expect.mjs WHAT raw.jsonl [OPTIONS]     WHAT: one of the functions below
//
// raw.jsonl is perch export of a run whose output "raw" is a model's. Boxes are
// [x0, y0, x1, y1], frames count from 1, seconds are frame / fps.
import { readFileSync } from 'node:fs'
import { track } from '../../../../../packaging/bench/track/bytetrack.mjs'

const lines = path => readFileSync(path, 'utf8').split('\n').filter(Boolean).map(l => JSON.parse(l))

/** The detections of each frame at a score or above, of one class if it is given, best first as the model has them. */
function detections(raw, { score, label }) {
  return raw.map(r => r.outputs.raw.predictions.predictions.filter(p => p.confidence >= score && (!label || p.class === label)).map(p => ({
    box: [p.x - p.width / 2, p.y - p.height / 2, p.x + p.width / 2, p.y + p.height / 2],
    x: p.x, y: p.y, width: p.width, height: p.height, score: p.confidence, label: p.class, class: p.class_id,
  })))
}

/** What the tracker block with its defaults follows: on each frame [{id, box, label}]. */
function followed(raw, o) {
  const frames = detections(raw, o)
  const found = track(frames, { high: 0.25, low: 0.1, begin: 0.35, match: 0.8, second: 0.5, unconfirmed: 0.7, buffer: Math.floor(o.fps) })
  return found.map((ts, i) => ts.map(t => ({ id: t.id, ...frames[i].find(d => d.box === t.box) })))
}

/** Crossings of a line: by the box's centre, or by all four corners. */
export function crossings(raw, o) {
  const [[ax, ay], [bx, by]] = o.line
  const dx = bx - ax, dy = by - ay
  const before = new Map(), events = [], counts = []
  let into = 0, out = 0
  const frames = followed(raw, o)
  frames.forEach((tracks, i) => {
    for (const { id, box: [x0, y0, x1, y1], label } of tracks) {
      const places = o.corners ? [[x0, y0], [x1, y0], [x0, y1], [x1, y1]] : [[(x0 + x1) / 2, (y0 + y1) / 2]]
      const along = places.map(([x, y]) => ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy))
      if (!along.every(t => t >= 0 && t <= 1)) continue
      const left = places.map(([x, y]) => dx * (y - ay) - dy * (x - ax) < 0)
      if (!left.every(s => s === left[0])) continue
      if (before.has(id) && before.get(id) !== left[0]) {
        events.push({ frame: i + 1, track: id, class: label, direction: left[0] ? 'in' : 'out' })
        if (left[0]) into++
        else out++
      }
      before.set(id, left[0])
    }
    counts.push([into, out])
  })
  return { frames, events, counts }
}

/** Winding number of a polygon around a point. */
function winds([x, y], polygon) {
  let n = 0
  polygon.forEach(([ax, ay], i) => {
    const [bx, by] = polygon[(i + 1) % polygon.length]
    const left = (bx - ax) * (y - ay) - (x - ax) * (by - ay)
    if (ay <= y && by > y && left > 0) n++
    if (ay > y && by <= y && left < 0) n--
  })
  return n
}

/** How long whose centre has been in a zone; those outside are left out and begin anew. */
export function stays(raw, o) {
  const since = new Map(), seen = new Map(), events = [], tracks = followed(raw, o)
  const frames = tracks.map((ts, i) => {
    const now = (i + 1) / o.fps
    const inside = []
    for (const t of ts) {
      if (!winds([(t.box[0] + t.box[2]) / 2, (t.box[1] + t.box[3]) / 2], o.zone)) {
        if (since.has(t.id) && !seen.get(t.id).told) events.push({ frame: i + 1, track: t.id, kind: 'zone.left', seconds: now - since.get(t.id), gone: false })
        since.delete(t.id)
        seen.delete(t.id)
        continue
      }
      if (!since.has(t.id)) since.set(t.id, now)
      if (!seen.has(t.id) || seen.get(t.id).told) events.push({ frame: i + 1, track: t.id, kind: 'zone.entered' })
      seen.set(t.id, { at: now, told: false })
      inside.push({ ...t, seconds: now - since.get(t.id) })
    }
    for (const [id, s] of seen) {
      if (s.told || now - s.at < 10 - 1e-9) continue
      s.told = true
      events.push({ frame: i + 1, track: id, kind: 'zone.left', seconds: s.at - since.get(id), gone: true })
    }
    return inside
  })
  return { tracks, frames, events }
}

/** The classes in a zone, on each frame on which their number is not that of the last time. */
export function changes(raw, o) {
  let last = -1
  const rows = []
  detections(raw, o).forEach((ds, i) => {
    const inside = ds.filter(d => winds([d.x, d.y], o.zone))
    if (inside.length !== last) rows.push({ frame: i + 1, classes: inside.map(d => d.label) })
    last = inside.length
  })
  return rows
}

/** Of each six frames: how many classes, fewest, most and all objects of a frame. And every frame's objects. */
export function aggregates(raw, o) {
  const frames = detections(raw, o), rows = []
  for (let i = 0; i + 6 <= frames.length; i += 6) {
    const some = frames.slice(i, i + 6), numbers = some.map(f => f.length)
    rows.push([new Set(some.flat().map(d => d.label)).size, Math.min(...numbers), Math.max(...numbers), numbers.reduce((a, b) => a + b)])
  }
  return { frames, rows }
}

/** The objects of each frame. */
export const objects = detections

/**
 * What a model that scores ten times the mean red, green and blue makes of each
 * object's pixels: its softmax. o.pixels is the video as packed I420.
 */
export function colours(raw, o) {
  const video = readFileSync(o.pixels), { width: w, height: h } = o
  const size = w * h * 3 / 2
  return detections(raw, o).map((ds, i) => ds.map(({ box }) => {
    const [x0, y0, x1, y1] = box.map((v, k) => Math.min(Math.max(Math.round(v), 0), k % 2 ? h : w))
    const sum = [0, 0, 0]
    for (let y = y0; y < y1; y++) {
      for (let x = x0; x < x1; x++) {
        const at = i * size, c = at + w * h + (y >> 1) * (w / 2) + (x >> 1)
        // BT.601, studio range
        const l = 1.164383 * (video[at + y * w + x] - 16), u = video[c] - 128, v = video[c + w * h / 4] - 128
        ;[l + 1.596027 * v, l - 0.391762 * u - 0.812968 * v, l + 2.017232 * u].forEach((p, k) => { sum[k] += Math.min(Math.max(p, 0), 255) / 255 })
      }
    }
    const e = sum.map(s => Math.exp(10 * s / ((x1 - x0) * (y1 - y0)))), all = e.reduce((a, b) => a + b)
    return e.map(v => v / all)
  }))
}

const [what, path, options = '{}'] = process.argv.slice(2)
const does = { crossings, stays, changes, aggregates, objects, colours }
if (!does[what] || !path) throw new Error(`use: expect.mjs ${Object.keys(does).join('|')} raw.jsonl [OPTIONS]`)
console.log(JSON.stringify(does[what](lines(path), JSON.parse(options))))
