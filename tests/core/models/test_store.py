"""The model store: whole versions, and only those."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from questline_core import places
from questline_core.errors import BadInput, NotReady
from questline_core.models.rollout import read_golden
from questline_core.models.store import check_files, checksums, latest, load, publish, versions
from questline_core.testing.cloud_storage import asked_by_gcsfs, storage_or_skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "trained"
    (folder / "saved_model" / "variables").mkdir(parents=True)
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"graph")
    (folder / "saved_model" / "variables" / "data").write_bytes(b"weights")
    (folder / "golden.json").write_text("[]")
    (folder / "training.json").write_text(
        json.dumps({"signature": {"inputs": {}, "outputs": {}}, "seed": 1, "rows": 9})
    )
    (folder / "metrics.json").write_text('{"rows": 3}')
    return folder


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


def test_a_published_version_is_whole(model: Path, store: str) -> None:
    version = publish(model, model / "metrics.json", store=store, name="spend", lineage={"data_version": "d7"})

    folder = Path(version.uri)
    assert folder == Path(store) / "spend" / version.version
    assert (folder / "saved_model" / "variables" / "data").read_bytes() == b"weights"
    assert json.loads((folder / "metrics.json").read_text()) == {"rows": 3}
    assert json.loads((folder / "golden.json").read_text()) == []
    assert json.loads((folder / "model.json").read_text()) == version.metadata


def test_all_of_a_version_is_on_disk_before_it_has_its_name(
    model: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = list[str](), os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fsync", note)
    version = publish(model, model / "metrics.json", store=store, name="spend", lineage={})

    folder = Path(version.uri)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    assert {str(aside / path.relative_to(folder)) for path in (folder, *folder.rglob("*"))} <= set(synced)
    assert synced[-1] == str(folder.parent)


def test_a_version_tells_where_it_came_from(model: Path, store: str) -> None:
    version = publish(model, model / "metrics.json", store=store, name="spend", lineage={"data_version": "d7"})

    told = load(version.uri).metadata
    assert (told["name"], told["version"]) == ("spend", version.version)
    assert told["signature"] == {"inputs": {}, "outputs": {}}
    assert told["lineage"] == {"data_version": "d7", "seed": 1, "rows": 9}


def test_a_file_that_is_missing_or_was_changed_since_is_named(model: Path, store: str) -> None:
    version = publish(model, model / "metrics.json", store=store, name="spend", lineage={})
    data = Path(version.uri) / "saved_model" / "variables" / "data"

    check_files(load(version.uri))
    data.write_bytes(b"weightz")
    with pytest.raises(NotReady, match="variables/data is not the file that was published"):
        check_files(load(version.uri))
    data.unlink()
    with pytest.raises(NotReady, match="variables/data is missing"):
        check_files(load(version.uri))


def test_a_version_is_a_dns_label_of_its_time_and_content(model: Path, store: str) -> None:
    one = publish(model, model / "metrics.json", store=store, name="spend", lineage={})
    (model / "saved_model" / "variables" / "data").write_bytes(b"other weights")
    other = publish(model, model / "metrics.json", store=store, name="spend", lineage={})

    assert re.fullmatch(r"v\d{8}-\d{6}-[0-9a-f]{4}", one.version)
    assert one.version[-4:] != other.version[-4:]


def test_the_newest_version_is_the_latest(model: Path, store: str) -> None:
    assert latest(store, "spend") is None
    published = publish(model, model / "metrics.json", store=store, name="spend", lineage={})
    newer = Path(store) / "spend" / "v29991231-235959-0000"
    newer.mkdir()
    (newer / "model.json").write_text(json.dumps(dict(published.metadata) | {"version": newer.name}))

    assert [one.version for one in versions(store, "spend")] == [published.version, newer.name]
    assert latest(store, "spend") == load(str(newer))
    assert latest(store, "churn") is None


def test_a_version_that_is_not_finished_is_not_seen(model: Path, store: str) -> None:
    published = publish(model, model / "metrics.json", store=store, name="spend", lineage={})
    (Path(store) / "spend" / "v29991231-235959-0000" / "saved_model").mkdir(parents=True)

    assert latest(store, "spend") == published
    with pytest.raises(NotReady, match="holds no whole model version"):
        load(str(Path(store) / "spend" / "v29991231-235959-0000"))


def test_a_failed_publication_leaves_nothing(model: Path, store: str) -> None:
    (model / "golden.json").unlink()

    with pytest.raises(BadInput, match=r"golden\.json is missing"):
        publish(model, model / "metrics.json", store=store, name="spend", lineage={})

    assert not Path(store).exists()


def test_a_copy_that_fails_half_way_leaves_nothing(model: Path, store: str) -> None:
    (model / "golden.json").unlink()
    (model / "golden.json").mkdir()

    with pytest.raises(BadInput, match="cannot write the model version"):
        publish(model, model / "metrics.json", store=store, name="spend", lineage={})

    assert list((Path(store) / "spend").iterdir()) == []


def test_a_store_that_cannot_be_written_is_told(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadInput, match="make the folder writable or set QUESTLINE_MODEL_STORE"):
        publish(model, model / "metrics.json", store=str(tmp_path / "file" / "store"), name="spend", lineage={})


def test_a_file_url_is_a_folder(model: Path, store: str) -> None:
    published = publish(model, model / "metrics.json", store=f"file://{store}", name="spend", lineage={})

    assert load(f"file://{published.uri}") == published


@pytest.fixture
def bucket() -> Iterator[str]:
    with storage_or_skip("models") as url, asked_by_gcsfs(url):
        yield "gs://models"


def test_a_bucket_is_a_store_like_a_folder(model: Path, store: str, bucket: str) -> None:
    """The same files, the same words, the same digest."""
    lineage = {"data_version": "d7"}
    assert latest(bucket, "spend") is None

    here = publish(model, model / "metrics.json", store=store, name="spend", lineage=lineage)
    there = publish(model, model / "metrics.json", store=f"{bucket}/", name="spend", lineage=lineage)

    assert there.uri == f"gs://models/spend/{there.version}"
    assert there.metadata["files"] == here.metadata["files"]
    assert latest(bucket, "spend") == versions(bucket, "spend")[0] == load(f"{there.uri}/") == there
    check_files(there)
    assert read_golden(there.uri) == read_golden(here.uri) == []
    assert checksums(there.folder) == checksums(here.folder) | {
        "model.json": hashlib.sha256(json.dumps(there.metadata, indent=2).encode()).hexdigest()
    }


def test_a_version_in_a_bucket_is_there_once_its_model_json_is(model: Path, bucket: str) -> None:
    version = publish(model, model / "metrics.json", store=bucket, name="spend", lineage={})
    places.remove(version.uri, [f"models/spend/{version.version}/model.json"])

    assert versions(bucket, "spend") == []
    with pytest.raises(NotReady, match=f"{version.uri}/model.json is not there"):
        load(version.uri)


def test_a_bucket_that_is_not_there_is_told(model: Path, bucket: str) -> None:
    with pytest.raises(NotReady, match=r"gs://other/spend/v\S+ is not there"):
        publish(model, model / "metrics.json", store="gs://other", name="spend", lineage={})


def test_a_place_that_is_neither_is_told(model: Path) -> None:
    with pytest.raises(BadInput, match=r"ftpx://models/spend/v.* is no place"):
        publish(model, model / "metrics.json", store="ftpx://models", name="spend", lineage={})
