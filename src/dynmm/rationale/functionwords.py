"""Words that titles share without having anything in common. They count in the score, as little as they are worth
there; a reader is not told that two films both have "of" in the title."""

from __future__ import annotations

#: Articles, prepositions, conjunctions and the like, of two letters and more: English; German; French; Spanish,
#: Portuguese and Italian; Dutch and Scandinavian.
_WORDS = """
an and are as at be but by for from has have in into is it its not of off on or our out over per than that the their
this to up us was we with you your

am auf aus bei das dem den der des die ein eine einem einen einer eines im ist mit nach oder und unter vom von vor zu
zum zur über

au aux avec ce ces cette dans de des du elle en est et il ils la le les leur mais ne ou par pas pour que qui sa se ses
son sur un une

al ao aos che com con da dal das de del della delle dello di do dos el em gli il la las lo los na nas nel nella no nos
non os para por su sua um uma un una uno

den det een en ett het med met og och op på te til till van voor
"""
FUNCTION_WORDS = frozenset(_WORDS.split())


def says_nothing(value: object, *, of_title: bool) -> bool:
    """Whether a shared value is no reason: a function word of titles, or a remark in brackets such as "(none)"."""
    if not isinstance(value, str):
        return False
    plain = value.strip().casefold()
    return (of_title and plain in FUNCTION_WORDS) or (plain.startswith("(") and plain.endswith(")"))
