// What OpenCV's BackgroundSubtractorMOG2 makes of small grey videos, and its elliptic kernels and opening, as motion.json. Run like geometry.cjs.
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
const bits = m => Array.from(m.data, v => v ? '1' : '0').join('');

cv.onRuntimeInitialized = () => {
  const W = 16, H = 12, videos = [], openings = [];
  for (const [seed, history, threshold] of [[1, 30, 16], [2, 10, 16], [4, 100, 25]]) {
    const r = random(seed), sub = new cv.BackgroundSubtractorMOG2(history, threshold, false), frames = [], masks = [];
    for (let f = 0; f < 60; f++) {
      // A gradient with noise, a blinking corner, and a block that moves, stops and goes on.
      const at = f < 25 ? f / 2 : f < 45 ? 12 : f - 33, px = new Uint8Array(W * H);
      for (let y = 0; y < H; y++) for (let x = 0; x < W; x++) {
        let v = 60 + 6 * x + Math.floor(7 * r());
        if (x < 3 && y < 3 && f % 4 < 2) v += 90;
        if (x >= at && x < at + 4 && y >= 5 && y < 9) v = 220 - Math.floor(5 * r());
        px[y * W + x] = v;
      }
      const m = cv.matFromArray(H, W, cv.CV_8UC1, px), out = new cv.Mat();
      sub.apply(m, out, -1);
      frames.push(Buffer.from(px).toString('base64'));
      masks.push(bits(out));
    }
    videos.push({ history, threshold, frames, masks });
  }
  const r = random(9);
  for (const size of [1, 3, 5, 7, 9]) {
    const px = Uint8Array.from({ length: 24 * 20 }, () => r() < .85 ? 255 : 0), m = cv.matFromArray(20, 24, cv.CV_8UC1, px), out = new cv.Mat();
    const kernel = cv.getStructuringElement(cv.MORPH_ELLIPSE, new cv.Size(size, size));
    cv.morphologyEx(m, out, cv.MORPH_OPEN, kernel);
    openings.push({ size, kernel: bits(kernel), before: bits(m), after: bits(out) });
  }
  const line = v => JSON.stringify(v);
  fs.writeFileSync(path.join(__dirname, 'motion.json'),
    `{"width": ${W}, "height": ${H}, "videos": [\n${videos.map(line).join(',\n')}\n],\n"openings": [\n${openings.map(line).join(',\n')}\n]}\n`);
};
