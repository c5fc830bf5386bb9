// Words about templates.
import { when } from "./words.js";

export const GOES = { member: "direct message", room: "in a room", mail: "by mail", page: "to pass on" };
const KINDS = { language: "in", bundle: "for the bundle", invite: "for the invite" };
const LANGUAGES = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

export const variantInWords = ({ kind, of }) => (kind ? `${KINDS[kind]} ${kind === "language" ? language(of) : of}` : "for everybody");

export const versionInWords = (one) => (one.built_in ? "the built-in text" : [`version ${one.version} by ${one.updated_by}, `, when(one.updated_at)]);

function language(tag) {
  try {
    return LANGUAGES.of(tag);
  } catch {
    return tag;
  }
}
