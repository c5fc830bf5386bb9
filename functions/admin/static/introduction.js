// What somebody wrote of themselves, taken apart into the fields of a new user. Pure: no page, no network.
//
// Two forms are known: six lines in a fixed order (name, organization, invited by, e-mail or username, interests, Signal
// number or nothing), and `Label: value` in any order. Whatever is not understood is in `intro`, word for word.

import { LABELS } from "./introduction_labels.js";

export const FIELDS = ["first_name", "last_name", "organization", "invited_by", "email", "username", "matrix_id", "interests", "signal_number"];

const MARKS = /[\u0000-\u0008\u000b-\u001f\u007f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/g;
const BULLET = /^\s*(?:(?:[-–—*•·●○◦‣▪▸►➤➜→>✓✔☑✅]|\d{1,2}\s?[.):\]]|\(?\d{1,2}\)|[\u0030-\u0039]\ufe0f?\u20e3|\p{Extended_Pictographic}(?:[\u200d\ufe0f\p{Extended_Pictographic}\u{1f3fb}-\u{1f3ff}])*)(?:\s+|(?=[\p{L}*_]))|[-–—*•]\s*$)+/u;
const SEPARATED = /^(.{1,60}?)\s*(?:\?\s*[:：]?|[:：=]|\s[-–—]\s|->|=>|→)\s*(.*)$/u;
const EMAIL = /[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]{1,64}@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/u;
const MATRIX = /@[a-z0-9._=/+-]{1,255}:[a-z0-9.-]{1,255}(?::\d{1,5})?/i;
const USERNAME = /^@?[a-z0-9][a-z0-9._-]{0,63}$/i;
const PHONE = /^(?:\+|00)?\s*\(?\d[\d\s().\/-]{5,}\d$/;
const SIGNAL = /^@?[\p{L}_][\p{L}\p{N}_]{2,31}\.\d{2,9}$|^https:\/\/signal\.me\/\S+$/iu;
const NOTHING = /^(?:[-–—./\\x\s]+|none|nothing|no|nope|nil|null|n\/?a|not? (?:yet|available|applicable)|no (?:signal|number|phone)|don'?t have (?:one|it)|keine?[rs]?|nichts|nein|ninguno|ninguna|nada|aucune?|rien|non|no tengo|\(?(?:optional|empty|blank)\)?)$/i;
const GREETING = /^(?:hi|hiya|hello|hey|heya|hallo|servus|moin|hola|bonjour|salut|ciao|greetings|dear|good (?:morning|evening|day|afternoon)|guten (?:morgen|tag|abend)|buenos dias|buenas)\b[^:@\d]{0,40}$/i;
const NAMING = /^(?:(?:hi|hello|hey|hallo|hola|bonjour)[\s,!.]+(?:(?:all|everyone|everybody|there|folks)[\s,!.]+)?)?(?:my name is|my name's|i am|i'm|im|this is|ich bin|ich heiße|ich heisse|mein name ist|me llamo|mi nombre es|soy|je m'appelle|je suis)\s+/i;
const HONORIFIC = /^(?:mr|mrs|ms|mx|dr|prof|herr|frau|sr|sra|mme|m)\.?\s+(?=\p{L})/iu;
const LINE = 1000; // characters; a longer one is prose, and no expression here is tried on it
const WHOLE = 40_000; // of a text that are looked at; what comes after is kept as it is
const LONG = new Set(["interests", "intro"]);

// {the fields that were found, intro, form: "lines", "labels" or "text", lost: [lines that were not understood]}
export function parse(text) {
  const whole = String(text);
  const end = whole.length > WHOLE ? Math.max(whole.lastIndexOf(" ", WHOLE), whole.lastIndexOf("\n", WHOLE), WHOLE / 2) : whole.length;
  const after = whole.slice(end).trim();
  const found = read(linesOf(whole.slice(0, end)));
  return after ? { ...found, intro: joined([found.intro, after]), lost: [...found.lost, after] } : found;
}

function read(lines) {
  if (!lines.some(Boolean)) return { form: "", intro: "", lost: [] };
  const labelled = lines.map((line) => label(line));
  const known = labelled.filter((each) => each && each.field !== "other");
  const fields = new Set(known.map((each) => each.field));
  const filled = lines.filter(Boolean).length;
  if (fields.size >= 2 && (filled < 5 || fields.size >= 3 || !sixLines(lines))) return byLabels(lines, labelled);
  if (sixLines(lines)) return byOrder(lines, labelled);
  if (fields.size) return byLabels(lines, labelled);
  return byOrder(lines, labelled, true);
}

// One line of the text a line, without quoting, marks that nobody sees, and Markdown around it.
function linesOf(text) {
  const plain = text.normalize("NFC").replace(/\r\n?|[\u2028\u2029\u0085]/g, "\n").replace(/\u00a0|\u202f|\t/g, " ").replace(MARKS, "");
  const lines = plain.split("\n").map((line) => line.replace(/^(?:\s{0,9}>){1,9} ?/, "").trimEnd());
  return trimmed(lines.flatMap(unfolded));
}

function trimmed(lines) {
  const first = lines.findIndex((line) => line.trim());
  const last = lines.findLastIndex((line) => line.trim());
  return first < 0 ? [] : lines.slice(first, last + 1).map((line) => (line.trim() ? line : ""));
}

// "Name: Ada | Organization: Engines": several labels on one line are a line each.
function unfolded(line) {
  if (line.length > LINE || !/[|;•·]/.test(line)) return [line];
  const parts = line.split(/\s*(?:\||;|\s[•·]\s)\s*/).filter(Boolean);
  return parts.length > 1 && parts.filter((part) => label(part)).length === parts.length ? parts : [line];
}

// {field, value, of: the line} of a line that begins with a label; null of any other.
function label(line) {
  const text = clean(line);
  if (!text) return null;
  const found = SEPARATED.exec(text.slice(0, 100)) && SEPARATED.exec(text);
  const field = found && LABELS.get(folded(found[1]));
  if (field) return { field, value: bare(found[2]), line };
  const alone = text.length <= 80 && LABELS.get(folded(text.replace(/[?:：]+$/, "")));
  const marked = /^\s*(?:#|\*\*|__)/.test(line);
  return alone && marked ? { field: alone, value: "", line } : null;
}

const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/\([^)]*\)/g, " ").replace(/ß/g, "ss").replace(/[^\p{L}\p{N}]+/gu, " ").trim();

// Without what leads a line in a list: bullets, numbers, emoji, Markdown.
function clean(line) {
  const text = line.trim().replace(/^#{1,6}\s+/, "");
  if (text.length > LINE) return text;
  if (PHONE.test(text)) return text;
  return bare(text.replace(BULLET, ""));
}

const bare = (text) => text.length > LINE ? text.trim() : text.trim().replace(/^(\*\*|__|\*|_|`)(?=\S)(.*?\S)\1(?=\s|$|[:：])/u, "$2").replace(/^(?:\*\*|__)\s*|\s*(?:\*\*|__)$/g, "").replace(/^[:：]\s*/, "").trim();

// ---- one value a line

// Whether the lines look like the six: an address in the fourth place, or as many lines as it takes.
function sixLines(lines) {
  const filled = lines.filter(Boolean);
  const at = anchor(filled.filter((line) => !isGreeting(line)));
  return (filled.length >= 4 && at >= 1) || (filled.length >= 5 && filled.slice(0, 4).every((line) => line.length <= 120));
}

const isGreeting = (line) => GREETING.test(clean(line)) && !NAMING.test(clean(line)) && !label(line);

// Which line is an e-mail address or a Matrix id, and nothing else to speak of.
const anchor = (lines) => lines.findIndex((line) => isAddress(valueOf(line)));
const isAddress = (text) => text.length <= LINE && (EMAIL.test(text) || MATRIX.test(text)) && text.replace(EMAIL, "").replace(MATRIX, "").replace(/mailto|[^\p{L}]/gu, "").length <= 24;

// A line's value where its own label stands in front of it all the same.
function valueOf(line) {
  const found = label(line);
  return found && found.field !== "other" ? found.value : clean(line);
}

function byOrder(lines, labelled, doubtful = false) {
  const found = { form: "lines" };
  const lost = [];
  const rest = [...lines];
  while (rest.length && (!rest[0] || isGreeting(rest[0]))) {
    const greeting = rest.shift();
    if (greeting) lost.push(greeting.trim());
  }
  if (doubtful) return asText(rest, lost);
  const places = placed(rest);
  put(found, "name", valueOf(places.name), places.name, lost);
  put(found, "organization", valueOf(places.organization), places.organization, lost);
  put(found, "invited_by", valueOf(places.invited_by), places.invited_by, lost);
  put(found, "email", valueOf(places.address), places.address, lost);
  lost.push(...places.between.map((line) => line.trim()));
  tail(found, places.after, lost);
  return ended(found, lost);
}

// Blank lines are values that were left out, where that puts the address into the fourth place; else they mean nothing.
function placed(lines) {
  const whole = lines.map(valueOf);
  const at = whole.findIndex(isAddress);
  const short = whole.filter(Boolean);
  const among = short.findIndex(isAddress);
  if (at === 3) return places(lines, 3);
  const filled = lines.filter(Boolean);
  return places(filled, among);
}

function places(lines, at) {
  const place = at < 0 ? Math.min(3, lines.length) : at;
  const [who, organization, inviter, ...between] = lines.slice(0, place);
  return { name: who || "", organization: organization || "", invited_by: inviter || "", between: between.filter(Boolean), address: lines[place] || "", after: lines.slice(place + 1) };
}

// Interests on as many lines as there are, then perhaps a number. What comes after the number is not theirs.
function tail(found, lines, lost) {
  const values = lines.map((line) => {
    const known = label(line);
    return { line, field: known?.field, value: known && ["interests", "signal_number"].includes(known.field) ? known.value : line.trim() };
  });
  const at = values.findIndex(({ field, value }, place) => field === "signal_number" || PHONE.test(clean(value)) || SIGNAL.test(clean(value)) || (place > 0 && NOTHING.test(clean(value)) && values.slice(0, place).some((each) => each.value)));
  const end = at < 0 ? values.length : at;
  const others = values.slice(0, end).filter(({ field }) => field && field !== "interests");
  const interests = values.slice(0, end).filter(({ field }) => !field || field === "interests");
  long(found, "interests", interests.map(({ value }) => (interests.filter((each) => each.value).length > 1 ? item(value) : clean(value))));
  lost.push(...others.map(({ line }) => line.trim()));
  if (at >= 0) put(found, "signal_number", values[at].value, values[at].line, lost);
  lost.push(...values.slice(end + 1).map(({ line }) => line.trim()));
}

// No form at all: one short line is a name; an address and an id are found wherever they stand.
function asText(lines, lost) {
  const found = { form: "text" };
  const filled = lines.filter(Boolean);
  const naming = filled.length && NAMING.exec(filled[0]);
  const said = naming && /^[\p{Lu}][\p{L}'’-]*(?:\s+[\p{Lu}][\p{L}'’-]*){0,3}/u.exec(filled[0].slice(naming[0].length));
  if (said) name(found, said[0]);
  else if (filled.length > 1 && isName(filled[0])) name(found, clean(lines.splice(lines.indexOf(filled[0]), 1)[0]));
  const text = lines.join("\n");
  const email = EMAIL.exec(text);
  if (email) found.email = email[0];
  const matrix = MATRIX.exec(text.replace(EMAIL, " "));
  if (matrix) found.matrix_id = matrix[0];
  const alone = lines.filter((line) => !line || ![found.email, found.matrix_id].includes(clean(line)));
  return ended(found, [...lost, ...alone.map((line) => line.trim())]);
}

const isName = (line) => /^[\p{Lu}][\p{L}'’.-]*(?:\s+[\p{L}][\p{L}'’.-]*){0,3}$/u.test(clean(line));

// ---- Label: value

function byLabels(lines, labelled) {
  const found = { form: "labels" };
  const lost = [];
  const texts = { interests: [], intro: [] };
  let open = null;
  for (const [at, line] of lines.entries()) {
    const known = labelled[at];
    if (known && !(open && continues(open, known))) {
      open = { field: known.field, value: known.value, blank: false };
      if (known.field === "other") lost.push(clean(line));
      else if (LONG.has(known.field)) texts[known.field].push(known.value);
      else if (known.value) put(found, known.field, known.value, line, lost);
      continue;
    }
    if (!line) {
      if (open) open.blank = true;
      if (open?.field === "intro" && texts.intro.length) texts.intro.push("");
      continue;
    }
    if (open && LONG.has(open.field) && takes(open, line)) {
      texts[open.field].push(open.field === "interests" ? item(line) : line.trim());
      open.value = open.value || line;
      open.blank = false;
    } else if (open && open.field !== "other" && !LONG.has(open.field) && !open.value && !open.blank) {
      put(found, open.field, clean(line), line, lost);
      open.value = line;
    } else {
      lost.push(line.trim());
      if (open?.blank || open?.field === "other") open = null;
    }
  }
  long(found, "interests", texts.interests);
  const intro = joined(texts.intro);
  return ended(found, lost, intro);
}

// A label that has been said before, within a longer text, is a part of that text.
const continues = (open, known) => LONG.has(open.field) && !open.blank && open.value && known.field === "other" && /^\s/.test(known.line);

// Interests end at a blank line, unless a list goes on behind it, or has not begun.
const takes = (open, line) => !open.blank || !open.value || open.field === "intro" || BULLET.test(line);

// One value into its field. What does not fit there, or is the second of its kind, is lost: then its line is kept.
function put(found, field, value, line, lost) {
  if (!value || NOTHING.test(value)) return;
  const fits = { name, email: address, username: address, matrix_id: address, signal_number: signal }[field] || single;
  if (!fits(found, value, field)) lost.push(line.trim());
}

// ---- values

const item = (line) => line.trim().replace(BULLET, "").trim();

function name(found, text) {
  const value = text.replace(NAMING, "").replace(HONORIFIC, "").replace(/[\s.,;!]+$/, "");
  if (!value || found.first_name) return false;
  const turned = /^([\p{L}'’ -]+),\s*([\p{L}'’. -]+)$/u.exec(value);
  const words = (turned && value.split(/\s+/).length <= 4 ? `${turned[2]} ${turned[1]}` : value).split(/\s+/);
  found.first_name = words[0];
  if (words.length > 1 && !found.last_name) found.last_name = words.slice(1).join(" ");
  return true;
}

function single(found, value, field) {
  if (found[field]) return false;
  found[field] = value;
  return true;
}

// An e-mail address, a username, a Matrix id, or several of them on one line.
function address(found, text, wanted) {
  let left = text.replace(/\[([^\]]+)\]\([^)]*\)/, "$1").replace(/mailto:/gi, "");
  for (const [field, pattern] of [["email", EMAIL], ["matrix_id", MATRIX]]) {
    const match = pattern.exec(left);
    if (!match || (found[field] && found[field] !== match[0])) continue;
    found[field] = match[0].replace(/[.]+$/, "");
    left = left.replace(match[0], " ");
  }
  left = left.replace(/[<>()[\]"',;|/]+/g, " ").replace(/(?:^|\s)(?:or|and|oder|und|o|y|ou|et)(?=\s|$)/gi, " ").trim();
  if (!left) return true;
  if (!USERNAME.test(left) || found.username || (wanted === "email" && !/^@|\W|\d/.test(left) && found.email)) return false;
  found.username = left.replace(/^@/, "").toLowerCase();
  return true;
}

function signal(found, text) {
  const value = clean(text).replace(/^signal[\s:]+/i, "");
  return NOTHING.test(value) || single(found, value, "signal_number");
}

function long(found, field, values) {
  const text = joined(values);
  if (text && !NOTHING.test(text)) found[field] = text;
}

const joined = (lines) => lines.join("\n").replace(/\n{3,}/g, "\n\n").trim();

function ended(found, lost, intro = "") {
  const left = joined(lost);
  return { ...found, intro: [intro, left].filter(Boolean).join("\n\n"), lost: left ? left.split("\n").filter(Boolean) : [] };
}
