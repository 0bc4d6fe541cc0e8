// Samples small pictures as the package documentation says: node sampling.mjs
import { save } from './tensors.mjs';

// bytes is the C standard's example generator, so that no picture needs to be stored.
function bytes(n, seed) {
  const out = new Uint8Array(n);
  for (let i = 0; i < n; i++) { seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff; out[i] = seed >> 16; }
  return out;
}

const round = v => Math.floor(v + .5), clamp = (v, lo, hi) => Math.min(Math.max(v, lo), hi);

// sampler returns f(X, Y) of a plane of nodes given by at(i, j).
function sampler(at, nx, ny, unitsY) {
  const mix = (row0, row1, w, i) => at(i, row0) * (1 - w) + at(i, row1) * w;
  return (X, Y) => {
    X = clamp(X, 0, nx - 1); Y = clamp(Y, 0, ny - 1);
    const i = Math.floor(X), j = Math.floor(Y), i1 = Math.min(i + 1, nx - 1), j1 = Math.min(j + 1, ny - 1);
    const wx = round((X - i) * 256) / 256, wy = round((Y - j) * unitsY) / unitsY;
    return mix(j, j1, wy, i) * (1 - wx) + mix(j, j1, wy, i1) * wx;
  };
}

function sample({ width: W, height: H, full, matrix, input: o }, [yp, up, vp]) {
  let cw = o.width, ch = o.height, left = 0, top = 0;
  if (o.resize !== 'stretch') {
    const r = Math.min(cw / W, ch / H);
    cw = Math.max(1, round(W * r)); ch = Math.max(1, round(H * r));
    if (o.position !== 'top-left') { left = (o.width - cw) >> 1; top = (o.height - ch) >> 1; }
  }
  const sx = W / cw, sy = H / ch, f = Math.max(1, round(sx / 2)), g = Math.max(1, round(sy / 2));
  const node = (i, j) => { let s = 0; for (let b = 0; b < g; b++) for (let a = 0; a < f; a++) s += yp[(j * g + b) * W + i * f + a]; return s / (f * g); };
  const luma = sampler(node, Math.floor(W / f), Math.floor(H / g), f > 2 || g > 2 ? 256 : 256 / (f * g));
  const hw = (W + 1) >> 1, hh = (H + 1) >> 1;
  const [U, V] = [up, vp].map(p => sampler((i, j) => p[j * hw + i], hw, hh, 256));
  const block = 2 * cw <= W && 2 * ch <= H;
  const [kr, kb] = matrix === 709 ? [.2126, .0722] : [.299, .114], kg = 1 - kr - kb;
  const quarter = v => round(v * 4) / 4;
  const n = o.colour === 'grey' ? 1 : 3, out = new Float32Array(o.width * o.height * n);
  const norm = (v, c) => (v * (o.scale ?? 1) - (o.mean?.[c] ?? 0)) / (o.std?.[c] ?? 1);
  for (let y = 0; y < o.height; y++) for (let x = 0; x < o.width; x++) {
    let px = [o.pad ?? 0, o.pad ?? 0, o.pad ?? 0];
    const a = x - left, b = y - top;
    if (a >= 0 && a < cw && b >= 0 && b < ch) {
      const Y = quarter(luma((a + .5) * sx / f - .5, (b + .5) * sy / g - .5));
      const ca = block ? 2 * Math.floor(a / 2) + 1 : a + .5, cb = block ? 2 * Math.floor(b / 2) + 1 : b + .5;
      const X = (full ? ca * sx : ca * sx + .5) / 2 - .5, Z = cb * sy / 2 - .5;
      const u = quarter(U(X, Z)), v = quarter(V(X, Z));
      const l = full ? Y / 255 : (Y - 16) / 219, pb = (u - 128) / (full ? 255 : 224), pr = (v - 128) / (full ? 255 : 224);
      px = [l + 2 * (1 - kr) * pr, l - 2 * kb * (1 - kb) / kg * pb - 2 * kr * (1 - kr) / kg * pr, l + 2 * (1 - kb) * pb];
      if (n === 1) px = [l];
      px = px.map(p => clamp(quarter(p * 255), 0, 255));
      if (o.colour === 'bgr') px.reverse();
    }
    for (let c = 0; c < n; c++) {
      out[o.layout === 'nhwc' ? (y * o.width + x) * n + c : (c * o.height + y) * o.width + x] = norm(px[c], c);
    }
  }
  return out;
}

const imagenet = { scale: 1 / 255, mean: [.485, .456, .406], std: [.229, .224, .225] };
const cases = [
  { name: 'letterbox, pillars', width: 37, height: 49, input: { width: 32, height: 24, colour: 'rgb', scale: 1 / 255, pad: 114 } },
  { name: 'letterbox, bars, odd sizes', width: 51, height: 31, matrix: 709, input: { width: 32, height: 32, colour: 'bgr', ...imagenet } },
  { name: 'top-left, nhwc', width: 50, height: 30, input: { width: 24, height: 24, colour: 'rgb', layout: 'nhwc', position: 'top-left', pad: 7 } },
  { name: 'bgr, nhwc, stretch, full range', width: 40, height: 40, full: true, input: { width: 30, height: 20, colour: 'bgr', layout: 'nhwc', resize: 'stretch', ...imagenet } },
  { name: 'grey', width: 33, height: 27, input: { width: 20, height: 20, colour: 'grey', scale: 1 / 255 } },
  { name: 'grey, nhwc, full range', width: 33, height: 27, full: true, input: { width: 20, height: 20, colour: 'grey', layout: 'nhwc' } },
  { name: 'enlarged', width: 9, height: 7, input: { width: 24, height: 24, colour: 'rgb' } },
  { name: 'shrunk by 2.5: blocks of chroma', width: 65, height: 45, input: { width: 26, height: 26, colour: 'rgb', scale: 1 / 127.5, mean: [1, 1, 1] } },
  { name: 'shrunk by 4: four samples a node', width: 131, height: 75, matrix: 709, input: { width: 32, height: 32, colour: 'rgb' } },
  { name: 'shrunk by 4 across: two samples a node', width: 128, height: 40, full: true, input: { width: 32, height: 24, colour: 'rgb', resize: 'stretch' } },
  { name: 'shrunk by 4 downwards: two samples a node', width: 40, height: 99, input: { width: 24, height: 24, colour: 'bgr', resize: 'stretch' } },
  { name: 'shrunk by 9: many samples a node', width: 218, height: 123, input: { width: 24, height: 24, colour: 'rgb' } },
  { name: 'one pixel', width: 1, height: 1, input: { width: 16, height: 16, colour: 'rgb' } },
  { name: 'a line', width: 100, height: 1, input: { width: 16, height: 16, colour: 'rgb', pad: 200 } },
];
save('sampling.json', cases.map((c, k) => {
  const { width: W, height: H } = c, half = ((W + 1) >> 1) * ((H + 1) >> 1);
  const planes = [bytes(W * H, 3 * k + 1), bytes(half, 3 * k + 2), bytes(half, 3 * k + 3)];
  return { ...c, seed: 3 * k + 1, want: Buffer.from(sample(c, planes).buffer).toString('base64') };
}));
