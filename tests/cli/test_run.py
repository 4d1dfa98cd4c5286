"""``kinlore run`` as a process: nobody may tell that it stands between, and what happened is known after."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.commands import PYTHON, Commands

#: Counts signals until it is told to end, in a way that the test can wait for.
COUNTS = """
import signal, sys, time
seen = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: seen.append(signal.Signals(number).name))
print("ready", flush=True)
until = time.monotonic() + 30
while time.monotonic() < until and not seen:
    time.sleep(0.01)
time.sleep(0.3)
print(seen)
sys.exit(7)
"""


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Commands:
    return Commands(folder, tmp_path / "state")


# --- passing through -------------------------------------------------------------------------------------


def test_a_command_that_succeeds_without_any_settings(run: Commands) -> None:
    done = run("--", "sh", "-c", "echo out; echo err >&2")

    assert (done.code, done.out) == (0, b"out\n")
    first, words = done.err.splitlines()
    assert first == "err"
    assert words.startswith("kinlore: kinlore.run=") and str(run.state / "kinlore" / "spool") in words
    assert "there is no kinlore.toml here and no KINLORE_URL" in words
    assert (run.only()["exit_code"], run.only()["log"]) == (0, "out\nerr")


def test_quiet_says_nothing(run: Commands) -> None:
    done = run("--quiet", "--", "true")

    assert done == (0, b"", "")
    assert run.only()["command"] == ["true"]


@pytest.mark.parametrize("code", [1, 5, 77, 255])
def test_the_exit_code_is_the_commands(run: Commands, code: int) -> None:
    assert run("sh", "-c", f"exit {code}").code == code
    assert run.only()["exit_code"] == code


def test_what_cannot_be_started_is_no_run(run: Commands) -> None:
    missing, folder = run("--", "no-such-command"), run("--", "/")

    assert (missing.code, missing.err) == (127, "kinlore: no-such-command: command not found\n")
    assert (folder.code, folder.err) == (126, "kinlore: /: Permission denied\n")
    assert run.spooled() == []


def test_bytes_are_not_touched_and_outputs_stay_apart(run: Commands) -> None:
    out, err = os.urandom(300_000), os.urandom(200_000)
    (run.folder / "out").write_bytes(out)
    (run.folder / "err").write_bytes(err)
    mixed = (
        "import sys, shutil\n"
        "for name in ('out', 'err'):\n"
        "    shutil.copyfileobj(open(name, 'rb'), getattr(sys, 'std' + name).buffer)\n"
    )

    done = subprocess.run(
        run.words("--quiet", "--", PYTHON, "-c", mixed),
        cwd=run.folder,
        env=run.environ(),
        capture_output=True,
    )

    assert (done.stdout, done.stderr) == (out, err)
    assert len(run.only()["log"]) <= 16_000


def test_much_output_passes_and_its_end_is_kept(run: Commands) -> None:
    lines = 1_500_000
    with subprocess.Popen(
        run.words("--", "seq", str(lines)), cwd=run.folder, env=run.environ(), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        digest = hashlib.file_digest(process.stdout, "sha256").hexdigest()

    expected = hashlib.sha256("".join(f"{n}\n" for n in range(1, lines + 1)).encode()).hexdigest()
    assert digest == expected
    kept = run.only()["log"].splitlines()
    assert kept == [str(n) for n in range(lines - 199, lines + 1)]


def test_the_order_of_two_outputs_in_one_file_stays(run: Commands) -> None:
    turns = "for n in $(seq 300); do echo $n; echo $n >&2; done"
    log = run.folder / "log"
    with log.open("wb") as file:
        subprocess.run(
            run.words("--quiet", "--", "sh", "-c", turns),
            cwd=run.folder, env=run.environ(), stdout=file, stderr=file, check=True,
        )  # fmt: skip

    assert log.read_text().split() == [str(n) for n in range(1, 301) for _ in "oe"]


def test_standard_input_is_the_commands(run: Commands) -> None:
    done = subprocess.run(
        run.words("--quiet", "--", "cat"),
        input=b"\0\xff line",
        cwd=run.folder,
        env=run.environ(),
        capture_output=True,
    )

    assert (done.returncode, done.stdout) == (0, b"\0\xff line")


def test_a_reader_that_goes_away_ends_the_command_as_ever(run: Commands) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -n 1; exit "${PIPESTATUS[0]}"', "-", *run.words("--quiet", "--", "yes")],
        cwd=run.folder, env=run.environ(), capture_output=True, timeout=60,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (128 + signal.SIGPIPE, b"y\n")
    assert run.only()["signal"] == "SIGPIPE"


def test_the_environment_is_as_it_was(run: Commands) -> None:
    """Kinlore runs in an environment of its own; nothing of it gets into the command's."""
    told = "import json, os, sys\nprint(json.dumps([dict(os.environ), sys.prefix, sys.path, os.getcwd()]))"
    plain = {"PATH": "/usr/bin:/bin", "HOME": str(run.folder), "XDG_STATE_HOME": str(run.state), "ODD": "é\n"}
    bare, under = (
        subprocess.run(
            [*words, PYTHON, "-c", told], cwd=run.folder, env=plain, capture_output=True, check=True
        )
        for words in ([], run.words("--quiet", "--"))
    )

    expected, found = (json.loads(done.stdout) for done in (bare, under))
    run_id = run.only()["run"]
    added = {"KINLORE_RUN_ID": run_id, "MLFLOW_RUN_CONTEXT": f'{{"kinlore.run": "{run_id}"}}'}
    assert found == [{**expected[0], **added}, *expected[1:]]


@pytest.mark.parametrize("active", [False, True])
def test_a_path_that_uvx_put_first_is_not_passed_on(run: Commands, active: bool) -> None:
    """``uvx kinlore`` is Kinlore's own environment, ``uv run kinlore`` is the project's."""
    ours = Path(sys.prefix, "bin")
    around = {"UV": "/usr/bin/uv", "PATH": f"{ours}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    around["VIRTUAL_ENV"] = sys.prefix if active else ""

    done = run("--quiet", "--", "sh", "-c", 'printf %s "$PATH"', **around)

    assert done.out.decode() == (around["PATH"] if active else "/usr/bin:/bin")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"team": "growth"}', '{{"team": "growth", "kinlore.run": "{run}"}}'),
        ("no JSON", "no JSON"),
        ("[1]", "[1]"),
    ],
)
def test_tags_that_were_set_for_mlflow_stay(run: Commands, before: str, after: str) -> None:
    done = run("--", "sh", "-c", 'printf %s "$MLFLOW_RUN_CONTEXT"', MLFLOW_RUN_CONTEXT=before)

    assert done.out.decode() == after.format(run=run.only()["run"])


# --- signals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_passed_on_once(run: Commands, number: signal.Signals) -> None:
    process = run.start("--quiet", "--", PYTHON, "-c", COUNTS)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"

    process.send_signal(number)
    out, err = process.communicate(timeout=60)

    assert (out.decode(), err) == (f"['{number.name}']\n", b"")
    assert process.returncode == 7


def test_a_command_that_is_killed(run: Commands) -> None:
    run.configure()

    done = run(
        "--",
        PYTHON,
        "-c",
        "import os, signal; print('step 3', flush=True); os.kill(os.getpid(), signal.SIGKILL)",
    )

    assert done.code == 128 + signal.SIGKILL
    (found,) = run.runs()
    properties = found.properties
    assert (properties["status"], properties["signal"], properties["exitCode"]) == ("KILLED", "SIGKILL", 137)
    assert properties["error"] == "ended by SIGKILL\nstep 3"


def test_the_command_goes_when_kinlore_is_killed(run: Commands) -> None:
    process = run.start("--", "sh", "-c", "echo $$; exec sleep 60")
    assert process.stdout is not None
    child = int(process.stdout.readline())

    process.kill()
    process.wait()

    until = time.monotonic() + 20
    while time.monotonic() < until and Path(f"/proc/{child}").exists():
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()


# --- on a terminal ---------------------------------------------------------------------------------------

TERMINAL = """
import os, pty, sys, fcntl, struct, termios, time
words = sys.argv[1:]
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 33, 101, 0, 0))
    os.execv(words[0], words)
seen, pressed = b"", False
while True:
    try:
        chunk = os.read(master, 65536)
    except OSError:
        break
    if not chunk:
        break
    seen += chunk
    if b"ready" in seen and not pressed:
        pressed = True
        os.write(master, b"\\x03")
os.write(1, seen)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def on_a_terminal(run: Commands, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", TERMINAL, *run.words(*words)],
        cwd=run.folder, env=run.environ(), capture_output=True, timeout=120,
    )  # fmt: skip


def test_on_a_terminal_the_command_sees_one(run: Commands) -> None:
    asks = (
        "import os, sys\n"
        "print(*(f.isatty() for f in (sys.stdin, sys.stdout, sys.stderr)), *os.get_terminal_size())\n"
        "print('two')\n"
    )

    done = on_a_terminal(run, "--quiet", "--", PYTHON, "-c", asks)

    assert done.stdout == b"True True True 101 33\r\ntwo\r\n"
    assert run.only()["log"] == "True True True 101 33\ntwo"


def test_ctrl_c_reaches_the_command_once(run: Commands) -> None:
    done = on_a_terminal(run, "--quiet", "--", PYTHON, "-c", COUNTS)

    assert done.stdout.replace(b"^C", b"") == b"ready\r\n['SIGINT']\r\n"
    assert done.returncode == 7


def test_without_a_terminal_the_command_sees_none(run: Commands) -> None:
    done = run("--quiet", "--", PYTHON, "-c", "import sys; print(sys.stdout.isatty(), sys.stderr.isatty())")

    assert done.out == b"False False\n"
