// A way in that is shown once: to copy, or as a text to send. It lives in this view and nowhere else.
import { copier, h } from "./dom.js";
import { session } from "./session.js";

// `made`: {user, recovery_link, temporary_password, secret_shown}, as the API answers.
export function wayIn(made) {
  const { user, recovery_link: link, temporary_password: password } = made;
  if (!link && !password) return h("div", { class: "once" }, h("p", {}, "Their way in was shown before, and is not shown twice. If it is lost: make a new recovery link on their page."));
  const secret = h("input", { readOnly: true, value: link || password, "aria-label": link ? "The recovery link" : "The temporary password", onfocus: (event) => event.target.select() });
  const text = h("textarea", { readOnly: true, rows: 7, "aria-label": "Text to send" });
  text.value = link ? byLink(user, link) : byPassword(user, password);
  return h("div", { class: "once" },
    h("p", {}, h("strong", {}, "This is shown this once. "), `Copy it now, and give it to nobody else: whoever has it can take the account over.${link ? " The link works for a day." : ""}`),
    secret, h("p", { class: "actions" }, copier(() => secret.value, link ? "Copy the link" : "Copy the password", secret)),
    h("p", {}, "Or this, to send:"), text, h("p", { class: "actions" }, copier(() => text.value, "Copy the text", text)));
}

const greeting = (user) => `Welcome, ${user.name || user.username}! Your account is ready. Your username is ${user.username}.`;
const byLink = (user, link) => `${greeting(user)}\n\nOpen this link within a day, and choose your password:\n\n${link}\n\nPlease keep it to yourself.`;

function byPassword(user, password) {
  const at = session.config.issuer ? ` at ${new URL(session.config.issuer).origin}` : "";
  return `${greeting(user)}\n\nSign in${at} with this password, then choose your own:\n\n${password}\n\nPlease keep it to yourself.`;
}
