"""The kserve model over one version: the V1 and V2 protocols in, the version's answers out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import kserve
from kserve.metrics import PREDICT_HIST_TIME, get_labels
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferResponse

from questline_core.errors import QuestlineError
from questline_kserve import instances, tensors
from questline_kserve.forms import Forms
from questline_kserve.version import Answers, Column, Servable

DIRECT_ROWS = 1024
"""Up to here the answer takes about a millisecond and is made on the event loop; a thread makes that of more rows."""


class NotServed(QuestlineError):
    """Raised when a request asks for a revision that is not one of those that answer."""

    def __init__(self, name: str, asked: str, *, serves: str) -> None:
        super().__init__(f"{name} is served by revision {serves}, and not by {asked}")
        self.name, self.asked, self.serves = name, asked, serves


class ServedVersion(kserve.Model):
    """Answers with the stable version, or with the one that a request names; a change of them is a new object."""

    def __init__(self, name: str, version: Servable, canaries: Sequence[Servable] = ()) -> None:
        super().__init__(name)
        self.version = version
        self.versions = {one.revision: one for one in (version, *canaries)}
        self._forms = {revision: Forms(name, one) for revision, one in self.versions.items()}
        self.ready = True
        self._took = PREDICT_HIST_TIME.labels(**get_labels(name))

    async def predict(  # type: ignore[override] # kserve passes a gRPC answer on as it is, but does not say so
        self,
        payload: Any,
        headers: Mapping[str, str] | None = None,  # noqa: ARG002 - the framework's signature
        response_headers: dict[str, str] | None = None,  # noqa: ARG002 - as above
    ) -> dict[str, Any] | kserve.InferResponse | ModelInferResponse:
        """Answer one request of either protocol.

        Raises:
            BadInput: says what of the request the model cannot take.
            NotServed: the request asks for a revision that is not one of those that answer.
        """
        if isinstance(payload, kserve.InferRequest):
            return await self._answer(payload)
        answers = await self._ask(self.version, instances.columns_from_body(payload, self.version.inputs))
        return {"predictions": instances.predictions(answers), "model_version": self.version.revision}

    async def answer_usual(self, request: pb.ModelInferRequest) -> bytes | None:
        """Answer a gRPC request of a usual form without kserve's classes, which cost more than the model.

        Args:
            request: is taken apart.

        Returns:
            The answer as bytes of the protocol; None when the request is of another form.

        Raises:
            NotServed: the request asks for a revision that is not one of those that answer.
        """
        version = self._named(request.model_version or self.version.revision)
        if request.raw_input_contents:
            return await self._answer_packed(request, version)
        columns = tensors.columns_of_typed(request, version.inputs)
        if columns is None:
            return None
        with self._took.time():
            answers = await self._ask(version, columns)
        answer = tensors.typed_answer(request, answers, revision=version.revision)
        return answer and answer.SerializeToString()

    def get_input_types(self) -> list[dict[str, Any]]:
        """Describe the inputs for the V2 protocol's metadata."""
        return _described(self.version.inputs)

    def get_output_types(self) -> list[dict[str, Any]]:
        """Describe the outputs for the V2 protocol's metadata."""
        return _described(self.version.outputs)

    async def _answer_packed(self, request: pb.ModelInferRequest, version: Servable) -> bytes | None:
        question = self._forms[version.revision].question(request)
        if question is None:
            return None
        with self._took.time():
            if question.form.rows <= DIRECT_ROWS:
                answers = version.predict_packed(question.numbers, question.texts)
            else:
                answers = await asyncio.to_thread(version.predict_packed, question.numbers, question.texts)
        return question.answer(answers)

    async def _answer(self, request: kserve.InferRequest) -> kserve.InferResponse | ModelInferResponse:
        version = self._named(request.model_version or self.version.revision)
        answers = await self._ask(version, tensors.columns_from_request(request, version.inputs))
        return tensors.answer(request, answers, revision=version.revision)

    def _named(self, revision: str) -> Servable:
        if revision not in self.versions:
            raise NotServed(self.name, revision, serves=", ".join(self.versions))
        return self.versions[revision]

    async def _ask(self, version: Servable, columns: dict[str, Column]) -> Answers:
        rows = len(next(iter(columns.values())))
        if rows <= DIRECT_ROWS:
            return version.predict(columns)
        return await asyncio.to_thread(version.predict, columns)


def _described(side: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in side.items()]
