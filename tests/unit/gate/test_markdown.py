"""The comment: what it says, and that no name in it can be more than a name."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from msgspec import structs

from app.gate.changes import Change
from app.gate.comments import MARK
from app.gate.markdown import MOST, code, markdown, sentence
from app.gate.report import Owner, PastFailure, Report, Risk, Thresholds, Tried, Verdict
from tests.faults import naughty

SHA = "a" * 40
RENDER = MarkdownIt("commonmark", {"html": True}).enable("table")
OURS = {"h3", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "strong", "sub"}
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</code><a href='https://evil.example'>here</a>",
    "![x](https://evil.example/pixel.png)",
    "[approve](https://evil.example)",
    "https://evil.example www.evil.example ftp://evil.example",
    "@acme/everyone please merge",
    "fixes #7, acme/churn#8, !9, ~label, %milestone, $12, :tada:",
    "`` ` ``` code",
    "| a | b |\n| --- | --- |",
    "# heading\n\n- list\n\n> quote",
    "&lt;b&gt; &#60;b&#62; &amp;",
    "**bold** _it_ ~~gone~~ \\* \\",
    "<!-- kinlore-check -->",
    "--> <!--",
    "\u202egnp.exe",
    "$$\\href{https://evil.example}{x}$$",
    "[^1]: note",
    "{{ secrets.TOKEN }} ${{ github.token }}",
]


def full(name: str) -> Report:
    """A report in which everything that comes from outside is this name."""
    return Report(
        verdict=Verdict.FAIL,
        base=SHA,
        head=SHA,
        against=name,
        files=3,
        thresholds=Thresholds(0, 40),
        score=61.4,
        summary=name,
        changes=(Change(kind="data", path=name, text=name, because=name),),
        risks=(Risk(name, "DEPLOYMENT", name, 40.0, name, name),),
        total=1,
        owners=(Owner(name, name, name),),
        failures=(PastFailure(name, name, "2026-03-01T10:00:00Z", name, name, name, name),),
        tried=(Tried(name, name, name, name),),
        notes=(name,),
        problem=name,
    )


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.comments: list[str] = []
        self.names: list[str] = []
        self.prose = ""
        self._in_code = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {f"{name}={value}" for name, value in attrs}
        if tag == "code":
            self._in_code = True
            self.names.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "code":
            self._in_code = False

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        if self._in_code:
            self.names[-1] += data
        else:
            self.prose += data


NAUGHTY = [
    text
    for name in dir(naughty)
    if name.isupper() and isinstance(held := getattr(naughty, name), list)
    for text in held
    if isinstance(text, str)
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_never_more_than_a_name(name: str) -> None:
    page = Page(RENDER.render(markdown(full(name))))

    assert page.tags <= OURS
    assert page.attributes <= {"style=text-align:right"}
    assert page.comments == [MARK.removeprefix("<!--").removesuffix("-->")]
    # What forges look for in the finished text.
    assert not re.search(r"[@#!~%$&]\w|://|www\.\w|:\w+:|\[\^?\w", page.prose)


def test_no_naughty_text_gets_through_either() -> None:
    for name in NAUGHTY:
        page = Page(RENDER.render(markdown(full(name))))
        assert page.tags <= OURS, repr(name)
        assert len(page.comments) == 1, repr(name)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_it_is(name: str) -> None:
    (shown,) = Page(RENDER.render(code(name))).names

    printable = "".join(char if char.isprintable() else " " for char in name)
    assert shown == " ".join(printable.split())


def test_a_sentence_reads_as_it_was_written() -> None:
    told = Page(RENDER.render(sentence("prod/churn@3 was made from data/raw.csv (2 of 3)"))).prose

    assert told.replace("\u200b", "").strip() == "prod/churn@3 was made from data/raw.csv (2 of 3)"


def test_it_is_found_again_by_its_first_line() -> None:
    assert markdown(full("x")).splitlines()[0] == MARK
    assert MARK not in "\n".join(markdown(full(MARK)).splitlines()[1:])


def test_it_fits_into_a_comment_however_long_names_are() -> None:
    long = "`" * 5_000
    report = full(long)
    many = structs.replace(
        report,
        changes=report.changes * 500,
        risks=report.risks * 500,
        total=500,
        owners=report.owners * 500,
        failures=report.failures * 500,
        notes=report.notes * 500,
    )

    text = markdown(many)

    assert len(text) <= MOST
    assert "… and 485 things more on the way" in text
    # The last line, which says between what was compared, stays.
    assert text.rstrip().endswith("</sub>")


def test_things_of_one_name_are_told_apart() -> None:
    risks = [
        Risk(f"mlflow.logged_model=m-{n}", "MODEL_VERSION", "model", 1.0, "made from it") for n in (1, 2)
    ]
    report = Report(
        verdict=Verdict.WARN, base=SHA, head="b" * 40, against="main", files=2, thresholds=Thresholds(),
        score=2.0, risks=(*risks, Risk("deployment=prod/churn@3", "DEPLOYMENT", "churn", 1.0, "stands")),
    )  # fmt: skip

    told = html.unescape(markdown(report))

    assert "<code>model m-1</code>" in told and "<code>model m-2</code>" in told
    assert "<code>churn</code>" in told


def test_it_says_what_is_at_risk_why_and_whom_to_ask() -> None:
    report = Report(
        verdict=Verdict.WARN,
        base=SHA,
        head="b" * 40,
        against="main",
        files=2,
        thresholds=Thresholds(),
        score=41.2,
        summary="1 production deployment",
        changes=(Change(kind="data", path="data/raw.csv", text="77536cc → 333a0ce"),),
        risks=(Risk("deployment=prod/churn@3", "DEPLOYMENT", "churn", 41.2, "made from it"),),
        total=1,
        owners=(Owner("team=retention", "retention", "owner"),),
    )

    told = html.unescape(markdown(report)).replace("\u200b", "")

    for said in (
        "### Kinlore: look before you merge",
        "1 production deployment",
        "**Score 41 of 100**",
        "| deployment <code>churn</code> | made from it | 41.2 |",
        "- data <code>data/raw.csv</code>: 77536cc → 333a0ce",
        "- <code>retention</code> (<code>owner</code>)",
        "2 files between <code>aaaaaaaaaaaa</code> and <code>bbbbbbbbbbbb</code>",
    ):
        assert said in told
