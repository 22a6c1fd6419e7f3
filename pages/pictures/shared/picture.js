// What the pictures share: elements, controls that speak, numbers in words.

const REST_MS = 400; // a slider that is held still for so long has come to rest

// The picture of an element, made on the first call and told about every later one; see picture.py.
function open({ parentElement, data: [content], setStateValue }, make) {
  const host = parentElement.querySelector(".kp-picture");
  const isNew = !host.picture;
  if (isNew) {
    host.setting = { ...content.setting };
    host.told = JSON.stringify({ ...host.setting, resting: false });
    host.picture = make(host, content, host.setting);
    new ResizeObserver(() => host.picture.draw()).observe(host);
  }
  // resting: the reader still holds the slider, so the address, and with it the browser's history, waits.
  host.settle = (resting = false) => {
    const setting = { ...host.setting, resting }, now = JSON.stringify(setting);
    if (now !== host.told) setStateValue("setting", setting);
    host.told = now;
  };
  host.picture.draw();
  if (isNew && host.querySelector("svg, canvas")) host.append(saver(host));
}

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node[name] = value;
    else if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// The float32 numbers that a teaching pack holds as base64.
function floats(text) {
  return new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

// A labelled range input for one value of the setting. `say` puts the value in words.
function slider(host, name, label, { min, max, step, say }) {
  const input = element("input", { type: "range", min, max, step, value: host.setting[name], "aria-label": label });
  const shown = element("output", {}, say(host.setting[name]));
  const says = (words) => {
    shown.textContent = words;
    input.setAttribute("aria-valuetext", words);
  };
  const tell = () => says(say(host.setting[name]));
  let rest, held = false; // by a pointer, which lets go; keys have settled once they rest
  input.onpointerdown = () => { held = true; };
  input.onkeydown = () => { held = false; };
  input.oninput = () => {
    host.setting[name] = Number(input.value);
    tell();
    host.picture.draw();
    clearTimeout(rest);
    rest = setTimeout(() => host.settle(held), REST_MS);
  };
  input.onchange = () => {
    if (!held) return;
    clearTimeout(rest);
    host.settle();
  };
  tell();
  const box = element("label", { class: "kp-slider" }, element("span", {}, label), input, shown);
  box.says = says;
  box.show = (value) => {
    host.setting[name] = value;
    input.value = value;
    tell();
  };
  return box;
}

// A labelled row of choices, one of which is taken. `options` is [[value, words], …].
function choice(host, name, label, options) {
  const group = `${name}-${Math.floor(performance.now() * 1000)}`;
  const box = element("fieldset", { class: "kp-choice" }, element("legend", {}, label));
  for (const [value, words] of options) {
    const input = element("input", { type: "radio", name: group, value });
    input.checked = String(value) === String(host.setting[name]);
    input.onchange = () => {
      host.setting[name] = value;
      host.picture.draw();
      host.settle();
    };
    box.append(element("label", {}, input, element("span", {}, words)));
  }
  return box;
}

function button(words, onclick) {
  return element("button", { type: "button", onclick }, words);
}

// Numbers side by side: set(["4.25", …]) changes the values under their labels.
function figures(labels) {
  const values = labels.map(() => element("strong"));
  const box = element("div", { class: "kp-numbers" });
  labels.forEach((label, i) => box.append(element("div", {}, element("span", {}, label), values[i])));
  box.set = (texts) => texts.forEach((text, i) => { values[i].textContent = text; });
  return box;
}

// The sentence that says what the picture shows: seen at once, read out when the reader pauses. It takes the room of the
// longest of `longest`, so that nothing below it moves.
function spoken(longest = []) {
  const seen = element("span", { "aria-hidden": "true" });
  const heard = readOut();
  const room = longest.map((text) => element("span", { class: "kp-room", "aria-hidden": "true" }, text));
  const box = element("p", { class: "kp-said" }, seen, heard, ...room);
  box.say = (text) => {
    seen.textContent = text;
    heard.say(text);
  };
  return box;
}

// What a screen reader reads out of a picture when the reader pauses.
function readOut() {
  const heard = element("span", { class: "kp-heard", "aria-live": "polite" });
  let waiting;
  heard.say = (text) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { if (heard.textContent !== text) heard.textContent = text; }, 400);
  };
  return heard;
}

// Pieces of the page's own HTML, of which show(place) shows one. All lie in one place, so nothing below them moves.
function stack(pieces) {
  const cards = pieces.map((html) => element("div"));
  cards.forEach((card, i) => { card.innerHTML = pieces[i]; });
  const box = element("div", { class: "kp-stack" }, ...cards);
  box.show = (place) => cards.forEach((card, i) => card.classList.toggle("kp-shown", i === place));
  return box;
}

// Move a number from one value to another while `draw` is called with it; at once for readers who want no motion.
// Gives what stops it on the way, null where there is no way.
function glide(from, to, seconds, draw, done = () => {}) {
  if (calm()) {
    draw(to);
    done();
    return null;
  }
  const start = performance.now();
  let next;
  const frame = (now) => {
    const t = Math.min(1, Math.max(0, (now - start) / (1000 * seconds)));
    draw(from + (to - from) * t);
    if (t < 1) next = requestAnimationFrame(frame);
    else done();
  };
  next = requestAnimationFrame(frame);
  return () => cancelAnimationFrame(next);
}

function calm() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

// 0.0000312 as "3.1 × 10⁻⁵", numbers near one as they are.
function scientific(value) {
  if (value === 0) return "0";
  const power = Math.floor(Math.log10(Math.abs(value)));
  if (power >= -2 && power < 4) return value.toPrecision(2);
  const digits = String(power).replace("-", "⁻").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);
  return `${(value / 10 ** power).toFixed(1)} × 10${digits}`;
}

function signed(value, digits) {
  return value === 0 ? "0" : value.toPrecision(digits).replace("-", "−");
}

function percent(share) {
  const value = 100 * share;
  if (value === 0 || value >= 9.95) return `${value.toFixed(0)}%`;
  return value >= 0.095 ? `${value.toFixed(1)}%` : `${value.toPrecision(1)}%`;
}

function megabytes(bytes) {
  const value = bytes / 1e6;
  if (value > 0 && value < 0.1) return `${(bytes / 1e3).toPrecision(3)}\u00a0kB`;
  return `${value >= 99.5 ? value.toFixed(0) : value.toFixed(1)}\u00a0MB`;
}
