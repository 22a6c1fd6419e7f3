// The best result within a memory budget, named while the budget is moved.

function budgetPicture(host, data, setting) {
  const said = spoken();
  const say = (budget) => `${budget.toLocaleString("en")} MB`;
  const budget = slider(host, "budget", "My memory budget", { min: data.least, max: data.most, step: 1, say });
  const about = element("p", { class: "kp-caption" }, "MB are 10⁶ bytes. Let go, and the front below rings this result.");
  host.append(said, element("div", { class: "kp-controls" }, budget), about);

  function draw() {
    const found = data.answers.findLast((answer) => answer.from <= setting.budget);
    said.say(found.says.replace("{budget}", say(setting.budget)));
  }

  return { draw };
}

export default function (component) {
  open(component, budgetPicture);
}
