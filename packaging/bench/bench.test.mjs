// node --test packaging/bench
import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { averagePrecision, mot, score, voc } from './ap50.mjs'
import { compare, explain } from './compare.mjs'
import { iou, read } from './detections.mjs'

const dir = mkdtempSync(join(tmpdir(), 'bench'))
const file = (name, text) => { const p = join(dir, name); writeFileSync(p, text); return p }
const box = x => [x, 0, x + 10, 10]
const truth = new Map([['a', [{ label: 'dog', box: box(0) }, { label: 'dog', box: box(100) }]], ['b', [{ label: 'dog', box: box(0), ignore: true }]]])
const found = (...ds) => ds.map(([score, x, label = 'dog']) => ({ label, class: 0, score, box: box(x) }))

test('overlap', () => {
  assert.equal(iou(box(0), box(0)), 1)
  assert.equal(iou(box(0), box(10)), 0)
  assert.equal(iou([0, 0, 2, 2], [1, 0, 3, 2]), 1 / 3)
})

test('average precision, worked out by hand', () => {
  const ap = (a, b = []) => averagePrecision(truth, new Map([['a', found(...a)], ['b', found(...b)]]), 'dog')
  assert.equal(ap([[0.9, 0], [0.8, 100]]), 1)
  assert.equal(ap([[0.9, 0]]), 0.5)
  assert.equal(ap([]), 0)
  // One wrong between two right ones: 1/2 * 1 + 1/2 * 2/3.
  assert.ok(Math.abs(ap([[0.9, 0], [0.8, 50], [0.7, 100]]) - (0.5 + 0.5 * 2 / 3)) < 1e-12)
  // The same after both: nothing is lost.
  assert.equal(ap([[0.9, 0], [0.8, 100], [0.7, 50]]), 1)
  // A wrong one first: precision 1/2, then 2/3, of which the higher counts.
  assert.ok(Math.abs(ap([[0.9, 50], [0.8, 0], [0.7, 100]]) - 2 / 3) < 1e-12)
  // Found twice: the second is wrong.
  assert.ok(Math.abs(ap([[0.9, 0], [0.8, 1], [0.7, 100]]) - (0.5 + 0.5 * 2 / 3)) < 1e-12)
  // What is difficult counts for nobody; what is beside it is wrong.
  assert.equal(ap([[0.9, 0], [0.8, 100]], [[0.95, 0]]), 1)
  assert.ok(ap([[0.9, 0], [0.8, 100]], [[0.95, 50]]) < 1)
  assert.ok(Number.isNaN(averagePrecision(truth, new Map(), 'cat')))
})

test('mean over classes, with the names of COCO', () => {
  const t = new Map([['a', [{ label: 'dog', box: box(0) }, { label: 'tvmonitor', box: box(50) }]]])
  const { mean, classes } = score(t, new Map([['a', found([0.9, 50, 'tv'])]]))
  assert.deepEqual([...classes], [['dog', 0], ['tvmonitor', 100]])
  assert.equal(mean, 50)
  assert.throws(() => score(t, new Map()), /no line of detections/)
})

test('ground truth', () => {
  file('a.xml', `<annotation><filename>a.jpg</filename><object><name>person</name><difficult>1</difficult>
    <part><name>head</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>6</xmax><ymax>6</ymax></bndbox></part>
    <bndbox><xmax>20</xmax><xmin>11</xmin><ymax>40</ymax><ymin>31</ymin></bndbox></object>
    <object><name>dog</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object></annotation>`)
  assert.deepEqual(voc(dir).get('a.jpg'), [
    { label: 'person', box: [10, 30, 20, 40], ignore: true }, { label: 'dog', box: [0, 0, 2, 2], ignore: false }])
  const gt = mot(file('gt.txt', '1,9,499,158,31,75,1,-1,-1,0\n1,10,1,1,2,2,0,-1,-1,0\n2,9,5,5,1,1,1,0,0,0\n'))
  assert.deepEqual(gt.get(1), [{ label: 'person', box: [498, 157, 529, 232], ignore: false }, { label: 'person', box: [0, 0, 2, 2], ignore: true }])
  assert.equal(gt.size, 2)
})

test('comparison', () => {
  const one = (score, x, cls = 0) => ({ label: 'dog', class: cls, score, box: [x, 0, x + 100, 100] })
  const diff = (a, b) => compare(new Map([['a', a]]), new Map([['a', b]]))
  assert.equal(diff([one(0.5, 0)], [one(0.51, 0.5)]).agree, 1)
  assert.equal(diff([one(0.301, 0)], [one(0.299, 0)]).agree, 1)
  assert.equal(diff([one(0.2, 0), one(0.9, 0)], [one(0.9, 0)]).agree, 1)
  assert.equal(diff([one(0.5, 0)], [one(0.53, 0)]).agree, 0)
  assert.equal(diff([one(0.5, 0)], [one(0.5, 2)]).agree, 0)
  assert.equal(diff([one(0.5, 0)], [one(0.5, 0, 1)]).agree, 0)
  assert.equal(diff([one(0.5, 0), one(0.5, 0)], [one(0.5, 0)]).odd.length, 1)
  assert.equal(diff([], []).agree, 0) // nothing was shown
  assert.match(explain(diff([one(0.5, 0)], [one(0.6, 2)]).odd[0]), /IoU 0.961, scores 0.500 and 0.600/)
  assert.throws(() => compare(new Map([['a', []]]), new Map()), /one side only/)
})

test('reading', () => {
  const p = file('d.jsonl', '{"image":"x/y/a.jpg","detections":[]}\n\n{"frame":7,"detections":[{"score":1}]}\n')
  assert.deepEqual([...read(p).keys()], ['a.jpg', 7])
  assert.throws(() => read(file('e.jsonl', '{"image":"a"}')), /line 1/)
  assert.throws(() => read(file('f.jsonl', '{"frame":1,"detections":[]}\n{"frame":1,"detections":[]}')), /line 2: 1 comes twice/)
  assert.throws(() => read(file('g.jsonl', 'no')), /line 1/)
})
