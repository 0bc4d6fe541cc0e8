// Average precision at IoU 0.5, as PASCAL VOC counts it since 2010: the area
// under the precision-recall curve after precision has been made monotonic
// (not the eleven points of 2007), the mean over the classes that occur.
// Objects marked difficult (VOC) or not to be considered (MOT) are neither
// found nor missed. The same scorer serves Perch and the reference.
//
//   node ap50.mjs voc ANNOTATIONS detections.jsonl [NAME [EXPECTED]]
//   node ap50.mjs mot gt.txt detections.jsonl [NAME [EXPECTED]]
//
// EXPECTED is a figure, or another file of detections to score; the exit status
// is 1 when it is more than 1.5 points away.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { iou, read } from './detections.mjs'

/** COCO's names for VOC's classes, where they differ. */
const vocName = {
  airplane: 'aeroplane', motorcycle: 'motorbike', couch: 'sofa', 'potted plant': 'pottedplant', 'dining table': 'diningtable', tv: 'tvmonitor',
}

/** Ground truth of VOC: Map of image to [{label, box, ignore}]. */
export function voc(folder) {
  const truth = new Map()
  for (const file of readdirSync(folder).filter(f => f.endsWith('.xml')).sort()) {
    const xml = readFileSync(join(folder, file), 'utf8')
    const text = (s, tag) => s.match(new RegExp(`<${tag}>\\s*([^<]*?)\\s*</${tag}>`))?.[1]
    truth.set(text(xml, 'filename'), [...xml.matchAll(/<object>([\s\S]*?)<\/object>/g)].map(([, o]) => {
      // Parts (head, hand, foot) have names and boxes of their own.
      const whole = o.replace(/<part>[\s\S]*?<\/part>/g, '')
      const [x0, y0, x1, y1] = ['xmin', 'ymin', 'xmax', 'ymax'].map(t => Number(text(whole, t)))
      // VOC counts pixels from 1 and includes the last.
      return { label: text(whole, 'name'), box: [x0 - 1, y0 - 1, x1, y1], ignore: text(whole, 'difficult') === '1' }
    }))
  }
  return truth
}

/** Ground truth of MOTChallenge: Map of frame (from 1) to [{label: 'person', box, ignore}]. */
export function mot(path) {
  const truth = new Map()
  for (const line of readFileSync(path, 'utf8').split('\n').filter(l => l.trim())) {
    const [frame, , x, y, w, h, valid] = line.split(',').map(Number)
    if (!truth.has(frame)) truth.set(frame, [])
    truth.get(frame).push({ label: 'person', box: [x - 1, y - 1, x - 1 + w, y - 1 + h], ignore: valid !== 1 })
  }
  return truth
}

/** Average precision of one class, or NaN when it does not occur. */
export function averagePrecision(truth, detections, label) {
  let positives = 0
  const objects = new Map()
  for (const [key, all] of truth) {
    const mine = all.filter(o => o.label === label).map(o => ({ ...o, taken: false }))
    objects.set(key, mine)
    positives += mine.filter(o => !o.ignore).length
  }
  if (positives === 0) return NaN
  const found = []
  for (const [key, all] of detections) {
    if (!truth.has(key)) continue
    for (const d of all) if ((vocName[d.label] ?? d.label) === label) found.push({ key, score: d.score, box: d.box })
  }
  found.sort((a, b) => b.score - a.score)
  let right = 0, wrong = 0
  const curve = []
  for (const d of found) {
    let best = null, overlap = 0
    for (const o of objects.get(d.key)) {
      const v = iou(d.box, o.box)
      if (v > overlap) [best, overlap] = [o, v]
    }
    if (overlap >= 0.5 && best.ignore) continue
    if (overlap >= 0.5 && !best.taken) { best.taken = true; right++ } else wrong++
    curve.push([right / positives, right / (right + wrong)])
  }
  let area = 0, highest = 0
  for (let i = curve.length - 1; i >= 0; i--) {
    highest = Math.max(highest, curve[i][1])
    area += (curve[i][0] - (i > 0 ? curve[i - 1][0] : 0)) * highest
  }
  return area
}

/** AP50 in percent: Map of class to value, and their mean. */
export function score(truth, detections) {
  const missing = [...truth.keys()].filter(k => !detections.has(k))
  if (missing.length > 0) throw new Error(`${missing.length} of ${truth.size} images or frames have no line of detections, first ${missing[0]}`)
  const labels = [...new Set([...truth.values()].flat().map(o => o.label))].sort()
  const classes = new Map()
  for (const l of labels) {
    const ap = averagePrecision(truth, detections, l)
    if (!Number.isNaN(ap)) classes.set(l, 100 * ap)
  }
  const mean = [...classes.values()].reduce((a, b) => a + b, 0) / classes.size
  return { classes, mean }
}

/** How far apart, in points, two figures may be. */
const tolerance = 1.5

function main([kind, where, file, name = file, other]) {
  const load = { voc, mot }[kind]
  if (!load || !file) {
    console.error('usage: node ap50.mjs voc ANNOTATIONS|mot gt.txt detections.jsonl [NAME [other.jsonl|FIGURE]]')
    return 64
  }
  const truth = load(where)
  const { classes, mean } = score(truth, read(file))
  const objects = [...truth.values()].flat().filter(o => !o.ignore).length
  console.log(`${name}: AP50 ${mean.toFixed(1)}, ${classes.size} classes, ${objects} objects, ${truth.size} ${kind === 'voc' ? 'images' : 'frames'}`)
  if (process.env.CLASSES) for (const [l, ap] of classes) console.log(`  ${l} ${ap.toFixed(1)}`)
  if (other === undefined) return 0
  const expected = Number.isFinite(Number(other)) ? Number(other) : score(truth, read(other)).mean
  const off = mean - expected
  console.log(`  expected ${expected.toFixed(1)}: ${off >= 0 ? '+' : ''}${off.toFixed(1)} points, ${tolerance} are allowed`)
  return Math.abs(off) <= tolerance ? 0 : 1
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) process.exitCode = main(process.argv.slice(2))
