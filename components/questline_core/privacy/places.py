"""Every place that holds players. A part of Questline that stores them anew adds its holders here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from questline_core.broker.port import open_broker
from questline_core.lookup.holder import LookupHolder
from questline_core.lookup.manifest import signing_key
from questline_core.privacy.features import FeaturesHolder
from questline_core.privacy.files import FilesHolder
from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.holder import Holder
from questline_core.privacy.key import PrivacyKey
from questline_core.privacy.messages import BrokerHolder
from questline_core.privacy.tables import table_holders
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import open_warehouse


@contextmanager
def opened_places(settings: PlatformSettings, key: PrivacyKey) -> Iterator[tuple[Forgotten, list[Holder]]]:
    """Open all places until the block ends, in the order in which a player passes through them.

    Raises:
        QuestlineError: one cannot be opened; nothing was erased.
    """
    home = settings.paths
    with ExitStack() as stack:
        broker = stack.enter_context(closing(open_broker(settings.broker_url)))
        warehouse = stack.enter_context(closing(open_warehouse(settings.warehouse_url)))
        forgotten = Forgotten(warehouse, key)
        yield (
            forgotten,
            [
                BrokerHolder(broker),
                *table_holders(warehouse),
                FeaturesHolder(home.features),
                LookupHolder(home.lookup, signing_key(settings)),
                FilesHolder(str(home.pipelines)),
                FilesHolder(settings.model_store_url),
                FilesHolder(str(home.serving)),
                FilesHolder(str(home.logs), appended=True),
            ],
        )
