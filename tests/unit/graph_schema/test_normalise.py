"""Spellings that people and tools really write, and what they come to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema import normalise as n
from graph_schema.errors import BadIdentifier
from graph_schema.schemes import SCHEMES

SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"
MD5 = "1bc29b36f623ba82aaf6724fd3b16718"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
UUID = "0190f2a4-6b1c-7def-8123-456789abcdef"

REMOTES = [
    ("https://github.com/acme/churn.git", "github.com/acme/churn"),
    ("https://github.com/acme/churn", "github.com/acme/churn"),
    ("https://github.com/acme/churn/", "github.com/acme/churn"),
    ("https://github.com:443/acme/churn.git", "github.com/acme/churn"),
    ("http://github.com:80/acme/churn.git", "github.com/acme/churn"),
    ("https://GitHub.com/acme/Churn.git", "github.com/acme/Churn"),
    ("https://ada:ghp_secret@github.com/acme/churn.git", "github.com/acme/churn"),
    ("https://oauth2@gitlab.example.com/group/sub/project.git", "gitlab.example.com/group/sub/project"),
    ("git@github.com:acme/churn.git", "github.com/acme/churn"),
    ("git@github.com:/acme/churn.git", "github.com/acme/churn"),
    ("github.com:acme/churn.git", "github.com/acme/churn"),
    ("org-123@github.com:acme/churn.git", "github.com/acme/churn"),
    ("ssh://git@github.com/acme/churn.git", "github.com/acme/churn"),
    ("ssh://git@github.com:22/acme/churn.git/", "github.com/acme/churn"),
    ("ssh://git@git.example.com:2222/acme/churn.git", "git.example.com:2222/acme/churn"),
    ("git.example.com:2222/acme/churn", "git.example.com:2222/acme/churn"),
    ("git://git.kernel.org:9418/pub/scm/git/git.git", "git.kernel.org/pub/scm/git/git"),
    ("git+ssh://git@github.com/acme/churn.git", "github.com/acme/churn"),
    ("github.com/acme/churn", "github.com/acme/churn"),
    ("git@ssh.dev.azure.com:v3/acme/project/churn", "ssh.dev.azure.com/v3/acme/project/churn"),
    ("https://github.com//acme///churn.git", "github.com/acme/churn"),
    ("  https://github.com/acme/churn.git\n", "github.com/acme/churn"),
    ("file:///srv/git/churn", "file:///srv/git/churn"),
    ("file:///srv/git/churn/.git", "file:///srv/git/churn"),
    ("file:///srv/git/churn/", "file:///srv/git/churn"),
    ("/srv/git/churn", "file:///srv/git/churn"),
    ("/srv/git/churn/.git", "file:///srv/git/churn"),
    ("/srv/git//churn/", "file:///srv/git/churn"),
]


@pytest.mark.parametrize(("written", "expected"), REMOTES)
def test_git_remotes(written: str, expected: str) -> None:
    assert n.git_remote(written) == expected
    assert n.git_remote(expected) == expected


@pytest.mark.parametrize(
    "group",
    [
        ["C:\\repos\\churn", "C:/repos/churn", "file:///C:/repos/churn"],
        ["/srv/my repo", "file:///srv/my repo", "file:///srv/my%20repo"],
        ["file:/srv/x", "file:///srv/x", "file://localhost/srv/x", "/srv/x"],
    ],
)
def test_local_repositories_spelled_differently_are_one(group: list[str]) -> None:
    assert len({n.git_remote(written) for written in group}) == 1
    assert n.git_remote(group[0]).startswith("file:")


@pytest.mark.parametrize(
    "written", ["", "   ", "churn", "https://", "https://github.com", "https://[::1/x", "a\0b/c"]
)
def test_what_is_no_git_remote_is_refused(written: str) -> None:
    with pytest.raises(BadIdentifier):
        n.git_remote(written)


@pytest.mark.parametrize(
    ("function", "written", "expected"),
    [
        (n.git_sha, SHA.upper(), SHA),
        (n.git_sha, f"  {SHA}\n", SHA),
        (n.git_sha, SHA256, SHA256),
        (n.md5, MD5.upper(), MD5),
        (n.dvc_md5, MD5, MD5),
        (n.dvc_md5, f"{MD5}.dir", f"{MD5}.dir"),
        (n.dvc_md5, f"{MD5.upper()}.DIR", f"{MD5}.dir"),
        (n.sha256, f"sha256:{SHA256}", SHA256),
        (n.sha256, f"SHA256:{SHA256.upper()}", SHA256),
        (n.oci_digest, f"sha256:{SHA256}", f"sha256:{SHA256}"),
        (n.oci_digest, SHA256, f"sha256:{SHA256}"),
        (n.uuid, UUID.upper(), UUID),
        (n.uuid, UUID.replace("-", ""), UUID),
        (n.uuid, f"urn:uuid:{UUID}", UUID),
        (n.uuid, f"{{{UUID}}}", UUID),
        (n.numbered, "acme/churn#7", "acme/churn#7"),
        (n.numbered, "Acme/Churn#007", "acme/churn#7"),
        (n.numbered, "group/sub/project!12", "group/sub/project!12"),
        (n.numbered, "acme/churn#0", "acme/churn#0"),
        (n.namespaced, "postgres://db:5432/public.users", "postgres://db:5432/public.users"),
        (n.namespaced, " s3://bucket/a/b ", "s3://bucket/a/b"),
        (n.name_version, "churn/3", "churn/3"),
        (n.name_version, "team/churn/3", "team/churn/3"),
        (n.name_tag, "Churn:K2VQ5", "churn:k2vq5"),
        (n.email, "Ada@Example.COM", "ada@example.com"),
        (n.email, "mailto:ada@example.com", "ada@example.com"),
        (n.email, "Ada Lovelace <ada@example.com>", "ada@example.com"),
        (n.lower, " Ada ", "ada"),
        (n.text, "  Größe 🙂 ‮x  ", "Größe 🙂 ‮x"),
        (n.text, "x" * 4_000, "x" * 4_000),
    ],
)
def test_spellings(function: Callable[[str], str], written: str, expected: str) -> None:
    assert function(written) == expected
    assert function(expected) == expected


@pytest.mark.parametrize(
    ("function", "written"),
    [
        (n.git_sha, "3faf1c7"),
        (n.git_sha, "g" * 40),
        (n.git_sha, "٣" * 40),
        (n.md5, MD5[:-1]),
        (n.md5, f"{MD5}.dir"),
        (n.dvc_md5, f"{MD5}.dirs"),
        (n.sha256, MD5),
        (n.sha256, f"md5:{SHA256}"),
        (n.oci_digest, "latest"),
        (n.uuid, UUID[:-1]),
        (n.uuid, "not-a-uuid"),
        (n.numbered, "churn#7"),
        (n.numbered, "acme/churn"),
        (n.numbered, "acme/churn#seven"),
        (n.numbered, "acme/churn#-1"),
        (n.namespaced, "users"),
        (n.namespaced, "/users/"),
        (n.name_version, "churn"),
        (n.name_version, "churn/"),
        (n.name_version, "/3"),
        (n.name_tag, "churn"),
        (n.name_tag, ":3"),
        (n.email, "ada"),
        (n.email, "ada@ex@ample"),
        (n.text, ""),
        (n.text, " \t\n"),
        (n.text, "a\0b"),
        (n.text, "\ud800"),
        (n.text, "x" * 4_001),
    ],
)
def test_what_a_scheme_does_not_hold_is_refused(function: Callable[[str], str], written: str) -> None:
    with pytest.raises(BadIdentifier) as refusal:
        function(written)
    assert len(str(refusal.value)) < 300, "a message stays short however long the value is"


# Bits that real spellings are made of: far likelier to meet a corner than characters drawn at random.
_BITS = st.sampled_from(
    [
        "a",
        "B",
        "churn",
        "github.com",
        "GitHub.com",
        "git@",
        "ada:pw@",
        "@",
        ":",
        "/",
        "//",
        "://",
        "https://",
        "ssh://",
        "file:",
        "file://",
        "file:///",
        ".git",
        "/.git",
        ":22",
        ":443",
        ":2222",
        "22/",
        "~",
        "./",
        "../",
        "%20",
        "%25",
        "%2525",
        "?q=1",
        "#7",
        "#frag",
        "!",
        "0",
        "7",
        "sha256:",
        "mailto:",
        "<",
        ">",
        "x@y",
        "{",
        "}",
        "urn:uuid:",
        " ",
        "\t",
        "\n",
        "C:\\",
        "\\",
        "é",
        "İ",
        "ß",
        "🙂",
        ".dir",
        "[::1]",
        MD5,
        SHA,
        SHA256,
        UUID,
    ]
)
_SPELLINGS = st.one_of(
    st.lists(_BITS, max_size=8).map("".join),
    st.text(max_size=30),
    st.sampled_from([written for written, _ in REMOTES]),
    st.sampled_from([scheme.example for scheme in SCHEMES.values()]),
)


@pytest.mark.parametrize("name", sorted({s.normalise.__name__ for s in SCHEMES.values()}))
@given(written=_SPELLINGS)
def test_normalising_twice_is_normalising_once(name: str, written: str) -> None:
    function: Callable[[str], str] = getattr(n, name)
    try:
        once = function(written)
    except BadIdentifier:
        return

    assert function(once) == once
    assert once == once.strip()
    assert once
