// Compares two files of tracks frame by frame: are the same boxes followed, and
// do they belong together in the same way, whatever the tracks are called?
//
//   node same.mjs a.jsonl b.jsonl [NAME]
import { pathToFileURL } from 'node:url'
import { tracks } from './clear.mjs'

/** Counts boxes of both, of one only, and those whose track has another counterpart than before. */
export function same(a, b) {
  const there = new Map(), back = new Map()
  const r = { both: 0, onlyA: 0, onlyB: 0, otherwise: 0 }
  for (const frame of new Set([...a.keys(), ...b.keys()])) {
    const mine = new Map((a.get(frame) ?? []).map(t => [t.box.join(), t.id]))
    const yours = new Map((b.get(frame) ?? []).map(t => [t.box.join(), t.id]))
    for (const [box, id] of mine) {
      if (!yours.has(box)) { r.onlyA++; continue }
      const other = yours.get(box)
      r.both++
      if ((there.get(id) ?? other) !== other || (back.get(other) ?? id) !== id) r.otherwise++
      there.set(id, other)
      back.set(other, id)
    }
    for (const box of yours.keys()) if (!mine.has(box)) r.onlyB++
  }
  return r
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [a, b, name = ''] = process.argv.slice(2)
  const r = same(tracks(a), tracks(b))
  console.log(`${name}: ${r.both} boxes followed by both, ${r.onlyA} by the first only, ${r.onlyB} by the second only; ${r.otherwise} belong together otherwise`)
}
