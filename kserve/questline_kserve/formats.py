"""Load what is to answer by its model format: a version of a SavedModel, or a folder of lookup generations."""

from __future__ import annotations

from dataclasses import dataclass

from questline_core.lookup import CURRENT, Lookup, signing_key
from questline_core.models.manifests import LOOKUP, Service
from questline_core.places import local_path
from questline_kserve.lookup.served import ServedLookup
from questline_kserve.settings import ServingSettings
from questline_kserve.version import Refused, Servable, load_version


@dataclass(frozen=True, slots=True)
class Formats:
    """Loads with the keys of one installation."""

    settings: ServingSettings

    def of_service(self, service: Service) -> Servable:
        """Load what a service wants.

        Raises:
            QuestlineError: it cannot be let to answer; the sentence says why.
        """
        if service.model_format == LOOKUP:
            return self._lookup(service.storage_uri, service.revision)
        version = load_version(service.storage_uri)
        if version.revision != service.revision:
            raise Refused(f"{service.storage_uri} holds the version {version.revision}, and not {service.revision}")
        return version

    def of_folder(self, uri: str) -> Servable:
        """Load what a folder holds, as a pod does, which is told nothing but the folder.

        Raises:
            QuestlineError: it cannot be let to answer; the sentence says why.
        """
        return self._lookup(uri, LOOKUP) if (local_path(uri) / CURRENT).exists() else load_version(uri)

    def _lookup(self, uri: str, revision: str) -> ServedLookup:
        lookup = Lookup(local_path(uri), key=signing_key(self.settings))
        lookup.refresh()
        lookup.generation  # noqa: B018 - raises where there is none that may answer
        return ServedLookup(revision, lookup)
