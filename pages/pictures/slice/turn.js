// Turn, then cut: in two dimensions, in all of them, and in bytes.

function turnPicture(host, data, setting) {
  const cloud = cloudPanel(data.cloud), spectrum = spectrumPanel(data.spectrum), bytes = bytesPanel(data.size);
  const angle = slider(host, "angle", "Turn the axes", { min: 0, max: 180, step: 1, say: (a) => `${a}°` });
  const fraction = slider(host, "fraction", "Cut the width", { min: 0, max: 0.5, step: 0.05, say: percent });
  const cut = element("input", { type: "checkbox", onchange: dropped });
  const said = spoken();
  cut.checked = setting.cut;
  host.append(
    element("div", { class: "kp-panels" },
      panel(data.cloud.title, [angle, button("Turn to the principal axis", turn), cutBox()], cloud),
      panel(data.spectrum.title, [fraction], spectrum)),
    ...bytes.parts, said);

  function panel(title, controls, { parts }) {
    const caption = element("p", { class: "kp-caption" }, title);
    return element("div", {}, caption, element("div", { class: "kp-controls" }, ...controls), ...parts);
  }

  function cutBox() {
    return element("label", { class: "kp-check" }, cut, "Cut the second axis");
  }

  function dropped() {
    setting.cut = cut.checked;
    draw();
    host.settle();
  }

  function turn() {
    const principal = Math.round((((data.cloud.angle * 180) / Math.PI) % 180 + 180) % 180);
    const step = (degrees) => {
      angle.show(Math.round(degrees));
      draw();
    };
    glide(setting.angle, principal, 0.9, step, () => host.settle());
  }

  function draw() {
    const kept = widthLeft(data.size.hidden, setting.fraction);
    cloud.draw(setting.angle, setting.cut);
    spectrum.draw(kept);
    bytes.draw(kept);
    said.say(sentence(kept));
  }

  function sentence(kept) {
    const { turned, plain } = data.spectrum, hidden = data.size.hidden;
    if (kept === hidden) return "Nothing is cut: however the axes are turned, the model computes the same.";
    const [after, before] = [percent(lost(turned, kept)), percent(lost(plain, kept))];
    const [ours, theirs] = ["one", "published"].map((form) => bytes.saved(kept, form));
    return `${hidden - kept} of ${hidden} directions go. After the turn they carried ${after} of the stream; without `
      + `it ${before}. Our form saves ${percent(ours)} of the bytes; with a turn a block, its shortcuts and a head of `
      + `its own, the same cut ${published(theirs)}.`;
  }

  function published(share) {
    if (Math.abs(share) < 0.0005) return "saves nothing";
    return share > 0 ? `saves ${percent(share)}` : `makes the model ${percent(-share)} larger`;
  }

  return { draw };
}

export default function (component) {
  open(component, turnPicture);
}
