plugin "terraform" {
  enabled = true
  preset  = "all"
}

# A module here is as small as its variables and outputs; they stand in files of their own.
rule "terraform_standard_module_structure" {
  enabled = true
}
