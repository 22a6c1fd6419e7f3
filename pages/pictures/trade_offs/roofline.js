// The roofline as words a second over the batch, and what one pass needs at least. Every batch was worked out before;
// the slider only looks them up.

const PHASES = [["decode", "Writing words"], ["prefill", "Reading the prompt"]];
const MARGIN = { left: 66, right: 96, top: 30, bottom: 48 };
const MARKS = [ // of what was measured, a format each, in their order
  { sign: "×", path: (x, y) => `M${x - 5},${y - 5}l10,10M${x - 5},${y + 5}l10,-10` },
  { sign: "+", path: (x, y) => `M${x - 6},${y}h12M${x},${y - 6}v12` },
  { sign: "△", path: (x, y) => `M${x},${y - 6}l6,11h-12z` },
];
const APART = 14; // pixels between the marks of one batch

function digits(value) {
  if (value >= 99.95) return Math.round(value).toLocaleString("en");
  return value >= 9.995 ? value.toFixed(1) : value.toPrecision(2);
}

function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function rooflinePicture(host, data, setting) {
  const last = data.batches.length - 1;
  const phase = choice(host, "phase", "While", PHASES);
  const batch = slider(host, "batch", "Sequences at once (batch)", { min: 0, max: last, step: 1, say: (n) => data.batches[n].toLocaleString("en") });
  const said = spoken();
  const times = element("div", { class: "kp-times" });
  const canvas = shape("svg", { role: "img", "aria-label": "The most words a second at every batch" });
  const hint = element("p", { class: "kp-caption" });
  host.append(element("div", { class: "kp-controls" }, phase, batch), said, times, canvas, hint);

  const pass = (format) => format[setting.phase];
  const least = (format, n) => Math.max(pass(format).memory[n], pass(format).arithmetic[n]);
  const tokens = (n) => data.batches[n] * (setting.phase === "prefill" ? data.prompt : 1);
  const rate = (format, n) => (1000 * tokens(n)) / least(format, n);
  const reached = ({ place, ms }) => (1000 * tokens(place)) / ms;
  const took = (format, n) => pass(format).measured.find(({ place }) => place === n)?.ms;

  function draw() {
    const width = Math.max(host.clientWidth, 280), tall = width < 520 ? 300 : 340;
    canvas.setAttribute("viewBox", `0 0 ${width} ${tall}`);
    canvas.setAttribute("height", tall);
    const [low, high] = ends();
    const at = (n, value) => [
      MARGIN.left + (n / last) * (width - MARGIN.left - MARGIN.right),
      tall - MARGIN.bottom - (Math.log(value / low) / Math.log(high / low)) * (tall - MARGIN.top - MARGIN.bottom),
    ];
    canvas.replaceChildren(...axes(width, tall, at, low, high), ...data.formats.flatMap((format) => curve(format, at)), ...names(at, width));
    times.replaceChildren(...data.formats.flatMap(bars));
    tell();
  }

  function roof() {
    return (1000 * tokens(last)) / Math.min(...data.formats.map((format) => pass(format).arithmetic[last]));
  }

  function ends() {
    const values = data.formats.flatMap((format) => [rate(format, 0), ...pass(format).measured.map(reached)]);
    return [Math.min(...values) / 1.6, 1.7 * Math.max(roof(), ...values)];
  }

  function label(text, x, y, anchor) {
    return shape("text", { x, y, "text-anchor": anchor }, text);
  }

  function axes(width, tall, at, low, high) {
    const made = [], right = width - MARGIN.right, bottom = tall - MARGIN.bottom;
    for (const tick of ticks(low, high)) {
      const [x, y] = at(0, tick);
      made.push(shape("line", { class: "kp-grid", x1: x, x2: right, y1: y, y2: y }));
      made.push(label(tick.toLocaleString("en"), x - 8, y + 4, "end"));
    }
    data.batches.forEach((count, n) => {
      if (width > 520 || n % 3 === 0) made.push(label(count, at(n, low)[0], bottom + 18, "middle"));
    });
    const now = at(setting.batch, low)[0], top = at(0, roof())[1];
    made.push(shape("line", { class: "kp-now", x1: now, x2: now, y1: MARGIN.top - 6, y2: bottom }));
    made.push(shape("line", { class: "kp-roof", x1: MARGIN.left, x2: right, y1: top, y2: top }));
    made.push(label("the processor’s roof", MARGIN.left + 6, top - 6, "start"));
    made.push(label("Sequences at once (batch)", (MARGIN.left + right) / 2, tall - 8, "middle"));
    made.push(label(`${setting.phase === "prefill" ? "Prompt tokens" : "Words"} a second at most, all together (log)`, 0, 12, "start"));
    return made;
  }

  // Powers of ten, with twos and fives between them where the range is short.
  function ticks(low, high) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
      for (const digit of high / low > 150 ? [1] : [1, 2, 5]) found.push(digit * 10 ** power);
    }
    return found.filter((tick) => tick >= low && tick <= high);
  }

  const mark = (format) => MARKS[data.formats.indexOf(format)];
  const measuredAt = (place) => data.formats.filter((format) => pass(format).measured.some((one) => one.place === place));

  // A format's line, where the slider stands on it, and its mark wherever it was measured with the way it fell short.
  function curve(format, at) {
    const path = data.batches.map((_, n) => at(n, rate(format, n)).join(",")).join("L");
    const [x, y] = at(setting.batch, rate(format, setting.batch)), stroke = format.colour;
    return [
      shape("path", { class: "kp-curve", d: `M${path}`, stroke, "stroke-dasharray": format.dash }),
      shape("circle", { cx: x, cy: y, r: 5, fill: stroke }),
      ...pass(format).measured.flatMap((one) => measured(one, format, at)),
    ];
  }

  // Formats that were measured at one batch stand beside each other, the first of them on its line.
  function measured(one, format, at) {
    const [batch, y] = at(one.place, reached(one)), possible = at(one.place, rate(format, one.place))[1];
    const x = batch + APART * measuredAt(one.place).indexOf(format);
    const stroke = format.colour, style = one.disturbed ? "kp-cross kp-beside" : "kp-cross";
    return [
      shape("line", { class: "kp-lost", x1: x, x2: x, y1: possible, y2: y, stroke }),
      shape("path", { class: style, d: mark(format).path(x, y), stroke }),
    ];
  }

  // The formats' names at the lines' right ends with how their lines and marks look, below each other where lines meet.
  function names(at, width) {
    const right = width - MARGIN.right;
    const places = data.formats.map((format) => ({ format, y: at(last, rate(format, last))[1] })).sort((a, b) => a.y - b.y);
    let free = -Infinity;
    return places.flatMap(({ format, y }) => {
      free = Math.max(y, free + 16);
      const known = pass(format).measured.length ? ` ${mark(format).sign}` : "";
      const text = label(`${format.name}${known}`, right + 36, free + 4, "start");
      text.setAttribute("class", "kp-strong");
      const look = { class: "kp-curve", stroke: format.colour, "stroke-dasharray": format.dash };
      return [shape("line", { ...look, x1: right + 8, x2: right + 30, y1: free, y2: free }), text];
    });
  }

  function bars(format) {
    const n = setting.batch;
    const measured = took(format, n);
    const known = data.formats.flatMap((one) => [least(one, n), took(one, n) ?? 0]);
    const bar = (kind, ms, text, decides) => [
      element("span", { class: "kp-track" }, element("i", { class: kind, style: `width:${(100 * ms) / Math.max(...known)}%` })),
      element("span", { class: decides ? "kp-ms kp-decides" : "kp-ms" }, `${digits(ms)} ms ${text}`),
    ];
    const memory = pass(format).memory[n], arithmetic = pass(format).arithmetic[n];
    const name = element("b", { style: `grid-row: span ${measured ? 3 : 2}` }, format.name, element("small", {}, format.about));
    return [
      name, ...bar("kp-memory", memory, "to read", memory >= arithmetic),
      ...bar("kp-arithmetic", arithmetic, "to multiply", arithmetic > memory),
      ...(measured ? bar("kp-took", measured, "measured", false) : []),
      element("span", { class: "kp-between" }),
    ];
  }

  function tell() {
    const n = setting.batch, each = tokens(n).toLocaleString("en");
    const byMemory = (format) => pass(format).memory[n] >= pass(format).arithmetic[n];
    const waiting = data.formats.filter(byMemory).map((format) => format.name);
    const working = data.formats.filter((format) => !byMemory(format)).map((format) => format.name);
    const wait = (list) => `${listed(list)} ${list.length > 1 ? "wait" : "waits"}`;
    const times = each === "1" ? "once" : `${each} times`;
    said.say(!working.length ? `Memory decides: every weight is read once and multiplied ${times}. Fewer bytes could be less time.`
      : !waiting.length ? `Arithmetic decides: every weight is read once and multiplied ${times}. Fewer bytes change nothing.`
      : `${wait(waiting)} for the memory; ${wait(working)} for the arithmetic already, where fewer bytes change nothing.`);
    hint.textContent = `The machine reads ${data.machine.gigabytes} GB and does ${data.machine.gigaflop} GFLOP a second at most.${marks()}`;
  }

  // What the marks are, and at which batches there are any.
  function marks() {
    const every = data.formats.flatMap((format) => pass(format).measured);
    if (!every.length) return "";
    const places = [...new Set(every.map(({ place }) => place))].sort((a, b) => a - b);
    const beside = every.some(({ disturbed }) => disturbed) ? " Pale ones were timed beside other load." : "";
    const signs = data.formats.filter((format) => pass(format).measured.length).map((format) => mark(format).sign);
    return ` ${signs.join(" ")}: measured, at ${listed(places.map((n) => data.batches[n].toLocaleString("en")))} at once; from the line down to them is overhead.${beside}`;
  }

  return { draw };
}

export default function (component) {
  open(component, rooflinePicture);
}
