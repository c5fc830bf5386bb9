// One act on everybody whom the list shows: chosen, looked at beforehand, then done as one job.
import { post } from "./api.js";
import { button, drafts, field, fill, h, mark, once } from "./dom.js";
import { picker } from "./rooms.js";
import { plural } from "./words.js";

const DRAFT = "bulk";
const UNASKED = 10; // deactivations that need no number typed
const FIRST = 40;
const ACTS = {
  deactivate: ["Deactivate their accounts", "would be deactivated", (who) => `deactivate ${who}`],
  activate: ["Activate their accounts", "would be activated", (who) => `activate ${who}`],
  onboard: ["Bring them in: rooms, way out of INDOC, welcome", "would be brought in", (who) => `bring in ${who}`],
  invite: ["Invite them to rooms", "would be invited", (who) => `invite ${who}`],
  add_group: ["Add them to a group", "would be added to the group", (who) => `add ${who} to the group`],
  remove_group: ["Take them out of a group", "would be taken out of the group", (who) => `take ${who} out of the group`],
};

// `filter()`: whom the list shows just now; `groups`: the id of a list of names. `close()` puts it away.
export function bulkPanel({ filter, total, groups, close }) {
  const draft = drafts.find(DRAFT) || {};
  const act = h("select", { name: "act", onchange: () => changed() }, Object.entries(ACTS).map(([value, [text]]) => h("option", { value, selected: value === draft.act }, text)));
  const group = h("input", { name: "group", maxlength: 200, autocomplete: "off", list: groups, value: draft.group || "", oninput: () => changed() });
  const groupField = field("Which group", group);
  const rooms = picker(draft.rooms || [], () => changed());
  const trouble = h("div", {});
  const outcome = h("div", {});
  const look = h("button", { class: "main" }, "See what would happen");
  const form = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(look, foresee, trouble)) },
    field("What to do", act), groupField, rooms.element, trouble,
    h("p", { class: "actions" }, look, button("Never mind", close)));
  const title = h("h2", { tabindex: "-1" });
  const element = h("section", { class: "card" }, title, form, outcome);

  const body = () => ({
    act: act.value, filter: filter(), ...(grouped() ? { group: group.value.trim() } : {}), ...(act.value === "invite" ? { rooms: rooms.value() } : {}),
  });
  const grouped = () => ["add_group", "remove_group"].includes(act.value);

  function changed() {
    drafts.keep(DRAFT, { act: act.value, group: group.value, rooms: rooms.value() });
    anew();
  }

  // What was looked at is no longer what would be done.
  function anew() {
    groupField.hidden = !grouped();
    rooms.element.hidden = act.value !== "invite";
    title.textContent = `Do something with ${total() === 1 ? "this person" : `all ${plural(total(), "person", "people")}`}`;
    fill(outcome);
  }

  async function foresee() {
    fill(outcome);
    const asked = body();
    mark(form);
    try {
      const { job } = await post("/api/users/bulk?dry_run=true", asked, { seconds: 60 });
      outcomeOf(asked, job);
      outcome.querySelector("h3").focus();
    } catch (error) {
      mark(form, error.errors);
      throw error;
    }
  }

  function outcomeOf(asked, job) {
    const todo = job.items.filter((item) => item.state === "pending");
    const left = job.items.filter((item) => item.state !== "pending");
    const [, words, verb] = ACTS[asked.act];
    const whom = plural(todo.length, "person", "people");
    const typed = asked.act === "deactivate" && todo.length > UNASKED && h("input", { name: "count", inputmode: "numeric", autocomplete: "off" });
    const wrong = h("div", {});
    const send = h("button", { class: asked.act === "deactivate" ? "danger" : "main" }, `Yes: ${verb(whom)}`);
    const key = crypto.randomUUID();
    const confirm = h("form", { novalidate: true, onsubmit: (event) => {
      event.preventDefault();
      if (typed && typed.value.trim() !== String(todo.length)) return mark(confirm, [{ field: "count", message: `Type ${todo.length} to go on.` }]);
      return once(send, async () => {
        const { job: begun } = await post("/api/users/bulk", { ...asked, count: todo.length }, { key, seconds: 60 });
        drafts.drop(DRAFT);
        location.hash = `#/jobs/${encodeURIComponent(begun.id)}`;
      }, wrong);
    } }, typed && field(`Type ${todo.length} to go on`, typed, "So that nobody deactivates more people than they mean."), wrong, h("p", { class: "actions" }, send));
    fill(outcome,
      h("h3", { tabindex: "-1" }, todo.length ? `${whom} ${words}` : "There would be nothing to do"),
      h("p", { class: "quiet" }, "Nothing has been done yet."),
      named(todo, "names", (item) => item.name || item.username),
      left.length > 0 && h("details", {}, h("summary", {}, `${plural(left.length, "person", "people")} left out`),
        named(left, "rows leftout", (item) => [h("strong", {}, item.name || item.username), `: ${item.cause}. ${item.fix}`])),
      todo.length > 0 && confirm);
  }

  anew();
  return { element, anew, focus: () => title.focus() };
}

// The first of them, and more when asked: thousands are never drawn at once.
function named(items, kind, words) {
  const list = h("ul", { class: kind });
  const more = button("Show more", () => draw(list.children.length + FIRST * 5));
  const draw = (most) => {
    list.append(...items.slice(list.children.length, most).map((item) => h("li", {}, words(item))));
    more.hidden = list.children.length >= items.length;
  };
  draw(FIRST);
  return [list, h("p", { class: "actions" }, more)];
}
