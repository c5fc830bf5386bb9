// Elements out of values. Text only ever becomes a text node, so a name is a name whatever is in it.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "readOnly", "indeterminate"]);
const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

let count = 0;
export const uid = (prefix = "f") => `${prefix}-${++count}`;

// Said to who cannot see what has changed.
export function say(text) {
  const line = document.getElementById("line");
  fill(line, text);
  clearTimeout(say.timer);
  say.timer = setTimeout(() => fill(line), 6000);
}

export const chip = (state, text = state) => h("span", { class: `chip is-${state}` }, text);

export const button = (text, onclick, more = {}) => h("button", { type: "button", onclick, ...more }, text);

// A field with its label, its hint and room for what is wrong with it. `input` is the control itself.
export function field(label, input, hint = "") {
  const id = input.id || (input.id = uid());
  const help = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, hidden: true });
  input.setAttribute("aria-describedby", [hint && `${id}-hint`, `${id}-wrong`].filter(Boolean).join(" "));
  const box = h("div", { class: "field", "data-field": input.name || "" }, h("label", { for: id }, label), input, help, wrong);
  return box;
}

// What went wrong: cause, what to do, and a way to try again where that helps.
export function problem(error, again) {
  const wait = Math.ceil(error.retryAfter ?? 0);
  const box = h(
    "div",
    { class: "problem", role: "alert" },
    h("p", {}, h("strong", {}, error.detail || error.message || "Something went wrong.")),
    error.fix && h("p", {}, error.fix),
    error.errors?.length > 0 && !error.shown &&
      h("ul", {}, error.errors.map((each) => h("li", {}, h("code", {}, each.field), ": ", each.message))),
  );
  if (again) {
    const retry = button("Try again", () => again(retry));
    if (wait > 0) countdown(retry, wait);
    box.append(retry);
  }
  return box;
}

function countdown(control, seconds) {
  const label = control.textContent;
  control.disabled = true;
  const tick = () => {
    control.textContent = seconds > 0 ? `${label} in ${seconds} s` : label;
    if (seconds-- <= 0) control.disabled = false;
    else setTimeout(tick, 1000);
  };
  tick();
}

// One thing at a time: while `act` runs, a second press does nothing. Problems land beside the control.
export async function once(control, act, place) {
  if (control.dataset.busy) return undefined;
  control.dataset.busy = "1";
  control.setAttribute("aria-busy", "true");
  control.setAttribute("aria-disabled", "true");
  place?.replaceChildren();
  try {
    return await act();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (place) fill(place, problem(error));
    else say(`${error.detail || error.message} ${error.fix || ""}`);
    return undefined;
  } finally {
    delete control.dataset.busy;
    control.removeAttribute("aria-busy");
    control.removeAttribute("aria-disabled");
  }
}

// The server's errors at the fields that they name; the first of them gets the focus.
export function mark(form, errors = []) {
  for (const box of form.querySelectorAll("[data-field]")) {
    const found = errors.filter((each) => box.dataset.field && each.field.split(".")[0] === box.dataset.field);
    const wrong = box.querySelector(".wrong");
    if (!wrong) continue;
    wrong.hidden = !found.length;
    wrong.textContent = found.map((each) => each.message).join("; ");
    const control = box.querySelector("input, select, textarea");
    if (found.length) control?.setAttribute("aria-invalid", "true");
    else control?.removeAttribute("aria-invalid");
  }
  form.querySelector("[aria-invalid]")?.focus();
}

// What a form was refused for: at its fields, and what none of them shows below.
export function refused(form, error, place, more) {
  const known = error.errors?.filter((each) => form.querySelector(`[data-field="${CSS.escape(each.field.split(".")[0])}"]`)) || [];
  mark(form, known);
  const shown = known.length > 0 && known.length === error.errors.length;
  fill(place, problem(shown ? { detail: "It was not taken: what needs another look is marked above." } : error), more);
}

// Once the typing pauses: of several calls in a row only the last is made.
export function later(act, milliseconds = 250) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), milliseconds);
  };
}

// The key of a request: the same for the same body, however often it is sent, and so one and the same thing is made.
export function keyed() {
  let [key, sent] = ["", ""];
  return (body) => {
    const text = JSON.stringify(body);
    if (text !== sent) [key, sent] = [crypto.randomUUID?.() || String(Math.random()), text];
    return key;
  };
}

// Pairs of what something is called and what it is; what is not there is left out.
export const factList = (rows, more = "") =>
  h("dl", { class: `facts ${more}`.trim() }, rows.filter(Boolean).flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));

// Two presses in place: the first says that there is a second, which says what it does.
export function twice(first, second, act, place, more = { class: "danger" }) {
  const sure = button(second, () => once(sure, act, place), { ...more, hidden: true });
  const begin = button(first, () => {
    sure.hidden = false;
    begin.hidden = true;
    sure.focus();
  }, more);
  return [begin, sure];
}

// What is typed into a form and not yet sent, kept for this tab: a new sign-in leaves the page and comes back.
export const drafts = {
  key: (name) => `muster.draft.${name}`,
  keep(name, value) {
    sessionStorage.setItem(this.key(name), JSON.stringify(value));
  },
  find(name) {
    try {
      return JSON.parse(sessionStorage.getItem(this.key(name)) || "null");
    } catch {
      return null;
    }
  },
  drop(name) {
    sessionStorage.removeItem(this.key(name));
  },
  dropAll() {
    for (const name of Object.keys(sessionStorage)) if (name.startsWith("muster.draft.")) sessionStorage.removeItem(name);
  },
};

// A button that copies, and says so; where the browser refuses, the text is selected for the hand.
export function copier(text, label = "Copy", source) {
  const control = button(label, async () => {
    try {
      await navigator.clipboard.writeText(text());
      control.textContent = "Copied";
      say("Copied.");
      setTimeout(() => (control.textContent = label), 2500);
    } catch {
      source?.focus();
      source?.select?.();
      say("The browser did not let the page copy. The text is selected: copy it by hand.");
    }
  });
  return control;
}
