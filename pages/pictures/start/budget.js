// The best result within a memory budget, named and in figures while the budget is moved.

function budgetPicture(host, data, setting) {
  const say = (budget) => `${budget.toLocaleString("en")}\u00a0MB`;
  const says = (answer, budget) => answer.says.replace("{budget}", say(budget));
  const said = spoken(data.answers.map((answer) => says(answer, data.most)));
  const budget = slider(host, "budget", "My memory budget", { min: data.least, max: data.most, step: 1, say });
  const about = element("p", { class: "kp-caption" }, "MB are 10⁶ bytes. Hold still, and the front below rings this result.");
  const figures = stack(data.answers.map((answer) => answer.figures));
  host.append(said, element("div", { class: "kp-controls" }, budget), about, figures);

  function draw() {
    const place = data.answers.findLastIndex((answer) => answer.from <= setting.budget);
    said.say(says(data.answers[place], setting.budget));
    figures.show(place);
  }

  return { draw };
}

export default function (component) {
  open(component, budgetPicture);
}
