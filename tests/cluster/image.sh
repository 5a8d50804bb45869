#!/usr/bin/env bash
# Make images for a cluster that has no registry, with its own tool (image-from-dir in the folder TOOLS), and import them.
#   tests/cluster/image.sh TOOLS                                   the serving image, as questline-kserve:0.1.0
#   tests/cluster/image.sh TOOLS EXTRA NAME:TAG [OPTION...]        with another extra of ours; options of image-from-dir
# The packages are one layer, kept in $CLUSTER_HOME/images/questline-EXTRA.tar until it is deleted; our code is the other one.
set -euo pipefail
[ $# -gt 1 ] || set -- "$1" kserve cluster.local/questline-kserve:0.1.0 --entrypoint '["questline","serving"]'
tools=$1 extra=$2 root=$(cd "$(dirname "$0")/../.." && pwd) home=${CLUSTER_HOME:?the folder that holds the state of the cluster}
shift 2
base=$home/images/questline-$extra.tar
scratch=$(mktemp -d /var/tmp/questline-image.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
# The tool gives every file the same time, so bytecode must not be held against it.
compile() { "$root/.venv/bin/python" -m compileall -q -j 2 --invalidation-mode unchecked-hash "$1" > /dev/null || true; }

if [ ! -f "$base" ]; then
  packages=$scratch/packages/usr/local/lib/python3.11/dist-packages
  mkdir -p "$packages"
  (cd "$root" && uv export -q --frozen --no-default-groups --no-emit-project --no-hashes --extra "$extra") > "$scratch/packages.txt"
  uv pip install -q --python "$root/.venv/bin/python" --target "$packages" -r "$scratch/packages.txt"
  compile "$packages"
  python3 "$tools/image-from-dir" "questline-$extra:1" "$scratch/packages" --base "$home/images/python-base.tar" --no-import --out "$base"
fi

code=$scratch/code/usr/local/lib/python3.11/dist-packages
mkdir -p "$code" "$scratch/code/usr/local/bin"
for room in components/questline_core components/questline_components pipelines/questline_pipelines ingest/questline_ingest \
  beam/questline_beam kserve/questline_kserve; do cp -r "$root/$room" "$code/"; done
cp -r "$root"/.venv/lib/python3.11/site-packages/questline-*.dist-info "$code/"
find "$code" -name __pycache__ -prune -exec rm -rf {} +
compile "$code"
# A process that starts others is imported by them, and must not begin anew there.
printf '#!/usr/bin/python3\nfrom questline_core.cli import main\nif __name__ == "__main__":\n    main()\n' \
  > "$scratch/code/usr/local/bin/questline"
chmod 755 "$scratch/code/usr/local/bin/questline"
name=$1
shift
python3 "$tools/image-from-dir" "$name" "$scratch/code" --base "$base" --env PYTHONUNBUFFERED=1 \
  --env PYTHONDONTWRITEBYTECODE=1 --user 10001:10001 "$@"
