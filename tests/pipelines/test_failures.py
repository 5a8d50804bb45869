"""The sentence that explains a failed step."""

from __future__ import annotations

import pytest

from questline_pipelines.failures import sentence

FRAMES = """\
    Traceback (most recent call last):
      File "<frozen runpy>", line 198, in _run_module_as_main
      File "/tmp/ephemeral_component.py", line 11, in prepare
        extract(rooms)
        ^^^^^^^^^^^^^^
"""


@pytest.mark.parametrize(
    ("last_lines", "explained"),
    [
        ("    questline_core.errors.BadInput: no events; send some\n", "no events; send some"),
        ("    questline_core.errors.BadInput: first line\n      second line\n", "first line\n  second line"),
        ("    ValueError: no such column\n", "ValueError: no such column"),
        ("    tensorflow.errors.ResourceExhausted: out of memory\n", "ResourceExhausted: out of memory"),
        ("    KeyboardInterrupt\n", "KeyboardInterrupt"),
    ],
)
def test_the_exception_is_the_sentence_and_our_own_class_is_not_named(last_lines: str, explained: str) -> None:
    kfp = "    \n\n12:00:00.000 - ERROR - Task prepare finished with status FAILURE\n"

    assert sentence("12:00:00.000 - INFO - Executing task prepare\n" + FRAMES + last_lines + kfp) == explained


def test_of_chained_exceptions_the_last_is_the_sentence() -> None:
    chained = (
        FRAMES
        + "    KeyError: 'x'\n    \n    During handling of the above exception, another exception occurred:\n    \n"
        + FRAMES
        + "    questline_core.errors.NotReady: nothing serves\n"
    )

    assert sentence(chained) == "nothing serves"


def test_a_step_that_printed_no_traceback_was_ended_from_outside() -> None:
    assert sentence("    fitting\n    Killed\n").startswith("it ended without saying why")
