output "connect" {
  description = "Commands that give kubectl access to the cluster of each region."
  value       = { for region, cluster in module.gke : region => cluster.connect }
}

output "accounts" {
  description = "Google identity of each workload, for the chart's values."
  value       = local.email
}

output "settings" {
  description = "Addresses for the chart's values."
  value = {
    broker_url    = module.telemetry.broker_url
    warehouse_url = module.warehouse.warehouse_url
    models        = "gs://${module.models.buckets["models"]}"
    exports       = "gs://${module.models.buckets["exports"]}"
    pipelines     = "gs://${module.models.buckets["pipelines"]}"
    images        = module.models.images
  }
}

output "entrance" {
  description = "What the domain's DNS records must say, and the names that the Gateway refers to; null without a domain."
  value       = one(module.game_clusters[*])
}
