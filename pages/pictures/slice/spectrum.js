// The share of the stream along every direction, the largest first, before the turn and after it, with the cut.

const SPECTRUM = 336, LEFT = 44; // px

function spectrumPanel({ turned, plain }) {
  const canvas = shape("svg", { role: "img", height: SPECTRUM });
  canvas.setAttribute("aria-label", "Share of the stream along each direction, before and after the turn");
  const count = turned.length, base = SPECTRUM - 34;
  const low = Math.floor(Math.log10(Math.max(1e-7, Math.min(...turned.filter((share) => share > 0)))));
  const high = Math.ceil(Math.log10(turned[0]));
  const y = (share) => 8 + ((base - 8) * (high - Math.log10(Math.max(share, 10 ** low)))) / (high - low);

  function draw(kept) {
    const width = Math.max(canvas.clientWidth, 240);
    const x = (rank) => LEFT + ((width - LEFT - 4) * rank) / count;
    canvas.setAttribute("viewBox", `0 0 ${width} ${SPECTRUM}`);
    canvas.replaceChildren(
      shape("rect", { class: "kp-cut", x: x(kept), y: 8, width: x(count) - x(kept), height: base - 8 }),
      ...powers(width),
      curve(plain, x, "kp-plain"),
      curve(turned, x, "kp-turned"),
      shape("line", { class: "kp-edge", x1: x(kept), x2: x(kept), y1: 4, y2: base }),
      label("as it comes", x(0.97 * count), y(plain[Math.floor(0.6 * count)]) - 8),
      label("turned", x(0.3 * count), y(turned[Math.floor(0.3 * count)]) + 20),
      shape("text", { x: LEFT, y: SPECTRUM - 12 }, "direction 1"),
      shape("text", { x: width - 4, y: SPECTRUM - 12, "text-anchor": "end" }, String(count)),
    );
  }

  function powers(width) {
    return Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)).flatMap((share) => [
      shape("line", { class: "kp-zero", x1: LEFT, x2: width, y1: y(share), y2: y(share) }),
      shape("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share)),
    ]);
  }

  function curve(shares, x, style) {
    const points = shares.map((share, rank) => `${x(rank + 0.5).toFixed(1)} ${y(share).toFixed(1)}`);
    return shape("path", { class: style, d: `M${points.join("L")}` });
  }

  function label(words, x, y) {
    return shape("text", { class: "kp-strong", x, y, "text-anchor": "end" }, words);
  }

  return { parts: [canvas], draw };
}
