"""The models that answer now. A revision takes the place of another in one step; clients cannot change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from kserve import ModelRepository
from kserve.errors import InvalidInput
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.infer_type import InferRequest
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from questline_core.errors import BadInput
from questline_kserve.model import ServedVersion
from questline_kserve.version import Servable, column


class Repository(ModelRepository):
    """Holds the versions of each name: the stable one, and canaries for requests that name them."""

    def swap(self, name: str, version: Servable, canaries: Sequence[Servable] = ()) -> None:
        """Let this version answer from the next request on; requests that are under way end with the one before."""
        self.update(ServedVersion(name, version, canaries))

    def drop(self, name: str) -> None:
        """Let nothing answer under this name any longer."""
        self.models.pop(name, None)

    def revisions(self) -> dict[str, str]:
        """Tell the revision that answers for each name."""
        return {name: version.revision for name, version in self.served().items()}

    def served(self) -> dict[str, Servable]:
        """Give what answers for each name when a request names no revision."""
        return {name: model.version for name, model in self.models.items() if isinstance(model, ServedVersion)}

    def versions(self, name: str) -> dict[str, Servable]:
        """Give all that answers under a name, by revision, the stable one first."""
        model = self.models.get(name)
        return model.versions if isinstance(model, ServedVersion) else {}


class DeclaredOnly(ModelRepositoryExtension):
    """Answers clients that want to load or unload a model, which only an InferenceService can."""

    async def load(self, model_name: str) -> NoReturn:
        """Refuse.

        Raises:
            BadInput: always.
        """
        raise BadInput(f"{model_name} is declared by its InferenceService; clients cannot load or unload it")

    async def unload(self, model_name: str) -> NoReturn:
        """Refuse, as `load` does.

        Raises:
            BadInput: always.
        """
        await self.load(model_name)


class Plane(DataPlane):
    """kserve's data plane, which tells more of a model and is not thrown by a body that is damaged."""

    settled: Callable[[], bool] = staticmethod(lambda: False)
    """Tells whether everything that was declared at the start was taken or refused: only then the server is ready."""

    @property
    def repository(self) -> Repository:
        """The models that answer."""
        return self.model_registry

    async def ready(self) -> bool:
        """Tell whether the server is ready."""
        return self.settled()

    async def live(self) -> dict[str, str]:  # type: ignore[override] # kserve's is static
        """Tell that the server lives: everything that answers answers a row of which nothing is known.

        Raises:
            Exception: something gave no answer.
        """
        for version in self.repository.served().values():
            unknown = {name: column(kind, [None]) for name, kind in version.inputs.items()}
            version.predict(unknown)
        return {"status": "alive"}

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        """Describe a model with the revision that answers.

        Raises:
            ModelNotFound: nothing answers under this name.
        """
        told: dict[str, Any] = await super().model_metadata(model_name)
        version = self.repository.served()[model_name]
        return told | {"platform": version.platform, "versions": list(self.repository.versions(model_name))}

    def decode_inference_request(self, body: Any, headers: dict[str, str], model_name: str) -> InferRequest:
        """Decode a V2 REST request.

        Raises:
            BadInput: it is not one.
        """
        try:
            return super().decode_inference_request(body, headers, model_name)
        except InvalidInput:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadInput(f"the request is not one of the V2 protocol ({type(error).__name__}: {error})") from None
