"""What the last words of a command say."""

from __future__ import annotations

from ingestors.capture.failure import exception_in, log_tail, readable

PLAIN = """\
epoch 1
Traceback (most recent call last):
  File "/srv/churn/train.py", line 12, in <module>
    main()
    ~~~~^^
  File "/srv/churn/train.py", line 9, in main
    raise ValueError("two\\nlines")
ValueError: two
lines

after
"""
CHAINED = """\
Traceback (most recent call last):
  File "a.py", line 1, in load
KeyError: 'column'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
  File "b.py", line 7, in read
pkg.errors.SchemaError: renamed
"""
TORCHRUN = """\
[rank1]: Traceback (most recent call last):
[rank1]:   File "train.py", line 4, in <module>
[rank1]:     step()
[rank1]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB
W1121 torch/distributed/elastic/multiprocessing/api.py:900] Sending process 7 closing signal SIGTERM
Traceback (most recent call last):
  File "/bin/torchrun", line 8, in <module>
    sys.exit(main())
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
"""


def lines(text: str) -> list[str]:
    return readable(text.encode())


def test_a_traceback() -> None:
    found = exception_in(lines(PLAIN))

    assert found is not None
    assert (found.type, found.message) == ("ValueError", "two\nlines")
    assert [(frame.file, frame.line, frame.function) for frame in found.frames] == [
        ("/srv/churn/train.py", 12, "<module>"),
        ("/srv/churn/train.py", 9, "main"),
    ]
    assert found.text.startswith("Traceback") and found.text.endswith("ValueError: two\nlines")


def test_of_a_chain_the_last_is_what_was_raised_and_all_is_kept() -> None:
    found = exception_in(lines(CHAINED))

    assert found is not None
    assert (found.type, found.message) == ("pkg.errors.SchemaError", "renamed")
    assert [frame.file for frame in found.frames] == ["a.py", "b.py"]
    assert "KeyError: 'column'" in found.text


def test_a_launchers_own_traceback_says_less_than_the_process() -> None:
    found = exception_in(lines(TORCHRUN))

    assert found is not None
    assert (found.type, found.frames[-1].file) == ("torch.OutOfMemoryError", "train.py")
    assert found.message.startswith("CUDA out of memory")


def test_a_launcher_that_marks_no_lines() -> None:
    told = TORCHRUN.replace("[rank1]: ", "")

    found = exception_in(lines(told))

    assert found is not None and found.type == "torch.OutOfMemoryError"
    assert found.text.endswith("Tried to allocate 2.00 GiB")


def test_of_several_tracebacks_the_last_counts() -> None:
    handled = PLAIN.replace("ValueError", "OSError")

    found = exception_in(lines(handled + PLAIN))

    assert found is not None and found.type == "ValueError"


def test_an_exception_without_a_message() -> None:
    found = exception_in(
        lines('Traceback (most recent call last):\n  File "a.py", line 1, in f\nKeyboardInterrupt\n')
    )

    assert found is not None and (found.type, found.message) == ("KeyboardInterrupt", "")


def test_what_is_no_traceback_is_none() -> None:
    assert exception_in(lines("Segmentation fault (core dumped)\n")) is None
    assert exception_in(lines('Traceback (most recent call last):\n  File "a.py", line 1, in f\n')) is None
    assert exception_in(lines("Traceback (most recent call last):\nno exception in this one\n")) is None


def test_the_log_is_what_a_person_saw() -> None:
    output = b"\x1b[1;31mred\x1b[0m\n\x1b]0;title\x07epoch\r\n10%\r50%\r100%\nbad \xff byte\n\n\n"

    assert log_tail(readable(output)) == "red\nepoch\n100%\nbad \ufffd byte"


def test_a_long_log_is_cut_at_its_beginning() -> None:
    tail = log_tail([f"line {number} {'x' * 300}" for number in range(1_000)])

    assert len(tail) <= 16_000 and tail.splitlines()[-1].startswith("line 999 ")
