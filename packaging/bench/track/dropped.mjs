// Leaves out frames, as a device does that cannot follow its camera, keeping
// the time of those that remain. Frames keep their numbers.
//
//   node dropped.mjs SHARE < detections.jsonl > fewer.jsonl
//
// SHARE, from 0 to 1, is how many remain; which ones is drawn with a fixed seed.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { numbers } from './golden.mjs'

/** The lines that remain. */
export function dropped(lines, share) {
  if (!(share > 0 && share <= 1)) throw new Error(`${share} is no share of the frames`)
  const random = numbers(3)
  return lines.filter(() => random() < share)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const lines = readFileSync(0, 'utf8').split('\n').filter(l => l.trim())
  process.stdout.write(dropped(lines, Number(process.argv[2])).map(l => `${l}\n`).join(''))
}
