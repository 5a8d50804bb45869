#!/usr/bin/env bash
# Bring to a cluster of one node what the tests on it need: images, models, runtime. TOOLS: the folder with its scripts.
#   CLUSTER_HOME=… KUBECONFIG=… tests/cluster/prepare.sh TOOLS     CLUSTER_HOME: the folder with its state
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) root=$(cd "$(dirname "$0")/../.." && pwd)
"$here/chart-images.sh" "$1"
"$root/.venv/bin/python" "$here/write_models.py" /var/tmp/questline-serving
versions=(/var/tmp/questline-serving/trained/spend/v*)
"$here/model-images.sh" "$1" "${versions[-1]}"
kubectl apply -f "$here/models.yaml"
# One node has little to give: less of it is asked for, and the image is one that the node holds.
sed 's#image: questline-kserve#image: cluster.local/questline/serving#
     /requests:/,/memory/ { s/cpu: "1"/cpu: 100m/; s/memory: 1Gi/memory: 256Mi/ }' "$root/kserve/runtime.yaml" | kubectl apply -f -
kubectl -n questline-serving apply -f "$root/kserve/rbac.yaml" -f "$root/kserve/disruption.yaml"
