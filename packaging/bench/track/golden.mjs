// Writes what pipeline/track's tests compare with: the full Kalman filter over
// a track with misses, small assignment problems, and crowds that are followed, from the modules beside
// this file. Numbers come from a generator with a seed, so the files are the
// same each time.
//
//   node golden.mjs FOLDER
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { track } from './bytetrack.mjs'
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

/**
 * A crowd that walks, comes nearer, hides and reappears, with the ids that each
 * setting gives: frames of [x0, y0, x1, y1, score], ids in the same order, 0
 * where there is none. Coordinates are eighths and scores 64ths, which are the
 * same in single precision.
 */
export function crowds() {
  return Object.entries({
    block: { high: 0.25, low: 0.1, begin: 0.35, match: 0.8, second: 0.5, unconfirmed: 0.7, buffer: 10 },
    paper: { high: 0.6, low: 0.1, begin: 0.7, match: 0.8, second: 0.5, unconfirmed: 0.7, buffer: 30 },
    brief: { high: 0.5, low: 0.1, begin: 0.5, match: 0.9, second: 0.5, unconfirmed: 0.7, buffer: 0 },
  }).map(([name, setting], n) => {
    const random = numbers(11 + n), eighth = x => Math.round(8 * x) / 8
    const people = Array.from({ length: 12 }, () => ({
      x: 600 * random(), y: 300 * random(), h: 60 + 60 * random(), vx: 10 * random() - 5, vy: 4 * random() - 2, grow: 1 + 0.03 * (random() - 0.4), hidden: 0,
    }))
    const frames = Array.from({ length: 60 }, () => people.filter(p => {
      p.x += p.vx
      p.y += p.vy
      p.h *= p.grow
      if (p.hidden === 0 && random() < 0.06) p.hidden = Math.ceil(15 * random())
      return p.hidden === 0 || --p.hidden < 0
    }).map(p => {
      const x = p.x + 3 * random(), y = p.y + 3 * random(), h = p.h * (0.97 + 0.06 * random())
      return { box: [x, y, x + 0.4 * h, y + h].map(eighth), score: Math.round(64 * (random() < 0.25 ? 0.5 * random() : 0.5 + 0.5 * random())) / 64 }
    }))
    const ids = track(frames, setting).map((found, i) => frames[i].map(d => found.find(t => t.box === d.box)?.id ?? 0))
    return { name, setting, frames: frames.map((f, i) => ({ dets: f.map(d => [...d.box, d.score]), ids: ids[i] })) }
  })
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const folder = process.argv[2]
  if (!folder) throw new Error('use: golden.mjs FOLDER')
  const lines = list => `[\n${list.map(x => JSON.stringify(x)).join(',\n')}\n]\n`
  writeFileSync(join(folder, 'kalman.json'), lines(kalman()))
  writeFileSync(join(folder, 'assign.json'), lines(assignments()))
  writeFileSync(join(folder, 'crowds.json'), lines(crowds()))
}
