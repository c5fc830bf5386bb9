// One template: its text, how it turns out for sample members while it is written, its versions and its variants.
import { del, get, post, put } from "../api.js";
import { button, chip, drafts, field, fill, h, keyed, later, mark, once, problem, refused, say, twice } from "../dom.js";
import { follow } from "../job.js";
import { rich } from "../rich.js";
import { GOES, variantInWords, versionInWords } from "../templating.js";
import { when } from "../words.js";

const KINDS = [["language", "A language, as “de”"], ["bundle", "A bundle, by its id"], ["invite", "An invite, by its id"]];

export async function show(place, { id, signal }) {
  const path = `/api/templates/${encodeURIComponent(id)}`;
  draw(place, { id, path, signal, one: await found(id, path, signal) });
}

// A variant that is not there (any more) begins with the text of its purpose.
async function found(id, path, signal) {
  const [purpose, kind, ...of] = id.split(".");
  const own = await get(path, { signal }).catch((error) => {
    if (error.status !== 404 || !kind) throw error;
    return { versions: [], version: 0, built_in: false };
  });
  if (own.version || own.built_in) return own;
  const base = await get(`/api/templates/${encodeURIComponent(purpose)}`, { signal });
  return { ...base, ...own, id, kind, of: of.join("."), source: base.source, fresh: true };
}

function draw(place, about) {
  const { one } = about;
  about.again = async (words) => {
    draw(place, { ...about, one: await found(about.id, about.path, about.signal) });
    say(words);
    place.querySelector("h1").focus();
  };
  fill(place,
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, one.kind ? `${one.label}, ${variantInWords(one)}` : one.label), chip("plain", GOES[one.goes])),
    h("p", { class: "quiet" }, `Sent ${one.when}. In force: `, one.fresh ? "nothing of its own yet; the text for everybody is used" : versionInWords(one), "."),
    editing(about), earlier(about), more(about),
    h("p", {}, h("a", { href: "#/templates" }, "All templates"), one.kind && [" · ", h("a", { href: `#/templates/${one.purpose}` }, "the text for everybody")]));
}

// ---- the text

function editing(about) {
  const { one, path, signal, again } = about;
  const draft = `template.${one.id}`;
  const typed = drafts.find(draft);
  const source = h("textarea", { name: "source", rows: 12, spellcheck: true, class: "code", value: typed?.source ?? one.source, oninput: () => (drafts.keep(draft, { source: source.value, version: seen }), look()) });
  const seen = typed?.version ?? one.version;
  const [findings, shown, trouble, sent] = [h("div", { role: "status" }), h("div", { class: "samples" }), h("div", {}), h("div", {})];
  const send = h("button", { class: "main" }, "Save as a new version");
  const stale = typed && typed.version !== one.version && typed.source !== one.source;
  let asked = 0;

  async function preview() {
    const mine = ++asked;
    try {
      const answer = await post("/api/templates/preview", { template: one.id, source: source.value }, { signal });
      if (mine !== asked || signal.aborted) return;
      fill(findings, told(answer.findings));
      fill(shown, answer.items.map(sample));
    } catch (error) {
      if (mine === asked && !signal.aborted) fill(findings, problem(error, preview));
    }
  }
  const look = later(preview, 400);

  async function save() {
    mark(form);
    try {
      await put(path, { source: source.value, version: seen });
      drafts.drop(draft);
      return again("Saved: the next message uses it.");
    } catch (error) {
      return refused(form, error, trouble, error.status === 409 && button("Read the one in force, and drop mine", () => (drafts.drop(draft), again("This is the one in force."))));
    }
  }

  function insert(text) {
    source.setRangeText(text, source.selectionStart, source.selectionEnd, "end");
    source.focus();
    source.dispatchEvent(new Event("input"));
  }

  const variables = h("ul", { class: "chips variables", "aria-label": "What can be put in" }, one.variables.map(({ name, meaning }) => h("li", {}, button(`{${name}}`, () => insert(`{${name}}`), { title: meaning }))));
  const form = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, save, trouble)) },
    stale && h("p", { class: "problem" }, `Somebody has changed this template since you began: version ${one.version} is in force. What you have typed is still here.`),
    field("Text, in Markdown", source, "**bold**, lists with -, [a link](https://…). {% if rooms %} … {% endif %} shows a part only where there is something to show."),
    h("details", {}, h("summary", {}, "What can be put in"), variables), findings, trouble,
    h("p", { class: "actions" }, send, typed && button("Drop what I typed", () => (drafts.drop(draft), again("As it is in force.")))));
  preview();
  return h("section", {}, h("h2", {}, "The text"), form, h("h2", {}, "How it turns out"), shown, ["member", "room"].includes(one.goes) && trying(about, () => source.value, sent));
}

const told = (found) => found.length > 0 && h("ul", { class: "findings" }, found.map((each) =>
  h("li", { class: each.level === "error" ? "wrong" : "" }, each.level === "error" ? "Cannot be saved: " : "Look at this: ", each.line > 0 && `line ${each.line}: `, each.text)));

const sample = (one) => h("figure", { class: "sample" }, h("figcaption", {}, one.sample), h("div", { class: "bubble", dir: "auto", tabindex: "0", role: "group", "aria-label": one.sample }, rich(one.html)), told(one.findings));

// To oneself, by the way that every message goes.
function trying({ path, signal }, source, place) {
  const whom = h("input", { name: "matrix_id", maxlength: 255, autocomplete: "off", autocapitalize: "none", placeholder: "@you:example.org" });
  const keyOf = keyed();
  const press = h("button", {}, "Send it to me now");
  async function act() {
    mark(form);
    const body = { source: source(), matrix_id: whom.value.trim() };
    try {
      const { job } = await post(`${path}/send`, body, { key: keyOf(body) });
      return follow(place, job.id, { signal });
    } catch (error) {
      return refused(form, error, place);
    }
  }
  const form = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(press, act, place)) },
    field("Try it out on", whom, "A Matrix id. Empty: yourself. It is filled with samples, and comes from the bot as the real one does."), h("p", { class: "actions" }, press), place);
  return h("details", {}, h("summary", {}, "Send it to me now"), form);
}

// ---- versions

function earlier({ one, path, again }) {
  const rows = one.versions.map((each) => {
    const trouble = h("div", {});
    const back = async () => {
      await post(`${path}/restore`, { number: each.number, version: one.version });
      return again(`The text of version ${each.number} is in force again.`);
    };
    return h("li", {}, h("details", {}, h("summary", {}, each.built_in ? "The built-in text" : [`Version ${each.number} by ${each.created_by}, `, when(each.created_at)], each.number === one.version && [" ", chip("good", "in force")]),
      h("pre", { class: "source" }, each.source), trouble,
      each.number !== one.version && h("p", { class: "actions" }, twice("Use this text again…", "Yes: as a new version", back, trouble, {}))));
  });
  return rows.length > 0 && h("section", {}, h("h2", {}, "Versions"), h("p", { class: "quiet" }, "None is ever changed: each message names the one that it was made from."), h("ul", { class: "rows" }, rows));
}

// ---- variants

function more({ one, path, again }) {
  if (one.kind) {
    if (one.fresh || !one.version) return null;
    const trouble = h("div", {});
    const gone = async () => {
      await del(`${path}?version=${one.version}`);
      return again("It is used no more: the text for everybody is.");
    };
    return h("section", {}, h("h2", {}, "Do without it"), h("p", { class: "quiet" }, "The text for everybody is used from then on. Its versions can still be read."), trouble,
      h("p", { class: "actions" }, twice("Remove this variant…", "Yes: remove it", gone, trouble)));
  }
  const kind = h("select", { name: "kind" }, KINDS.map(([value, text]) => h("option", { value }, text)));
  const of = h("input", { name: "of", required: true, maxlength: 80, pattern: "[A-Za-z0-9_\\-]+", autocomplete: "off", autocapitalize: "none" });
  const form = h("form", { onsubmit: (event) => (event.preventDefault(), (location.hash = `#/templates/${encodeURIComponent(`${one.purpose}.${kind.value}.${of.value.trim()}`)}`)) },
    h("div", { class: "two" }, field("For whom", kind), field("Which one", of)), h("p", { class: "actions" }, h("button", {}, "Write this variant")));
  return h("section", {}, h("h2", {}, "For some people another text"), h("p", { class: "quiet" }, "The text of an invite comes before that of a bundle, this before that of a language, and that before the one for everybody."), form);
}
