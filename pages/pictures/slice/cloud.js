// A cloud of activations with axes that turn; cut, every point falls onto the first of them.

const CLOUD = 300; // px tall

function cloudPanel(given) {
  const x = floats(given.x), y = floats(given.y);
  const reach = 1.1 * Math.max(...x.map(Math.abs), ...y.map(Math.abs));
  const canvas = shape("svg", { class: "kp-cloud", role: "img", height: CLOUD });
  const share = element("p", { class: "kp-caption kp-share" });
  let at = null; // from activations to pixels

  function draw(degrees, cut) {
    const width = Math.max(canvas.clientWidth, 240), half = CLOUD / 2;
    const angle = (degrees * Math.PI) / 180, c = Math.cos(angle), s = Math.sin(angle);
    at = (px, py) => [width / 2 + (px / reach) * half, half - (py / reach) * half];
    canvas.setAttribute("viewBox", `0 0 ${width} ${CLOUD}`);
    canvas.replaceChildren(
      ...axis(-s, c, cut ? "" : "2", cut ? "kp-axis kp-gone" : "kp-axis"),
      ...axis(c, s, "1", "kp-axis"),
      ...Array.from(x, (value, i) => point(value, y[i], c, s, cut)).flat(),
    );
    const off = offAxis(x, y, angle);
    const fate = cut ? ", which is lost" : "";
    share.textContent = `Axis 1 carries ${percent(1 - off)} of it, axis 2 ${percent(off)}${fate}.`;
    canvas.setAttribute("aria-label", share.textContent);
  }

  function point(px, py, c, s, cut) {
    const along = px * c + py * s, [x1, y1] = at(px, py);
    const [x2, y2] = cut ? at(along * c, along * s) : [x1, y1];
    const dot = shape("circle", { class: "kp-point", cx: x2, cy: y2, r: 2.6 });
    return cut ? [shape("line", { class: "kp-fell", x1, y1, x2, y2 }), dot] : [dot];
  }

  function axis(dx, dy, name, style) {
    const far = 1.5 * reach, near = 0.9 * reach; // past the corners of the picture, and within them
    const [x1, y1] = at(-dx * far, -dy * far), [x2, y2] = at(dx * far, dy * far), [x0, y0] = at(dx * near, dy * near);
    const label = shape("text", { class: "kp-strong", x: x0 + 6, y: y0 - 6 }, name);
    return [shape("line", { class: style, x1, y1, x2, y2 }), label];
  }

  return { parts: [canvas, share], draw };
}
