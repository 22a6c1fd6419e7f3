// The model's bytes by part: whole, cut with one turn, and cut with a turn a block.

const PARTS = ["embedding", "linears", "shortcuts", "head"];
const FORMS = [["One turn, head tied (ours)", "one"], ["A turn a block (published)", "published"]];

function bytesPanel(size) {
  const box = element("div", { class: "kp-bytes" });
  const original = bytesOf(size, size.hidden, "one"), whole = total(original);

  function draw(kept) {
    const rows = [["Original", original], ...FORMS.map(([name, form]) => [name, bytesOf(size, kept, form)])];
    const most = Math.max(...rows.map(([, parts]) => total(parts)));
    const caption = `Bytes in bf16 at a width of ${kept} of ${size.hidden}:`;
    box.replaceChildren(key(caption), ...rows.map((row) => stacked(...row, most)));
  }

  function key(caption) {
    const names = PARTS.map((part) => element("span", {}, element("i", { class: `kp-${part}` }), part));
    return element("p", { class: "kp-caption kp-key" }, caption, ...names);
  }

  function stacked(name, parts, most) {
    const shares = PARTS.map((part) => [part, parts[part] / most]).filter(([, share]) => share > 0.0005);
    const cells = shares.map(([part, share]) => {
      const look = { class: `kp-${part}`, style: `width:${100 * share}%`, title: `${part}: ${megabytes(parts[part])}` };
      return element("i", look, share * box.clientWidth > 90 ? part : "");
    });
    const change = saved(parts);
    const words = change > 0 ? `, saves ${percent(change)}` : `, ${percent(-change)} more`;
    const bytes = element("strong", {}, megabytes(total(parts)) + (Math.abs(change) < 0.0005 ? "" : words));
    return element("div", { class: "kp-row" }, element("span", {}, name), bytes, element("div", {}, ...cells));
  }

  function saved(parts) {
    return 1 - total(parts) / whole;
  }

  return { parts: [box], draw, saved: (kept, form) => saved(bytesOf(size, kept, form)) };
}

function total(parts) {
  return Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
}
