// Training through the rounding: a small real weight is moved by its gradient; what is used stays on the grid.

const STEPS = 60, LONG = 1.7; // steps of training, and how many grid steps they cover

function straightThrough(host, data, setting) {
  const weights = floats(data.row.values), gradients = floats(data.row.gradient);
  const grid = gridOf(Array.from(weights), data.bits, true);
  const i = soonest(), gap = Math.abs(grid.scale);
  const rate = (LONG * gap) / (STEPS * Math.abs(gradients[i]));
  const step = slider(host, "step", "Training steps", { min: 0, max: STEPS, step: 1, say: (n) => `step ${n}` });
  const play = button("Play", start);
  const canvas = shape("svg", { role: "img", height: 170 });
  const said = spoken();
  host.append(element("div", { class: "kp-controls" }, step, play), canvas, said);

  // The weight that its gradient carries over the middle between two points first.
  function soonest() {
    let best = 0, least = Infinity;
    weights.forEach((value, k) => {
      if (gradients[k] === 0) return;
      const along = value / grid.scale + 0.5;
      const to = -gradients[k] / grid.scale > 0 ? Math.ceil(along) - along : along - Math.floor(along);
      if (to > 0.25 && to < least && Math.abs(value / grid.scale) < 2 ** (data.bits - 1) - 3) [best, least] = [k, to];
    });
    return best;
  }

  const at = (n) => weights[i] - rate * gradients[i] * n;

  function start() {
    const from = setting.step >= STEPS ? 0 : setting.step;
    play.disabled = true;
    glide(from, STEPS, 4 * (1 - from / STEPS), (n) => { step.show(Math.round(n)); draw(); }, () => {
      play.disabled = false;
      host.settle();
    });
  }

  function draw() {
    const width = Math.max(host.clientWidth, 280);
    const centre = snapped(at(STEPS / 2), grid), span = 2.6 * gap;
    const x = (value) => (width / 2) * (1 + (value - centre) / span);
    const now = at(setting.step), used = snapped(now, grid), before = snapped(weights[i], grid);
    canvas.setAttribute("viewBox", `0 0 ${width} 170`);
    const parts = [];
    const lanes = [[46, "Trained: the small real weight"], [126, "Used: the nearest point of the grid"]];
    for (const [y, words] of lanes) {
      parts.push(shape("text", { x: 0, y: y - 22 }, words));
      parts.push(shape("line", { class: "kp-zero", x1: 0, x2: width, y1: y, y2: y }));
    }
    for (let k = 0; k <= grid.top; k++) {
      const point = (k - grid.zero) * grid.scale, middle = point + grid.scale / 2;
      if (Math.abs(point - centre) < span) parts.push(...mark(x(point), point));
      if (Math.abs(middle - centre) < span) parts.push(upright("kp-middle", x(middle), 36));
    }
    parts.push(
      shape("line", { class: "kp-stem", x1: x(now), y1: 46, x2: x(used), y2: 126 }),
      shape("circle", { class: "kp-ring", cx: x(before), cy: 126, r: 8 }),
      shape("circle", { class: "kp-dot kp-real", cx: x(now), cy: 46, r: 6 }),
      shape("circle", { class: "kp-dot", cx: x(used), cy: 126, r: 7 }),
    );
    canvas.replaceChildren(...parts);
    tell(now, used, before);
  }

  function mark(place, point) {
    return [
      upright("kp-tick", place, 116),
      shape("text", { x: place, y: 156, "text-anchor": "middle" }, signed(point, 2)),
    ];
  }

  function upright(style, x, top) {
    return shape("line", { class: style, x1: x, x2: x, y1: top, y2: 136 });
  }

  function tell(now, used, before) {
    const moved = used === before ? "The model still computes with the same point as after rounding once."
      : "It has crossed the middle, so the model now computes with the next point.";
    said.say(`Step ${setting.step}: the gradient has moved the weight from ${signed(weights[i], 3)} to `
      + `${signed(now, 3)}; the point in use is ${signed(used, 3)}. ${moved}`);
    canvas.setAttribute("aria-label", `Weight ${i} of ${data.row.title}, moved by its gradient`);
  }

  return { draw };
}

export default function (component) {
  open(component, straightThrough);
}
