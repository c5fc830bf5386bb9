// Which view is shown: by the part of the address behind the #, which no server ever sees.
import { button, fill, h, problem, say } from "./dom.js";
import { session } from "./session.js";
import { coming, relative } from "./words.js";

const PLACES = [
  ["#/", "Home", "M4 11 12 4l8 7v9h-5v-6H9v6H4z"],
  ["#/invites", "Invites", "M3 6h18v12H3zm0 1 9 6 9-6"],
  ["#/people", "People", "M8 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm-6 9c0-4 2.5-6 6-6s6 2 6 6zM16 5a3 3 0 0 1 0 6m2 3c2.6.8 4 2.8 4 6h-4"],
  ["#/rooms", "Rooms", "M4 5h16v11H9l-5 4z"],
  ["#/more", "More", "M5 12h.01M12 12h.01M19 12h.01"],
];
// By the first part of the address: what is neither here nor a place of its own lies under More.
const UNDER = { onboardings: "#/people" };
const ROUTES = [
  [/^\/$/, "home"],
  [/^\/invites$/, "invites"],
  [/^\/invites\/new$/, "invite_new"],
  [/^\/invites\/([^/]+)$/, "invite"],
  [/^\/onboardings$/, "onboardings"],
  [/^\/onboardings\/([^/]+)$/, "onboarding"],
  [/^\/people$/, "people"],
  [/^\/people\/new$/, "person_new"],
  [/^\/people\/(\d+)$/, "person"],
  [/^\/rooms$/, "rooms"],
  [/^\/rooms\/([^/]+)$/, "room"],
  [/^\/more$/, "more"],
  [/^\/bundles$/, "bundles"],
  [/^\/bundles\/([^/]+)$/, "bundle"],
  [/^\/plans$/, "plans"],
  [/^\/plans\/([^/]+)$/, "plan"],
  [/^\/jobs$/, "jobs"],
  [/^\/jobs\/([^/]+)$/, "job"],
  [/^\/messages$/, "messages"],
  [/^\/messages\/new$/, "message_new"],
  [/^\/messages\/([^/]+)$/, "message"],
  [/^\/imports$/, "imports"],
  [/^\/imports\/([^/]+)$/, "import"],
  [/^\/audit$/, "audit"],
  [/^\/self-check$/, "self_check"],
  [/^\/settings$/, "settings"],
  [/^\/templates$/, "templates"],
  [/^\/templates\/([^/]+)$/, "template"],
];
const main = document.getElementById("main");
let leaving = new AbortController();
let shown = "";

function routed() {
  const [path, query = ""] = (location.hash.slice(1) || "/").split("?");
  for (const [pattern, name] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return { name, path, id: match[1] ? decodeURIComponent(match[1]) : "", query: new URLSearchParams(query) };
  }
  return { name: "nowhere", path, id: "", query: new URLSearchParams() };
}

async function show(failed = null) {
  leaving.abort();
  if (shown) fill(document.getElementById("line"));
  leaving = new AbortController();
  const { signal } = leaving;
  const entered = session.signedIn && session.mayEnter;
  const route = entered ? routed() : { name: "sign_in", path: "sign-in", query: new URLSearchParams() };
  frame(entered, route);
  const again = () => show(failed);
  try {
    const view = await import(`./views/${route.name}.js`);
    if (signal.aborted) return;
    const stays = shown === route.path;
    const place = h("div", { class: `view view-${route.name}` });
    const done = view.show(place, { ...route, signal, failed, entered: () => show() });
    // What is there stays until there is something in its place.
    if (place.hasChildNodes()) fill(main, place);
    else main.setAttribute("aria-busy", "true");
    await done;
    if (signal.aborted) return;
    if (!place.isConnected) fill(main, place);
    main.removeAttribute("aria-busy");
    document.title = `${place.querySelector("h1")?.textContent || "Muster"} · Muster`;
    if (shown) arrive(place, stays);
    shown = route.path;
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    const told = error.detail ? error : { detail: "This part of the page could not be loaded.", fix: "Look at your connection." };
    if (!error.detail) console.warn(error);
    main.removeAttribute("aria-busy");
    fill(main, h("div", { class: "view" }, h("h1", {}, "That did not work"), problem(told, again)));
    document.title = "That did not work · Muster";
  }
}

// The focus goes where the eye goes: to what was pressed, where that is still there, or to the heading.
function arrive(place, stays) {
  const pressed = stays && [...place.querySelectorAll("a[href]")].find((link) => link.getAttribute("href") === location.hash);
  const heading = place.querySelector("h1");
  if (!stays) scrollTo(0, 0);
  if (place.contains(document.activeElement)) return;
  heading?.setAttribute("tabindex", "-1");
  (pressed || heading)?.focus({ preventScroll: true });
}

function frame(entered, route) {
  const nav = document.getElementById("nav");
  nav.hidden = !entered;
  document.body.classList.toggle("entered", entered);
  const first = route.path.split("/")[1] || "";
  const known = PLACES.some(([href]) => href === `#/${first}`);
  const here = known ? `#/${first}` : UNDER[first] || "#/more";
  fill(nav, PLACES.map(([href, text, path]) =>
    h("a", { href, "aria-current": here === href ? "page" : null }, icon(path), h("span", {}, text))));
  const who = document.getElementById("who");
  fill(who, session.signedIn && [h("span", { class: "name" }, session.name), button("Sign out", () => session.signOut(), { class: "plain" })]);
}

function icon(path) {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawn.setAttribute("viewBox", "0 0 24 24");
  drawn.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  drawn.append(line);
  return drawn;
}

const WHY = {
  expired: { detail: "Your sign-in has ended.", fix: "Sign in again: you come back to this place, and what you have typed is kept." },
  "too-long": { detail: "You were signed in for a day.", fix: "Sign in again: what you have typed is kept." },
  "not-left": { detail: "You are signed out here, but Authentik did not answer.", fix: "Sign out there as well, once it is back: until then it may let this browser in without asking." },
  "signed-out": { detail: "You are signed out.", fix: "In all tabs of this browser." },
};
session.addEventListener("ended", ({ detail }) => show(WHY[detail]));
addEventListener("hashchange", () => show());
addEventListener("offline", () => {
  document.body.classList.add("offline");
  say("This device is offline. What is shown may be old; nothing is sent until it is back.");
});
addEventListener("online", () => {
  document.body.classList.remove("offline");
  say("Back online.");
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

// Countdowns and "3 minutes ago" move by themselves.
setInterval(() => {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-live]")) {
    const text = (time.dataset.live === "next" ? coming : relative)(time.dateTime);
    if (time.textContent !== text) time.textContent = text;
  }
}, 1000);

session.start().then(show, (error) => {
  const told = error.detail ? error : { detail: "Muster cannot be reached.", fix: "Look at your connection." };
  fill(main, h("div", { class: "view" }, h("h1", {}, "Muster"), problem(told, () => location.reload())));
});
