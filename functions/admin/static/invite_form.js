// The form of an invite, new or not.
import { field, h, uid } from "./dom.js";
import { groupsAndBundles } from "./grants.js";
import { picker } from "./rooms.js";
import { date, relative } from "./words.js";

const CHOICES = [[24, "1 day"], [72, "3 days"], [168, "1 week"], [336, "2 weeks"], [720, "30 days"], [2160, "90 days"]];

// `draft`: what was typed before; `known`: the invite that is changed. `values()` is the body of a request.
export function inviteForm({ draft = {}, known = null, changed = () => {} }) {
  const of = (name, otherwise = "") => draft[name] ?? known?.[name] ?? otherwise;
  const text = (name, more = {}) => h("input", { name, value: of(name), autocomplete: "off", oninput: changed, ...more });
  const label = text("label", { required: true, maxlength: 100, placeholder: "Who it is for: “Ada, from the choir”" });
  const uses = h("input", { name: "max_uses", type: "number", min: 1, max: 10000, value: of("max_uses", 1), oninput: changed, inputmode: "numeric" });
  const note = h("textarea", { name: "note", maxlength: 4000, value: of("note"), oninput: changed });
  const email = text("email", { type: "email", maxlength: 254 });
  const matrix = text("matrix_id", { maxlength: 255, placeholder: "@ada:example.org" });
  const sponsor = text("sponsor", { maxlength: 200, autocapitalize: "none" });
  const rooms = picker(of("rooms", []), changed);
  const more = groupsAndBundles({ groups: of("groups", []), bundles: of("bundles", []), changed });
  const expiry = expiryField(draft, known, changed);
  const element = h("div", {},
    field("Label", label, "For you: the new member does not see it."),
    rooms.element,
    more.element,
    h("div", { class: "two" }, expiry.element, field("How often it can be used", uses)),
    h("details", { open: Boolean(of("note") || of("email") || of("matrix_id") || draft.sponsor) }, h("summary", {}, "Note, sponsor, e-mail, Matrix id"),
      field("Note", note, "Stays here, for the admins."),
      field("Sponsor", sponsor, "Who vouches for them: a username or a Matrix id. They are told when their guest arrives. Empty: you."),
      field("E-mail", email, "Whoever enrolls with another one is held until you decide."),
      field("Matrix id", matrix, "If they have one already.")));
  const values = () => ({
    label: label.value.trim(), rooms: rooms.value(), ...more.value(), max_uses: Number(uses.value), note: note.value, sponsor: sponsor.value.trim(), email: email.value.trim(), matrix_id: matrix.value.trim(), ...expiry.value(),
  });
  const typed = () => ({ ...values(), ...expiry.choice() });
  return { element, values, typed, focus: () => label.focus() };
}

// In words and as a date.
export function expiryField(draft, known, changed) {
  const keep = known ? [["", `as it is: ${date(known.expires_at)}`]] : [];
  const wanted = String(draft.hours ?? (known ? "" : 168));
  const choices = [...keep, ...CHOICES, ["date", "a date…"]];
  const select = h("select", { name: "expires_in_hours", id: uid(), onchange: () => (drawn(), changed()) },
    choices.map(([value, text]) => h("option", { value, selected: String(value) === wanted }, text)));
  const at = h("input", { type: "datetime-local", name: "expires_at", "aria-label": "Expires at", value: draft.at || local(Date.now() + 7 * 864e5), oninput: () => (drawn(), changed()) });
  const words = h("output", { class: "hint", for: select.id });
  const ends = () => (select.value === "date" ? new Date(at.value) : select.value ? new Date(Date.now() + select.value * 3600e3) : new Date(known.expires_at));
  function drawn() {
    at.hidden = select.value !== "date";
    words.textContent = Number.isNaN(+ends()) ? "Choose a date." : `Until ${date(ends())}, ${relative(ends())}.`;
  }
  drawn();
  const element = h("div", { class: "field", "data-field": "expires_at" }, h("label", { for: select.id }, "Works for"), select, at, words, h("p", { class: "wrong", hidden: true }));
  const value = () => (select.value === "date" ? { expires_at: new Date(at.value || NaN).getTime() ? new Date(at.value).toISOString() : "" } : select.value ? { expires_in_hours: Number(select.value) } : {});
  return { element, value, choice: () => ({ hours: select.value, at: at.value }) };
}

const local = (at) => new Date(at - new Date(at).getTimezoneOffset() * 60e3).toISOString().slice(0, 16);
