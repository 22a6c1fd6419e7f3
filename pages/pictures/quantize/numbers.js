// Rounding to nearest, as engine/layers/grid.py does it: float32 steps, scales stored as float16.

function evenly(x) {
  const low = Math.floor(x), rest = x - low;
  return rest < 0.5 ? low : rest > 0.5 ? low + 1 : low % 2 === 0 ? low : low + 1;
}

// The float16 nearest to x; never zero for a number that is not.
function half(x) {
  if (x === 0) return 0;
  const step = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x))), -14) - 10);
  const rounded = Math.min(evenly(Math.abs(x) / step) * step, 65504);
  return Math.sign(x) * (rounded || 2 ** -24);
}

// The grid of a group: points are (k - zero) * scale for k in 0 … 2 ** bits - 1.
function gridOf(values, bits, symmetric) {
  if (symmetric) {
    const middle = 2 ** (bits - 1);
    const largest = values.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
    return { scale: half(Math.fround(-largest / middle)), zero: middle, top: 2 ** bits - 1 };
  }
  const top = 2 ** bits - 1;
  const low = Math.min(0, ...values), high = Math.max(0, ...values);
  const scale = half(Math.fround(Math.fround(high - low) / top));
  return { scale, zero: Math.min(Math.max(evenly(Math.fround(-low / (scale || 1))), 0), top), top };
}

function snapped(value, { scale, zero, top }) {
  const steps = evenly(Math.fround(value / (scale || 1)));
  return Math.fround((Math.min(Math.max(steps + zero, 0), top) - zero) * scale);
}

// The places of the `count` largest magnitudes, the largest first.
function largest(values, count) {
  const order = Array.from(values.keys()).sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]) || a - b);
  return order.slice(0, count);
}

// Every group of a row rounded: [{start, end, grid, points, error}], where `apart` are places that keep their value.
function rounded(values, bits, size, symmetric, apart = []) {
  const groups = [];
  for (let start = 0; start < values.length; start += size) {
    const end = Math.min(start + size, values.length);
    const places = [...Array(end - start).keys()].map((i) => start + i).filter((i) => !apart.includes(i));
    const grid = gridOf(places.map((i) => values[i]), bits, symmetric);
    const points = Array.from(values.slice(start, end), (value, i) =>
      apart.includes(start + i) ? value : snapped(value, grid));
    const squares = points.reduce((sum, point, i) => sum + (point - values[start + i]) ** 2, 0);
    groups.push({ start, end, grid, points, error: squares / Math.max(places.length, 1) });
  }
  return groups;
}

// Bits that a weight takes: its code, its share of a 16-bit scale and of a zero point, and weights kept apart.
function bitsPerWeight(bits, size, symmetric, apart = 0, weights = 64) {
  return bits + (16 + (symmetric ? 0 : bits)) / size + (32 * apart) / weights;
}
