"""The documentation keeps up with the code, and loads nothing from elsewhere."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from graphql import build_schema
from pydantic import BaseModel

from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.api.status import source_statuses
from app.cli import cli
from app.cli.outcome import CHECK_FAILED, FAILURE, NOT_FOUND, OK, UNREACHABLE, USAGE
from app.container import Container
from app.demo import run
from app.settings import Settings
from graph_schema import document
from ingestors import registry

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CHANGELOG.md"]
PICTURES = sorted(DOCS.rglob("*.svg"))
_LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")


def read_text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def read(name: str) -> str:
    return read_text(DOCS / name)


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its level or above."""
    level = heading.partition(" ")[0]
    lines = text.splitlines()
    assert heading in lines, f"there is no heading {heading!r}"
    kept: list[str] = []
    for line in lines[lines.index(heading) + 1 :]:
        marks = re.match(r"#+(?= )", line)
        if marks and len(marks[0]) <= len(level):
            break
        kept.append(line)
    return "\n".join(kept)


def prose(text: str) -> str:
    """Without blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ +(.+?) *$", prose(text), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


# --- made from declarations ------------------------------------------------------------------------------


def test_the_schema_is_as_declared(tmp_path: Path) -> None:
    document.write(tmp_path)

    for name in ("schema.md", "img/schema.svg"):
        made = (tmp_path / name).read_text(encoding="utf-8")
        assert read(name) == made, f"docs/{name} is out of date: run `python -m graph_schema.document`"


# --- commands --------------------------------------------------------------------------------------------

COMMANDS = [
    (name, line, importlib_place)
    for listed in cli.sections.values()  # type: ignore[attr-defined]
    for name, (importlib_place, line) in listed.items()
]


@pytest.mark.parametrize(("name", "line", "place"), COMMANDS)
def test_each_command_is_documented(name: str, line: str, place: str) -> None:
    text = section(read("cli.md"), f"### {name}")
    command = cli.get_command(click.Context(cli), name)

    assert command is not None, place
    assert line in text, f"docs/cli.md, {name}: should say {line!r}"
    options = [opt for each in command.params if isinstance(each, click.Option) for opt in each.opts]
    shared = {"--json", "--config"}
    missing = [opt for opt in options if opt not in shared and f"`{opt}" not in text]
    assert not missing, f"docs/cli.md, {name}: says nothing of {missing}"


def test_no_command_is_documented_that_does_not_exist() -> None:
    documented = set(re.findall(r"^### (\S+)$", read("cli.md"), re.MULTILINE))

    assert documented == {name for name, _, _ in COMMANDS}


def test_exit_codes_are_documented() -> None:
    text = section(read("cli.md"), "## Exit codes")

    for code in (OK, FAILURE, USAGE, CHECK_FAILED, NOT_FOUND, UNREACHABLE):
        assert f"| {code} |" in text


# --- settings, sources, GraphQL --------------------------------------------------------------------------


def test_each_setting_is_documented() -> None:
    text = read("configuration.md")
    for name, field in Settings.model_fields.items():
        model = field.annotation
        is_section = isinstance(model, type) and issubclass(model, BaseModel)
        heading = f"## `[{name}]`" if is_section else f"## `[[{name}]]`"
        said = section(text, heading)
        for key in model.model_fields if is_section else ():
            assert f"`{key}`" in said, f"docs/configuration.md says nothing of {name}.{key}"


@pytest.mark.parametrize("type_name", sorted(registry.BUILT_IN))
def test_each_source_has_a_page_with_its_keys(type_name: str) -> None:
    text = read(f"sources/{type_name}.md")
    source = registry.source_class(type_name)

    assert f"]({type_name}.md)" in read("sources/index.md")
    missing = [key for key in source.config_model.model_fields if f"`{key}`" not in text]
    common = {"type", "name", "instance", "space", "every"}
    assert set(missing) <= common, f"docs/sources/{type_name}.md says nothing of {missing}"
    assert common <= set(re.findall(r"`(\w+)`", read("sources/index.md")))


def test_each_query_is_named() -> None:
    schema = build_schema((ROOT / "app" / "api" / "schema.graphql").read_text(encoding="utf-8"))
    assert schema.query_type is not None
    text = read("graphql.md")

    for name, field in schema.query_type.fields.items():
        said = section(text, f"### {name}")
        missing = [argument for argument in field.args if f"`{argument}`" not in said]
        assert not missing, f"docs/graphql.md, {name}: says nothing of {missing}"


def test_each_mutation_is_named() -> None:
    schema = build_schema((ROOT / "app" / "api" / "schema.graphql").read_text(encoding="utf-8"))
    assert schema.mutation_type is not None
    said = dict(re.findall(r"`(\w+)\(([^)`]*)\)`", section(read("graphql.md"), "## Mutations")))

    found = {name: set(arguments.split(", ")) for name, arguments in said.items()}

    assert found == {name: set(field.args) for name, field in schema.mutation_type.fields.items()}


# --- what is shown was really said -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    with Container(run.unpack(tmp_path_factory.mktemp("demo") / "demo")) as container:
        for report in run.ingest_all(container):
            assert report.error is None
        yield container


EXAMPLES = re.findall(r"^```graphql\n(.*?)^```", read("graphql.md"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("query", EXAMPLES)
def test_the_examples_run_against_the_demo(demo: Container, query: str) -> None:
    told = answer(Request(query), lambda: Ask(demo.store, None, lambda: source_statuses(demo)))

    assert "errors" not in told
    assert all(told["data"].values()), "an example that finds nothing shows nothing"


@pytest.mark.parametrize("file", [ROOT / "README.md", DOCS / "quickstart.md"], ids=lambda f: f.name)
def test_the_tree_is_the_one_that_the_demo_draws(
    demo: Container, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lineage", "mlflow.model_version=churn/4", "--up", "--hops", "10"]
    cli.main([*words, "--config", str(demo.loaded.file)], standalone_mode=False)
    drawn = [ageless(line) for line in capsys.readouterr().out.splitlines()]

    text = file.read_text(encoding="utf-8")
    shown = [ageless(line) for line in text.splitlines() if re.match(r" *[│├└]", line)]

    assert len(shown) > 5
    assert not [line for line in shown if line not in drawn]


def ageless(line: str) -> str:
    return re.sub(r"  \d+ (d|h|y|min) ago", "", line)


BLOCKS = [
    pytest.param(language, text, id=f"{file.stem}-{language}-{number}")
    for file in TEXTS
    for number, (language, text) in enumerate(
        re.findall(r"^```(python|toml|json)\b[^\n]*\n(.*?)^```", read_text(file), re.DOTALL | re.MULTILINE)
    )
]


@pytest.mark.parametrize(("language", "text"), BLOCKS)
def test_what_is_to_be_pasted_can_be_read(language: str, text: str) -> None:
    if language == "python":
        compile(text, "docs", "exec")
    elif language == "toml":
        tomllib.loads(text)
    else:
        assert all(json.loads(line) for line in text.splitlines())


# --- links and pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", TEXTS, ids=lambda f: str(f.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for link in _LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        place, _, anchor = link.partition("#")
        target = (file.parent / place).resolve() if place else file
        assert target.exists(), f"{link} leads nowhere"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{link}: no such heading"


def test_every_page_is_in_the_navigation() -> None:
    class Loader(yaml.SafeLoader):
        """mkdocs.yml may hold tags of its own."""

    Loader.add_multi_constructor("", lambda loader, suffix, node: None)
    nav = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]

    def listed(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        values = entry.values() if isinstance(entry, dict) else entry
        assert not isinstance(values, str)
        return [page for value in values for page in listed(value)]  # type: ignore[attr-defined]

    assert sorted(listed(nav)) == [str(page.relative_to(DOCS)) for page in PAGES]


@pytest.mark.parametrize("file", [*TEXTS, *PICTURES], ids=lambda f: str(f.relative_to(ROOT)))
def test_nothing_is_loaded_from_elsewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    shown = text if file.suffix == ".svg" else prose(text)

    assert not re.search(r"<(script|iframe|link|object|embed|foreignObject)\b", shown, re.IGNORECASE)
    assert not re.search(r"\b(src|href)\s*=\s*[\"']?(https?:)?//", shown)
    assert not re.search(r"!\[[^\]]*\]\((https?:)?//", shown)
    assert not re.search(r"@import|url\(", shown)


@pytest.mark.parametrize("file", PICTURES, ids=lambda f: f.name)
def test_pictures_can_be_read_by_everybody(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert 'role="img" aria-labelledby="title desc"' in text
    assert re.search(r'<title id="title">[^<]{10,}</title>', text)
    assert re.search(r'<desc id="desc">[^<]{40,}</desc>', text)
    assert "prefers-color-scheme:dark" in text
    assert any(f"({Path('img') / file.name})" in t or f"img/{file.name})" in t for t in map(read_text, TEXTS))


@pytest.mark.parametrize("file", sorted((DOCS / "decisions").glob("[0-9]*.md")), ids=lambda f: f.name)
def test_decisions_are_short(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 40
    for heading in ("## Context", "## Decision", "## Consequences"):
        assert heading in text
