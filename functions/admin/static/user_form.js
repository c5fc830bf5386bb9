// The form of a new user, and the introduction that can be pasted into it.
import { button, field, fill, h, uid } from "./dom.js";
import { groupsAndBundles } from "./grants.js";
import { personalLine } from "./personal_line.js";
import { FIELDS, parse } from "./introduction.js";
import { picker } from "./rooms.js";
import { suggestions } from "./suggestions.js";

export const NAMES = {
  first_name: "First name", last_name: "Last name", email: "E-mail", username: "Username", organization: "Organization", invited_by: "Invited by",
  interests: "Interests", matrix_id: "Matrix id", signal_number: "Signal number", intro: "What else they wrote",
};

// `draft`: what was typed before. `values()` is the body of a request, `typed()` what a draft is made of.
export function userForm({ draft = {}, changed = () => {}, signal }) {
  const touched = new Set(draft.touched || []);
  const known = draft.values || {};
  const told = (name) => () => (touched.add(name), changed());
  const line = (name, more = {}) => h("input", { name, value: known[name] ?? "", autocomplete: "off", maxlength: 200, oninput: told(name), ...more });
  const inputs = {
    first_name: line("first_name", { required: true, maxlength: 100 }),
    last_name: line("last_name"),
    email: line("email", { type: "email", maxlength: 254 }),
    username: line("username", { autocapitalize: "none", spellcheck: "false" }),
    organization: line("organization"),
    invited_by: line("invited_by"),
    interests: h("textarea", { name: "interests", maxlength: 4000, value: known.interests ?? "", oninput: () => (touched.add("interests"), look(), changed()) }),
    matrix_id: line("matrix_id", { maxlength: 255, placeholder: "@ada:example.org" }),
    signal_number: line("signal_number", { maxlength: 200 }),
    intro: h("textarea", { name: "intro", maxlength: 4000, value: known.intro ?? "", oninput: () => (touched.add("intro"), look(), changed()) }),
  };
  const rooms = picker(known.rooms || [], () => (suit.redraw(), own.redraw(), changed()));
  const suit = suggestions(rooms, signal);
  const own = personalLine({ known: known.personal_line, introduction: () => paste.value.trim() || [inputs.interests.value, inputs.intro.value].join("\n").trim(), rooms, changed, signal });
  const more = groupsAndBundles({ groups: known.groups || [], bundles: known.bundles || [], changed });
  const welcome = tick("Send the welcome", known.send_welcome ?? true, changed);
  const stay = tick("Leave them in INDOC", known.skip_indoc_removal ?? false, changed);
  const look = () => suit.look(inputs.interests.value.trim() || inputs.intro.value);
  const labelled = (name, hint) => field(NAMES[name], inputs[name], hint);

  const paste = h("textarea", { name: "introduction", value: draft.paste ?? "", placeholder: "Ada Lovelace\nAnalytical Engines\nCharles Babbage\nada@example.org\nhiking, board games\n+44 …", oninput: (event) => (changed(), /^insertFrom(Paste|Drop)$/.test(event.inputType) && take()) });
  const outcome = h("div", { role: "status" });
  const pasting = h("details", { class: "box", open: true }, h("summary", {}, "Paste an introduction"),
    field("What they wrote", paste, "Six lines (name, organization, invited by, e-mail, interests, Signal number), or “Label: value” in any order."),
    h("p", { class: "actions" }, button("Fill in the form", () => take())), outcome);

  // What was typed by hand stays; what the text says otherwise is shown beside it.
  function take() {
    const { lost, form, ...found } = parse(paste.value);
    const kept = [];
    const filled = [];
    for (const name of FIELDS.filter((each) => found[each])) {
      const input = inputs[name];
      if (touched.has(name) && input.value.trim() && input.value.trim() !== found[name]) kept.push(name);
      else (input.value = found[name]), filled.push(name);
    }
    const own = inputs.intro.value.trim();
    if (found.intro && !own.includes(found.intro)) inputs.intro.value = touched.has("intro") && own ? `${own}\n\n${found.intro}` : found.intro;
    fill(outcome, form === "" ? h("p", {}, "There is nothing to read yet: paste what they wrote.") : report(filled, kept, found, lost, paste.value));
    look();
    changed();
  }

  const element = h("div", {}, pasting,
    h("div", { class: "two" }, labelled("first_name"), labelled("last_name"), labelled("email"), labelled("username", "Left empty, it is one that can be said aloud, from the first name."), labelled("organization"), labelled("invited_by")),
    labelled("interests"), suit.element, rooms.element, own.element, more.element,
    h("div", { class: "two" }, labelled("signal_number", "With its country's code, such as +49 170 1234567."), labelled("matrix_id", "Only if they have one under another name.")),
    labelled("intro", "Kept with their account, for the admins."),
    h("fieldset", { class: "field" }, h("legend", {}, "On the way"), welcome.element, stay.element));
  const values = () => ({
    ...Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value.trim()])),
    personal_line: own.value(), rooms: rooms.value(), ...more.value(), send_welcome: welcome.value(), skip_indoc_removal: stay.value(),
  });
  look();
  return { element, values, typed: () => ({ values: values(), paste: paste.value, touched: [...touched] }), focus: () => paste.focus() };
}

function report(filled, kept, found, lost, text) {
  const names = (list) => new Intl.ListFormat("en").format(list.map((each) => NAMES[each].toLowerCase()));
  return [
    h("p", {}, filled.length ? `Filled in: ${names(filled)}. Look it through.` : "No line of it says what it is."),
    kept.length > 0 && [h("p", {}, "You had typed something else yourself, which stays:"), h("ul", {}, kept.map((each) => h("li", {}, `${NAMES[each]}: they wrote “${found[each]}”`)))],
    lost.length > 0 && [h("p", {}, "Not understood, and kept under “What else they wrote”:"), h("ul", {}, lost.map((each) => h("li", {}, each)))],
    text.length > 4000 && h("p", {}, "It is very long: what else they wrote holds 4,000 characters."),
  ];
}

export function tick(label, on, changed) {
  const input = h("input", { type: "checkbox", id: uid(), checked: on, onchange: changed });
  return { element: h("label", { class: "tick", for: input.id }, input, h("span", {}, label)), value: () => input.checked };
}
