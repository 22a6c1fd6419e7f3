// One sentence, three answers: the hard label, the teacher, a student; and where the loss would push the student.

const OF_TEACHER = 8, OF_STUDENT = 3;
const DIRECTIONS = [["teacher", "KL(teacher ‖ student)"], ["student", "KL(student ‖ teacher)"]];
const COLUMNS = ["Next word", "Hard label", "Teacher", "Student", "The loss pushes"];

function softTargets(host, data, setting) {
  const speakers = data.speakers.map((one) => ({ ...one, said: one.logits.map((text) => Array.from(floats(text))) }));
  const [teacher, ...students] = speakers;
  const sentence = choice(host, "sentence", "Sentence", data.sentences.map((one, i) => [String(i), `${one.prompt} …`]));
  const student = choice(host, "student", "Student", students.map((one) => [one.key, one.name]));
  const temperature = slider(host, "temperature", "Temperature", { min: 0.5, max: 4, step: 0.25, say: (t) => `${t}` });
  const mix = slider(host, "mix", "Who is listened to", { min: 0, max: 1, step: 0.05, say: listened });
  const direction = choice(host, "direction", "Compared how", DIRECTIONS);
  const asked = element("p", { class: "kp-sentence" });
  const body = element("tbody"), scale = COLUMNS.map(() => element("small"));
  const heads = COLUMNS.map((name, i) => element("th", { scope: "col" }, name, scale[i]));
  const table = element("table", { class: "kp-words" }, element("thead", {}, element("tr", {}, ...heads)), body);
  const numbers = figures(["KL(teacher ‖ student)", "KL(student ‖ teacher)", "Loss by the hard label", "Loss in all"]);
  const said = spoken(), note = element("p", { class: "kp-caption" });
  host.append(
    element("div", { class: "kp-controls" }, sentence, student),
    element("div", { class: "kp-controls" }, temperature, mix, direction),
    asked, table, numbers, said, note);
  let lines = null;

  function listened(share) {
    return share === 0 ? "the label alone" : share === 1 ? "the teacher alone" : `${percent(share)} teacher`;
  }

  function draw() {
    const place = Number(setting.sentence), one = data.sentences[place];
    const now = students.find((speaker) => speaker.key === setting.student) ?? students[0];
    const [ours, theirs] = [now.said[place], teacher.said[place]];
    const found = lesson(theirs, ours, one.label, setting);
    if (lines?.of !== `${place} ${now.key}`) start(one, now, shownWords(theirs, ours, one.label, OF_TEACHER, OF_STUDENT));
    asked.textContent = `“${one.prompt} ___”`;
    table.setAttribute("aria-label", `Shares of the next word after “${one.prompt}”, and what the loss pushes`);
    fill(found, one.label);
    numbers.set([found.forward, found.reverse, found.hard, found.loss].map((nats) => `${nats.toFixed(2)} nats`));
    said.say(spelled(one, found));
    const shares = [covered(theirs, teacher.log_totals[place]), covered(ours, now.log_totals[place])].map(percent);
    note.textContent = `Shares are among ${one.tokens.length} words, the likeliest of the teacher and of every student: `
      + `${shares[0]} of all that the teacher might say here, ${shares[1]} of what this student might.`;
  }

  // The rows of another sentence or student; they keep their order while the controls move.
  function start(one, now, words) {
    lines = { of: `${Number(setting.sentence)} ${now.key}`, words, rows: [] };
    lines.rows = [...words.map((i) => row(shownWord(one.tokens[i]), i === one.label ? "kp-right" : "")), row("all others", "kp-rest")];
    body.replaceChildren(...lines.rows.map((made) => made.line));
  }

  function row(word, style) {
    const cells = ["kp-hard", "kp-teacher", "kp-student"].map((look) => shareCell(look));
    const up = element("i", { class: "kp-up" }), down = element("i", { class: "kp-down" }), text = element("span");
    const push = element("td", { class: "kp-push" }, element("div", {}, down, up), text);
    const line = element("tr", { class: style }, element("th", { scope: "row" }, word), ...cells.map((c) => c.cell), push);
    return { line, cells, up, down, text };
  }

  function shareCell(look) {
    const bar = element("i"), text = element("span");
    return { cell: element("td", { class: look }, element("div", {}, bar), text), bar, text };
  }

  function fill({ p, q, push }, label) {
    const most = Math.max(...lines.words.flatMap((i) => [p[i], q[i]]));
    scale.forEach((small, i) => { small.textContent = i === 2 || i === 3 ? `full bar: ${percent(most)}` : ""; });
    const rest = (shares) => shares.reduce((sum, share) => sum + share, 0)
      - lines.words.reduce((sum, i) => sum + shares[i], 0);
    const forces = [...lines.words.map((i) => push[i]), rest(push)];
    const full = Math.max(...forces.map((force, n) => (lines.words[n] === label ? 0 : Math.abs(force)))) || 1;
    lines.rows.forEach((made, n) => {
      const i = lines.words[n], other = i === undefined;
      const values = other ? [0, rest(p), rest(q)] : [i === label ? 1 : 0, p[i], q[i]];
      made.cells.forEach(({ bar, text }, column) => {
        bar.style.width = other ? "0" : `${100 * (column === 0 ? values[0] : values[column] / most)}%`;
        text.textContent = percent(values[column]);
      });
      const strength = forces[n] / full;
      made.up.style.width = `${50 * Math.min(1, Math.max(0, strength))}%`;
      made.down.style.width = `${50 * Math.min(1, Math.max(0, -strength))}%`;
      made.text.textContent = pushed(strength);
    });
  }

  // In words; the label's push is drawn no longer than the others' strongest, and says how many times that it is.
  function pushed(strength) {
    if (Math.abs(strength) < 0.002) return "";
    const times = Math.abs(strength) > 1.05 ? ` ${Math.abs(strength).toFixed(1)}x` : "";
    return `${strength > 0 ? "▲ up" : "▼ down"}${times}`;
  }

  function spelled(one, { p, push }) {
    const word = (i) => `“${shownWord(one.tokens[i])}”`;
    const near = lines.words.filter((i) => i !== one.label).sort((a, b) => p[b] - p[a]).slice(0, 2);
    const among = lines.words.slice().sort((a, b) => push[b] - push[a]);
    const label = `The hard label says ${word(one.label)} is right and nothing else is.`;
    const teacher = `The teacher also says which wrong ones nearly are: ${near.map((i) => `${word(i)} ${percent(p[i])}`).join(", ")}.`;
    const asked = setting.mix === 0 ? "Listening to the label alone pushes every other word down, the good ones too."
      : `The loss pushes ${word(among[0])} up most and ${word(among.at(-1))} down most.`;
    return `${label} ${teacher} ${asked} ${directed()}`;
  }

  function directed() {
    if (setting.mix === 0) return "";
    return setting.direction === "teacher"
      ? "Compared from the teacher's side, the student pays for every word that the teacher says and it does not."
      : "Compared from the student's side, it pays for what it says and the teacher would not.";
  }

  return { draw };
}

function shownWord(token) {
  return token.trim() || "a space";
}

export default function (component) {
  open(component, softTargets);
}
