"""Send events from Python: one game that keeps its events until they are durable, or many events at once.

| class | for |
|---|---|
| `GameClient` | a game or a service: a queue on disk, batches, consent, predictions with a default |
| `AsyncGameClient` | the same, for programs on asyncio |
| `Client` | a program that has its events at hand and waits until all are sent |
"""

from questline_ingest.client.asynchronous import AsyncGameClient
from questline_ingest.client.bulk import MAX_BATCH_BYTES, Client
from questline_ingest.client.connection import Access, Tls
from questline_ingest.client.game import GameClient
from questline_ingest.client.queue import Limits
from questline_ingest.client.sending import GaveUp, OnAnswers, SendReport
from questline_ingest.client.uploading import Pace, Tally

__all__ = (
    "MAX_BATCH_BYTES",
    "Access",
    "AsyncGameClient",
    "Client",
    "GameClient",
    "GaveUp",
    "Limits",
    "OnAnswers",
    "Pace",
    "SendReport",
    "Tally",
    "Tls",
)
