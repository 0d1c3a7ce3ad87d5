# docker buildx bake            every image, for this machine
# PLATFORM=linux/arm64 docker buildx bake device
#
# Variables are set in the environment; `make images` sets VERSION and REVISION.

variable "PYTHON_IMAGE" { default = "python:3.13-slim-trixie" }
variable "REDIS_IMAGE" { default = "redis:8.0-bookworm" }
# The first part of the image names; a registry's address for a release.
variable "IMAGES" { default = "visant" }
variable "VERSION" { default = "2.0.0" }
variable "REVISION" { default = "unknown" }
variable "SOURCE" { default = "unknown" }
# Comma-separated, e.g. linux/arm64,linux/amd64. Empty: the platform of this machine.
variable "PLATFORM" { default = "" }

group "default" { targets = ["all"] }
group "device" { targets = ["redis", "camera", "connector", "uploader"] }
group "all" { targets = ["device", "cloud"] }

target "_every" {
  context   = "."
  platforms = PLATFORM == "" ? [] : split(",", PLATFORM)
  args = {
    VERSION  = VERSION
    REVISION = REVISION
    SOURCE   = SOURCE
  }
}

target "_python" {
  inherits = ["_every"]
  args     = { PYTHON_IMAGE = PYTHON_IMAGE }
}

target "camera" {
  inherits   = ["_python"]
  dockerfile = "services/camera/Dockerfile"
  tags       = ["${IMAGES}/camera:${VERSION}"]
}

target "connector" {
  inherits   = ["_python"]
  dockerfile = "services/connector/Dockerfile"
  tags       = ["${IMAGES}/connector:${VERSION}"]
}

target "uploader" {
  inherits   = ["_python"]
  dockerfile = "services/uploader/Dockerfile"
  tags       = ["${IMAGES}/uploader:${VERSION}"]
}

target "cloud" {
  inherits   = ["_python"]
  dockerfile = "cloud/Dockerfile"
  tags       = ["${IMAGES}/cloud:${VERSION}"]
}

target "redis" {
  inherits   = ["_every"]
  context    = "redis"
  dockerfile = "Dockerfile"
  args       = { REDIS_IMAGE = REDIS_IMAGE }
  tags       = ["${IMAGES}/redis:${VERSION}"]
}
