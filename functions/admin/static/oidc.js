// Signing in with Authentik: authorization code with PKCE, as a public client. What must outlive the way there and back
// lies in this tab's sessionStorage, and is taken away on return. Tokens never do.

export class SignInFailed extends Error {
  constructor(detail, fix = "") {
    super(detail);
    Object.assign(this, { detail, fix });
  }
}

const PENDING = "muster.sign-in";
const SCOPES = "openid profile offline_access";
const redirect = () => `${location.origin}/`;

export class Authentik {
  constructor({ issuer, client_id }) {
    Object.assign(this, { issuer, client: client_id });
  }

  // Where Authentik answers. Pinned: an answer that names another issuer, or another origin, is no answer.
  async places() {
    if (this.found) return this.found;
    const document = await this.fetched(`${this.issuer}.well-known/openid-configuration`);
    const origin = new URL(this.issuer).origin;
    const ends = ["authorization_endpoint", "token_endpoint", "revocation_endpoint", "end_session_endpoint"];
    if (document.issuer !== this.issuer)
      throw new SignInFailed(
        `Authentik calls itself ${document.issuer}, Muster expects ${this.issuer}.`,
        "Set AUTHENTIK_ISSUER to what Authentik says, with its closing slash.",
      );
    if (ends.some((end) => !document[end] || new URL(document[end]).origin !== origin))
      throw new SignInFailed("Authentik names addresses of another host.", "Look at Authentik's proxy: it must pass the Host header on.");
    return (this.found = document);
  }

  // Leaves the page. `prompt` "none" comes straight back, signed in or not.
  async begin(back, prompt = "") {
    if (!globalThis.crypto?.subtle)
      throw new SignInFailed("This page was not opened over HTTPS, so the browser cannot sign in safely.", "Open it by its https:// address.");
    const { authorization_endpoint: at } = await this.places();
    const pending = { state: random(), verifier: random(), back, prompt };
    sessionStorage.setItem(PENDING, JSON.stringify(pending));
    const asked = {
      response_type: "code",
      client_id: this.client,
      redirect_uri: redirect(),
      scope: SCOPES,
      state: pending.state,
      code_challenge: await challenge(pending.verifier),
      code_challenge_method: "S256",
    };
    if (prompt) asked.prompt = prompt;
    location.assign(`${at}?${new URLSearchParams(asked)}`);
    return new Promise(() => {}); // the page is being left
  }

  async redeem(code, verifier) {
    return this.tokens({ grant_type: "authorization_code", code, code_verifier: verifier, redirect_uri: redirect() });
  }

  async refresh(token) {
    return this.tokens({ grant_type: "refresh_token", refresh_token: token });
  }

  async tokens(form) {
    const { token_endpoint: at } = await this.places();
    const body = new URLSearchParams({ client_id: this.client, ...form });
    const answer = await this.fetched(at, { method: "POST", body });
    if (!answer.access_token) throw new SignInFailed("Authentik gave no access token.", "Look at the provider in Authentik.");
    return answer;
  }

  // Nobody may read the answer, and nobody needs to: Authentik lets no page ask, so the form goes out blind.
  async revoke(token) {
    const { revocation_endpoint: at } = await this.places();
    const body = new URLSearchParams({ client_id: this.client, token, token_type_hint: "refresh_token" });
    await fetch(at, { method: "POST", mode: "no-cors", body, credentials: "omit", keepalive: true, signal: AbortSignal.timeout(5000) });
  }

  async leave() {
    const { end_session_endpoint: at } = await this.places();
    location.assign(at);
  }

  async fetched(url, options = {}) {
    let answer;
    try {
      answer = await fetch(url, { ...options, credentials: "omit", signal: AbortSignal.timeout(15_000) });
    } catch (cause) {
      const fix = `Is Authentik up? If it is, its provider's redirect URI must be exactly ${redirect()}, or it lets this page not ask.`;
      throw Object.assign(new SignInFailed("Authentik did not answer this page.", `${fix} Until then: sign in with an API key.`), { cause });
    }
    const body = await answer.json().catch(() => ({}));
    if (answer.ok) return body;
    throw refusal(body.error, body.error_description);
  }
}

// What a return from Authentik brought: null when this is none. Wipes the address and the storage in any case.
export function returned() {
  const query = new URLSearchParams(location.search);
  if (!query.has("code") && !query.has("error")) return null;
  const pending = JSON.parse(sessionStorage.getItem(PENDING) || "null");
  sessionStorage.removeItem(PENDING);
  const back = /^#\/[\w\-./:%?=&!@]*$/.test(pending?.back || "") ? pending.back : "#/";
  history.replaceState(null, "", `/${back}`);
  const found = { prompt: pending?.prompt || "", verifier: pending?.verifier, code: query.get("code") };
  if (!pending || query.get("state") !== pending.state) {
    const fix = "That happens after a long pause, or with a link from somewhere else. Sign in again from here.";
    return { ...found, code: null, failed: new SignInFailed("This sign-in did not begin in this tab.", fix) };
  }
  if (query.has("error")) found.failed = refusal(query.get("error"), query.get("error_description"), found.prompt);
  return found;
}

export function forget() {
  sessionStorage.removeItem(PENDING);
}

// OAuth's codes in words. `login_required` after prompt=none only says that nobody is signed in.
export function refusal(code, description = "", prompt = "") {
  if (prompt === "none" && /_required$/.test(code)) return null;
  const known = {
    invalid_scope: ["Authentik does not know a scope that this page needs.", `Give the provider the scope mappings ${SCOPES.replaceAll(" ", ", ")}.`],
    access_denied: ["Authentik did not let you in.", "Ask an admin whether you are in the admin group."],
    invalid_grant: ["Authentik did not take the code back.", "It lives for a minute and counts once. Sign in again."],
    invalid_client: ["Authentik does not know this page's client id.", "AUTHENTIK_CLIENT_ID and the provider's client id must be the same, and the client public."],
    unauthorized_client: ["Authentik's provider is not for public clients.", "Set its client type to public."],
    invalid_request: ["Authentik did not understand the request.", `Its provider's redirect URI must be exactly ${redirect()}.`],
    login_required: ["Nobody is signed in to Authentik.", "Sign in."],
  };
  const [detail, fix] = known[code] || ["Authentik refused the sign-in.", "Look at the provider in Authentik, or sign in with an API key."];
  return new SignInFailed(`${detail}${description && !known[code] ? ` It says: ${description}` : ""}`, fix);
}

// What an access token says of itself. Not verified here: the API does that. Raises where no API could take it.
export function claimsOf(token) {
  const [head, body] = token.split(".").slice(0, 2).map(parsed);
  if (head.alg !== "RS256")
    throw new SignInFailed(`Authentik signs its tokens with ${head.alg}, which nobody else can check.`, "Give the provider a signing key (RS256).");
  if (!Array.isArray(body.groups))
    throw new SignInFailed("The token does not say which groups you are in.", "Give the provider the scope mapping profile, and let it include claims in the id_token.");
  return body;
}

function parsed(part) {
  const bytes = Uint8Array.from(atob((part || "").replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const challenge = async (verifier) =>
  base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
