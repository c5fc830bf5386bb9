"""Phone numbers in E.164, by libphonenumber's rules (the phonenumbers library, which is loaded at the first number).

A number is checked for what it could be, not for whether somebody has it: the numbering plans that the library knows
are those of its release, and a range that was given out since must not keep anybody from being entered. Whether the
number is on Signal only Signal says.
"""

from __future__ import annotations

import re
import unicodedata

from shared.domain.errors import Invalid

EXAMPLE = "+49 170 1234567"
LONGEST = 60
"""Characters that a number may be written with."""
_LED = re.compile(r"^(?:signal|phone|tel|mobile|number|nr|no)?[\s.:]*(?=[+(]|\w)", re.IGNORECASE)
_LINK = re.compile(r"^(?:https?://)?signal\.me/#p/(\+\d+)/?$", re.IGNORECASE)
_USERNAME = re.compile(r"^@?[^\W\d]\w{2,31}\.\d{2,9}$|^(?:https?://)?signal\.me/", re.IGNORECASE)
_NOTHING = ("", "none", "no", "n/a", "na", "nil", "null", "nothing", "?", "x")
_WRITTEN = re.compile(r"\+\d{6,15}(?!\d)")
_DIGITS = re.compile(r"\+?\d(?:[\s().-]{0,2}\d){5,}")


def e164(text: str, region: str = "", field: str = "signal_number") -> str:
    """Of whatever a person wrote, as +491701234567; "" where they wrote that there is none. `region`: two letters, of
    the country that a number without a country code is in; "": such a number is refused. Raises `Invalid` on the
    field, which says what was wrong; nothing else, whatever the text holds."""
    written = unicodedata.normalize("NFKC", text.encode("utf-8", "ignore").decode()).strip()
    if written.strip("-–—./ ").casefold() in _NOTHING:
        return ""
    if link := _LINK.match(written):
        written = link[1]
    if _USERNAME.match(written):
        raise _wrong(field, "a Signal username or link cannot be looked up by the bridge")
    bare = _LED.sub("", written, count=1)
    if len(bare) > LONGEST or not _only_a_number(bare):
        raise _wrong(field, "this is not one phone number and nothing else")
    return _parsed("+" + bare[2:] if bare.startswith("00") else bare, region, field)


def is_e164(text: str) -> bool:
    return re.fullmatch(r"\+[1-9]\d{5,14}", text) is not None


def within(text: str) -> frozenset[str]:
    """All numbers in E.164 that a text holds as they stand."""
    return frozenset(_WRITTEN.findall(text))


def hidden(text: str) -> str:
    """For texts that are stored, shown and logged: without what may be a phone number."""
    return _DIGITS.sub("(a number)", text)


def is_region(code: str) -> bool:
    import phonenumbers

    return code in phonenumbers.SUPPORTED_REGIONS


def _only_a_number(text: str) -> bool:
    """Digits of any script, and what people put between them."""
    written = all(unicodedata.category(char) in ("Nd", "Pd", "Zs", "Cf") or char in "+()/.[]'\t" for char in text)
    return written and any(map(str.isdigit, text)) and text.count("+") < 2


def _parsed(text: str, region: str, field: str) -> str:
    import phonenumbers
    from phonenumbers import NumberParseException, ValidationResult

    problems = {
        ValidationResult.INVALID_COUNTRY_CODE: "this number begins with no country's code",
        ValidationResult.TOO_SHORT: "this number is too short",
        ValidationResult.TOO_LONG: "this number is too long",
        ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "this number lacks its area code",
        ValidationResult.INVALID_LENGTH: "no number of that country is so long",
    }
    try:
        number = phonenumbers.parse(text, region or None)
    except NumberParseException as error:
        unknown = error.error_type == NumberParseException.INVALID_COUNTRY_CODE
        lacking = "lacks its country's code" if "+" not in text else "begins with no country's code"
        raise _wrong(field, f"this number {lacking}" if unknown else "this is no phone number") from error
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason in problems:
        raise _wrong(field, problems[reason])
    found = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    if not is_e164(found):
        raise _wrong(field, "this is no phone number")
    return found


def _wrong(field: str, what: str) -> Invalid:
    return Invalid.field(field, f"{what}; expected a number such as {EXAMPLE}")
