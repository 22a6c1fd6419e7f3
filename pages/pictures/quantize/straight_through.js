// Training through the rounding, as it went: a few real weights beside the points in use, and the error, step by step.

const WEIGHTS = 180, ERRORS = 190, LEFT = 52, SECONDS = 7;
const REACH = 0.62; // steps of the grid that a weight's panel shows above and below the middle it crosses

function straightThrough(host, data, setting) {
  const last = data.frames - 1, steps = last * data.every;
  const bits = choice(host, "trained", "Bits", data.widths.map((one) => [String(one.bits), String(one.bits)]));
  const step = slider(host, "step", "Training steps", { min: 0, max: steps, step: data.every, say: (n) => `step ${n}` });
  const words = calm() ? "Show the end" : "Play";
  const play = button(words, () => (stop ? pause() : start()));
  const [weights, errors] = ["Some weights and the points in use", "The error by step"].map(
    (label) => shape("svg", { role: "img", "aria-label": label }));
  const [named, measured] = [element("p", { class: "kp-caption" }), element("p", { class: "kp-caption" })];
  const said = spoken();
  host.append(element("div", { class: "kp-controls" }, bits, step, play), said, named, weights, measured, errors);
  measured.textContent = "How far the outputs are from the original's, as a share of their size";

  const widths = Object.fromEntries(data.widths.map((one) => [String(one.bits), read(one)]));
  let stop = null;
  step.addEventListener("input", () => { if (stop) pause(); });

  // A width with its numbers: the ways of the weights, and of the points that stand for them.
  function read(one) {
    const half = 2 ** (one.bits - 1), grid = { scale: one.scale, zero: half, top: 2 * half - 1 };
    const paths = floats(one.paths);
    const real = one.columns.map((_, i) => Array.from(paths.slice(i * data.frames, (i + 1) * data.frames)));
    const used = real.map((path) => path.map((value) => snapped(value, grid)));
    const middles = used.map((path) => (path[0] + path[last]) / 2);
    return { ...one, grid, real, used, middles, learnt: floats(one.learnt), heldout: floats(one.heldout) };
  }

  function start() {
    const from = setting.step >= steps ? 0 : setting.step;
    if (!calm()) play.textContent = "Pause";
    stop = glide(from, steps, SECONDS * (1 - from / steps), (n) => {
      step.show(data.every * Math.round(n / data.every));
      draw();
    }, pause);
  }

  function pause() {
    stop?.();
    stop = null;
    play.textContent = words;
    host.settle();
  }

  function draw() {
    const one = widths[setting.trained] ?? Object.values(widths)[0];
    const now = Math.min(last, Math.round(setting.step / data.every));
    const width = Math.max(host.clientWidth, 280);
    for (const [svg, tall] of [[weights, WEIGHTS], [errors, ERRORS]]) {
      svg.setAttribute("viewBox", `0 0 ${width} ${tall}`);
      svg.setAttribute("height", tall);
    }
    weights.replaceChildren(...one.columns.flatMap((_, i) => followed(one, i, now, width)));
    errors.replaceChildren(...curves(one, now, width));
    tell(one, now);
  }

  const share = (value) => `${(100 * value).toFixed(1)}%`;

  function label(text, x, y, anchor, strong) {
    return shape("text", { x, y, "text-anchor": anchor, class: strong ? "kp-strong" : undefined }, text);
  }

  function across(style, y, from, to) {
    return shape("line", { class: style, x1: from, x2: to, y1: y, y2: y });
  }

  // One weight up to now, near the middle of the two points that it goes between: the way of the real number, the
  // points it was rounded to, and both as they stand.
  function followed(one, i, now, width) {
    const wide = width / one.columns.length, narrow = wide < 90, start = i * wide + (narrow ? 4 : LEFT), end = (i + 1) * wide - 10;
    const bottom = WEIGHTS - 42, step = Math.abs(one.scale), middle = one.middles[i];
    const x = (n) => start + (n / last) * (end - start);
    const y = (value) => bottom / 2 + 8 - ((value - middle) / (REACH * step)) * (bottom / 2);
    const way = (values) => `M${values.slice(0, now + 1).map((value, n) => `${x(n)},${y(value)}`).join("L")}`;
    const [real, used] = [one.real[i], one.used[i]];
    const made = [across("kp-middle", y(middle), start, end)];
    for (const point of new Set([used[0], used[last]])) {
      made.push(across("kp-tick", y(point), start, end));
      if (!narrow) made.push(label(signed(point, 2), start - 10, y(point) + 4, "end"));
    }
    return [
      ...made,
      shape("path", { class: "kp-used", d: way(used) }),
      shape("path", { class: "kp-way", d: way(real) }),
      shape("line", { class: "kp-stem", x1: x(now), x2: x(now), y1: y(real[now]), y2: y(used[now]) }),
      shape("circle", { class: "kp-dot", cx: x(now), cy: y(used[now]), r: 6 }),
      shape("circle", { class: "kp-dot kp-real", cx: x(now), cy: y(real[now]), r: 4.5 }),
      label(narrow ? one.columns[i] : `column ${one.columns[i]}`, (start + end) / 2, WEIGHTS - 10, "middle"),
    ];
  }

  function curves(one, now, width) {
    const right = width - (width < 520 ? 74 : 96), bottom = ERRORS - 30;
    const most = 1.12 * Math.max(...one.learnt, ...one.heldout, one.gptq);
    const x = (n) => LEFT + (n / last) * (right - LEFT), y = (value) => bottom - (value / most) * (bottom - 12);
    const line = (values, style) => shape("path", {
      class: style, d: `M${Array.from(values, (value, n) => `${x(n)},${y(value)}`).join("L")}`,
    });
    const first = one.heldout[0], [heldout, learnt] = [one.heldout, one.learnt].map((values) => y(values[last]));
    const apart = Math.max(0, 16 - Math.abs(heldout - learnt)) / 2, up = heldout < learnt ? 1 : -1;
    return [
      across("kp-zero", bottom, LEFT, right), label("0%", LEFT - 8, bottom + 4, "end"),
      label("step 0", LEFT, ERRORS - 10, "start"), label(String(steps), right, ERRORS - 10, "end"),
      across("kp-nearest", y(first), LEFT, right), label(share(first), LEFT - 8, y(first) + 4, "end"),
      label("rounded to nearest", right, y(first) - 6, "end"),
      across("kp-gptq", y(one.gptq), LEFT, right), label(`GPTQ ${share(one.gptq)}`, LEFT + 4, y(one.gptq) + 16, "start"),
      line(one.learnt, "kp-curve kp-learnt kp-faint"), line(one.heldout, "kp-curve kp-faint"),
      line(one.learnt.slice(0, now + 1), "kp-curve kp-learnt"), line(one.heldout.slice(0, now + 1), "kp-curve"),
      shape("circle", { class: "kp-dot", cx: x(now), cy: y(one.heldout[now]), r: 5 }),
      label("held-out", right + 8, heldout + 4 - up * apart, "start", true),
      label("learnt from", right + 8, learnt + 4 + up * apart, "start"),
    ];
  }

  function tell(one, now) {
    const changed = one.used.filter((path) => path[now] !== path[0]).length;
    said.say(`Step ${data.every * now} of ${steps}: the error on held-out text is ${share(one.heldout[now])}, after `
      + `rounding to nearest it was ${share(one.heldout[0])}. ${changed} of the ${one.columns.length} weights shown `
      + "use another point than at first.");
    named.textContent = `${data.tensor}, row ${one.row}: rings are the real weights, dots the points that are used`;
  }

  return { draw };
}

export default function (component) {
  open(component, straightThrough);
}
