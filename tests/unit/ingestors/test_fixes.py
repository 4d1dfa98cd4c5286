"""What pull requests say they fix, and what only looks like it."""

from __future__ import annotations

import pytest

from ingestors.fixes import fixes


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Fixes #7", ["github.issue=acme/churn#7"]),
        ("fixed: #7", ["github.issue=acme/churn#7"]),
        (
            "Closes #7, #8 and acme/other#9.",
            [f"github.issue=acme/{n}" for n in ("churn#7", "churn#8", "other#9")],
        ),
        ("This resolves\n#12", ["github.issue=acme/churn#12"]),
        ("FIXES #7\n\nfixes #7", ["github.issue=acme/churn#7"]),
        ("Fixes https://github.com/Acme/Churn/issues/7", ["github.issue=acme/churn#7"]),
        ("Fixes https://gitlab.com/acme/sub/churn/-/issues/7", ["gitlab.issue=acme/sub/churn#7"]),
        ("Fixes https://acme.pagerduty.com/incidents/Q1ABCDEF2GHIJK", ["pagerduty.incident=Q1ABCDEF2GHIJK"]),
        (
            "Fixes alertmanager.alert=9c1a@2026-01-31T10:00:00Z",
            ["alertmanager.alert=9c1a@2026-01-31T10:00:00Z"],
        ),
        ("Prefixes #2", []),
        ("hot-fixes #2", []),
        ("Fixes the scaler, see #2", []),
        ("Fixes #7a", []),
        ("`Fixes #7`", []),
        ("```\nFixes #7\n```\nFixes #8", ["github.issue=acme/churn#8"]),
        ("<!-- Fixes #7 -->", []),
        ("<!-- never closed. Fixes #7", []),
        ("Fixes git.sha=3faf", []),
        ("Implements #7", []),
        ("Fixes https://evil.example/x", []),
        ("", []),
    ],
)
def test_what_a_text_says(text: str, found: list[str]) -> None:
    assert fixes(text, "acme/churn", "github.issue") == found


def test_gitlab_knows_more_words() -> None:
    found = fixes("Implements #7, closing #8", "acme/churn", "gitlab.issue")

    assert found == ["gitlab.issue=acme/churn#7", "gitlab.issue=acme/churn#8"]


def test_long_texts_are_read_at_once() -> None:
    assert fixes("fixes " * 100_000, "acme/churn", "github.issue") == []
    assert fixes("Fixes #1" + ", #1" * 100_000, "acme/churn", "github.issue") == ["github.issue=acme/churn#1"]
    assert len(fixes("Fixes " + ", ".join(f"#{n}" for n in range(1, 9_000)), "a/b", "github.issue")) == 50
