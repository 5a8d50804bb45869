"""The steps from message to row, as Beam transforms that any portable runner runs."""

from questline_beam.transforms.batches import Arrived, Batch
from questline_beam.transforms.decode import Decode
from questline_beam.transforms.deduplicate import Deduplicate
from questline_beam.transforms.rejects import RejectRows
from questline_beam.transforms.rows import Rows
from questline_beam.transforms.telemetry import TelemetryOutput, TelemetryRows
from questline_beam.transforms.validate import Validate

__all__ = (
    "Arrived",
    "Batch",
    "Decode",
    "Deduplicate",
    "RejectRows",
    "Rows",
    "TelemetryOutput",
    "TelemetryRows",
    "Validate",
)
