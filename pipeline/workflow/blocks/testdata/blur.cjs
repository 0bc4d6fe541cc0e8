// What OpenCV's filters make of a small grey picture, as blur.json. Run like geometry.cjs.
const fs = require('fs'), path = require('path'), cv = require('@techstark/opencv-js');

cv.onRuntimeInitialized = () => {
  const W = 17, H = 13, px = Uint8Array.from({ length: W * H }, (_, i) => (i * i * 7 + 13 * i + (i % 5) * 40) % 256), out = [];
  const src = cv.matFromArray(H, W, cv.CV_8UC1, px);
  for (const size of [1, 3, 5, 9]) {
    const m = { average: new cv.Mat(), gaussian: new cv.Mat(), median: new cv.Mat(), bilateral: new cv.Mat() }, k = new cv.Size(size, size);
    cv.blur(src, m.average, k);
    cv.GaussianBlur(src, m.gaussian, k, 0);
    cv.medianBlur(src, m.median, size);
    cv.bilateralFilter(src, m.bilateral, size, 75, 75);
    for (const kind in m) out.push({ kind, size, after: Buffer.from(m[kind].data).toString('base64') });
  }
  fs.writeFileSync(path.join(__dirname, 'blur.json'), `{"width": ${W}, "height": ${H}, "before": ${JSON.stringify(Buffer.from(px).toString('base64'))}, "blurred": [\n${out.map(v => JSON.stringify(v)).join(',\n')}\n]}\n`);
};
