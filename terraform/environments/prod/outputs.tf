output "questline" {
  description = "What the chart's values and kubectl need."
  value       = module.questline
}
