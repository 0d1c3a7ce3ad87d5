# docker buildx bake -f docker-bake.hcl            every image, for this machine
# PLATFORM=linux/arm64 docker buildx bake -f docker-bake.hcl device
#
# Without -f, buildx reads compose.yaml as well and asks for .env.device. Variables are set in the
# environment; `make images` sets VERSION and REVISION.

# Base images; empty: what the Dockerfiles pin.
variable "PYTHON_IMAGE" { default = "" }
# Empty: PYTHON_IMAGE.
variable "RUNTIME_IMAGE" { default = "" }
variable "REDIS_IMAGE" { default = "" }
# The first part of the image names; a registry's address for a release.
variable "IMAGES" { default = "visant" }
variable "VERSION" { default = "2.0.0" }
# Empty: VERSION.
variable "TAG" { default = "" }
variable "REVISION" { default = "unknown" }
variable "SOURCE" { default = "unknown" }
# Comma-separated, e.g. linux/arm64,linux/amd64. Empty: the platform of this machine.
variable "PLATFORM" { default = "" }

group "default" { targets = ["all", "emulation"] }
group "device" { targets = ["redis", "camera", "connector", "uploader"] }
group "all" { targets = ["device", "cloud"] }
# Not of a release: what emulation and the tests run instead of the camera.
group "emulation" { targets = ["camera-emulation"] }

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
  args = {
    PYTHON_IMAGE  = PYTHON_IMAGE
    RUNTIME_IMAGE = RUNTIME_IMAGE == "" ? PYTHON_IMAGE : RUNTIME_IMAGE
  }
}

target "_service" {
  inherits   = ["_python"]
  dockerfile = "services/Dockerfile"
}

target "camera" {
  inherits = ["_service"]
  args     = { SERVICE = "camera" }
  tags     = ["${IMAGES}/camera:${TAG == "" ? VERSION : TAG}"]
}

target "camera-emulation" {
  inherits = ["camera"]
  target   = "camera-emulation"
  tags     = ["${IMAGES}/camera-emulation:${TAG == "" ? VERSION : TAG}"]
}

target "connector" {
  inherits = ["_service"]
  args     = { SERVICE = "connector" }
  tags     = ["${IMAGES}/connector:${TAG == "" ? VERSION : TAG}"]
}

target "uploader" {
  inherits = ["_service"]
  args     = { SERVICE = "uploader" }
  tags     = ["${IMAGES}/uploader:${TAG == "" ? VERSION : TAG}"]
}

target "cloud" {
  inherits   = ["_python"]
  dockerfile = "cloud/Dockerfile"
  tags       = ["${IMAGES}/cloud:${TAG == "" ? VERSION : TAG}"]
}

target "redis" {
  inherits   = ["_every"]
  context    = "services/redis"
  dockerfile = "Dockerfile"
  args       = { REDIS_IMAGE = REDIS_IMAGE }
  tags       = ["${IMAGES}/redis:${TAG == "" ? VERSION : TAG}"]
}
