# Who may do what, as data: one identity for each workload, and the least that it needs. Everything narrower than the
# project is granted on the topic, dataset, bucket or key itself, by the module that owns it.

locals {
  workloads = {
    gateway   = ["${var.namespace}/gateway"]
    serving   = ["${var.namespace}/serving"]
    stream    = []
    pipeline  = ["kubeflow/pipeline-runner", "${var.namespace}/pipeline"]
    trigger   = ["${var.namespace}/trigger"]
    push      = []
    builder   = []
    forgetter = ["${var.namespace}/forgetter"]
  }

  accounts = { for workload, users in local.workloads : "${var.name}-${workload}" => users }

  project_roles = {
    gateway   = ["roles/cloudtrace.agent", "roles/bigquery.readSessionUser"]
    stream    = ["roles/dataflow.worker"]
    pipeline  = ["roles/bigquery.readSessionUser"]
    builder   = ["roles/logging.logWriter", "roles/container.developer", "roles/containeranalysis.notes.attacher"]
    forgetter = []
  }

  member = { for workload, _ in local.workloads : workload => module.pipelines.members["${var.name}-${workload}"] }
  email  = { for workload, _ in local.workloads : workload => module.pipelines.emails["${var.name}-${workload}"] }
  id     = { for workload, _ in local.workloads : workload => module.pipelines.ids["${var.name}-${workload}"] }

  publishers = { gateway = local.member["gateway"] }
  readers    = { stream = local.member["stream"] }

  dataset_writers = {
    telemetry   = { stream = local.member["stream"], forgetter = local.member["forgetter"] }
    features    = { pipeline = local.member["pipeline"], forgetter = local.member["forgetter"] }
    models      = { pipeline = local.member["pipeline"] }
    predictions = { pipeline = local.member["pipeline"], stream = local.member["stream"], forgetter = local.member["forgetter"] }
    serving     = { pipeline = local.member["pipeline"] }
    privacy     = { forgetter = local.member["forgetter"] }
  }

  dataset_readers = {
    telemetry = { for workload in ["gateway", "pipeline", "trigger"] : workload => local.member[workload] }
    serving   = { trigger = local.member["trigger"] }
    privacy   = { stream = local.member["stream"] }
  }

  job_users = {
    for workload in ["gateway", "stream", "pipeline", "trigger", "forgetter"] : workload => local.member[workload]
  }

  bucket_writers = {
    models    = { pipeline = local.member["pipeline"] }
    exports   = { pipeline = local.member["pipeline"], forgetter = local.member["forgetter"] }
    pipelines = { pipeline = local.member["pipeline"], stream = local.member["stream"] }
  }

  bucket_readers = {
    models  = { serving = local.member["serving"], gateway = local.member["gateway"], trigger = local.member["trigger"] }
    exports = { trigger = local.member["trigger"] }
  }
}
