// What OpenCV's findContours finds in masks of many kinds, as contours.json. With npm's @techstark/opencv-js 4.10.0-release.1
// installed in FOLDER: NODE_PATH=FOLDER/node_modules node contours.cjs
const fs = require('fs'), path = require('path'), cv = require('@techstark/opencv-js');

// random is mulberry32.
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const drawn = [
  ['.'], ['#'], ['##'], ['#', '#'], ['#.', '.#'], ['.#', '#.'], ['###', '###', '###'], ['.#.', '###', '.#.'],
  ['#####', '#...#', '#.#.#', '#...#', '#####'], // a ring around a dot, which is not an outer contour
  ['#######', '#.....#', '#.###.#', '#.#.#.#', '#.###.#', '#.....#', '#######'],
  ['#.#', '...', '#.#'], ['#..#', '####', '#..#'], ['######', '.....#', '######'], ['....#', '...#.', '..#..', '.#...', '#....'],
  ['##.##', '#...#', '.....', '#...#', '##.##'], ['.###.', '#...#', '#.#.#', '#...#', '.###.'],
];

// noise is on where one of few random values is above what leaves the given share on.
function noise(r, w, h, share) {
  return Array.from({ length: h }, () => Array.from({ length: w }, () => r() < share ? '#' : '.').join(''));
}
// blobs are what is near some points, less what is near others.
function blobs(r, w, h) {
  const spots = Array.from({ length: 3 + Math.floor(r() * 4) }, () => [r() * w, r() * h, 2 + r() * w / 4, r() < .7 ? 1 : -1]);
  return Array.from({ length: h }, (_, y) => Array.from({ length: w }, (_, x) =>
    spots.reduce((v, [cx, cy, s, sign]) => v + sign * Math.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (s * s)), 0) > .35 ? '#' : '.').join(''));
}

cv.onRuntimeInitialized = () => {
  const r = random(1), masks = [...drawn];
  for (let i = 0; i < 40; i++) masks.push(noise(r, 1 + Math.floor(r() * 20), 1 + Math.floor(r() * 14), .2 + .7 * r()));
  for (let i = 0; i < 30; i++) masks.push(blobs(r, 10 + Math.floor(r() * 40), 10 + Math.floor(r() * 30)));
  const out = masks.map(rows => {
    const w = rows[0].length, mat = cv.matFromArray(rows.length, w, cv.CV_8UC1, [...rows.join('')].map(c => c === '#' ? 1 : 0));
    const found = new cv.MatVector(), tree = new cv.Mat(), contours = [];
    cv.findContours(mat, found, tree, cv.RETR_EXTERNAL, cv.CHAIN_APPROX_SIMPLE);
    for (let i = 0; i < found.size(); i++) {
      const c = found.get(i);
      contours.push({ area: cv.contourArea(c), points: Array.from({ length: c.rows }, (_, k) => [c.data32S[2 * k], c.data32S[2 * k + 1]]) });
    }
    return { rows, contours };
  });
  fs.writeFileSync(path.join(__dirname, 'contours.json'), '[\n' + out.map(o => JSON.stringify(o)).join(',\n') + '\n]\n');
  console.log(out.length, 'masks,', out.reduce((n, o) => n + o.contours.length, 0), 'contours');
};
