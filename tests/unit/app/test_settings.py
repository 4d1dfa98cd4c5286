"""Settings: where each comes from, and the one line that a wrong one gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import ConfigError
from app.settings import Loaded, load, remote


def write(folder: Path, text: str) -> Path:
    file = folder / "kinlore.toml"
    file.write_text(text)
    return file


def test_defaults_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    loaded = load(environ={})

    assert loaded.file is None and loaded.folder == tmp_path.resolve()
    assert loaded.settings.store.url == "sqlite:///kinlore.db"
    assert (loaded.settings.server.host, loaded.settings.server.port) == ("127.0.0.1", 8420)
    assert loaded.settings.environments.production == ("prod", "production")


def test_variables_beat_the_file_and_flags_beat_both(tmp_path: Path) -> None:
    file = write(tmp_path, '[server]\nport = 1001\nhost = "::1"\n[store]\nurl = "sqlite:///a.db"\n')

    loaded = load(
        file,
        flags={"server.port": 1003, "server.host": None},
        environ={"KINLORE_SERVER__PORT": "1002", "KINLORE_STORE__URL": "sqlite:///b.db"},
    )

    assert loaded.settings.server.port == 1003
    assert loaded.settings.server.host == "::1"
    assert loaded.settings.store.url == "sqlite:///b.db"


def test_the_file_is_found_by_flag_variable_or_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, "[server]\nport = 1001\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    by_flag, by_variable = load(file, environ={}), load(environ={"KINLORE_CONFIG": str(file)})
    monkeypatch.chdir(tmp_path)
    by_folder = load(environ={})

    loaded: Loaded
    for loaded in (by_flag, by_variable, by_folder):
        assert loaded.settings.server.port == 1001 and loaded.folder == tmp_path.resolve()


def test_lists_from_variables_are_split_at_commas(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, ""), environ={"KINLORE_ENVIRONMENTS__PRODUCTION": "live, eu-live"})

    assert loaded.settings.environments.production == ("live", "eu-live")


def test_secrets_come_from_variables_and_are_not_shown(tmp_path: Path) -> None:
    loaded = load(
        write(tmp_path, '[store]\nurl = "neo4j://neo4j@graph:7687"\n'),
        environ={"KINLORE_STORE__PASSWORD": "hush-hush", "KINLORE_SERVER__TOKEN": "0123456789abcdef0123"},
    )

    assert loaded.settings.store.password is not None
    assert loaded.settings.store.password.get_secret_value() == "hush-hush"
    assert "hush" not in repr(loaded) and "0123456789" not in repr(loaded)


@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        (
            "[server]\nprot = 1\n",
            {},
            "kinlore.toml: server.prot is no setting; did you mean port?; allowed are host",
        ),
        ("[servr]\n", {}, "kinlore.toml: servr is no setting; did you mean server?"),
        (
            "[server]\nport = 70000\n",
            {},
            "kinlore.toml: server.port: allowed is less than or equal to 65535 (it is '70000')",
        ),
        ('[server]\nport = "x"\n', {}, "kinlore.toml: server.port: a whole number is allowed (it is 'x')"),
        ('[server]\nauth = "off"\n', {}, "kinlore.toml: server.auth: allowed is 'auto' or 'required'"),
        ("", {"KINLORE_SERVER__PORT": "x"}, "KINLORE_SERVER__PORT: a whole number is allowed"),
        ("", {"KINLORE_SERVER__PROT": "1"}, "did you mean KINLORE_SERVER__PORT?"),
        ('[store]\npassword = "x"\n', {}, "set KINLORE_STORE__PASSWORD"),
        ('[store]\nurl = "neo4j://neo4j:pw@host"\n', {}, "the password does not belong into the URL"),
        ('[store]\nurl = "postgres://host/db"\n', {}, "allowed are sqlite:///file.db and neo4j, neo4j+s"),
        ('[store]\nurl = "sqlite://kinlore.db"\n', {}, "write sqlite:///file.db"),
        ('[store]\nurl = "neo4j://"\n', {}, "the host is missing"),
        ("[store\n", {}, "kinlore.toml is not valid TOML"),
        ("server = 3\n", {"KINLORE_SERVER__PORT": "1"}, "server is a section"),
        ('[[sources]]\nname = "a"\n[[sources]]\nname = "a"\n', {}, "two sources are named 'a'"),
        ('[[notify]]\ntype = "slack"\n', {}, "kinlore.toml: notify.0.name: the key is missing"),
        ('[[bounds]]\nmetirc = "auc"\n', {}, "bounds.0.metirc is no setting; did you mean metric?"),
        ("[store]\nurl = 5\n", {}, "kinlore.toml: store.url: a text is allowed, in quotes"),
        (
            '[sources]\ntype = "git"\n',
            {},
            "kinlore.toml: sources: there may be several, so write [[sources]]",
        ),
        ("", {"KINLORE_SERVER__TOKEN": "short"}, "at least 16 characters"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, environ: dict[str, str], said: str) -> None:
    file = write(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        load(file, environ=environ)

    message = str(caught.value)
    assert said in message
    assert "\n" not in message and "pw" not in message.replace("password", "")


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config names"):
        load(tmp_path / "none.toml", environ={})
    with pytest.raises(ConfigError, match="KINLORE_CONFIG names"):
        load(environ={"KINLORE_CONFIG": str(tmp_path / "none.toml")})


def test_the_server_to_ask() -> None:
    asked = remote({"KINLORE_URL": "http://127.0.0.1:8420/", "KINLORE_TOKEN": "t"})

    assert asked is not None and asked.url == "http://127.0.0.1:8420" and asked.token is not None
    assert remote({}) is None
    with pytest.raises(ConfigError, match="KINLORE_URL is 'localhost:8420'"):
        remote({"KINLORE_URL": "localhost:8420"})
