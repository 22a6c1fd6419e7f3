// A step of the ladder in a sentence, which changes while the reader goes down.

function stepPicture(host, data, setting) {
  const said = spoken();
  host.setting.place = data.steps.findIndex((step) => step.key === setting.step);
  const say = (place) => data.steps[place].name;
  const down = slider(host, "place", "Go down the ladder", { min: 0, max: data.steps.length - 1, step: 1, say });
  host.append(element("div", { class: "kp-controls" }, down), said);

  function draw() {
    const step = data.steps[setting.place];
    setting.step = step.key;
    said.say(step.says);
  }

  return { draw };
}

export default function (component) {
  open(component, stepPicture);
}
