// A Pareto front on real results: dominated, front, knee, and the smallest that is good enough.

const MARGIN = { left: 58, right: 14, top: 48, bottom: 52 };
const LOOKS = [
  ["results", "Every result"], ["dominated", "Dominated"], ["front", "The front"], ["knee", "The knee"], ["limit", "My limit"],
];

// The outline of a mark of radius r around the origin, by plotly's names.
function outline(symbol, r) {
  const ring = (corners, radii, turn) => Array.from({ length: corners }, (_, n) => {
    const angle = turn + (2 * Math.PI * n) / corners, radius = radii[n % radii.length];
    return `${(radius * Math.sin(angle)).toFixed(2)},${(-radius * Math.cos(angle)).toFixed(2)}`;
  }).join("L");
  if (symbol === "square") return `M${ring(4, [1.27 * r], Math.PI / 4)}Z`;
  if (symbol === "diamond") return `M${ring(4, [1.3 * r], 0)}Z`;
  if (symbol === "triangle-up") return `M${ring(3, [1.3 * r], 0)}Z`;
  if (symbol === "hexagon") return `M${ring(6, [1.1 * r], 0)}Z`;
  if (symbol === "star") return `M${ring(10, [1.55 * r, 0.62 * r], 0)}Z`;
  return `M0,${-r}A${r},${r},0,1,1,0,${r}A${r},${r},0,1,1,0,${-r}Z`;
}

function beats(a, b) {
  return a.x <= b.x && a.y >= b.y && (a.x < b.x || a.y > b.y);
}

// Whether two boxes share anything; each is left, top, right, bottom.
function overlap(a, b) {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}

function named(point) {
  return `${point.label} (${point.size}, ${point.quality}${point.simulated ? ", simulated" : ""})`;
}

function frontPicture(host, data, setting) {
  const look = choice(host, "look", "Look at", LOOKS);
  const need = slider(host, "limit", "I need at least", { min: 0, max: 1, step: 0.001, say: quality });
  const canvas = shape("svg", { role: "group", "aria-label": "Results by size and quality" });
  const said = spoken();
  const hint = element("p", { class: "kp-caption" });
  host.append(element("div", { class: "kp-controls" }, look), said, element("div", { class: "kp-controls" }, need), canvas, hint);
  canvas.onpointerdown = drag;
  let parts = null;

  function quality(share) {
    const { low, high } = data.quality;
    return `${(low + share * (high - low)).toFixed(1)}%`;
  }

  function draw() {
    const width = Math.max(host.clientWidth, 280);
    if (parts?.width !== width) parts = started(width);
    const chosen = data.points.find((point) => point.id === setting.point);
    const limiting = setting.look === "limit", stage = LOOKS.findIndex(([name]) => name === setting.look);
    const knee = data.points.find((point) => point.id === data.knee.id);
    const found = limiting ? pick() : setting.look === "knee" ? knee : undefined;
    parts.step.classList.toggle("kp-hidden", stage < 2);
    for (const { point, mark, body } of parts.marks) {
      const out = (limiting && point.y < setting.limit - 1e-9) || (chosen && point !== chosen && !beats(point, chosen));
      mark.classList.toggle("kp-out", Boolean(out));
      const solid = stage === 0 || point.front;
      mark.classList.toggle("kp-hollow", !solid || point.simulated);
      mark.classList.toggle("kp-ringed", Boolean(solid && point.ring));
      body.setAttribute("stroke", (solid && point.ring) || point.colour);
      mark.setAttribute("aria-pressed", point === chosen);
      body.setAttribute("d", outline(point.symbol, stage > 0 && point.front ? 6.5 : 5));
    }
    drawLimit(limiting);
    drawCorner(chosen);
    drawRing(chosen ?? found, chosen ? "" : limiting ? "smallest that will do" : "the knee");
    said.say(chosen ? tapped(chosen) : limiting ? limited(found) : explained());
    hint.textContent = limiting ? "Drag the line or the slider. Results that are simulated or marked † are never picked."
      : "Tap a point to see what beats it; tap it again to let it go.";
    if (data.points.some((point) => point.simulated)) {
      hint.textContent += " A dot inside: simulated, so its size and quality are real, its speed is not known.";
    }
  }

  // What stays until the width changes: axes, the front's line, and a mark for every result.
  function started(width) {
    const tall = width < 520 ? 380 : 430;
    const size = { width, across: width - MARGIN.left - MARGIN.right, up: tall - MARGIN.top - MARGIN.bottom };
    const at = (x, y) => [MARGIN.left + x * size.across, MARGIN.top + (1 - y) * size.up];
    canvas.setAttribute("viewBox", `0 0 ${width} ${tall}`);
    canvas.setAttribute("height", tall);
    const corner = shape("rect", { class: "kp-corner" });
    const below = shape("rect", { class: "kp-corner", x: MARGIN.left, width: size.across });
    const line = data.step.map(([x, y]) => at(x, y).join(",")).join("L");
    const step = shape("path", { class: "kp-step", d: line && `M${line}` });
    const marks = data.points.map((point) => marked(point, at));
    const ring = shape("circle", { class: "kp-chosen", r: 14 });
    const tag = shape("text", { class: "kp-strong kp-tag" });
    const grip = gripped(size.across);
    canvas.replaceChildren(...axes(width, tall, at), corner, below, step, grip, ...marks.map((m) => m.mark), ring, tag);
    return { ...size, at, corner, below, step, marks, ring, tag, grip };
  }

  function gripped(across) {
    const ends = { x1: MARGIN.left, x2: MARGIN.left + across };
    const right = MARGIN.left + across;
    return shape("g", { class: "kp-grip" }, shape("line", { class: "kp-reach", ...ends }), shape("line", { class: "kp-limit", ...ends }),
      shape("rect", { class: "kp-handle", x: right - 34, y: -9, width: 34, height: 18, rx: 9 }),
      shape("path", { class: "kp-arrows", d: `M${right - 21},-3l4,-4l4,4M${right - 21},3l4,4l4,-4` }));
  }

  function axes(width, tall, at) {
    const middle = MARGIN.left + (width - MARGIN.left - MARGIN.right) / 2, bottom = tall - MARGIN.bottom;
    const made = data.ticks.y.flatMap(([share, text]) => {
      const [x, y] = at(0, share);
      return [shape("line", { class: "kp-grid", x1: x, x2: at(1, share)[0], y1: y, y2: y }), label(text, x - 8, y + 4, "end")];
    });
    for (const [share, text] of apart(data.ticks.x, at)) {
      const [x] = at(share, 0);
      made.push(shape("line", { class: "kp-grid", x1: x, x2: x, y1: MARGIN.top, y2: bottom }), label(text, x, bottom + 18, "middle"));
    }
    for (const [share, text] of apart(data.ticks.ratio, at)) made.push(label(text, at(share, 1)[0], MARGIN.top - 8, "middle"));
    for (const { name, y: share } of data.lines) {
      const [x, y] = at(0, share);
      const beneath = data.lines.some((other) => other.y > share && other.y - share < 0.1);
      const right = at(1, share)[0], guessing = name === "guessing";  // at the left the front's line falls through it
      made.push(shape("line", { class: `kp-line-${name}`, x1: x, x2: right, y1: y, y2: y }));
      made.push(label(name, guessing ? right - 6 : x + 6, guessing || beneath ? y + 15 : y - 6, guessing ? "end" : "start"));
    }
    const title = label(`${data.quality.label} (%)`, 0, 0, "middle");
    title.setAttribute("transform", `translate(14 ${(MARGIN.top + bottom) / 2}) rotate(-90)`);
    const better = label("better ↖", width - MARGIN.right, 14, "end");
    better.setAttribute("class", "kp-strong");
    made.push(title, better, label("times smaller than bf16", MARGIN.left, 14, "start"));
    made.push(label("Weights (MB, log scale)", middle, tall - 10, "middle"));
    return made;
  }

  // Ticks that leave room for their texts.
  function apart(ticks, at) {
    const kept = [];
    for (const tick of ticks) {
      const last = kept.at(-1);
      if (!last || Math.abs(at(tick[0], 0)[0] - at(last[0], 0)[0]) > 34) kept.push(tick);
    }
    return kept;
  }

  function label(text, x, y, anchor) {
    return shape("text", { x, y, "text-anchor": anchor }, text);
  }

  function marked(point, at) {
    const [x, y] = at(point.x, point.y);
    const choose = () => {
      setting.point = setting.point === point.id ? "" : point.id;
      draw();
      host.settle();
    };
    const onkeydown = (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      choose();
    };
    const body = shape("path", { fill: point.colour });
    const dot = point.simulated ? [shape("circle", { class: "kp-dot", r: 2, fill: point.colour })] : [];
    const words = { role: "button", tabindex: 0, "aria-label": named(point), class: "kp-point" };
    const mark = shape("g", { ...words, transform: `translate(${x} ${y})`, onclick: choose, onkeydown },
      shape("title", {}, named(point)), shape("circle", { class: "kp-touch", r: 13 }), body, ...dot);
    return { point, mark, body };
  }

  // The smallest result that may be picked and reaches the limit; of equal ones the better.
  function pick() {
    const enough = data.points.filter((point) => point.pick && point.y >= setting.limit - 1e-9);
    return enough.sort((a, b) => a.x - b.x || b.y - a.y)[0];
  }

  function drawLimit(limiting) {
    const y = parts.at(0, setting.limit)[1];
    need.hidden = !limiting;
    for (const part of [parts.grip, parts.below]) part.classList.toggle("kp-hidden", !limiting);
    parts.grip.setAttribute("transform", `translate(0 ${y})`);
    parts.below.setAttribute("y", y);
    parts.below.setAttribute("height", Math.max(0, MARGIN.top + parts.up - y));
  }

  function drawCorner(chosen) {
    parts.corner.classList.toggle("kp-hidden", !chosen);
    if (!chosen) return;
    const [x, y] = parts.at(chosen.x, chosen.y);
    filled(parts.corner, { x: MARGIN.left, y: MARGIN.top, width: x - MARGIN.left, height: y - MARGIN.top }, []);
  }

  function drawRing(point, why) {
    for (const part of [parts.ring, parts.tag]) part.classList.toggle("kp-hidden", !point);
    if (!point) return;
    const [x, y] = parts.at(point.x, point.y);
    filled(parts.ring, { cx: x, cy: y }, []);
    drawTag([why && `${point.label}: ${why}`, point.label, why].filter(Boolean), point);
  }

  // Beside a point: the first of these texts that fits and covers nothing; none in a crowd, since the sentence above says it.
  function drawTag(texts, point) {
    const [x, y] = parts.at(point.x, point.y), covered = drawn(point);
    const places = texts.flatMap((text) => {
      parts.tag.textContent = text;
      const length = parts.tag.getComputedTextLength();
      const spots = [[x + 15, y - 11], [x - 15 - length, y - 11], [x + 15, y + 23], [x - 15 - length, y + 23],
        [x - length / 2, y - 24], [x - length / 2, y + 34]];
      return spots.map(([start, base]) => ({ text, start, base, box: [start - 2, base - 13, start + length + 2, base + 4] }));
    }).filter(({ box }) => box[0] >= MARGIN.left && box[2] <= parts.width && box[1] >= MARGIN.top && box[3] <= MARGIN.top + parts.up);
    const free = places.find(({ box }) => !covered.some((other) => overlap(box, other)));
    parts.tag.textContent = free?.text ?? "";
    if (free) filled(parts.tag, { x: free.start, y: free.base }, []);
  }

  // The boxes of what a text should not cover: other marks, the front's line, the limit, the words of the axes.
  function drawn(point) {
    const marks = parts.marks.filter((one) => one.point !== point).map((one) => parts.at(one.point.x, one.point.y));
    const limit = setting.look === "limit" ? [[[0, setting.limit], [1, setting.limit]]] : [];
    const steps = parts.step.classList.contains("kp-hidden") ? [] : data.step.slice(1).map((end, n) => [data.step[n], end]);
    const words = [...canvas.querySelectorAll("text:not(.kp-tag)")].map((text) => text.getBBox());
    return [
      ...marks.map(([x, y]) => [x - 8, y - 8, x + 8, y + 8]),
      ...[...limit, ...steps].map((ends) => {
        const [[a, b], [c, d]] = ends.map(([x, y]) => parts.at(x, y));
        return [Math.min(a, c) - 1, Math.min(b, d) - 1, Math.max(a, c) + 1, Math.max(b, d) + 1];
      }),
      ...words.map(({ x, y, width, height }) => [x, y, x + width, y + height]),
    ];
  }

  function explained() {
    const { all, front: best } = data.count;
    if (setting.look === "results") {
      return `${all} results, each really compressed and really measured. Further left is smaller, further up is better.`;
    }
    if (setting.look === "dominated") {
      return `${all - best} of ${all} are dominated, drawn hollow: for each of them some other result is at least as small and `
        + "at least as good, and better in one of the two. If only these two matter, nobody needs them.";
    }
    if (setting.look === "knee") return data.knee.says;
    return `${best} are left, and none of them is beaten on both: this is the Pareto front. A step to the left along it always `
      + "costs quality, so which of them is best depends on what you need.";
  }

  function tapped(point) {
    const better = data.points.filter((other) => beats(other, point));
    if (!better.length) return `${named(point)}: nothing is at least as small and at least as good, so it is on the front.`;
    const some = better.slice(0, 3).map((other) => other.label).join("; ");
    const more = better.length > 3 ? `; and ${better.length - 3} more` : "";
    return `${named(point)} is dominated. In the shaded corner, at least as small and at least as good: ${some}${more}.`;
  }

  function limited(found) {
    const least = `At least ${quality(setting.limit)}`;
    if (!found) return `${least}: nothing here is that good.`;
    const ratio = found.ratio && `, ${found.ratio}`;
    return `${least}: the smallest is ${found.label}, ${found.size}${ratio}, with ${found.quality}.`;
  }

  function drag(event) {
    if (setting.look !== "limit" || !event.target.closest(".kp-grip")) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    canvas.onpointermove = (move) => {
      const share = 1 - (move.clientY - canvas.getBoundingClientRect().top - MARGIN.top) / parts.up;
      need.show(Math.min(1, Math.max(0, share)));
      draw();
    };
    canvas.onpointerup = canvas.onpointercancel = () => {
      canvas.onpointermove = canvas.onpointerup = canvas.onpointercancel = null;
      host.settle();
    };
  }

  return { draw };
}

export default function (component) {
  open(component, frontPicture);
}
