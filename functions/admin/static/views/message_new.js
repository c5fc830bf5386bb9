// A new message: to whom, what it says, and how it will look, before anybody gets it.
import { get, post } from "../api.js";
import { button, drafts, field, fill, h, keyed, later, mark, once, problem, refused } from "../dom.js";
import { linked, nameOf } from "../messages.js";
import { recipients } from "../recipients.js";
import { rich } from "../rich.js";
import { typedCount } from "../ticks.js";
import { plural } from "../words.js";

const DRAFT = "message";
const SHOWN = 30;
const LONG = 60; // seconds: thousands are looked at

export async function show(place, { query, signal }) {
  const draft = drafts.find(DRAFT) || {};
  const { domain } = await get("/api/settings", { signal }).then(domainOf, () => ({ domain: "" }));
  const keyOf = keyed();
  let seen = null; // what the preview showed, and of what
  let asked = new AbortController();

  const to = recipients({ start: asked_for(query) || draft.to || { way: "users" }, domain, signal, told: () => changed() });
  const text = h("textarea", { name: "text", rows: 6, maxlength: 16000, value: draft.text || "", oninput: () => changed() });
  const footer = h("input", { type: "checkbox", name: "notice", checked: draft.notice ?? true, onchange: () => changed() });
  const preview = h("section", { class: "card", "aria-label": "Preview" });
  const trouble = h("div", {});
  const count = typedCount(() => seen?.message.sends || 0, () => fits());
  const send = h("button", { class: "main" }, "Send");
  const form = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, sent, trouble)) },
    to.element,
    field("What it says", text, "Markdown: **bold**, [a link](https://example.org), - a list. {display_name} becomes the name of each, {mention} a mention of them."),
    h("label", { class: "tick" }, footer, h("span", {}, "With the notice below: why they got it, and how to stop it")));
  const end = h("form", { novalidate: true, class: "ending", onsubmit: (event) => (event.preventDefault(), once(send, sent, trouble)) }, count.element, trouble,
    h("p", { class: "actions" }, send, h("a", { class: "button", href: "#/messages" }, "Back")));

  const body = () => ({ to: to.value(), text: text.value.trim(), notice: footer.checked });
  const soon = later(() => signal.aborted || look());

  function changed() {
    drafts.keep(DRAFT, { to: to.kept(), text: text.value, notice: footer.checked });
    seen = null;
    fits();
    soon();
  }

  function fits() {
    const many = seen?.message.sends || 0;
    count.drawn();
    send.textContent = many ? `Send to ${plural(many, ...nouns())}` : "Send";
    send.disabled = !many || !count.fits();
  }

  const nouns = () => (to.way() === "rooms" ? ["room", "rooms"] : ["person", "people"]);

  async function look() {
    asked.abort();
    asked = new AbortController();
    const mine = asked;
    const wanted = body();
    if (!wanted.to) return hint("Choose who gets it: then you see here how many they are.");
    if (!wanted.text) return hint("Write something: then you see here who gets it, and how it looks.");
    preview.setAttribute("aria-busy", "true");
    try {
      const found = await post("/api/messages?dry_run=true", wanted, { seconds: LONG, signal: AbortSignal.any([signal, mine.signal]) });
      if (mine.signal.aborted) return undefined;
      seen = { ...found, of: JSON.stringify(wanted) };
      mark(form);
      draw(found.message);
    } catch (error) {
      if (mine.signal.aborted || signal.aborted) return undefined;
      const focus = document.activeElement;
      fill(preview, h("h2", {}, "It cannot go out like this"));
      const told = h("div", {});
      preview.append(told);
      refused(form, error, told, error.status === 0 || error.status >= 500 ? button("Look again", look) : null);
      if (form.contains(focus)) focus.focus(); // somebody is still typing
    } finally {
      if (!mine.signal.aborted) preview.removeAttribute("aria-busy");
    }
    fits();
    return undefined;
  }

  function hint(words) {
    preview.removeAttribute("aria-busy");
    fill(preview, h("h2", {}, "Before it goes out"), h("p", { class: "quiet" }, words));
    fits();
  }

  function draw(message) {
    const many = message.sends;
    const more = many - Math.min(many, SHOWN, message.first.length);
    fill(preview,
      h("h2", {}, many ? `It goes to ${plural(many, ...nouns())}` : "It would go to nobody"),
      h("p", { class: "quiet" }, "Nothing has been sent yet."),
      many > 0 && h("p", {}, message.first.slice(0, SHOWN).map((one, at) => [at > 0 && ", ", nameOf(one)]), more > 0 && ` and ${more.toLocaleString("en")} more`),
      message.limited_total > 0 && h("details", {}, h("summary", {}, `${plural(message.limited_total, "person", "people")} will get it tomorrow`),
        h("p", {}, "They had as many messages of the bot today as a day may bring."), h("ul", { class: "names" }, message.limited.map((one) => h("li", {}, linked(one))))),
      message.left_out_total > 0 && h("details", {}, h("summary", {}, `${message.left_out_total.toLocaleString("en")} will not get it`), leftOut(message)),
      message.sample && [h("h3", {}, message.sample.to.name ? `As ${nameOf(message.sample.to)} will see it` : "As they will see it"), h("div", { class: "bubble" }, rich(message.sample.html))]);
  }

  async function sent() {
    const wanted = body();
    if (!seen || seen.of !== JSON.stringify(wanted)) return look();
    if (!count.fits()) return undefined;
    const all = { ...wanted, expected: seen.message.sends };
    try {
      const { message } = await post("/api/messages", all, { key: keyOf(all), seconds: LONG });
      drafts.drop(DRAFT);
      to.sent();
      drafts.drop(DRAFT); // what `sent` has changed is no draft
      asked.abort();
      location.hash = `#/messages/${encodeURIComponent(message.id)}`;
    } catch (error) {
      fill(trouble, problem(error));
      if (error.status === 409) {
        count.clear();
        await look();
      }
    }
    return undefined;
  }

  fill(place, h("div", { class: "head" }, h("h1", {}, "Write a message")), form, preview, end);
  await look();
}

function leftOut(message) {
  const causes = Map.groupBy ? Map.groupBy(message.left_out, (one) => one.cause) : grouped(message.left_out);
  return [...causes].map(([cause, people]) => [h("p", {}, h("strong", {}, `${cause.charAt(0).toUpperCase()}${cause.slice(1)}. `), people[0].fix),
    h("ul", { class: "names" }, people.map((one) => h("li", {}, linked(one))))]);
}

function grouped(people) {
  const found = new Map();
  for (const one of people) found.set(one.cause, [...(found.get(one.cause) || []), one]);
  return found;
}

// What a link has named: it counts more than a draft.
function asked_for(query) {
  if (query.get("bundle")) return { way: "bundle", bundle: query.get("bundle") };
  if (query.get("members_of")) return { way: "members_of", members_of: query.get("members_of") };
  if (query.get("room")) return { way: "rooms", rooms: [query.get("room")] };
  const users = Object.fromEntries(["q", "group", "active"].map((name) => [name, query.get(name) || ""]));
  return query.get("to") === "users" ? { way: "users", users } : null;
}

const domainOf = (found) => ({ domain: found.items?.find((one) => one.name === "MATRIX_DOMAIN")?.value || "" });
