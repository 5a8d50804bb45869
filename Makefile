# make alone lists the targets; CI calls the same ones.
.DEFAULT_GOAL := help
.PHONY: bench-serving bench-inference bench-gateway bench-churn bench-bqml bench-spend bench-lookup bench-stream help setup demo sdk test test-faults test-gcp test-cluster check lint types arrows generated pytest format generate clean

# The Python that is here is used.
export UV_PYTHON_DOWNLOADS := never
VENV := .venv
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Real rows for the demo: those in ../shared/data when they are there, or any file: make demo EVENTS="a.ndjson b.log=map.yaml"
DATA := ../shared/data
EVENTS ?= $(wildcard $(DATA)/flood_it_events/events.ndjson) $(addsuffix =waves,$(wildcard $(DATA)/waves_events/events.ndjson))

help: ## List what make can do
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

setup: $(READY) ## Install everything into .venv (needs only Python 3.11+; uv is fetched if it is missing)

$(UV):
	python3 -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv

$(READY): pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen --all-extras
	@touch $@

demo: setup ## The whole loop on this machine, in under five minutes
	$(BIN)/questline demo $(addprefix --events ,$(EVENTS))

test: check ## What CI runs

test-faults: setup ## Faults that are injected at random moments: kills, broker, disk, overload, hostile messages (five minutes)
	$(BIN)/pytest tests/faults -q -s --timeout=900 --fault-events 100000 --fault-kills 4 --fault-runs 20 \
	  --fault-run-events 50000 --fault-goodput 0.9
	$(BIN)/python tests/faults/hostile.py --count 20000

check: lint types arrows generated pytest ## All checks: lint, types, arrows between rooms, generated files, tests

lint: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: setup
	$(BIN)/mypy

arrows: setup
	$(BIN)/lint-imports

generated: setup generate
	@git diff --exit-code -- '*/pb/*' docs/events.md terraform/schemas 'components/questline_components/*/README.md' || { echo "generated files differ: commit what 'make generate' wrote"; exit 1; }

pytest: setup
	$(BIN)/pytest

format: setup ## Format the code and mend what ruff can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

generate: setup ## Make the generated files again from the .proto files
	$(BIN)/python -m grpc_tools.protoc -Icomponents -Iingest \
	  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
	  --python_out=components --mypy_out=components components/questline_core/pb/*.proto
	$(BIN)/python -m grpc_tools.protoc -Icomponents -Iingest \
	  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	  --python_out=ingest --mypy_out=ingest --grpc_python_out=ingest --mypy_grpc_out=ingest ingest/questline_ingest/pb/ingest.proto
	$(BIN)/python -m grpc_tools.protoc -Icomponents -Iingest \
	  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
	  --python_out=ingest --mypy_out=ingest ingest/questline_ingest/pb/open_inference.proto ingest/questline_ingest/pb/wire.proto
	$(BIN)/questline events schema --format markdown > docs/events.md
	$(BIN)/python -m questline_components.reference
	$(BIN)/questline events schema --format bigquery --table events > terraform/schemas/events.json
	$(BIN)/questline events schema --format bigquery --table rejects > terraform/schemas/rejects.json
	$(BIN)/questline events schema --format bigquery --table predictions > terraform/schemas/predictions.json
	$(BIN)/questline events schema --format pubsub > terraform/schemas/event.proto

sdk: setup ## Stubs for TypeScript, C++ and C# into dist/sdk, compiled where the toolchain is at hand
	ingest/sdk/generate.sh dist/sdk

bench-stream: setup ## What an event costs in the simulator, the broker and the stream
	@for bench in simulate broker stream; do $(BIN)/python tests/benchmarks/bench_$$bench.py || exit 1; done

bench-gateway: setup ## What an event costs the gateway, beside the original's way (three minutes)
	$(BIN)/python tests/benchmarks/bench_gateway.py

bench-spend: setup ## The spend model beside its rivals and a perfect one, three worlds of 20,000 players (half an hour)
	$(BIN)/python tests/benchmarks/bench_spend.py

bench-churn: setup ## The churn models on real players, with and without the calendar, by hash and by time (a minute)
	$(BIN)/python tests/benchmarks/bench_churn.py $(USERS)

bench-bqml: setup ## BigQuery ML on this machine beside plain scikit-learn and XGBoost
	$(BIN)/python tests/benchmarks/bench_bqml.py

bench-serving: setup ## What an answer costs the serving process: make bench-serving [MODEL=.questline/models/spend/VERSION]
	$(BIN)/python tests/benchmarks/bench_serving.py $(MODEL)

bench-inference: setup ## What one call of a spend model costs: TensorFlow's SavedModel beside its fast form
	$(BIN)/python tests/benchmarks/bench_inference.py

bench-lookup: setup ## The lookup of 1 and 10 million players beside a dict and DuckDB (three minutes, 4 GB)
	$(BIN)/python tests/benchmarks/bench_lookup.py

test-gcp: setup ## The cloud adapters against a real project: make test-gcp PROJECT=my-project[/LOCATION] [BUCKET=my-bucket]
	QUESTLINE_GCP_PROJECT=$(PROJECT) QUESTLINE_GCP_BUCKET=$(BUCKET) $(BIN)/pytest tests/gcp

test-cluster: setup ## Serving on a real cluster with KServe, under load: KUBECONFIG=… make test-cluster (see tests/cluster)
	$(BIN)/pytest tests/kserve/test_host.py tests/cluster -k cluster

clean: ## Remove the environment and all that was made here
	rm -rf $(VENV) .tools .questline demo-out
