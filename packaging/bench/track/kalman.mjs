// The Kalman filter of DeepSORT (Wojke et al., ICIP 2017, section 2.1), as
// ByteTrack uses it, in full 8 x 8 matrices: state (cx, cy, a, h) and its
// velocities, F = [I I; 0 I], H = [I 0].

const diagonal = v => v.map((x, i) => v.map((_, j) => (i === j ? x : 0)))
const multiply = (a, b) => a.map(r => b[0].map((_, j) => r.reduce((s, x, k) => s + x * b[k][j], 0)))
const transpose = a => a[0].map((_, j) => a.map(r => r[j]))
const add = (a, b, s = 1) => a.map((r, i) => r.map((x, j) => x + s * b[i][j]))
const square = x => x * x

/** Gauss and Jordan's inverse with partial pivoting. */
function inverse(a) {
  const n = a.length, m = a.map((r, i) => [...r, ...r.map((_, j) => (i === j ? 1 : 0))])
  for (let c = 0; c < n; c++) {
    let p = c
    for (let r = c + 1; r < n; r++) if (Math.abs(m[r][c]) > Math.abs(m[p][c])) p = r
    ;[m[c], m[p]] = [m[p], m[c]]
    const pivot = m[c][c]
    m[c] = m[c].map(x => x / pivot)
    for (let r = 0; r < n; r++) if (r !== c) { const f = m[r][c]; m[r] = m[r].map((x, j) => x - f * m[c][j]) }
  }
  return m.map(r => r.slice(n))
}

const F = diagonal(Array(8).fill(1)).map((r, i) => r.map((x, j) => (j === i + 4 ? 1 : x)))
const H = F.slice(0, 4).map((r, i) => r.map((_, j) => (i === j ? 1 : 0)))

export function begin(z) {
  const p = square(2 * z[3] / 20), v = square(10 * z[3] / 160)
  return { mean: [...z, 0, 0, 0, 0], cov: diagonal([p, p, 1e-4, p, v, v, 1e-10, v]) }
}

export function predict({ mean, cov }) {
  const p = square(mean[3] / 20), v = square(mean[3] / 160)
  return {
    mean: multiply(F, mean.map(x => [x])).map(r => r[0]),
    cov: add(multiply(multiply(F, cov), transpose(F)), diagonal([p, p, 1e-4, p, v, v, 1e-10, v])),
  }
}

export function update({ mean, cov }, z) {
  const p = square(mean[3] / 20)
  const S = add(multiply(multiply(H, cov), transpose(H)), diagonal([p, p, 1e-2, p]))
  const K = multiply(multiply(cov, transpose(H)), inverse(S))
  const residual = z.map((x, i) => [x - mean[i]])
  return {
    mean: multiply(K, residual).map((r, i) => mean[i] + r[0]),
    cov: add(cov, multiply(multiply(K, S), transpose(K)), -1),
  }
}

export const measure = ([x0, y0, x1, y1]) => [(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / (y1 - y0), y1 - y0]
export const box = ({ mean: [x, y, a, h] }) => [x - a * h / 2, y - h / 2, x + a * h / 2, y + h / 2]
