// Tracking scores as the MOTChallenge counts them, at IoU 0.5: MOTA and
// identity switches (CLEAR MOT, Bernardin and Stiefelhagen, 2008: pairs of the
// frame before are kept while they overlap, the rest is assigned for the
// largest overlap) and IDF1 (Ristani et al., 2016: whole tracks are assigned to
// whole objects, once). Tracks are {"frame", "tracks": [{"id", "box"}]} a line.
//
//   node clear.mjs gt.txt [[--filtered] [--present] NAME=tracks.jsonl]...
//
// With --filtered a track's box is its filter's, not the detection's; with
// --present only the frames that the file has are scored.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { iou } from '../detections.mjs'
import { assign } from './lap.mjs'

/**
 * Ground truth of MOTChallenge: Map of frame (from 1) to [{id, box}]. Objects
 * marked 0 are left out and a track on one is wrong: so the challenge's own
 * scorer treats the sequences of 2015, which know no distractors.
 */
export function truth(path) {
  const all = new Map()
  readFileSync(path, 'utf8').split('\n').filter(l => l.trim()).forEach((line, i) => {
    const [frame, id, x, y, w, h, counts] = line.split(',').map(Number)
    if (![frame, id, x, y, w, h, counts].every(Number.isFinite)) throw new Error(`${path}, line ${i + 1}: not seven numbers`)
    if (counts === 0) return
    if (!all.has(frame)) all.set(frame, [])
    all.get(frame).push({ id, box: [x - 1, y - 1, x - 1 + w, y - 1 + h] })
  })
  return all
}

/** Tracks of a file, by frame; the box is member `which` of each track. */
export function tracks(path, which = 'box') {
  const lines = readFileSync(path, 'utf8').split('\n').filter(l => l.trim()).map(l => JSON.parse(l))
  return new Map(lines.map(r => [r.frame, r.tracks.map(t => ({ id: t.id, box: t[which] }))]))
}

const least = 0.5 - 1e-9

/** Counts and scores, in percent. */
export function score(objects, found) {
  for (const f of found.keys()) if (!(f >= 1)) throw new Error(`frame ${f}: frames count from 1`)
  const last = Math.max(...objects.keys(), ...found.keys())
  const now = { gt: 0, tp: 0, fp: 0, fn: 0, switches: 0 }
  const known = new Map() // object to the track it was last paired with
  let before = new Map() // the same of the frame before only
  const both = new Map(), objectFrames = new Map(), trackFrames = new Map()
  const count = (m, k) => m.set(k, (m.get(k) ?? 0) + 1)
  for (let frame = 1; frame <= last; frame++) {
    const gs = objects.get(frame) ?? [], ts = found.get(frame) ?? []
    if (new Set(ts.map(t => t.id)).size < ts.length) throw new Error(`frame ${frame}: a track comes twice`)
    const overlap = gs.map(g => ts.map(t => iou(g.box, t.box)))
    const gain = gs.map((g, i) => ts.map((t, j) => (overlap[i][j] < least ? 0 : overlap[i][j] + (before.get(g.id) === t.id ? 1000 : 0))))
    const mate = gs.length ? assign(gain.map(r => [...r.map(x => -x), ...gs.map(() => 0)])) : []
    before = new Map()
    let pairs = 0
    gs.forEach((g, i) => {
      const j = mate[i]
      count(objectFrames, g.id)
      ts.forEach((t, k) => { if (overlap[i][k] >= least) count(both, `${g.id} ${t.id}`) })
      if (!(j < ts.length && gain[i][j] > 0)) return
      pairs++
      if (known.has(g.id) && known.get(g.id) !== ts[j].id) now.switches++
      known.set(g.id, ts[j].id)
      before.set(g.id, ts[j].id)
    })
    ts.forEach(t => count(trackFrames, t.id))
    now.gt += gs.length
    now.tp += pairs
    now.fn += gs.length - pairs
    now.fp += ts.length - pairs
  }
  // Each object takes one track or none, so that most frames agree.
  const o = [...objectFrames.keys()], t = [...trackFrames.keys()]
  const gain = o.map(a => [...t.map(b => -(both.get(`${a} ${b}`) ?? 0)), ...o.map(() => 0)])
  const idtp = o.length ? assign(gain).reduce((s, j, i) => s - gain[i][j], 0) : 0
  const total = [...trackFrames.values()].reduce((s, n) => s + n, 0)
  return {
    ...now, objects: o.length, tracks: t.length,
    mota: 100 * (1 - (now.fn + now.fp + now.switches) / now.gt), idf1: 200 * idtp / (now.gt + total),
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [gt, ...rest] = process.argv.slice(2)
  const objects = truth(gt)
  console.log(`${'tracks'.padEnd(34)}  MOTA   IDF1  switches     FP     FN  tracks`)
  const options = new Set()
  for (const arg of rest) {
    if (arg.startsWith('--')) { options.add(arg); continue }
    const at = arg.indexOf('='), found = tracks(arg.slice(at + 1), options.has('--filtered') ? 'filtered' : 'box')
    const s = score(options.has('--present') ? new Map([...objects].filter(([frame]) => found.has(frame))) : objects, found)
    console.log(`${arg.slice(0, at).padEnd(34)} ${s.mota.toFixed(2).padStart(5)}  ${s.idf1.toFixed(2).padStart(5)}  ${String(s.switches).padStart(8)}  ${String(s.fp).padStart(5)}  ${String(s.fn).padStart(5)}  ${String(s.tracks).padStart(3)} of ${s.objects}`)
    options.clear()
  }
}
