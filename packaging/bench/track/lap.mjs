// The linear assignment problem, solved the slow and plain way: one row after
// the other is given a column along the cheapest path that moving earlier ones
// allows, found by Bellman and Ford's relaxation until nothing changes. No
// prices, no Dijkstra: nothing shared with pipeline/track.

/** Smallest cost with every row assigned; needs rows <= columns. Returns each row's column. */
export function assign(cost) {
  const n = cost.length, k = n ? cost[0].length : 0
  if (n > k) throw new Error('more rows than columns')
  const column = Array(n).fill(-1), row = Array(k).fill(-1)
  for (let begin = 0; begin < n; begin++) {
    const far = Array(k).fill(Infinity), from = Array(k).fill(-1)
    let queue = [begin]
    while (queue.length) {
      const next = new Set()
      for (const i of queue) {
        const base = i === begin ? 0 : far[column[i]] - cost[i][column[i]]
        for (let j = 0; j < k; j++) {
          const d = base + cost[i][j]
          if (j !== column[i] && d < far[j] - 1e-12) {
            far[j] = d
            from[j] = i
            if (row[j] >= 0) next.add(row[j])
          }
        }
      }
      queue = [...next]
    }
    let end = -1
    for (let j = 0; j < k; j++) if (row[j] < 0 && (end < 0 || far[j] < far[end])) end = j
    while (end >= 0) {
      const i = from[end], before = column[i]
      column[i] = end
      row[end] = i
      end = i === begin ? -1 : before
    }
  }
  return column
}

/**
 * Pairs of rows and columns below a limit, as the paper's program asks for
 * them (lapjv with extend_cost and cost_limit): the problem is made square with
 * a place for each row and column to stay alone at limit / 2.
 */
export function pairs(cost, columns, limit) {
  const n = cost.length, size = n + columns
  const square = Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) =>
    i < n && j < columns ? cost[i][j] : i >= n && j >= columns ? 0 : limit / 2))
  return assign(square).slice(0, n).map(j => (j < columns ? j : -1))
}
