# The load generator, which runs for a given time and ends.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

FROM ${PYTHON_IMAGE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/questline UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
# Packages first: they change seldom, and this layer is kept while they do not.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-default-groups --no-install-project --extra ingest
COPY components components
COPY pipelines pipelines
COPY ingest ingest
COPY beam beam
COPY kserve kserve
RUN uv sync --frozen --no-default-groups --no-editable --extra ingest

FROM ${PYTHON_IMAGE}
ENV PATH=/opt/questline/bin:$PATH PYTHONDONTWRITEBYTECODE=1 QUESTLINE_HOME=/var/questline
RUN groupadd --gid 10001 questline \
    && useradd --uid 10001 --gid questline --no-create-home --home-dir /var/questline questline \
    && install --directory --owner=questline --group=questline /var/questline
COPY --from=build /opt/questline /opt/questline
USER 10001:10001
WORKDIR /var/questline
ENTRYPOINT ["questline", "load"]
