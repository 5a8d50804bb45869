"""Images: one small recipe for each deployable, all of the same shape."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RECIPES = sorted([*ROOT.glob("*/Dockerfile"), *ROOT.glob("*/*.Dockerfile")])
BAKE = (ROOT / "docker-bake.hcl").read_text()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_image_is_pinned_frozen_and_not_root(recipe: Path) -> None:
    text = recipe.read_text()
    last_stage = text[text.rindex("\nFROM ") :]

    assert re.search(r"ARG PYTHON_IMAGE=\S+@sha256:[0-9a-f]{64}\n", text)
    assert all("--frozen --no-default-groups" in line for line in text.splitlines() if "uv sync" in line)
    assert "USER 10001:10001" in last_stage
    assert "uv" not in re.sub(r"questline|--uid|useradd", "", last_stage), "build tools stay in the first stage"


def test_all_images_are_built_on_the_same_python() -> None:
    bases = {re.search(r"python:\S+@sha256:\w+", text)[0] for text in [BAKE, *(r.read_text() for r in RECIPES)]}  # type: ignore[index]

    assert len(bases) == 1


def test_every_recipe_is_a_target_of_the_bake_file_with_a_bill_of_materials() -> None:
    assert sorted(re.findall(r'dockerfile = "(.+)"', BAKE)) == [str(r.relative_to(ROOT)) for r in RECIPES]
    assert 'attest  = ["type=sbom", "type=provenance,mode=max"]' in BAKE


def test_the_gateway_carries_no_tensorflow() -> None:
    assert set(re.findall(r"--extra (\w+)", (ROOT / "ingest" / "Dockerfile").read_text())) == {"ingest", "gcp"}


def test_the_images_python_is_one_that_the_project_supports() -> None:
    version = re.search(r"python:3\.(\d+)", BAKE)

    assert version
    assert 11 <= int(version[1]) <= 13
