// Writes what pipeline/track's tests compare with: the full Kalman filter over
// a track with misses, and small assignment problems, from the modules beside
// this file. Numbers come from a generator with a seed, so the files are the
// same each time.
//
//   node golden.mjs FOLDER
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { begin, predict, update } from './kalman.mjs'
import { pairs } from './lap.mjs'

/** Numbers from 0 to 1 (Park and Miller's generator). */
export function numbers(seed) {
  return () => (seed = (seed * 48271) % 2147483647) / 2147483647
}

/** States after each step of a walking person who is hidden for three frames. */
export function kalman() {
  const random = numbers(1)
  const at = i => [100 + 4 * i + random(), 200 + 2 * i + random(), 0.4 + random() / 50, 90 + i / 2 + random()]
  const steps = [{ do: 'begin', z: at(0) }]
  for (let i = 1; i <= 12; i++) {
    steps.push({ do: 'predict' })
    if (i < 6 || i > 8) steps.push({ do: 'update', z: at(i) })
  }
  let state
  return steps.map(s => {
    state = s.do === 'begin' ? begin(s.z) : s.do === 'predict' ? predict(state) : update(state, s.z)
    return { ...s, ...state }
  })
}

/** Costs with a limit, and the pairs they ask for. */
export function assignments() {
  const random = numbers(2), cases = []
  for (const [rows, columns] of [[1, 1], [1, 4], [4, 1], [2, 2], [3, 3], [3, 5], [5, 3], [6, 6], [8, 12], [12, 8], [20, 20]]) {
    for (const limit of [0.3, 0.5, 0.8]) {
      const cost = Array.from({ length: rows }, () => Array.from({ length: columns }, () => Math.round(random() * 1e6) / 1e6))
      cases.push({ limit, cost, mate: pairs(cost, columns, limit) })
    }
  }
  return cases
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const folder = process.argv[2]
  if (!folder) throw new Error('use: golden.mjs FOLDER')
  const lines = list => `[\n${list.map(x => JSON.stringify(x)).join(',\n')}\n]\n`
  writeFileSync(join(folder, 'kalman.json'), lines(kalman()))
  writeFileSync(join(folder, 'assign.json'), lines(assignments()))
}
