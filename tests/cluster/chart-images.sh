#!/usr/bin/env bash
# Make the chart's images for a cluster without a registry, as cluster.local/questline/PART:0.1.0. TOOLS: the folder with its scripts.
#   tests/cluster/chart-images.sh TOOLS
# They share their layers, all of our extras among them, and differ in what they start: only the Dockerfiles make them small.
set -euo pipefail
repository=cluster.local/questline
exec "$(dirname "$0")/image.sh" "$1" all "$repository/trigger:0.1.0" --entrypoint '["questline"]' \
  --also "$repository/gateway:0.1.0=[\"questline\",\"gateway\"]" \
  --also "$repository/serving:0.1.0=[\"questline\",\"serving\"]" \
  --also "$repository/stream:0.1.0=[\"questline\",\"stream\"]" \
  --also "$repository/load:0.1.0=[\"questline\",\"load\"]"
