// A quiet button under a picture that takes it along as PNG, as it stands: put into an SVG with its style, and painted.

const SAVED_MARGIN = 16, SAVED_SCALE = 2; // pixels around it; pixels of the file for one on the screen

function saver(host) {
  const words = "Save as picture";
  const box = button(words, () => save(host).then(
    () => { box.textContent = words; },
    () => { box.textContent = "This browser can't save it as a picture"; }));
  box.className = "kp-save";
  return box;
}

async function save(host) {
  const { text, width, height } = inSvg(host);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const paper = element("canvas", { width: SAVED_SCALE * width, height: SAVED_SCALE * height });
  paper.getContext("2d").drawImage(image, 0, 0, paper.width, paper.height);
  element("a", { href: paper.toDataURL("image/png"), download: `kneepoint-${host.dataset.name}.png` }).click();
}

// The picture as the text of an SVG. Such an image may load nothing: its style is written out, its letters are the system's.
function inSvg(host) {
  const root = host.getRootNode();
  const rules = [...root.styleSheets, ...root.adoptedStyleSheets].flatMap((one) => [...one.cssRules]);
  const css = rules.map((rule) => rule.cssText).join("\n");
  const sheet = element("div", {}, element("style", {}, css), copied(host));
  const look = getComputedStyle(host);
  for (const name of new Set(css.match(/--st-[\w-]+/g))) sheet.style.setProperty(name, look.getPropertyValue(name));
  sheet.style.setProperty("--st-font", "sans-serif");
  sheet.style.cssText += `box-sizing:border-box;padding:${SAVED_MARGIN}px;background:var(--st-background-color);`;
  sheet.style.width = `${host.clientWidth + 2 * SAVED_MARGIN}px`;
  const [width, height] = sizeOf(sheet, host.parentNode);
  const svg = shape("svg", { width, height }, shape("foreignObject", { width, height }, sheet));
  return { text: new XMLSerializer().serializeToString(svg), width, height };
}

// A copy that shows what the original shows: inputs where they stand, canvases as images, and no button to save.
function copied(host) {
  const copy = host.cloneNode(true);
  copy.querySelector(".kp-save").remove();
  const inputs = host.querySelectorAll("input"), canvases = host.querySelectorAll("canvas");
  copy.querySelectorAll("input").forEach((input, i) => {
    input.setAttribute("value", inputs[i].value);
    input.toggleAttribute("checked", inputs[i].checked);
    input.removeAttribute("name"); // or it would take its turn among the original's choices
  });
  copy.querySelectorAll("canvas").forEach((canvas, i) => {
    const { position, inset, width, height, opacity } = getComputedStyle(canvases[i]);
    const image = element("img", { src: canvases[i].toDataURL() });
    Object.assign(image.style, { position, inset, width, height, opacity, imageRendering: "pixelated" });
    canvas.replaceWith(image);
  });
  return copy;
}

// Width and height that an element takes, in pixels.
function sizeOf(node, parent) {
  const place = element("div", { style: "position:absolute;left:-9999px;top:0" }, node);
  parent.append(place);
  const size = [node.offsetWidth, node.offsetHeight];
  place.remove();
  return size;
}
