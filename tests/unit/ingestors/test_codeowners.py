"""CODEOWNERS as GitHub and GitLab read it. The patterns are those of their documentation."""

from __future__ import annotations

import pytest

from graph_schema.claims import Keyed, Links
from ingestors import codeowners
from ingestors.codeowners import covers_everything, matches, owners_of, parse

# The example of GitHub's documentation "About code owners".
GITHUB = """
# This is a comment.
*       @global-owner1 @global-owner2

*.js    @js-owner #This is an inline comment.
*.go docs@example.com
*.txt @octo-org/octocats
/build/logs/ @doctocat
docs/* docs2@example.com
apps/ @octocat
/docs/ @doctocat
/scripts/ @doctocat @octocat
**/logs @octocat
/apps/ @octocat
/apps/github
/apps/github/\\#1 @doctocat
"""


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("README.md", ["github.login=global-owner1", "github.login=global-owner2"]),
        ("src/deep/index.js", ["github.login=js-owner"]),
        ("main.go", ["email=docs@example.com"]),
        ("notes.txt", ["team=octo-org/octocats"]),
        ("docs/getting-started.md", ["github.login=doctocat"]),
        ("src/docs/getting-started.md", ["github.login=global-owner1", "github.login=global-owner2"]),
        ("src/apps/deep/x", ["github.login=octocat"]),
        ("deeply/nested/logs/x", ["github.login=octocat"]),
        ("apps/other", ["github.login=octocat"]),
        ("apps/github/x", []),
        ("apps/github/#1", ["github.login=doctocat"]),
    ],
)
def test_the_last_pattern_that_matches_decides(path: str, owners: list[str]) -> None:
    found = owners_of(parse(GITHUB, "github"), path)

    assert [owner for owner, _ in found] == owners


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("docs/*", "docs/a.md", True),
        ("docs/*", "docs/deep/a.md", False),
        ("/*", "a.md", True),
        ("/*", "docs/a.md", False),
        ("docs/", "src/docs/deep/a.md", True),
        ("/docs/", "src/docs/a.md", False),
        ("/data", "data/raw/users.csv", True),
        ("/data/", "data", True),
        ("data/**", "data/raw/users.csv", True),
        ("*.csv", "data/raw/users.csv", True),
        ("*.csv", "data/users.csv.bak", False),
        ("data/**/users.csv", "data/users.csv", True),
        ("data/**/users.csv", "data/a/b/users.csv", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("with\\ blank/", "with blank/x", True),
        ("a.c", "abc", False),
        ("(((", "(((", True),
    ],
)
def test_what_a_pattern_matches(pattern: str, path: str, meant: bool) -> None:
    assert matches(pattern, path) is meant


def test_patterns_of_many_stars_are_decided_at_once() -> None:
    assert not matches("*a" * 25, "a" * 200 + "b")
    assert not matches("**/" * 40 + "x", "/".join("a" * 100))


def test_what_names_nobody_is_left_out() -> None:
    (section,) = parse("* @ada not-an-owner @ ada@example.com @@developer\n", "github")

    assert section.patterns[0].owners == ("github.login=ada", "email=ada@example.com")


# After GitLab's documentation "Code Owners syntax".
GITLAB = """
* @admin

[Documentation] @docs-team
docs/
README.md @acme/docs/writers

^[Database][2] @dba
*.sql
!generated.sql
config/db/ @ops @dba

[documentation]
glossary.md @terms
"""


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("main.py", {"gitlab.username=admin"}),
        ("docs/x.md", {"gitlab.username=admin", "gitlab.username=docs-team"}),
        ("README.md", {"gitlab.username=admin", "team=acme/docs/writers"}),
        ("a/users.sql", {"gitlab.username=admin", "gitlab.username=dba"}),
        ("generated.sql", {"gitlab.username=admin"}),
        ("config/db/x", {"gitlab.username=admin", "gitlab.username=ops", "gitlab.username=dba"}),
        ("glossary.md", {"gitlab.username=admin", "gitlab.username=terms"}),
    ],
)
def test_each_section_has_its_say(path: str, owners: set[str]) -> None:
    found = owners_of(parse(GITLAB, "gitlab"), path)

    assert {owner for owner, _ in found} == owners


@pytest.mark.parametrize(
    ("pattern", "all_of_it"), [("*", True), ("/**", True), ("/*", False), ("src/*", False)]
)
def test_which_patterns_are_about_the_repository(pattern: str, all_of_it: bool) -> None:
    assert covers_everything(pattern) is all_of_it


def test_the_repository_is_owned_by_the_last_pattern_for_all_of_it() -> None:
    sections = parse("* @ada\n/data/ @bob\n* @carol @acme/ml\n", "github")

    made = codeowners.claims(sections, "git.remote=github.com/acme/churn")

    owners = [(claim.dst, claim.properties) for claim in made if isinstance(claim, Links)]
    assert owners == [
        ("github.login=carol", {"role": "codeowner"}),
        ("team=acme/ml", {"role": "codeowner"}),
    ]
    (kept,) = [claim for claim in made if isinstance(claim, Keyed)]
    assert codeowners.read(kept.data or {}) == sections


def test_a_pattern_without_owners_takes_them_away() -> None:
    sections = parse("* @ada\n*\n", "github")

    assert not [c for c in codeowners.claims(sections, "git.remote=h/p") if isinstance(c, Links)]
