// What OpenCV makes of polygons, as geometry.json: convex hulls simplified to a number of corners by the bisection that dynamic_zone
// describes, smallest rectangles, perspective transforms. With npm's @techstark/opencv-js 4.10.0-release.1 installed in FOLDER:
// NODE_PATH=FOLDER/node_modules node geometry.cjs
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
const mat = pts => cv.matFromArray(pts.length, 1, cv.CV_32SC2, pts.flat());
const list = m => Array.from({ length: m.rows }, (_, i) => [m.data32S[2 * i], m.data32S[2 * i + 1]]);

function simplify(hull, want) {
  let upper = cv.arcLength(hull, true), lower = 1e-7, epsilon = lower + upper / 2;
  const out = new cv.Mat();
  cv.approxPolyDP(hull, out, epsilon, true);
  for (let i = 0; i < 1000 && out.rows !== want; i++) {
    if (out.rows > want) lower = epsilon; else upper = epsilon;
    epsilon = lower + (upper - lower) / 2;
    cv.approxPolyDP(hull, out, epsilon, true);
  }
  return list(out);
}

function polygons(r) {
  const kinds = [
    n => Array.from({ length: n }, () => [Math.floor(r() * 200), Math.floor(r() * 150)]),
    n => Array.from({ length: n }, (_, i) => [Math.round(100 + (70 + 20 * r()) * Math.cos(2 * Math.PI * i / n)), Math.round(80 - (50 + 15 * r()) * Math.sin(2 * Math.PI * i / n))]),
    n => { // a quadrilateral with rough edges
      const c = [[20, 10], [15, 120], [180, 140], [160, 25]], out = [];
      for (let s = 0; s < 4; s++) for (let i = 0; i < n / 4; i++) {
        const t = i / (n / 4), [a, b] = [c[s], c[(s + 1) % 4]];
        out.push([Math.round(a[0] + t * (b[0] - a[0]) + 6 * r() - 3), Math.round(a[1] + t * (b[1] - a[1]) + 6 * r() - 3)]);
      }
      return out;
    },
  ];
  const all = [[[0, 0], [0, 10], [10, 10], [10, 0]], [[3, 3], [3, 3], [3, 3]], [[0, 0], [10, 0], [20, 0]], [[0, 0], [7, 0], [0, 9]]];
  for (let i = 0; i < 40; i++) all.push(kinds[i % 3](4 + 4 * Math.floor(r() * 10)));
  return all;
}

cv.onRuntimeInitialized = () => {
  const r = random(7), shapes = [], transforms = [];
  for (const points of polygons(r)) {
    const hull = new cv.Mat();
    cv.convexHull(mat(points), hull, true, true);
    const simplified = {};
    for (const want of [3, 4, 5, 8]) simplified[want] = simplify(hull, want);
    const rect = cv.minAreaRect(mat(points)), half = new cv.Mat();
    const epsilon = cv.arcLength(mat(points), true) / 100; // also of a polygon that is not convex
    cv.approxPolyDP(mat(points), half, epsilon, true);
    shapes.push({ points, hull: list(hull), simplified, approx: list(half), rect: { width: rect.size.width, height: rect.size.height, angle: rect.angle, x: rect.center.x, y: rect.center.y } });
  }
  for (let i = 0; i < 12; i++) {
    const at = (x, y) => [Math.round(x + 60 * r() - 30), Math.round(y + 60 * r() - 30)];
    const from = [at(50, 250), at(60, 50), at(260, 60), at(300, 260)], to = [[0, 399], [0, 0], [599, 0], [599, 399]];
    const m = cv.getPerspectiveTransform(cv.matFromArray(4, 1, cv.CV_32FC2, from.flat()), cv.matFromArray(4, 1, cv.CV_32FC2, to.flat()));
    const at5 = [[0, 0], [100, 120], [320, 240], [33, 200], [250, 10]], out = new cv.Mat();
    cv.perspectiveTransform(cv.matFromArray(5, 1, cv.CV_32FC2, at5.flat()), out, m);
    transforms.push({ from, to, points: at5, moved: Array.from({ length: 5 }, (_, k) => [out.data32F[2 * k], out.data32F[2 * k + 1]]) });
  }
  const line = v => JSON.stringify(v);
  fs.writeFileSync(path.join(__dirname, 'geometry.json'),
    `{"shapes": [\n${shapes.map(line).join(',\n')}\n],\n"transforms": [\n${transforms.map(line).join(',\n')}\n]}\n`);
};
