#!/usr/bin/env bash
# Make images for a cluster that has no registry, with its own tool: a trained model as an image, and Cloud Storage without a cloud.
#   tests/cluster/model-images.sh TOOLS VERSION     VERSION: the folder of a model version
set -euo pipefail
tools=$1 version=$2 home=${CLUSTER_HOME:?the folder that holds the state of the cluster}
scratch=$(mktemp -d /var/tmp/questline-image.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/model" "$scratch/gcs"
cp -r "$version" "$scratch/model/models"
image() { python3 "$tools/image-from-dir" "$@" --base "$home/images/python-base.tar"; } # it has a shell and a C library
image "cluster.local/questline/spend-model:$(basename "$version")" "$scratch/model"
if server=$(command -v fake-gcs-server); then
  cp "$server" "$scratch/gcs/"
  image cluster.local/fake-gcs-server:1 "$scratch/gcs" --entrypoint '["/fake-gcs-server"]'
  kubectl apply -f "$(dirname "$0")/bucket.yaml"
else
  echo "fake-gcs-server is not on PATH: models from gs:// are not tried" >&2
fi
