#!/bin/sh
# Make the stubs of game clients from the protos, and compile each where its toolchain is at hand.
#
# usage: generate.sh FOLDER    with PYTHON naming a Python that has grpcio-tools (default .venv/bin/python)
#
# TypeScript needs npm; C++ needs protoc and grpc_cpp_plugin, and g++ with gRPC's headers to be compiled; C# needs dotnet.
# What is not there is skipped, with a line that says so.
set -eu

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
OUT=$(mkdir -p "${1:?usage: generate.sh FOLDER}" && cd "$1" && pwd)
PYTHON=${PYTHON:-$ROOT/.venv/bin/python}
PROTOS="questline_core/pb/telemetry.proto questline_ingest/pb/ingest.proto"
ROOTS="-I$ROOT/components -I$ROOT/ingest"

has() { command -v "$1" >/dev/null 2>&1; }

typescript() {
  has npm || { echo "typescript: skipped, npm is not here"; return; }
  mkdir -p "$OUT/typescript/stubs"
  cp "$ROOT"/ingest/sdk/typescript/* "$OUT/typescript"
  cd "$OUT/typescript"
  npm ci --silent --no-audit --no-fund
  "$PYTHON" -m grpc_tools.protoc $ROOTS --plugin=protoc-gen-ts=node_modules/.bin/protoc-gen-ts \
    --ts_out=stubs --ts_opt=long_type_string,client_generic $PROTOS
  node_modules/.bin/tsc -p .
  echo "typescript: made and compiled, $OUT/typescript/stubs"
}

cpp() {
  has protoc && has grpc_cpp_plugin || { echo "cpp: skipped, protoc or grpc_cpp_plugin is not here"; return; }
  mkdir -p "$OUT/cpp"
  cd "$OUT/cpp"
  protoc $ROOTS --cpp_out=. --grpc_out=. --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" $PROTOS
  if ! has g++ || ! echo '#include <grpcpp/grpcpp.h>' | g++ -std=c++17 -fsyntax-only -x c++ - 2>/dev/null; then
    echo "cpp: made and not compiled, g++ or the headers of gRPC are not here, $OUT/cpp"
    return
  fi
  for file in questline_core/pb/telemetry.pb.cc questline_ingest/pb/ingest.pb.cc questline_ingest/pb/ingest.grpc.pb.cc; do
    g++ -std=c++17 -fsyntax-only -I. "$file"
  done
  echo "cpp: made and compiled, $OUT/cpp"
}

csharp() {
  has dotnet || { echo "csharp: skipped, dotnet is not here"; return; }
  dotnet build --nologo --verbosity quiet --output "$OUT/csharp" -p:BaseIntermediateOutputPath="$OUT/csharp/obj/" "$ROOT/ingest/sdk/csharp/Questline.csproj"
  echo "csharp: made and compiled, $OUT/csharp/Questline.Stubs.dll"
}

(typescript)
(cpp)
(csharp)
