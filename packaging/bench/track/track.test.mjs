// node --test packaging/bench/track
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { track } from './bytetrack.mjs'
import { score, tracks, truth } from './clear.mjs'
import { dropped } from './dropped.mjs'
import { assignments, crowds, kalman, numbers } from './golden.mjs'
import { begin, box, measure, predict, update } from './kalman.mjs'
import { assign, pairs } from './lap.mjs'
import { same } from './same.mjs'

const dir = mkdtempSync(join(tmpdir(), 'track'))
const file = (name, text) => { const p = join(dir, name); writeFileSync(p, text); return p }
const at = (x, id) => ({ id, box: [x, 0, x + 10, 10] })
const frames = list => new Map(list.map((f, i) => [i + 1, f]))
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-9, `${a}, not ${b}`)

/** The best pairing by trying all, each row alone or with a free column. */
function best(cost, columns, limit, i = 0, used = 0) {
  if (i === cost.length) return 0
  let most = best(cost, columns, limit, i + 1, used)
  for (let j = 0; j < columns; j++) {
    if (!(used & (1 << j))) most = Math.max(most, limit - cost[i][j] + best(cost, columns, limit, i + 1, used | (1 << j)))
  }
  return most
}

test('assignments are the best there are', () => {
  assert.deepEqual(assign([[1, 2], [1, 5]]), [1, 0])
  assert.deepEqual(assign([]), [])
  assert.throws(() => assign([[1], [2]]), /more rows/)
  assert.deepEqual(pairs([[0.9]], 1, 0.8), [-1])
  assert.deepEqual(pairs([[0.1, 0.2], [0.15, 0.79]], 2, 0.8), [1, 0])
  const random = numbers(7)
  for (let i = 0; i < 200; i++) {
    const rows = 1 + Math.floor(random() * 5), columns = 1 + Math.floor(random() * 5), limit = 0.2 + 0.7 * random()
    const cost = Array.from({ length: rows }, () => Array.from({ length: columns }, random))
    const mate = pairs(cost, columns, limit)
    near(mate.reduce((s, j, i) => (j < 0 ? s : s + limit - cost[i][j]), 0), best(cost, columns, limit))
    assert.equal(new Set(mate.filter(j => j >= 0)).size, mate.filter(j => j >= 0).length)
  }
})

test('the filter finds a constant velocity, and its blocks stay apart', () => {
  let f = begin([0, 0, 0.5, 100])
  for (let i = 1; i <= 60; i++) f = update(predict(f), [3 * i, -i, 0.5, 100])
  assert.ok(Math.abs(f.mean[4] - 3) < 0.02 && Math.abs(f.mean[5] + 1) < 0.02, `${f.mean}`)
  for (const { cov } of kalman()) cov.forEach((r, i) => r.forEach((x, j) => { if ((i - j) % 4) assert.equal(x, 0) }))
  const b = [10, 20, 50, 120]
  box({ mean: measure(b) }).forEach((x, i) => near(x, b[i]))
  // One step by hand: S = 2 R + Q ... of h = 20, where 20/20 = 1 is the unit.
  f = update(predict(begin([0, 0, 1, 20])), [10, 0, 1, 20])
  const v = (10 * 20 / 160) ** 2, pp = 4 + v + 1
  near(f.mean[0], 10 * pp / (pp + 1))
  near(f.mean[4], 10 * v / (pp + 1))
})

const settings = JSON.parse(readFileSync(new URL('settings.json', import.meta.url)))
const seen = (x, s) => ({ box: [x, 0, x + 40, 80], score: s })

test('the tracker: low scores, loss, buffer', () => {
  const s = { ...settings.block, buffer: 3 }
  const ids = list => track(list, s).map(f => f.map(t => t.id).join())
  assert.deepEqual(ids([[seen(0, 0.9)], [seen(4, 0.2)], [], [seen(12, 0.9)]]), ['1', '1', '', '1'])
  assert.deepEqual(ids([[seen(0, 0.2)], [seen(0, 0.2)]]), ['', ''])
  assert.deepEqual(ids([[], [seen(0, 0.9)], [seen(0, 0.9)]]), ['', '', '1'])
  assert.deepEqual(ids([[seen(0, 0.9)], [], [], [], [seen(0, 0.9)]])[4], '1')
  assert.deepEqual(ids([[seen(0, 0.9)], [], [], [], [], [seen(0, 0.9)], [seen(0, 0.9)]]).slice(5), ['', '2'])
})

test('scores, worked out by hand', () => {
  const gt = frames([[at(0, 1)], [at(0, 1)], [at(0, 1)], [at(0, 1)]])
  const of = list => score(gt, frames(list))
  const all = of([[at(0, 7)], [at(0, 7)], [at(0, 7)], [at(0, 7)]])
  assert.deepEqual([all.mota, all.idf1, all.switches], [100, 100, 0])
  // Renamed half way: one switch; the better half of two counts.
  const two = of([[at(0, 7)], [at(0, 7)], [at(0, 8)], [at(0, 8)]])
  assert.deepEqual([two.mota, two.idf1, two.switches, two.tp], [75, 50, 1, 4])
  // A gap does not make one forget: the same name again is no switch.
  const gap = of([[at(0, 7)], [], [], [at(0, 7)]])
  assert.deepEqual([gap.mota, gap.switches, gap.fn], [50, 0, 2])
  near(gap.idf1, 100 * 2 * 2 / (4 + 2))
  // Wrong place: not found, and one found that is not there.
  const off = of([[at(6, 7)], [at(0, 7)], [at(0, 7)], [at(0, 7)]])
  assert.deepEqual([off.fp, off.fn, off.mota], [1, 1, 50])
  // A pair of the frame before is kept although another overlaps more.
  const kept = of([[at(0, 7)], [at(2, 7), at(0, 8)], [at(0, 7)], [at(0, 7)]])
  assert.deepEqual([kept.switches, kept.fp], [0, 1])
  assert.deepEqual(of([]).mota, 0)
  assert.throws(() => of([[at(0, 7), at(1, 7)]]), /comes twice/)
  assert.throws(() => score(gt, new Map([[0, []]])), /count from 1/)
})

test('files', () => {
  const t = truth(file('gt.txt', '1,9,11,21,10,20,1,0,0,0\n1,8,1,1,5,5,0,0,0,0\n\n2,9,12,21,10,20,1,0,0,0\n'))
  assert.deepEqual([...t], [[1, [{ id: 9, box: [10, 20, 20, 40] }]], [2, [{ id: 9, box: [11, 20, 21, 40] }]]])
  assert.throws(() => truth(file('bad.txt', '1,9,11\n')), /line 1/)
  const f = file('t.jsonl', '{"frame":1,"tracks":[{"id":3,"box":[0,0,1,1],"filtered":[0,0,2,2]}]}\n')
  assert.deepEqual(tracks(f).get(1), [{ id: 3, box: [0, 0, 1, 1] }])
  assert.deepEqual(tracks(f, 'filtered').get(1), [{ id: 3, box: [0, 0, 2, 2] }])
})

test('comparison by what belongs together', () => {
  const a = frames([[at(0, 1)], [at(1, 1), at(50, 2)]])
  assert.deepEqual(same(a, frames([[at(0, 5)], [at(1, 5), at(50, 1)]])), { both: 3, onlyA: 0, onlyB: 0, otherwise: 0 })
  assert.deepEqual(same(a, frames([[at(0, 5)], [at(1, 6), at(70, 7)]])), { both: 2, onlyA: 1, onlyB: 1, otherwise: 1 })
})

test('dropping', () => {
  const lines = Array.from({ length: 1000 }, (_, i) => `${i}`)
  const half = dropped(lines, 0.5)
  assert.ok(half.length > 450 && half.length < 550, `${half.length}`)
  assert.deepEqual(half, dropped(lines, 0.5))
  assert.deepEqual(dropped(lines, 1), lines)
  assert.throws(() => dropped(lines, 0), /no share/)
})

test('golden files are those that golden.mjs writes', () => {
  const golden = name => JSON.parse(readFileSync(new URL(`../../../pipeline/track/testdata/golden/${name}`, import.meta.url)))
  assert.deepEqual(golden('kalman.json'), JSON.parse(JSON.stringify(kalman())))
  assert.deepEqual(golden('assign.json'), JSON.parse(JSON.stringify(assignments())))
  assert.deepEqual(golden('crowds.json'), crowds())
})
