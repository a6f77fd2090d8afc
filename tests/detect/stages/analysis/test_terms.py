"""Words of a list in lines that may be misread."""

from __future__ import annotations

import pytest

from mediaproc.detect.stages.analysis.terms import TermError, TermFinder, parse_terms


def found(text: str, *terms: str, min_score: float = 0.85, inside: bool = False) -> list[str]:
    """The labels found in a line, each with what it was found in."""
    hits = TermFinder(parse_terms(terms), min_score, inside).find(text)
    return [f"{hit.alias.label}: {text[hit.start : hit.end]}" for hit in hits]


def score(text: str, term: str) -> float:
    hits = TermFinder(parse_terms([term]), 0.5, False).find(text)
    return round(max((hit.score for hit in hits), default=0.0), 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DRINK ACME COLA NOW", ["Acme: ACME"]),
        ("acme", ["Acme: acme"]),
        ("A.C.M.E. forever", ["Acme: A.C.M.E"]),
        ("AC ME", ["Acme: AC ME"]),
        ("acme, Acme & ACME", ["Acme: acme", "Acme: Acme", "Acme: ACME"]),
        ("ÀCMÉ", ["Acme: ÀCMÉ"]),
        ("ＡＣＭＥ", ["Acme: ＡＣＭＥ"]),
        ("ACRNE", ["Acme: ACRNE"]),  # rn for m
        ("acne", []),
        ("acmes", []),
        ("macme", []),
        ("academe", []),
        ("", []),
        ("!?", []),
    ],
)
def test_terms_are_found_as_whole_words(text: str, expected: list[str]) -> None:
    assert found(text, "Acme") == expected


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("BUILDING", "Uil"),
        ("Live from Emirates Stadium", "Rates"),
        ("international bank", "national"),
        ("FedEx", "Fed"),
        ("GO0D", "Go"),
        ("Boeing747", "ING"),
        ("5G", "LG"),
        ("1G", "LG"),
        ("10", "IO"),
        ("100", "Loo"),
        ("clock", "Dock"),
        ("Nuke", "Nike"),
        ("ample", "Apple"),
    ],
)
def test_terms_are_not_invented_out_of_other_words(text: str, term: str) -> None:
    assert found(text, term) == []


@pytest.mark.parametrize(
    ("text", "term", "expected"),
    [
        ("N1KE", "Nike", 0.917),
        ("C0CA-C0LA", "Coca-Cola", 0.917),
        ("Arnazon", "Amazon", 0.905),
        ("Addidas", "Adidas", 0.857),
        ("Globex C0rporatlon", "Globex Corporation", 0.961),
        ("GlobexCorporation", "Globex Corporation", 1.0),
        ("NORDVVIND", "Nordwind", 0.926),
        ("Comer Bamstorm", "Corner Barnstorm", 0.911),
        ("Nuke", "Nike", 0.75),
    ],
)
def test_terms_score_confusions_at_a_third_of_another_letter(
    text: str, term: str, expected: float
) -> None:
    assert score(text, term) == expected


def test_terms_are_found_where_confusions_make_them_much_longer() -> None:
    assert found("RNARNRNOTH MINE", "Mammoth Mine") == ["Mammoth Mine: RNARNRNOTH MINE"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Boeing747", ["Boeing: Boeing"]),
        ("DrinkCocaColaNow", ["Coca-Cola: CocaCola"]),
        ("B0eing", ["Boeing: B0eing"]),
    ],
)
def test_terms_of_five_characters_are_found_between_capitals_and_digits(
    text: str, expected: list[str]
) -> None:
    assert found(text, "Boeing", "Coca-Cola") == expected


def test_terms_inside_of_words_only_where_asked_and_long_enough() -> None:
    line = "DRINKACMECOLANOW"
    assert found(line, "Acme Cola", "Now") == []
    assert found(line, "Acme Cola", "Now", inside=True) == ["Acme Cola: ACMECOLA"]


def test_terms_that_overlap_give_way_to_the_longest() -> None:
    terms = ("Cola", "Coca-Cola", "Coca-Cola Zero")
    assert found("Coca-Cola Zero Sugar", *terms) == ["Coca-Cola Zero: Coca-Cola Zero"]
    assert found("Pepsi Cola, Coca Cola", *terms) == ["Cola: Cola", "Coca-Cola: Coca Cola"]


def test_terms_aliases_stand_for_their_name() -> None:
    hits = TermFinder(parse_terms(["Nordwind = NW Energy, Nordwind Strom"]), 0.85, False).find(
        "sponsored by NW Energy"
    )
    assert [(hit.alias.label, hit.alias.text) for hit in hits] == [("Nordwind", "NW Energy")]


def test_terms_in_scripts_without_spaces_are_found_anywhere() -> None:
    assert found("本日は東京電力がお送りします", "東京電力") == ["東京電力: 東京電力"]
    assert found("삼성은 오늘", "삼성") == ["삼성: 삼성"]
    assert found("シャープがぎ", "かき") == []


def test_terms_comments_and_empty_lines_say_nothing() -> None:
    assert [a.label for a in parse_terms(["# brands", "", "Acme", "  "])] == ["Acme"]


def test_terms_of_a_list_leave_out_its_name_where_asked() -> None:
    terms = parse_terms(["Insults = numpty, wazzock"], match_label=False)
    assert [alias.text for alias in terms] == ["numpty", "wazzock"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["= a"], "'= a' is not of the form 'Brand' or 'Brand = alias, alias'"),
        (["Acme ="], "'Acme =' is not of the form"),
        (["Acme = a,,b"], "is not of the form"),
        (["+++"], r"'\+\+\+' holds no letter and no digit"),
        (["Acme = Cola", "Other = COLA"], "'COLA' stands for both 'Acme' and 'Other'"),
    ],
)
def test_terms_that_say_nothing_are_told(lines: list[str], message: str) -> None:
    with pytest.raises(TermError, match=message):
        parse_terms(lines)
