// Who is signed in. Tokens and keys live in this module's memory and nowhere else; what a reload leaves behind is only
// the fact that somebody was, and since when.
import { drafts } from "./dom.js";
import { Authentik, SignInFailed, claimsOf, forget, returned } from "./oidc.js";

const SINCE = "muster.signed-in-since";
const LONGEST = 24 * 3600 * 1000;
const EARLY = 45_000; // milliseconds before its end at which an access token is renewed
const others = "BroadcastChannel" in globalThis ? new BroadcastChannel("muster") : null;

class Session extends EventTarget {
  #access = "";
  #refresh = "";
  #until = 0;
  #key = "";
  #renewing = null;
  since = 0;
  name = "";
  groups = null;
  config = { issuer: "", client_id: "", admin_group: "", problem: "" };

  get signedIn() {
    return Boolean(this.#key || this.#access);
  }

  get mayEnter() {
    return Boolean(this.#key) || Boolean(this.groups?.includes(this.config.admin_group));
  }

  get byKey() {
    return Boolean(this.#key);
  }

  // At the page's start. Answers the failure that the sign-in view should tell, or null.
  async start() {
    const answer = await fetch("/config.json", { signal: AbortSignal.timeout(15_000) });
    this.config = await answer.json();
    this.authentik = this.config.issuer ? new Authentik(this.config) : null;
    const back = returned();
    if (back) return this.#come(back);
    const since = Number(sessionStorage.getItem(SINCE) || 0);
    if (since && this.authentik && Date.now() - since < LONGEST) {
      sessionStorage.removeItem(SINCE); // put back on return: what fails once is not tried for ever
      sessionStorage.setItem(`${SINCE}.kept`, String(since));
      return this.signIn("none").catch((error) => error);
    }
    return null;
  }

  async #come(back) {
    const since = Number(sessionStorage.getItem(`${SINCE}.kept`) || 0);
    sessionStorage.removeItem(`${SINCE}.kept`);
    if (back.failed || !back.code) return back.failed;
    try {
      this.since = back.prompt === "none" && since ? since : Date.now();
      this.#keep(await this.authentik.redeem(back.code, back.verifier));
      sessionStorage.setItem(SINCE, String(this.since));
      return null;
    } catch (error) {
      this.#drop();
      return error;
    }
  }

  #keep(tokens) {
    const claims = claimsOf(tokens.access_token);
    this.#access = tokens.access_token;
    this.#refresh = tokens.refresh_token || "";
    this.#until = Date.now() + (tokens.expires_in || 300) * 1000;
    this.name = claims.name || claims.preferred_username || claims.sub;
    this.groups = claims.groups;
  }

  #drop() {
    this.#access = this.#refresh = this.#key = this.name = "";
    this.#until = 0;
    this.groups = null;
    sessionStorage.removeItem(SINCE);
  }

  async signIn(prompt = "") {
    if (!this.authentik) throw new SignInFailed("Signing in with Authentik is not set up here.", "Set AUTHENTIK_ISSUER, or use an API key.");
    return this.authentik.begin(location.hash || "#/", prompt);
  }

  useKey(key) {
    this.#drop();
    this.#key = key;
    this.since = Date.now();
    this.name = "an API key";
  }

  // The bearer of the next request, renewed where it is about to end.
  async token() {
    if (this.#key) return this.#key;
    if (this.#access && Date.now() > this.#until - EARLY) await this.renewed();
    return this.#access;
  }

  // Once at a time: a refresh token counts once. False: somebody has to sign in.
  async renewed() {
    if (this.#key || !this.#refresh || Date.now() - this.since > LONGEST) return false;
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #renew() {
    try {
      this.#keep(await this.authentik.refresh(this.#refresh));
      return true;
    } catch {
      return false;
    }
  }

  // Not by a person's wish: what is typed stays.
  ended(why) {
    if (!this.signedIn) return;
    const refresh = this.#refresh;
    this.#drop();
    this.dispatchEvent(new CustomEvent("ended", { detail: why }));
    if (refresh) this.authentik.revoke(refresh).catch(() => {});
  }

  // In all tabs, and in Authentik. The refresh token outlives Authentik's session: revoked first.
  async signOut({ told = false } = {}) {
    const [refresh, byKey] = [this.#refresh, Boolean(this.#key)];
    this.#drop();
    forget();
    drafts.dropAll();
    if (!told) others?.postMessage("signed-out");
    this.dispatchEvent(new CustomEvent("ended", { detail: "signed-out" }));
    if (refresh) await this.authentik.revoke(refresh).catch(() => {});
    if (!told && !byKey && this.authentik) await this.authentik.leave().catch(() => this.dispatchEvent(new CustomEvent("ended", { detail: "not-left" })));
  }
}

export const session = new Session();

others?.addEventListener("message", ({ data }) => {
  if (data === "signed-out" && session.signedIn) session.signOut({ told: true });
});
setInterval(() => {
  if (session.signedIn && Date.now() - session.since > LONGEST) session.ended("too-long");
}, 30_000);
