// 64 real weights snap to the points of their group's grid; the error sticks out.

const HEIGHT = 300, STRIP = 84, TOP = 10, MOST_APART = 4;

function gridPicture(host, data, setting) {
  const bits = slider(host, "bits", "Bits a weight", { min: 2, max: 8, step: 1, say: (b) => `${b} bits` });
  const row = choice(host, "row", "Weights", data.rows.map((one) => [one.kind, one.words]));
  const group = choice(host, "group", "Group size", [["16", "16"], ["32", "32"], ["64", "64"]]);
  const kind = choice(host, "symmetric", "Grid", [[true, "symmetric"], [false, "asymmetric"]]);
  const remove = button("Remove the largest weight", () => apart(setting.apart + 1));
  const back = button("Put it back", () => apart(0));
  const title = element("p", { class: "kp-caption" });
  const canvas = shape("svg", { role: "img" });
  const numbers = figures(["Bits a weight, with scales", "Mean squared error", "Error, of the weights' size"]);
  const said = spoken();
  const places = element("div", { class: "kp-controls" }, remove, back);
  host.append(element("div", { class: "kp-controls" }, bits, group, kind, row), places, title, canvas, numbers, said);

  const rows = Object.fromEntries(data.rows.map((one) => [one.kind, { ...one, weights: floats(one.values) }]));
  let marks = null;

  function apart(count) {
    setting.apart = Math.min(count, MOST_APART);
    host.picture.draw();
    host.settle();
  }

  function draw() {
    const shown = rows[setting.row] ?? Object.values(rows)[0];
    const width = Math.max(host.clientWidth, 280);
    const side = width < 480 ? 34 : 80; // of the histogram
    const out = largest(shown.weights, setting.apart);
    const limit = 1.06 * Math.max(...shown.weights.map((value, i) => (out.includes(i) ? 0 : Math.abs(value))));
    const at = {
      x: (i) => 2 + ((i + 0.5) * (width - side - 14)) / 64,
      y: (value) => TOP + (HEIGHT / 2) * (1 - Math.max(-1, Math.min(1, value / limit))), // those apart lie on the rim
    };
    const groups = rounded(shown.weights, setting.bits, Number(setting.group), setting.symmetric, out);
    canvas.setAttribute("viewBox", `0 0 ${width} ${TOP + HEIGHT + STRIP + 6}`);
    canvas.setAttribute("height", TOP + HEIGHT + STRIP + 6);
    if (!marks || marks.row !== shown || marks.width !== width) marks = started(shown, at, width, side);
    marks.histogram.replaceChildren(...histogram(shown, at, width, side, limit), ...ends(at, limit));
    marks.ticks.replaceChildren(...groups.flatMap((one) => ticks(one, at, limit)));
    marks.strip.replaceChildren(...groups.flatMap((one) => strip(one, at, shown)));
    place(groups, shown, out, at);
    tell(groups, shown, out);
  }

  // The parts that stay while one drags: a ring for every weight, its stem and its dot.
  function started(shown, at, width, side) {
    const [ticks, strip, histogram] = ["g", "g", "g"].map((name) => shape(name));
    const made = { row: shown, width, ticks, strip, histogram, dots: [], stems: [], rings: [] };
    const layer = shape("g");
    const next = largest(shown.weights, 64);
    shown.weights.forEach((value, i) => {
      made.stems.push(shape("line", { class: "kp-stem" }));
      made.rings.push(shape("circle", { class: "kp-ring", r: 3 }));
      made.dots.push(shape("circle", { class: "kp-dot", r: 3.4, onclick: () => tapped(i, next) }));
    });
    layer.append(...made.stems, ...made.rings, ...made.dots);
    const zero = shape("line", { class: "kp-zero", x1: 0, x2: width - side - 8, y1: at.y(0), y2: at.y(0) });
    const heading = shape("text", { x: 2, y: TOP + HEIGHT + 18 }, "Mean squared error by group, log scale");
    canvas.replaceChildren(made.ticks, zero, made.histogram, layer, heading, made.strip);
    return made;
  }

  function ends(at, limit) {
    return [limit, -limit].map((value) => {
      const y = at.y(value) + (value > 0 ? 12 : -4);
      return shape("text", { class: "kp-strong", x: 4, y }, signed(value, 2));
    });
  }

  function tapped(i, order) {
    const place = order.indexOf(i);
    if (place < setting.apart) apart(0);
    else if (place === setting.apart) apart(setting.apart + 1);
  }

  function place(groups, shown, out, at) {
    const reachable = largest(shown.weights, setting.apart + 1)[setting.apart];
    for (const one of groups) {
      one.points.forEach((point, k) => {
        const i = one.start + k, value = shown.weights[i], removed = out.includes(i);
        const [stem, ring, dot] = [marks.stems[i], marks.rings[i], marks.dots[i]];
        for (const [mark, y] of [[ring, value], [dot, point]]) {
          mark.setAttribute("cx", at.x(i));
          mark.setAttribute("cy", at.y(y));
        }
        filled(stem, { x1: at.x(i), x2: at.x(i), y1: at.y(value), y2: at.y(point) }, []);
        dot.setAttribute("class", removed ? "kp-dot kp-apart" : i === reachable ? "kp-dot kp-next" : "kp-dot");
      });
    }
  }

  function histogram(shown, at, width, side, limit) {
    const most = Math.max(...shown.histogram.counts);
    const step = (2 * shown.histogram.limit) / shown.histogram.counts.length;
    const bars = shown.histogram.counts.map((count, i) => {
      const high = -shown.histogram.limit + (i + 1) * step;
      if (count === 0 || Math.abs(high - step / 2) > limit) return null;
      const length = Math.max(1, (count / most) * side);
      const tall = Math.max(1, at.y(high - step) - at.y(high) - 0.5);
      return shape("rect", { class: "kp-hist", x: width - side, y: at.y(high), width: length, height: tall });
    });
    return bars.filter(Boolean);
  }

  function ticks({ start, end, grid }, at, limit) {
    const [left, right] = [at.x(start - 0.5) + 1, at.x(end - 0.5) - 1];
    const gap = Math.abs(at.y(grid.scale) - at.y(0));
    const clip = (k) => Math.max(-limit, Math.min(limit, (k - grid.zero) * grid.scale));
    const [first, last] = [at.y(clip(0)), at.y(clip(grid.top))].sort((a, b) => a - b);
    const band = { class: "kp-band", x: left, y: first, width: right - left, height: Math.max(1, last - first) };
    const made = [shape("rect", band)];
    for (let k = 0; gap >= 3 && k <= grid.top; k++) {
      const value = (k - grid.zero) * grid.scale;
      if (Math.abs(value) > limit) continue;
      made.push(shape("line", { class: "kp-tick", x1: left, x2: right, y1: at.y(value), y2: at.y(value) }));
    }
    return made;
  }

  function strip({ start, end, error }, at, shown) {
    const [left, right] = [at.x(start - 0.5) + 1, at.x(end - 0.5) - 1];
    const base = TOP + HEIGHT + STRIP - 18;
    const tall = Math.max(1, 34 * Math.min(1, 1 + Math.log10(error / shown.size ** 2 + 1e-9) / 6)); // a log scale
    const label = shape("text", { x: (left + right) / 2, y: base + 16, "text-anchor": "middle" }, scientific(error));
    return [shape("rect", { class: "kp-error", x: left, y: base - tall, width: right - left, height: tall }), label];
  }

  function tell(groups, shown, out) {
    const kept = 64 - out.length;
    const error = groups.reduce((sum, one) => sum + one.error * (one.end - one.start), 0) / 64;
    const share = Math.sqrt(error) / shown.size;
    const cost = bitsPerWeight(setting.bits, Number(setting.group), setting.symmetric, out.length);
    numbers.set([cost.toFixed(2), scientific(error), percent(share)]);
    title.textContent = shown.title;
    back.disabled = out.length === 0;
    remove.disabled = out.length >= MOST_APART;
    back.textContent = out.length > 1 ? "Put them back" : "Put it back";
    const steps = groups.map((one) => Math.abs(one.grid.scale));
    const aside = out.length ? ` ${out.length} kept apart in full, at 32 bits each.` : "";
    const [least, most] = [scientific(Math.min(...steps)), scientific(Math.max(...steps))];
    const range = groups.length > 1 ? `steps from ${least} to ${most}` : `one step of ${least}`;
    said.say(`${kept} weights on ${2 ** setting.bits} points: ${range}. The rounding error is ${percent(share)} of the `
      + `weights' own size, at ${cost.toFixed(2)} bits a weight.${aside}`);
    canvas.setAttribute("aria-label", `${shown.title}: weights, their grid, and the error of every group`);
  }

  return { draw };
}

export default function (component) {
  open(component, gridPicture);
}
