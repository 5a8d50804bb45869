"""The bounded job: the archive of a subscription becomes whole days of rows, by the rules of the stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import date
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute
import structlog
from apache_beam.io.avroio import ReadAllFromAvro
from apache_beam.metrics.metric import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsSingleton, PBegin, PCollection
from apache_beam.runners.runner import PipelineResult

from questline_beam.tables import EVENT_SCHEMA
from questline_beam.transforms import Batch, Decode, Rows, Validate
from questline_beam.transforms.forget import forgotten_in
from questline_beam.transforms.gather import Gather
from questline_core.broker.port import Message
from questline_core.errors import BadInput
from questline_core.events.archive import messages_of
from questline_core.events.remake import DayReport, refuse_broken, replace_day
from questline_core.pb.broker_pb2 import Reject
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import EVENTS, Warehouse, open_warehouse

pc: Any = pyarrow.compute  # the stubs know fewer types than the functions take

Broken = tuple[int, str]
"""How many messages are no events, and why the first, in the order of the alphabet, is none."""

log = structlog.get_logger()


class FromArchive(beam.PTransform[PBegin, PCollection[Message]]):
    """The events of the Avro files that a Cloud Storage subscription writes; files are split between workers."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Set files or URLs of any file system that Beam knows; * is known."""
        super().__init__()
        self._patterns = patterns

    def expand(self, pipeline: PBegin) -> PCollection[Message]:
        """See the class."""
        records = pipeline | "Files" >> beam.Create(self._patterns) | "Read" >> ReadAllFromAvro()
        return records | "Take events" >> beam.FlatMap(messages_of).with_output_types(Message)


class Remake(beam.PTransform[PCollection[Message], PCollection[DayReport]]):
    """Messages become all rows of some days, which are put in place of those that are there, each day in one step.

    All messages are read and checked before the first day is replaced. The rows of one day are in the memory of one
    worker then, because which of its copies stays can be told only of all.
    """

    def __init__(self, settings: PlatformSettings, days: Iterable[date], *, skip_broken: bool) -> None:
        """Set the warehouse and the days, and whether messages that are no events are left out."""
        super().__init__()
        self._settings, self._days, self._skip_broken = settings, tuple(days), skip_broken

    def expand(self, messages: PCollection[Message]) -> PCollection[DayReport]:
        """See the class."""
        batches = messages | "Batches" >> beam.ParDo(Gather(Batch)).with_output_types(Batch)
        events, garbage = batches | "Decode" >> Decode()
        valid, invalid = events | "Validate" >> Validate(title=self._settings.title, archived=True)
        rows, unstorable = valid | "Rows" >> Rows()
        rejects = (garbage, invalid, unstorable) | "All rejects" >> beam.Flatten()
        broken = rejects | "Look at rejects" >> beam.Map(_told) | "Count broken" >> beam.CombineGlobally(_all_broken)
        # A day of which there is nothing fails as it does elsewhere, and is not passed over.
        wanted = messages.pipeline | "Wanted days" >> beam.Create([str(day) for day in self._days])
        nothing = wanted | "Begin with nothing" >> beam.Map(_with_nothing).with_output_types(tuple[str, pa.Table])
        part = beam.FlatMap(_by_day, frozenset(self._days)).with_output_types(tuple[str, pa.Table])
        return (
            (nothing, rows | "Part by day" >> part)
            | "Wanted and found" >> beam.Flatten()
            | "Gather days" >> beam.GroupByKey()
            | "Replace days" >> beam.ParDo(Replace(self._settings, skip_broken=self._skip_broken), AsSingleton(broken))
        )


class Replace(beam.DoFn):
    """Puts the rows of a day in place of those that are there; done again, it gives the same rows."""

    def __init__(self, settings: PlatformSettings, *, skip_broken: bool) -> None:
        self._settings, self._skip_broken = settings, skip_broken
        self._warehouse: Warehouse | None = None

    def setup(self) -> None:
        """Open the warehouse, once for each worker."""
        self._warehouse = open_warehouse(self._settings.warehouse_url)

    def teardown(self) -> None:
        """Close it."""
        if self._warehouse is not None:
            self._warehouse.close()

    def process(self, gathered: tuple[str, Iterable[pa.Table]], broken: Broken) -> Iterator[DayReport]:
        """Yield what became of the day."""
        assert self._warehouse is not None  # noqa: S101 - the runner has called setup
        refuse_broken(*broken, skip_broken=self._skip_broken)
        day, tables = gathered
        forgotten = forgotten_in(self._warehouse, self._settings)
        rows = pa.concat_tables(tables)
        report = replace_day(self._warehouse, forgotten, date.fromisoformat(day), rows, hashed=False)
        counts = {name: getattr(report, name) for name in ("rows", "copies", "forgotten")}
        for name, count in counts.items():
            Metrics.counter(EVENTS, name).inc(count)
        log.info("day replaced", day=day, before=report.before, **counts)
        yield report


def build(
    settings: PlatformSettings,
    *,
    days: Sequence[date],
    archive: Sequence[str],
    skip_broken: bool,
    options: Sequence[str],
) -> beam.Pipeline:
    """Put the job together; nothing is started.

    Args:
        settings: where the warehouse is, and the title of events that bring none.
        days: which are replaced.
        archive: files or URLs of Avro files.
        skip_broken: leave out what is no event; otherwise it fails the job before anything is replaced.
        options: Beam's own, such as --runner=DataflowRunner.

    Raises:
        BadInput: no day or no file is named.
    """
    if not days or not archive:
        raise BadInput("a backfill needs days and files; name days as YYYY-MM-DD or FIRST..LAST, and files as gs://…")
    pipeline = beam.Pipeline(options=PipelineOptions(list(options)))
    remake = Remake(settings, days, skip_broken=skip_broken)
    pipeline | "Archive" >> FromArchive(archive) | "Remake" >> remake
    return pipeline


def submit(
    settings: PlatformSettings,
    *,
    days: Sequence[date],
    archive: Sequence[str],
    skip_broken: bool,
    options: Sequence[str],
) -> PipelineResult:
    """Make the table if it is not there yet, and start the job; see `build`."""
    pipeline = build(settings, days=days, archive=archive, skip_broken=skip_broken, options=options)
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        warehouse.create(EVENTS, EVENT_SCHEMA)
    return pipeline.run()


def _with_nothing(day: str) -> tuple[str, pa.Table]:
    return day, EVENT_SCHEMA.empty_table()


def _by_day(rows: pa.Table, wanted: frozenset[date]) -> Iterator[tuple[str, pa.Table]]:
    days = rows["event_date"]
    for day in wanted.intersection(days.unique().to_pylist()):
        yield str(day), rows.filter(pc.equal(days, day))


def _told(rejects: Batch[Reject]) -> Broken:
    return len(rejects), min(f"message {one.message_id}: {one.message}" for one in rejects)


def _all_broken(told: Iterable[Broken]) -> Broken:
    counts, firsts = zip((0, ""), *told, strict=True)
    return sum(counts), min(filter(None, firsts), default="")
