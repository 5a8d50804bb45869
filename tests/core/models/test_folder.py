"""The agreement between who declares models and the serving process that obeys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from questline_core.errors import BadInput, NotReady
from questline_core.models.folder import FolderHost, ServingFolder
from questline_core.models.manifests import spend_service
from questline_core.models.port import ServiceStatus, open_model_host

V1, V2 = (spend_service("spend", revision, f"/models/spend/{revision}") for revision in ("v1", "v2"))


@pytest.fixture
def folder(tmp_path: Path) -> ServingFolder:
    return ServingFolder(tmp_path / "serving")


@pytest.fixture
def host(folder: ServingFolder) -> FolderHost:
    return FolderHost(folder)


def _says(folder: ServingFolder, revision: str, *, wanted: str, message: str = "") -> None:
    """Report as the serving process does."""
    declaration = folder.declaration("spend")
    assert declaration
    folder.report(
        ServiceStatus(
            name="spend",
            ready=revision == wanted,
            revision=revision,
            wanted=wanted,
            message=message,
            rest_url="http://127.0.0.1:8080",
            grpc_address="127.0.0.1:8081",
        ),
        generation=declaration.generation,
    )


def test_the_host_is_found_by_its_address(tmp_path: Path) -> None:
    host = open_model_host(f"folder:{tmp_path}")
    host.apply(V1)

    assert host.services() == ["spend"]
    assert (tmp_path / "inferenceservices" / "spend.yaml").exists()


def test_a_manifest_that_cannot_be_used_is_not_written(host: FolderHost) -> None:
    with pytest.raises(BadInput):
        host.apply({**V1, "kind": "Pod"})

    assert host.services() == []


def test_what_was_never_applied_has_no_status(host: FolderHost) -> None:
    with pytest.raises(NotReady, match="apply one first"):
        host.status("spend")
    with pytest.raises(BadInput):
        host.status("../spend")


def test_without_a_serving_process_the_status_says_how_to_start_one(host: FolderHost) -> None:
    host.apply(V1)

    status = host.status("spend")

    assert (status.ready, status.revision, status.wanted) == (False, "", "v1")
    assert "questline serving run" in status.message


def test_a_first_revision_is_awaited_without_a_message(folder: ServingFolder, host: FolderHost) -> None:
    host.apply(V1)
    with folder.occupied():
        status = host.status("spend")

    assert (status.ready, status.revision, status.wanted, status.message) == (False, "", "v1", "")


def test_the_report_of_the_serving_process_is_the_status(folder: ServingFolder, host: FolderHost) -> None:
    host.apply(V1)
    with folder.occupied():
        _says(folder, "v1", wanted="v1")
        status = host.status("spend")

    assert (status.ready, status.revision, status.message) == (True, "v1", "")
    assert (status.rest_url, status.grpc_address) == ("http://127.0.0.1:8080", "127.0.0.1:8081")


def test_a_newer_manifest_is_not_ready_although_the_revision_before_answers(
    folder: ServingFolder, host: FolderHost
) -> None:
    host.apply(V1)
    with folder.occupied():
        _says(folder, "v1", wanted="v1")
        host.apply(V2)
        status = host.status("spend")

    assert (status.ready, status.revision, status.wanted, status.message) == (False, "v1", "v2", "")


def test_a_refusal_does_not_outlive_a_new_declaration_of_the_same(folder: ServingFolder, host: FolderHost) -> None:
    host.apply(V2)
    with folder.occupied():
        _says(folder, "v1", wanted="v2", message="golden request 0 differs")
        assert host.status("spend").message == "golden request 0 differs"
        host.apply(V2)
        assert host.status("spend").message == ""


def test_a_report_does_not_outlive_its_process(folder: ServingFolder, host: FolderHost) -> None:
    host.apply(V1)
    with folder.occupied():
        _says(folder, "v1", wanted="v1")

    assert "questline serving run" in host.status("spend").message


def test_a_process_that_starts_anew_does_not_inherit_the_reports_of_the_one_before(
    folder: ServingFolder, host: FolderHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.apply(V1)
    with monkeypatch.context() as before:
        before.setattr(os, "getpid", lambda: 4_000_000)  # no such process
        _says(folder, "v1", wanted="v1")
    with folder.occupied():
        status = host.status("spend")

    assert (status.ready, status.revision, status.message) == (False, "", "")


def test_a_withdrawn_report_is_forgotten(folder: ServingFolder, host: FolderHost) -> None:
    host.apply(V1)
    with folder.occupied():
        _says(folder, "v1", wanted="v1")
        folder.forget("spend")
        assert folder.reported("spend") is None


def test_files_that_are_being_written_are_not_taken_for_manifests(folder: ServingFolder) -> None:
    folder.prepare()
    (folder.manifests / ".spend.yaml.4711").write_text("half")
    (folder.manifests / "notes.txt").write_text("mine")

    assert folder.names() == []


def test_a_status_tells_nothing_of_a_manifest_that_is_not_yaml(folder: ServingFolder, host: FolderHost) -> None:
    folder.prepare()
    (folder.manifests / "spend.yaml").write_text("a: [")

    assert host.status("spend").wanted == ""


def test_a_manifest_that_is_not_text_is_named(folder: ServingFolder) -> None:
    folder.prepare()
    (folder.manifests / "spend.yaml").write_bytes(b"\xff\xfe")

    with pytest.raises(BadInput, match="cannot be read"):
        folder.declaration("spend")


def test_a_folder_that_cannot_be_made_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BadInput, match="QUESTLINE_HOME"):
        ServingFolder(tmp_path / "file" / "serving").prepare()
