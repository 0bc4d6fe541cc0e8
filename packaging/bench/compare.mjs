// Compares two sets of detections box by box: every box of either side above
// the threshold must have a partner of its class on the other side with IoU of
// at least 0.98 and a score within 0.02. A partner may lie below the threshold,
// so that a score of 0.301 against 0.299 is no difference.
//
//   node compare.mjs ours.jsonl reference.jsonl [--explain]
//
// Exits 1 when fewer than 99 % agree. Every box that does not is listed with
// what came closest to it.
import { pathToFileURL } from 'node:url'
import { iou, read } from './detections.mjs'

export const threshold = 0.3, leastIoU = 0.98, mostScore = 0.02, share = 0.99

/** Pairs the boxes of one image: the boxes of a above the threshold that have no partner in b, and what came closest. */
export function unmatched(a, b) {
  const free = new Set(b)
  const left = []
  for (const d of [...a].filter(d => d.score > threshold).sort((x, y) => y.score - x.score)) {
    // Of those that overlap equally the one with the nearest score.
    const [partner] = [...free].filter(o => o.class === d.class && iou(d.box, o.box) > 0)
      .map(o => ({ o, overlap: iou(d.box, o.box), off: Math.abs(o.score - d.score) }))
      .sort((x, y) => y.overlap - x.overlap || x.off - y.off)
    if (partner && partner.overlap >= leastIoU && partner.off <= mostScore) free.delete(partner.o)
    else left.push({ d, best: partner?.o ?? null, overlap: partner?.overlap ?? 0 })
  }
  return left
}

/** Compares all images of both sides. */
export function compare(ours, theirs) {
  const keys = [...new Set([...ours.keys(), ...theirs.keys()])]
  const lonely = keys.filter(k => !ours.has(k) || !theirs.has(k))
  if (lonely.length > 0) throw new Error(`${lonely.length} images are on one side only, first ${lonely[0]}`)
  let total = 0
  const odd = []
  let worstIoU = 1, worstScore = 0
  for (const k of keys) {
    for (const [side, a, b] of [['ours', ours.get(k), theirs.get(k)], ['reference', theirs.get(k), ours.get(k)]]) {
      total += a.filter(d => d.score > threshold).length
      for (const u of unmatched(a, b)) {
        odd.push({ image: k, side, ...u })
        if (u.best) [worstIoU, worstScore] = [Math.min(worstIoU, u.overlap), Math.max(worstScore, Math.abs(u.best.score - u.d.score))]
      }
    }
  }
  return { total, odd, worstIoU, worstScore, agree: total === 0 ? 0 : 1 - odd.length / total }
}

/** Says in words why a box has no partner. */
export function explain({ d, best, overlap }) {
  if (!best) return 'the other side has nothing of this class here'
  const score = Math.abs(best.score - d.score)
  if (overlap < 0.6) return `the closest has IoU ${overlap.toFixed(3)}: suppressed by another box, or below the floor`
  const why = []
  if (overlap < leastIoU) why.push(`IoU ${overlap.toFixed(3)}`)
  if (score > mostScore) why.push(`scores ${d.score.toFixed(3)} and ${best.score.toFixed(3)}`)
  return why.join(', ')
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [a, b] = process.argv.slice(2)
  if (!b) {
    console.error('usage: node compare.mjs ours.jsonl reference.jsonl')
    process.exit(64)
  }
  const { total, odd, agree } = compare(read(a), read(b))
  console.log(`boxes above ${threshold}, both sides: ${total}; ${total - odd.length} agree (${(100 * agree).toFixed(2)} %) to IoU ${leastIoU} and score ${mostScore}`)
  for (const o of odd) console.log(`  ${o.image}: ${o.d.label} ${o.d.score.toFixed(3)} at ${o.d.box.map(Math.round)} of ${o.side}: ${explain(o)}`)
  if (!(agree >= share)) {
    console.error(`fewer than ${100 * share} % agree`)
    process.exit(1)
  }
}
