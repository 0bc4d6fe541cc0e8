// Detections as Perch writes them: a JSON object a line, {"image": name or
// "frame": n, "detections": [{"label", "class", "score", "box": [x0, y0, x1, y1]}]}.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

/** Reads detections by image name (without folder) or frame number. */
export function read(path) {
  const all = new Map()
  readFileSync(path, 'utf8').split('\n').forEach((line, i) => {
    if (!line.trim()) return
    let r
    try { r = JSON.parse(line) } catch (e) { throw new Error(`${path}, line ${i + 1}: ${e.message}`) }
    const key = r.image !== undefined ? basename(r.image) : r.frame
    if (key === undefined || !Array.isArray(r.detections)) throw new Error(`${path}, line ${i + 1}: neither image nor frame, or no detections`)
    if (all.has(key)) throw new Error(`${path}, line ${i + 1}: ${key} comes twice`)
    all.set(key, r.detections)
  })
  return all
}

/** Intersection over union of boxes [x0, y0, x1, y1]. */
export function iou(a, b) {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0])
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1])
  if (w <= 0 || h <= 0) return 0
  const both = w * h
  return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
}
