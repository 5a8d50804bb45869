# All images: docker buildx bake            one: docker buildx bake gateway
# REPOSITORY=HOST/PROJECT/questline TAG=1.2.3 docker buildx bake --push

variable "REPOSITORY" {
  default = "questline"
}

variable "TAG" {
  default = "dev"
}

# Python on Debian, by its content. Every image is built on it.
variable "PYTHON_IMAGE" {
  default = "python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254"
}

# Google's launcher of Flex Templates, by its content: the stream's image takes one program from it.
variable "LAUNCHER_IMAGE" {
  default = ""
}

group "default" {
  targets = ["gateway", "serving", "pipeline", "trigger", "load"]
}

target "base" {
  context = "."
  attest  = ["type=sbom", "type=provenance,mode=max"]
  args    = { PYTHON_IMAGE = PYTHON_IMAGE }
}

target "gateway" {
  inherits   = ["base"]
  dockerfile = "ingest/Dockerfile"
  tags       = ["${REPOSITORY}/gateway:${TAG}"]
}

target "load" {
  inherits   = ["base"]
  dockerfile = "ingest/load.Dockerfile"
  tags       = ["${REPOSITORY}/load:${TAG}"]
}

target "serving" {
  inherits   = ["base"]
  dockerfile = "kserve/Dockerfile"
  tags       = ["${REPOSITORY}/serving:${TAG}"]
}

target "pipeline" {
  inherits   = ["base"]
  dockerfile = "components/Dockerfile"
  tags       = ["${REPOSITORY}/pipeline:${TAG}"]
}

target "trigger" {
  inherits   = ["base"]
  dockerfile = "pipelines/Dockerfile"
  tags       = ["${REPOSITORY}/trigger:${TAG}"]
}

target "stream" {
  inherits   = ["base"]
  dockerfile = "beam/Dockerfile"
  tags       = ["${REPOSITORY}/stream:${TAG}"]
  args       = { LAUNCHER_IMAGE = LAUNCHER_IMAGE }
}
