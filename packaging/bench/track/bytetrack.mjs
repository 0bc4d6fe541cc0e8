// ByteTrack, written from the paper (Zhang et al., ECCV 2022, algorithm 1 and
// section 4.1) and, where its text is silent, from what the authors' program
// does: the score in the cost, unconfirmed tracks, duplicates. It shares no
// code with pipeline/track and is slow on purpose: full matrices, lists copied
// for every frame.
//
//   node bytetrack.mjs detections.jsonl SETTING [LABEL] > tracks.jsonl
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { iou, read } from '../detections.mjs'
import { begin, box, measure, predict, update } from './kalman.mjs'
import { pairs } from './lap.mjs'

/** Runs over frames (a list of lists of {box, score}); returns for each frame [{id, box, filtered}]. */
export function track(frames, { high, low, begin: least, match, second, unconfirmed: third, buffer }) {
  let tracks = [], ids = 0
  return frames.map((detections, frame) => {
    const strong = detections.filter(d => d.score > high)
    const weak = detections.filter(d => d.score > low && d.score <= high)
    for (const t of tracks) {
      t.detection = null
      if (!t.confirmed) continue
      if (t.lost) t.filter.mean[7] = 0
      t.filter = predict(t.filter)
    }
    // Associates, updates, and returns the detections that nobody took.
    const associate = (who, what, cost, limit) => {
      const mate = what.length && who.length ? pairs(who.map(t => what.map(d => cost(t, d))), what.length, limit) : []
      mate.forEach((j, i) => {
        if (j < 0) return
        const t = who[i]
        t.filter = update(t.filter, measure(what[j].box))
        Object.assign(t, { detection: what[j], seen: frame, lost: false, confirmed: true })
      })
      return what.filter((_, j) => !mate.includes(j))
    }
    const overlap = (t, d) => 1 - iou(box(t.filter), d.box)
    const fused = (t, d) => 1 - iou(box(t.filter), d.box) * d.score
    const young = tracks.filter(t => !t.confirmed), before = tracks.filter(t => t.lost)

    let rest = associate(tracks.filter(t => t.confirmed), strong, fused, match)
    associate(tracks.filter(t => t.confirmed && !t.lost && !t.detection), weak, overlap, second)
    for (const t of tracks) if (t.confirmed && !t.detection) t.lost = true
    rest = associate(young, rest, fused, third)
    const over = t => (!t.confirmed && !t.detection) || (t.lost && before.includes(t) && frame - t.seen > buffer)
    tracks = tracks.filter(t => !over(t))
    for (const d of rest.filter(d => d.score >= least)) {
      tracks.push({ id: ++ids, filter: begin(measure(d.box)), began: frame, seen: frame, lost: false, confirmed: frame === 0, detection: d })
    }
    const gone = new Set()
    for (const p of tracks.filter(t => !t.lost)) {
      for (const q of tracks.filter(t => t.lost)) {
        if (1 - iou(box(p.filter), box(q.filter)) < 0.15) gone.add(p.seen - p.began > q.seen - q.began ? q : p)
      }
    }
    tracks = tracks.filter(t => !gone.has(t))
    return tracks.filter(t => t.confirmed && !t.lost).map(t => ({ id: t.id, box: t.detection.box, filtered: box(t.filter) }))
  })
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [path, setting, label = 'person'] = process.argv.slice(2)
  const settings = JSON.parse(readFileSync(new URL('settings.json', import.meta.url)))
  if (!path || !settings[setting]) throw new Error(`use: bytetrack.mjs detections.jsonl ${Object.keys(settings).join('|')} [LABEL]`)
  const all = read(path), numbers = [...all.keys()]
  numbers.forEach((n, i) => { if (n !== numbers[0] + i) throw new Error(`${path}: frame ${numbers[0] + i} is missing`) })
  const s = settings[setting]
  const tracks = track([...all.values()].map(ds => ds.filter(d => d.label === label)), s)
  tracks.forEach((ts, i) => console.log(JSON.stringify({ frame: numbers[i], tracks: ts })))
}
