// An account for somebody: by hand, or from what they wrote of themselves.
import { post } from "../api.js";
import { button, chip, drafts, fill, h, mark, once, refused, say } from "../dom.js";
import { wayIn } from "../handover.js";
import { userForm } from "../user_form.js";

const DRAFT = "user";

export function show(place, about) {
  const draft = drafts.find(DRAFT) || {};
  // Kept with the draft: the same words under the same key are the same account, also after a reload.
  let key = draft.key || crypto.randomUUID();
  let sent = draft.sent || "";
  const keep = () => drafts.keep(DRAFT, { ...form.typed(), key, sent });
  const form = userForm({ draft, changed: keep, signal: about.signal });
  const trouble = h("div", {});
  const send = h("button", { class: "main" }, "Create the account");
  const element = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, make, trouble)) },
    form.element, trouble, h("p", { class: "actions" }, send, h("a", { class: "button", href: "#/people" }, "Back")));

  async function make() {
    mark(element);
    const values = form.values();
    if (!values.first_name) return mark(element, [{ field: "first_name", message: "Say what they are called." }]);
    const body = JSON.stringify(values);
    if (sent && sent !== body) key = crypto.randomUUID();
    sent = body;
    keep();
    try {
      const made = await post("/api/users", values, { key, seconds: 40 });
      drafts.drop(DRAFT);
      if (!place.isConnected) return say(`${made.user.name || made.user.username} was made. Their way in could not be shown: make a new recovery link on their page.`);
      return done(place, made, () => (show(place, about), place.querySelector("h1").focus()));
    } catch (error) {
      return refused(element, error, trouble);
    }
  }

  fill(place, h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Create a user")), element);
}

function done(place, made, another) {
  const { user, onboarding } = made;
  fill(place,
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, `${user.name || user.username} has an account`), chip("good", user.username)),
    h("section", {}, h("h2", {}, "Their way in"), wayIn(made)),
    h("section", {}, h("h2", {}, "What happens now"),
      h("p", {}, "Their onboarding has begun: ", h("a", { href: `#/onboardings/${onboarding.id}` }, "watch it, step by step"), "."),
      h("p", { class: "actions" }, h("a", { class: "button", href: `#/people/${user.pk}` }, "Their page"), button("Create another user", another))));
  scrollTo(0, 0);
  place.querySelector("h1").focus();
}
