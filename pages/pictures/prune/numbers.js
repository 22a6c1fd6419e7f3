// What is pruned, as engine/methods decides it, and what that leaves to store.

const MULTIPLE = 64; // of the neurons left, as prune:neurons rounds them unless told otherwise

// The places of the `count` smallest; of equal ones the first.
function least(scores, count) {
  return new Set(Array.from(scores.keys()).sort((a, b) => scores[a] - scores[b] || a - b).slice(0, count));
}

// Every weight's score: its magnitude, or that times the norm of its input (Wanda).
function scored(weights, norms, wanda) {
  return Float64Array.from(weights, (w, i) => Math.abs(w) * (wanda ? norms[i % norms.length] : 1));
}

// Scattered: the smallest of the whole tile by magnitude, of every row by Wanda, which compares within an output.
function scattered(scores, columns, share, wanda) {
  if (!wanda) return least(scores, Math.floor(share * scores.length));
  return within(scores, columns, Math.floor(share * columns));
}

// All but the largest of every `size` neighbours: of 2:4, the two smallest of four.
function within(scores, size, count) {
  const cut = new Set();
  for (let start = 0; start < scores.length; start += size) {
    for (const place of least(scores.slice(start, start + size), count)) cut.add(start + place);
  }
  return cut;
}

// The neurons left of a block's, and the groups of heads that go of it, both rounded with halves upwards.
function neuronsLeft(size, share) {
  const left = Math.floor(((1 - share) * size.intermediate) / MULTIPLE + 0.5) * MULTIPLE;
  return share === 0 ? size.intermediate : Math.min(size.intermediate, left);
}

function groupsGone(size, share) {
  return Math.min(Math.floor(share * size.kv_heads + 0.5), size.kv_heads - 1);
}

// The places of the heads that go, layer by layer: in each, whole groups of those that share their keys and values.
function headsGone(size, scores, share) {
  const each = size.heads / size.kv_heads;
  const groups = Array.from({ length: size.layers * size.kv_heads }, (_, group) =>
    Math.hypot(...scores.slice(group * each, (group + 1) * each)));
  const gone = within(groups, size.kv_heads, groupsGone(size, share));
  return new Set([...gone].flatMap((group) => Array.from({ length: each }, (_, k) => group * each + k)));
}

function inRows(rows, columns) {
  const cut = new Set();
  for (const row of rows) for (let k = 0; k < columns; k++) cut.add(row * columns + k);
  return cut;
}

// Numbers that the whole model holds, how many of them are zero, and the bytes of its file, pruned by `share` in one of
// the ways. The file leaves zeros out, for a bit a weight of the linears, where that takes fewer bytes.
// `heads` are the places, layer by layer, of the heads that go; a group's keys and values go with its last head.
function stored(size, kind, share, heads = new Set()) {
  const attention = size.hidden * size.head_dim * (2 * size.heads + 2 * size.kv_heads);
  const neuron = size.mlp_matrices * size.hidden, mlp = neuron * size.intermediate;
  const linears = size.layers * (attention + mlp);
  if (kind === "neurons") {
    const gone = size.intermediate - neuronsLeft(size, share);
    return whole(size.parameters - size.layers * neuron * gone);
  }
  if (kind === "layers") {
    const block = attention + mlp + 2 * size.hidden;
    return whole(size.parameters - Math.round(share * size.layers) * block);
  }
  if (kind === "heads") return whole(size.parameters - headNumbers(size, heads));
  const zeros = Math.floor((kind === "2:4" ? 0.5 : share) * linears), masked = 2 * (size.parameters - zeros) + linears / 8;
  return { numbers: size.parameters, zeros, bytes: Math.min(2 * size.parameters, masked) };
}

function whole(numbers) {
  return { numbers, zeros: 0, bytes: 2 * numbers };
}

function headNumbers(size, heads) {
  const group = size.heads / size.kv_heads, one = size.hidden * size.head_dim;
  let gone = 2 * one * heads.size;
  for (let start = 0; start < size.layers * size.heads; start += group) {
    if ([...Array(group).keys()].every((k) => heads.has(start + k))) gone += 2 * one;
  }
  return gone;
}
