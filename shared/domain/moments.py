"""A moment in words that leave no doubt: with the weekday, the year and the time zone."""

from __future__ import annotations

from datetime import UTC, datetime

_ENGLISH = (
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "January February March April May June July August September October November December".split(),
)
_GERMAN = (
    "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag".split(),
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
)


def in_words(at: datetime, language: str = "") -> str:
    """In English or German; in another language in figures, which are read alike everywhere."""
    at, tag = at.astimezone(UTC), language.partition("-")[0].lower()
    if tag == "de":
        days, months = _GERMAN
        return f"{days[at.weekday()]}, {at.day}. {months[at.month - 1]} {at.year}, {at:%H:%M} UTC"
    if tag in ("", "en"):
        days, months = _ENGLISH
        return f"{days[at.weekday()]}, {at.day} {months[at.month - 1]} {at.year}, {at:%H:%M} UTC"
    return f"{at:%Y-%m-%d %H:%M} UTC"
