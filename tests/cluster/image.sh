#!/usr/bin/env bash
# Make the serving image for a cluster that has no registry, with its own tool, and import it as questline-kserve:0.1.0.
#   tests/cluster/image.sh TOOLS      TOOLS: the folder with the cluster's image-from-dir
# The packages are one layer, kept in $CLUSTER_HOME/images/questline-base.tar until it is deleted; our code is the other one.
set -euo pipefail
tools=$1 root=$(cd "$(dirname "$0")/../.." && pwd) home=${CLUSTER_HOME:-/var/lib/kcluster}
base=$home/images/questline-base.tar
scratch=$(mktemp -d /var/tmp/questline-image.XXXXXX)
trap 'rm -rf "$scratch"' EXIT

if [ ! -f "$base" ]; then
  packages=$scratch/packages/usr/local/lib/python3.11/dist-packages
  mkdir -p "$packages"
  (cd "$root" && uv export -q --frozen --no-default-groups --no-emit-project --no-hashes --extra kserve) > "$scratch/packages.txt"
  uv pip install -q --python "$root/.venv/bin/python" --target "$packages" -r "$scratch/packages.txt"
  find "$packages" -name __pycache__ -prune -exec rm -rf {} +
  python3 "$tools/image-from-dir" questline-base:1 "$scratch/packages" --base "$home/images/python-base.tar" --no-import --out "$base"
fi

code=$scratch/code/usr/local/lib/python3.11/dist-packages
mkdir -p "$code" "$scratch/code/usr/local/bin"
for room in components/questline_core kserve/questline_kserve; do cp -r "$root/$room" "$code/"; done
cp -r "$root"/.venv/lib/python3.11/site-packages/questline-*.dist-info "$code/"
find "$code" -name __pycache__ -prune -exec rm -rf {} +
printf '#!/usr/bin/python3\nfrom questline_core.cli import main\nmain()\n' > "$scratch/code/usr/local/bin/questline"
chmod 755 "$scratch/code/usr/local/bin/questline"
python3 "$tools/image-from-dir" cluster.local/questline-kserve:0.1.0 "$scratch/code" --base "$base" --env PYTHONUNBUFFERED=1 \
  --env PYTHONDONTWRITEBYTECODE=1 --user 10001:10001 --entrypoint '["questline","serving"]'
