"""Who may push: by the secret of a source, by the server's token, or from this machine."""

from __future__ import annotations

from typing import Any

import pytest

from ingestors.inbox import INBOX
from tests.api.served import FAR, HERE, LOCKED, OPEN, TOKEN, Serve, bearer
from tests.bell import SECRET, Pipelines, hang_up, rings

pytestmark = pytest.mark.usefixtures("bell")


def test_a_secret_is_needed_where_there_is_one(serve: Serve) -> None:
    served = serve(LOCKED)

    statuses = [
        served.post("/hooks/bell", rings("a"), x_ring="1", **headers).status_code
        for headers in ({}, bearer("wrong"), bearer(SECRET[:-1]), bearer())
    ]

    assert statuses == [401, 401, 401, 202]


def test_a_forged_delivery_is_not_remembered(serve: Serve) -> None:
    served = serve(LOCKED)

    forged = served.post("/hooks/bell", b"{", x_ring="1", **bearer("wrong"))
    honest = served.post("/hooks/bell", rings("a"), x_ring="1", **bearer())

    assert forged.status_code == 401 and forged.headers["www-authenticate"] == "Bearer"
    assert honest.status_code == 202 and served.rows() == 1


@pytest.mark.parametrize("value", ["", "  "])
def test_a_secret_that_is_not_set_lets_nobody_in(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("BELL_SECRET", value)
    served = serve(LOCKED)

    answers = [served.post("/hooks/bell", rings("a"), **headers) for headers in ({}, bearer(""))]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert "BELL_SECRET holds no secret" in answers[0].json()["errors"][0]["message"]


def test_without_a_secret_only_from_this_machine(serve: Serve) -> None:
    served = serve()

    def said(**extra: Any) -> int:
        return int(served.post("/hooks/bell", rings("a"), **extra).status_code)

    assert said() == 202
    assert said(client=("::1", 50_000)) == 202
    assert said(client=FAR) == 403
    assert said(x_forwarded_for="127.0.0.1") == 403
    assert said(host="kinlore.example") == 421
    assert said(origin="https://evil.example") == 403
    assert served.rows() == 2


def test_the_secret_of_a_source_opens_a_server_with_a_token_for_that_source_alone(serve: Serve) -> None:
    served = serve(LOCKED, KINLORE_SERVER__TOKEN=TOKEN)

    def said(path: str, headers: dict[str, Any], client: tuple[str, int] = FAR) -> int:
        return int(
            served.post(path, rings("a"), client=client, base="http://k.example", **headers).status_code
        )

    assert said("/hooks/bell", bearer()) == 202
    assert said("/hooks/bell", {}) == 401
    assert said("/hooks/bell", bearer(TOKEN)) == 401
    assert said("/hooks/horn", bearer()) == 401
    assert said("/hooks/horn", bearer(TOKEN)) == 404
    assert said("/graphql", bearer()) == 401
    assert said("/hooks/", bearer()) == 401
    assert said("/hooks/bell", {}, HERE) == 401


def test_a_source_without_secret_on_a_server_with_a_token(serve: Serve) -> None:
    served = serve(OPEN, KINLORE_SERVER__TOKEN=TOKEN, KINLORE_SERVER__PUBLIC_URL="https://k.example")

    def said(base: str, client: tuple[str, int], **headers: Any) -> int:
        return int(served.post("/hooks/bell", rings("a"), client=client, base=base, **headers).status_code)

    assert said("https://k.example", FAR, **bearer(TOKEN)) == 202
    assert said("http://127.0.0.1:8420", HERE) == 202
    assert said("https://k.example", FAR) == 403
    assert said("https://k.example", HERE) == 403, "a proxy on this machine"


def test_a_server_that_is_closed_is_closed_for_its_own_machine(serve: Serve) -> None:
    served = serve(OPEN, KINLORE_SERVER__TOKEN=TOKEN, KINLORE_SERVER__AUTH="required")

    assert served.post("/hooks/bell", rings("a")).status_code == 403
    assert served.post("/hooks/bell", rings("a"), **bearer(TOKEN)).status_code == 202


# --- the address of OpenLineage's clients ----------------------------------------------------------------


@pytest.fixture
def as_openlineage(monkeypatch: pytest.MonkeyPatch) -> None:
    hang_up(monkeypatch, Pipelines)


def pipelines(*names: str, secret: bool = True) -> str:
    return "".join(
        f'[[sources]]\ntype = "openlineage"\nname = "{name}"\n'
        + (f'secret_env = "{name.upper()}_SECRET"\n' if secret else "")
        for name in names
    )


def test_the_only_source_of_lineage_takes_it(serve: Serve, as_openlineage: None) -> None:
    served = serve(pipelines("dbt", secret=False))

    assert served.post("/api/v1/lineage", rings("a")).status_code == 202
    assert served.store.service(INBOX)[0][0].startswith("dbt/")


def test_of_several_the_token_says_which(
    serve: Serve, as_openlineage: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_SECRET", SECRET + "1")
    monkeypatch.setenv("AIRFLOW_SECRET", SECRET + "2")
    served = serve(pipelines("dbt", "airflow"))

    second = served.post("/api/v1/lineage", rings("a"), **bearer(SECRET + "2"))
    none = served.post("/api/v1/lineage", rings("a"))
    far = served.post("/api/v1/lineage", rings("a"), client=FAR, **bearer("wrong"))

    assert second.status_code == 202
    assert served.store.service(INBOX)[0][0].startswith("airflow/")
    assert none.status_code == 400 and "(dbt, airflow)" in none.json()["errors"][0]["message"]
    assert far.status_code == 401 and "dbt" not in far.text
