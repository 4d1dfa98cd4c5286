"""``kinlore check`` on branches of the demo's project: real git, real DVC, the graph that the demo makes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.cli import cli
from app.cli.outcome import run as run_line
from app.container import Container
from app.demo import run as demo
from app.gate.comments import MARK
from tests.cli.conftest import Outcome, git
from tests.cli.test_serve import free_port, started
from tests.forges import BOT, GITLAB_BOT, TOKEN, Forges

BRANCHES = {
    "readme": {"README.md": "# churn\n\nNow with a word more.\n"},
    "window": {"params.yaml": "featurize:\n  window: 9\n"},
    "script": {"train.py": "print('another script')\n"},
    "commands": {"##[error]x/dvc.yaml": "stages: [\n", "train.py": "print(1)\n"},
}


class Project:
    """The demo's clone beside its graph, and a branch for each thing that may change."""

    def __init__(self, folder: Path, dvc: Path) -> None:
        with Container(demo.unpack(folder)) as container:
            for report in demo.ingest_all(container):
                assert report.error is None
        self.settings = folder / "kinlore.toml"
        self.folder = folder / "churn"
        for branch, files in BRANCHES.items():
            self._branch(branch)
            for name, text in files.items():
                place = self.folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            self._commit()
        self._branch("data")
        (self.folder / "data" / "raw.csv").write_text("customer,tenure\n1,2\n", encoding="utf-8")
        environment = {**os.environ, "HOME": str(folder / "home"), "DVC_SITE_CACHE_DIR": str(folder / "site")}
        subprocess.run(
            [dvc / "dvc", "add", "--quiet", "data/raw.csv"], cwd=self.folder, env=environment, check=True
        )
        self._commit()
        git(self.folder, "checkout", "--quiet", "main")

    def _branch(self, name: str) -> None:
        git(self.folder, "checkout", "--quiet", "-b", name, "main")

    def _commit(self) -> None:
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--message", "Change")


@pytest.fixture(scope="module")
def project(dvc_tool: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("check") / "demo", dvc_tool)


@pytest.fixture(scope="module")
def served(project: Project) -> Iterator[str]:
    """The address of a server of the same graph."""
    words = ("--config", str(project.settings), "serve", "--no-jobs", "--port", str(free_port()))
    with started(project.settings.parent, *words) as (_, said):
        yield str(said["address"])


Check = Callable[..., Outcome]


@pytest.fixture
def check(project: Project, capfd: pytest.CaptureFixture[str]) -> Check:
    """Check a branch, in process."""

    def call(branch: str, *words: str) -> Outcome:
        capfd.readouterr()
        head = () if "--from" in words else ("--head", branch)
        code = run_line(
            cli, ["--config", str(project.settings), "check", "--folder", str(project.folder), *head, *words]
        )
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Outcome(code, out, err)

    return call


def test_a_branch_that_touches_the_data_warns_and_names_what_runs(check: Check) -> None:
    done = check("data")

    assert done.code == 0
    assert done.out.startswith("WARN  score ")
    assert "Deployment production/churn-api@17" in done.out
    assert "1 production deployment" in done.out
    assert "- data data/raw.csv: 333a0ce → " in done.out
    # What the extract of 2 November led to: the incident, and not its alerts beside it.
    said = " ".join(done.out.split())
    assert "- Too many customers are scored as leaving, 2026-11-03: confirmed cause c0f0add Extract" in said
    assert "ChurnScoreDrift" not in said
    assert all(len(line) <= 100 for line in done.out.splitlines())


def test_one_that_touches_the_readme_is_silent(check: Check) -> None:
    done = check("readme")

    assert (done.code, done.out) == (0, "")
    assert "nothing in the graph was made from what changed" in done.err


def test_parameters_and_scripts_count_by_what_was_made_with_them(check: Check) -> None:
    window, script = check("window"), check("script")

    assert "featurize.window: 6 → 9, stage featurize" in window.out
    assert "- code train.py" in script.out
    for done in (window, script):
        assert "Deployment production/churn-api@17" in done.out


def test_a_configuration_that_was_tried_is_said_to_be(check: Check, tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("epochs: 4\nlr: 1.0\n", encoding="utf-8")
    same = check("data", "--config", str(file))
    file.write_text("epochs: 4\nlr: 1.5\n", encoding="utf-8")
    other = check("data", "--config", str(file), "--json")
    odd = check("data", "--config", str(tmp_path / "plan.ini"))

    assert same.code == 0
    assert same.out.startswith("already tried")
    assert "worked on 2026-10-13 with this very configuration" in same.out
    told = json.loads(other.out)
    assert not told["already"]
    assert told["alike"][0]["text"].endswith("; lr 1.5 here, 2 there")
    assert odd.code == 2
    assert "a configuration is one of .yaml, .yml, .json, .toml" in odd.err


def test_a_configuration_is_no_reason_to_fail_where_nobody_can_be_asked(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINLORE_URL", "http://127.0.0.1:9")
    (tmp_path / "plan.json").write_text('{"lr": 1}', encoding="utf-8")

    done = check("data", "--config", str(tmp_path / "plan.json"))

    assert (done.code, done.out) == (0, "")
    assert "nobody could be asked" in done.err


def test_above_a_threshold_it_fails(check: Check) -> None:
    assert check("data", "--fail-above", "10").code == 3
    assert check("data", "--fail-above", "99").code == 0
    assert check("readme", "--fail-above", "0").code == 0
    off = check("data", "--warn-above", "off")
    assert (off.code, off.out) == (0, "")
    assert check("data", "--fail-above", "much").code == 2


def test_json_has_all_of_it(check: Check) -> None:
    told = json.loads(check("data", "--json").out)

    assert told["verdict"] == "warn"
    assert 0 < told["score"] < 100
    assert sum(risk["contribution"] for risk in told["risks"]) == pytest.approx(told["score"])
    production = next(risk for risk in told["risks"] if risk["name"] == "production/churn-api@17")
    assert production["change"] == "data/raw.csv"
    assert [change["path"] for change in told["changes"]] == ["data/raw.csv"]
    assert json.loads(check("readme", "--json").out)["verdict"] == "quiet"


def test_a_server_answers_as_the_store_does(
    check: Check, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = check("data", "--json")

    monkeypatch.setenv("KINLORE_URL", served)
    there = check("data", "--json")

    assert json.loads(there.out) == json.loads(here.out)


def test_a_server_that_is_away_fails_nothing(
    check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KINLORE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))

    done = check("data", "--fail-above", "0")

    assert (done.code, done.out) == (0, "")
    assert "no verdict, and no failure for it: no Kinlore answers at http://127.0.0.1:9" in done.err
    assert "Kinlore could not be asked" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert (tmp_path / "output").read_text(encoding="utf-8") == "verdict=unknown\nscore=\n"


def test_without_a_graph_it_fails_nothing_either(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    code = run_line(cli, ["check", "--folder", str(project.folder), "--head", "data"])

    assert code == 0
    assert "no verdict" in capfd.readouterr().err


def test_nobody_is_asked_about_a_readme(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINLORE_URL", "http://127.0.0.1:9")

    done = check("readme")

    assert (done.code, done.out) == (0, "")
    assert "no verdict" not in done.err


def on_github(monkeypatch: pytest.MonkeyPatch, forges: Forges) -> None:
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "acme/churn",
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_API_URL": forges.url,
        "GITHUB_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)


def on_gitlab(monkeypatch: pytest.MonkeyPatch, forges: Forges) -> None:
    for name, value in {
        "GITLAB_CI": "true",
        "CI_PROJECT_ID": "12",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_API_V4_URL": forges.url,
        "GITLAB_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("forge", "set_up"), [("github", on_github), ("gitlab", on_gitlab)])
def test_one_comment_follows_the_branch(
    check: Check,
    forge: str,
    set_up: Callable[[pytest.MonkeyPatch, Forges], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Forges() as forges:
        set_up(monkeypatch, forges)

        first = check("data", "--comment", forge)
        (written,) = forges.texts
        again = check("window", "--comment", forge)
        (rewritten,) = forges.texts
        gone = check("readme", "--comment", forge)

        assert [done.err.splitlines()[-1] for done in (first, again, gone)] == [
            "comment written",
            "comment updated",
            "comment removed",
        ]
        assert written.startswith(MARK)
        assert "production&#47;churn&#45;api&#64;17" in written
        assert "raw&#46;csv" in written
        assert "params&#46;yaml" in rewritten
        assert forges.texts == []


def test_what_an_earlier_check_found_stays_while_the_server_is_away(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Forges() as forges:
        on_github(monkeypatch, forges)
        monkeypatch.setenv("KINLORE_URL", "http://127.0.0.1:9")
        forges.add(BOT, f"{MARK}\nbefore")

        assert check("data", "--comment", "github").code == 0
        assert forges.texts == [f"{MARK}\nbefore"]


def test_a_comment_that_cannot_be_written_fails_nothing(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Forges() as forges:
        on_github(monkeypatch, forges)
        monkeypatch.setenv("GITHUB_TOKEN", "wrong-token-0123456789")

        refused = check("data", "--comment", "github")
        elsewhere = check("data", "--comment", "gitlab")

        assert (refused.code, elsewhere.code) == (0, 0)
        assert "no comment: " in refused.err
        assert "401" in refused.err
        assert "wrong-token" not in refused.err
        assert "no pull request of GitLab CI" in elsewhere.err
        assert forges.add(GITLAB_BOT, "x") in forges.comments


def test_a_second_workflow_needs_no_clone(
    check: Check, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "changes.json"
    monkeypatch.setenv("KINLORE_URL", "http://127.0.0.1:9")
    asked_nobody = check("data", "--save", str(saved))
    monkeypatch.delenv("KINLORE_URL")

    there = check("", "--from", str(saved), "--folder", str(tmp_path / "nothing"), "--json")

    assert asked_nobody.code == 0
    assert json.loads(there.out) == json.loads(check("data", "--json").out)


def test_nothing_that_is_printed_is_a_command_to_a_build_system(check: Check) -> None:
    done = check("commands")

    assert "## [error]x/dvc.yaml is not YAML" in done.err
    for line in (done.out + done.err).splitlines():
        assert "##[" not in line
        assert not line.lstrip().startswith("::")


def test_markdown_is_what_the_comment_says(check: Check) -> None:
    done = check("data", "--markdown")

    assert done.out.startswith(f"{MARK}\n")
    assert "| deployment <code>production&#47;churn&#45;api&#64;17</code> |" in done.out
