// A step of the ladder on its card, which changes while the reader goes down.

function stepPicture(host, data, setting) {
  const heard = readOut();
  host.setting.place = data.steps.findIndex((step) => step.key === setting.step);
  const say = (place) => data.steps[place].name;
  const down = slider(host, "place", "Go down the ladder", { min: 0, max: data.steps.length - 1, step: 1, say });
  const cards = stack(data.steps.map((step) => step.card));
  host.append(element("div", { class: "kp-controls" }, down), cards, heard);

  function draw() {
    const step = data.steps[setting.place];
    setting.step = step.key;
    cards.show(setting.place);
    heard.say(step.says);
  }

  return { draw };
}

export default function (component) {
  open(component, stepPicture);
}
