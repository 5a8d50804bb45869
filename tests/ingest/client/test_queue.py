from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from questline_core.errors import BadInput
from questline_ingest.client.queue import Limits, Queue


def texts(queue: Queue, *, events: int = 100, size_bytes: int = 10**6) -> list[bytes]:
    return [one.data for one in queue.oldest(events=events, size_bytes=size_bytes)]


def test_what_waits_is_there_after_a_restart_in_its_order(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "new" / "queue", Limits())
    numbers = [queue.push(data) for data in (b"a", b"bb", b"ccc")]
    queue.remove(numbers[:1])
    queue.set_consent(given=True)
    queue.close()

    again = Queue(tmp_path / "new" / "queue", Limits())

    assert texts(again) == [b"bb", b"ccc"]
    assert (again.events, again.size_bytes, again.consent, again.dropped) == (2, 5, True, 0)
    assert again.push(b"d") > numbers[-1]
    again.close()


def test_what_waits_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from questline_ingest.client.queue import Limits, Queue\n"
        "queue = Queue(Path(sys.argv[1]), Limits())\n"
        "for n in range(100): queue.push(b'%d' % n)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "queue")], check=False)

    queue = Queue(tmp_path / "queue", Limits())
    assert killed.returncode == -9
    assert texts(queue) == [b"%d" % n for n in range(100)]
    queue.close()


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (Limits(events=3), [b"2", b"3", b"4444"]),
        (Limits(size_bytes=5), [b"3", b"4444"]),
        (Limits(size_bytes=4), [b"4444"]),
        (Limits(size_bytes=8), [b"0", b"1", b"2", b"3", b"4444"]),
    ],
)
def test_a_full_queue_drops_the_oldest_and_counts_them(limits: Limits, kept: list[bytes], tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue", limits)
    for data in (b"0", b"1", b"2", b"3", b"4444"):
        queue.push(data)

    assert texts(queue) == kept
    assert queue.dropped == 5 - len(kept)
    assert (queue.events, queue.size_bytes) == (len(kept), sum(map(len, kept)))
    queue.close()
    again = Queue(tmp_path / "queue", limits)
    assert again.dropped == 5 - len(kept)
    again.close()


def test_a_batch_ends_at_its_count_and_at_its_bytes_but_holds_one_event(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue", Limits())
    numbers = [queue.push(b"x" * 10) for _ in range(5)]

    assert len(texts(queue, events=2)) == 2
    assert len(texts(queue, size_bytes=30)) == 3
    assert len(texts(queue, size_bytes=29)) == 2
    assert len(texts(queue, size_bytes=1)) == 1
    assert [one.number for one in queue.oldest(events=2, size_bytes=99, but=numbers[:1])] == numbers[1:3]
    queue.close()


def test_a_no_empties_the_queue_and_leaves_nothing_in_its_files(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue", Limits())
    for _ in range(50):
        queue.push(b"very personal")
    assert b"very personal" in b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert queue.set_consent(given=False) == 50

    assert (queue.events, queue.size_bytes, texts(queue), queue.consent) == (0, 0, [], False)
    assert b"very personal" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    queue.close()


def test_a_file_that_cannot_be_a_queue_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, and long enough to be looked at" * 100)
    queue = Queue(tmp_path / "queue", Limits())

    for path in (tmp_path / "text", tmp_path / "text" / "queue", tmp_path / "queue"):
        with pytest.raises(BadInput, match=r"cannot use .* as a queue of events \(.*\); name a file"):
            Queue(path, Limits())
    queue.close()
