// A real tile of weights under a mask, beside what the mask saves: numbers, bytes, milliseconds.

const INK = 640; // canvas pixels a side, before rounding to whole cells
const KINDS = ["scattered", "2:4", "neurons", "heads", "layers"];
const RULES = [["magnitude", "magnitude"], ["wanda", "Wanda"]];

function maskPicture(host, data, setting) {
  const tiles = data.tiles.map((tile) => ({
    ...tile, weights: floats(tile.values), norms: floats(tile.input_norms),
    neurons: { magnitude: floats(tile.neurons_magnitude), wanda: floats(tile.neurons_activated) },
  }));
  const kind = choice(host, "kind", "What goes", KINDS.map((one) => [one, one]));
  const amount = slider(host, "amount", "Amount", { min: 0, max: 0.8, step: 0.05, say: percent });
  const rule = choice(host, "score", "Chosen by", RULES);
  const block = choice(host, "tile", "Layer, from 0", tiles.map((tile) => [String(tile.block), String(tile.block)]));
  const title = element("p", { class: "kp-caption" });
  const norms = shape("svg", { height: 26, preserveAspectRatio: "none", "aria-hidden": "true" });
  const map = element("canvas", { role: "img" }), flash = element("canvas", { "aria-hidden": "true" });
  const bars = ["Numbers in memory", "Bytes of the file", "Time a word"].map(bar);
  const said = spoken();
  host.append(
    element("div", { class: "kp-controls" }, kind, amount, rule, block),
    element("div", { class: "kp-panels" },
      element("div", {}, title, norms, element("div", { class: "kp-map" }, map, flash)),
      element("div", { class: "kp-bars" }, ...bars.map((one) => one.box))),
    said);
  let ruledBy = setting.score;

  function draw() {
    const tile = tiles.find((one) => String(one.block) === String(setting.tile)) ?? tiles[0];
    const now = view(tile, setting.score), other = view(tile, setting.score === "wanda" ? "magnitude" : "wanda");
    const differing = [...now.cut].filter((place) => !other.cut.has(place))
      .concat([...other.cut].filter((place) => !now.cut.has(place)));
    amount.querySelector("input").disabled = setting.kind === "2:4";
    amount.says(now.amount);
    rule.disabled = setting.kind === "layers";
    block.disabled = setting.kind === "heads" || setting.kind === "layers";
    title.textContent = now.title;
    paint(now);
    stripes(tile);
    blink(now, differing);
    weigh(now, differing.length);
  }

  // What is drawn: cells with their ink, those that are cut, and whether what is left closes up, in every line and over emptied ones.
  function view(tile, by) {
    const share = setting.amount, wanda = by === "wanda";
    if (setting.kind === "layers") return layersView(share);
    if (setting.kind === "heads") return headsView(share, wanda);
    const { rows, columns } = tile, scores = scored(tile.weights, tile.norms, wanda);
    const shown = { rows, columns, scores, title: tile.title, amount: percent(share) };
    if (setting.kind === "2:4") return { ...shown, cut: within(scores, 4, 2), amount: "50%, fixed" };
    if (setting.kind === "scattered") return { ...shown, cut: scattered(scores, columns, share, wanda) };
    const gone = least(tile.neurons[by], Math.floor(share * rows + 0.5));
    const also = wanda ? ", and what it gives" : "";
    const title = `${tile.title}. A row goes by the weights that carry its neuron on${also}.`;
    return { ...shown, title, cut: inRows(gone, columns), closes: true, amount: `${gone.size} of ${rows} rows` };
  }

  function layersView(share) {
    const { layers } = data.size, gone = least(data.scores.layers, Math.round(share * layers));
    const title = "Every layer of the model, top to bottom: ink is how much it turns what passes through it.";
    const amount = `${gone.size} of ${layers} layers`;
    return { rows: layers, columns: 1, scores: data.scores.layers, cut: gone, closes: true, amount, title };
  }

  function headsView(share, wanda) {
    const { layers, heads, kv_heads: groups } = data.size;
    const scores = (wanda ? data.scores.heads_activated : data.scores.heads_magnitude).flat();
    const ink = wanda ? "the norm of its output weights, each times its input's" : "the norm of its output weights";
    const title = `Every attention head: ${layers} layers down, ${heads} heads across; ink is ${ink}.`;
    const cut = headsGone(data.size, scores, share);
    const gone = groupsGone(data.size, share), each = heads / groups;
    const unit = each > 1 ? `groups of ${each} heads` : "heads";
    const amount = `${gone} of ${groups} ${unit} a layer`;
    return { rows: layers, columns: heads, scores, cut, closes: true, amount, title };
  }

  // Where each cell is drawn: its place in the matrix, and its column and line; what closes up has no gap for the cut.
  function spots({ rows, columns, cut, closes }) {
    const found = [];
    let line = 0;
    for (let row = 0; row < rows; row++) {
      let column = 0;
      for (let place = row * columns; place < (row + 1) * columns; place++) {
        if (!(closes && cut.has(place))) found.push({ place, column: column++, line });
      }
      if (column) line++;
    }
    return found;
  }

  function paint(now) {
    const { rows, columns, scores, cut } = now;
    const [wide, tall] = [Math.floor(INK / columns), Math.floor(INK / rows)]; // of a cell
    filled(map, { width: wide * columns, height: tall * rows, "aria-label": title.textContent }, []);
    const ink = map.getContext("2d"), gap = rows * columns < 1000 ? 2 : 0;
    const order = Float64Array.from(scores).sort(), full = order[Math.floor(0.98 * (order.length - 1))] || 1;
    ink.fillStyle = getComputedStyle(host).getPropertyValue("--st-orange-color");
    for (const { place, column, line } of spots(now)) {
      if (cut.has(place)) continue;
      ink.globalAlpha = 0.1 + 0.9 * Math.min(1, scores[place] / full);
      ink.fillRect(column * wide, line * tall, wide - gap, tall - gap);
    }
  }

  // The norm of every column's input, over the tile: where Wanda's stripes come from.
  function stripes(tile) {
    const wanted = !block.disabled && setting.score === "wanda", most = Math.max(...tile.norms);
    norms.style.visibility = wanted ? "visible" : "hidden";
    norms.setAttribute("viewBox", `0 0 ${tile.columns} 26`);
    norms.replaceChildren(...Array.from(tile.norms, (norm, i) => {
      const height = Math.max(0.5, 24 * (norm / most));
      return shape("rect", { class: "kp-norm", x: i + 0.1, width: 0.8, y: 24 - height, height });
    }));
  }

  // The cells that change sides blink when the rule is changed; of a matrix that closed up, those that came back.
  function blink(now, places) {
    const changed = ruledBy !== setting.score;
    ruledBy = setting.score;
    if (!changed) return;
    filled(flash, { width: map.width, height: map.height }, []);
    const ink = flash.getContext("2d"), [wide, tall] = [map.width / now.columns, map.height / now.rows];
    ink.fillStyle = getComputedStyle(host).getPropertyValue("--st-text-color");
    const changing = new Set(places);
    for (const { place, column, line } of spots(now)) {
      if (changing.has(place)) ink.fillRect(column * wide, line * tall, wide, tall);
    }
    flash.className = "";
    requestAnimationFrame(() => { flash.className = "kp-blink"; });
  }

  function weigh(now, differing) {
    const share = setting.kind === "layers" ? now.cut.size / data.size.layers : setting.amount;
    const left = stored(data.size, setting.kind, share, setting.kind === "heads" ? now.cut : undefined);
    const { numbers, zeros, bytes } = left, dense = data.size.parameters;
    const millions = (count) => `${(count / 1e6).toFixed(1)} M`;
    const remark = zeros ? `${millions(zeros)} of them are zeros, held like any number` : `of ${millions(dense)}`;
    set(bars[0], numbers / dense, millions(numbers), remark, zeros / dense);
    set(bars[1], bytes / (2 * dense), megabytes(bytes), `in bf16; the original has ${megabytes(2 * dense)}`);
    const timed = measured(share);
    set(bars[2], timed.share, timed.text, timed.under);
    said.say(sentence(now, left, differing));
  }

  // The measured time of this kind at the nearest amount, of this rule where there is one.
  function measured(share) {
    const amount = setting.kind === "2:4" ? 0.5 : share;
    if (amount === 0) return { share: 1, text: "the original's", under: "nothing is pruned" };
    const same = data.measured.filter((one) => one.kind === setting.kind);
    const mine = same.filter((one) => one.score === setting.score || !one.score);
    const away = (one) => Math.abs(one.amount - amount);
    const near = (mine.length ? mine : same).sort((a, b) => away(a) - away(b))[0];
    return near ?? { share: 0, text: "not measured", under: "no result of this kind here yet" };
  }

  function sentence(now, { zeros, bytes }, differing) {
    const cells = percent(now.cut.size / (now.rows * now.columns)), saved = 1 - bytes / (2 * data.size.parameters);
    const file = saved > 0 ? `The file leaves that out and is ${percent(saved)} smaller; memory and time are as before.`
      : "Too few for the file to note where the others stand: it is not a byte smaller.";
    const effect = zeros ? `${cells} of this tile is zero. ${file}`
      : saved > 0 ? `${now.amount} are gone, and with them ${percent(saved)} of the model's numbers and bytes.`
        : "Nothing is gone yet.";
    if (setting.kind === "layers" || !now.cut.size) return effect;
    const [count, unit] = setting.kind === "neurons" ? [differing / now.columns, "rows"]
      : [differing, setting.kind === "heads" ? "heads" : "cells"];
    return `${effect} Between magnitude and Wanda, ${count} ${unit} change sides.`;
  }

  return { draw };
}

// A labelled bar: its box, and what `set` changes of it.
function bar(label) {
  const fill = element("i"), zeros = element("i", { class: "kp-zeros" });
  const text = element("strong"), under = element("small"), track = element("div", {}, fill, zeros);
  const box = element("div", { class: "kp-bar" }, element("span", {}, label), text, track, under);
  return { box, fill, zeros, text, under };
}

// Fill a bar to a share of its length, the last part of it as zeros.
function set({ fill, zeros, text, under }, share, words, remark, zero = 0) {
  fill.style.width = `${100 * Math.min(1, share - zero)}%`;
  zeros.style.width = `${100 * zero}%`;
  text.textContent = words;
  under.textContent = remark;
}

export default function (component) {
  open(component, maskPicture);
}
