"""Words for titles, brands and descriptions. Adjectives follow taste, nouns category: the text tells something."""

from __future__ import annotations

ADJECTIVES = (
    *("Quiet", "Golden", "Wild", "Hidden", "Crimson", "Gentle", "Frozen", "Electric", "Ancient", "Restless"),
    *("Velvet", "Hollow", "Bright", "Distant", "Broken", "Silver", "Curious", "Burning", "Patient", "Salty"),
    *("Northern", "Paper", "Sudden", "Tender", "Iron", "Drowsy", "Lucky", "Bitter", "Amber", "Wandering"),
    *("Humble", "Secret"),
)
NOUNS = (
    *("Harbor", "Garden", "Engine", "Mountain", "Letter", "Kitchen", "Orchard", "Signal", "River", "Museum"),
    *("Lantern", "Market", "Forest", "Station", "Island", "Workshop", "Theatre", "Desert", "Bridge", "Attic"),
    *("Meadow", "Observatory", "Canal", "Bakery", "Library", "Glacier", "Carnival", "Vineyard", "Tunnel", "Lagoon"),
    *("Factory", "Stable", "Cathedral", "Prairie", "Arcade", "Quarry", "Tavern", "Greenhouse", "Shipyard", "Village"),
)
_BRAND_STARTS = ("Bel", "Fern", "Stone", "Win", "Alder", "Marl", "Thorn", "Ash", "Brook", "Kest", "Haw", "Pen")
_BRAND_ENDS = ("low", "field", "ham", "wick", "ford", "ley", "more", "ton", "gate", "mere")

TRAITS = (
    *("slow evenings", "long journeys", "small towns", "old friends", "bold ideas", "rainy days", "loud machines"),
    *("warm bread", "cold water", "night trains", "family secrets", "open skies", "clever tricks", "lost maps"),
    *("soft light", "hard choices"),
)


_ROMAN = (
    *((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL")),
    *((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")),
)


def with_article(phrase: str) -> str:
    """The phrase behind "A" or "An"."""
    return f"{'An' if phrase[0].lower() in 'aeiou' else 'A'} {phrase}"


def nth(words: tuple[str, ...], number: int) -> str:
    """A distinct word for every number: behind the last word it goes round with a count."""
    turn, place = divmod(number, len(words))
    return words[place] if turn == 0 else f"{words[place]} {_roman(turn + 1)}"


def brand(number: int) -> str:
    """A distinct maker's name for every number."""
    starts, ends = len(_BRAND_STARTS), len(_BRAND_ENDS)
    turn, place = divmod(number, starts * ends)
    # 7 has no factor in common with 10, so the pairs differ until all are used.
    name = _BRAND_STARTS[place % starts] + _BRAND_ENDS[(place // starts + 7 * place) % ends]
    return name if turn == 0 else f"{name} {_roman(turn + 1)}"


def _roman(number: int) -> str:
    text = ""
    for value, sign in _ROMAN:
        while number >= value:
            text, number = text + sign, number - value
    return text
