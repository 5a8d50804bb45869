"""What steps leave in artifacts of KFP: a file with its metadata, and the charts that KFP draws itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp import dsl


def keep(artifact: dsl.Artifact, content: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
    """Make this text, or the file at this path, which is moved, the artifact's file, and note the metadata."""
    if isinstance(content, Path):
        content.replace(artifact.path)
    else:
        Path(artifact.path).write_text(content, encoding="utf-8")
    artifact.metadata |= metadata or {}


def draw(
    artifact: dsl.ClassificationMetrics,
    curve: tuple[Sequence[float], Sequence[float], Sequence[float]],
    confusion: Mapping[str, Sequence[int]],
) -> None:
    """Let KFP draw a ROC curve (false and true positive rate, threshold) and a confusion matrix (actual, predicted)."""
    artifact.log_roc_curve(*(list(values) for values in curve))
    artifact.log_confusion_matrix(list(confusion), [list(row) for row in confusion.values()])
    Path(artifact.path).touch()
