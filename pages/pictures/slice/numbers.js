// What a cut of the width loses and what it saves, as engine/methods/slicegpt.py cuts it.

// The width that is left: rounded down to a multiple of 8; all of it where nothing is cut.
function widthLeft(hidden, fraction) {
  return fraction === 0 ? hidden : Math.floor(Math.floor((1 - fraction) * hidden + 1e-9) / 8) * 8;
}

// The share of a spectrum, the largest first, that lies beyond the first `kept` directions.
function lost(shares, kept) {
  return shares.slice(kept).reduce((sum, share) => sum + share, 0);
}

// The share of the points' energy off the line through zero at an angle: what a cut of the second axis loses.
function offAxis(x, y, angle) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  let off = 0, all = 0;
  for (let i = 0; i < x.length; i++) {
    off += (y[i] * c - x[i] * s) ** 2;
    all += x[i] ** 2 + y[i] ** 2;
  }
  return off / all;
}

// Bytes in bf16 by part. Published, every block turns on its own: two k x k shortcuts a block, and a head that can no
// longer be the embedding. With one turn for the whole model there are none, and one k x k matrix keeps the head tied.
function bytesOf(size, width, form) {
  const inner = size.head_dim * (2 * size.heads + 2 * size.kv_heads) + size.mlp_matrices * size.intermediate;
  const cut = width < size.hidden;
  const table = size.vocabulary * width;
  const parts = { embedding: table, linears: size.layers * inner * width, shortcuts: 0, head: size.tied ? 0 : table };
  if (cut && form === "published") Object.assign(parts, { head: table, shortcuts: 2 * size.layers * width ** 2 });
  if (cut && form === "one" && size.tied) parts.shortcuts = width ** 2;
  parts.norms = (2 * size.layers + 1) * width;
  return Object.fromEntries(Object.entries(parts).map(([name, numbers]) => [name, 2 * numbers]));
}
