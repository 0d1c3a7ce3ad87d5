# Every target is one command and sets up what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
DEVICES ?= 1
N ?= 20
ONLY ?=
SHORT ?=
SAMPLE ?=
PLATFORM ?=

export ONLY SHORT PLATFORM
# Suites start hundreds of Pythons; without compiled modules each start takes twice the CPU (3.9 s against 1.9 s here).
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup emulate smoke check test lock lock-check lab up down smoke-containers test-containers test-cloud-compose \
	images release-archive release release-key camera-rig bench-camera bench bench-alerts bench-cloud bench-quality fuzz faults faults-workers test-updates pi-host mutants full

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{split($$1, t, ":"); printf "  make %-18s %s\n", t[1], $$2}'

setup: ## make .venv from the locks (the other targets do it by themselves)
	@PYTHON=$(PYTHON) tools/setup.sh

emulate: setup ## the whole system with a fake camera, no Docker, no hardware (DEVICES=5 for five, KEEP=1 goes on where the last one ended)
	@exec .venv/bin/python -m emulation.emulate --devices $(DEVICES)

smoke: setup ## the same without a page: N triggers, one line of JSON (N=50)
	@exec .venv/bin/python -m emulation.smoke -n $(N)

check: ## the inner loop: format, lint, types, unit tests (ONLY=tests/unit/camera)
	@PYTHON=$(PYTHON) tools/check.sh $(ONLY)

test: ## the same with integration tests, shell scripts, locks
	@PYTHON=$(PYTHON) tools/test.sh

lock: setup ## compile requirements/*.txt after a dependency was edited
	@tools/lock.sh
lock-check: setup ## fail where the locks are not current
	@tools/lock.sh --check

lab: ## a Docker Engine and base images from Debian's packages, on a machine that has none (root)
	@lab/up.sh

images: ## build all images (PLATFORM=linux/arm64)
	@tools/images.sh

release-archive: ## this tree as a signed file for devices, without a registry (PLATFORM=linux/arm64 KEY=file)
	@$(PYTHON) deployment/release/make_release.py archive $(if $(PLATFORM),--platform "$(PLATFORM)") $(if $(KEY),--key "$(KEY)")
release: ## this tree for devices that pull: pushed to IMAGES=registry.example/you, signed into dist/ (PLATFORM KEY)
	@$(PYTHON) deployment/release/make_release.py release --registry "$(IMAGES)" $(if $(PLATFORM),--platform "$(PLATFORM)") $(if $(KEY),--key "$(KEY)")
release-key: ## the key that signs releases, once for each fork (KEY=file outside the checkout)
	@KEY="$(KEY)" NAME="$(NAME)" deployment/release/new_key.sh

up: setup ## the stack in containers with the fake camera and a cloud
	@tests/containers/up.sh
down: ## end it
	@tests/containers/down.sh
smoke-containers: setup ## as smoke, against the containers
	@N=$(N) tests/containers/smoke.sh
test-containers: setup ## hardening, Redis corruption, a camera node that comes later
	@tests/containers/test.sh

test-cloud-compose: setup ## cloud/compose.yaml with TLS under load: a worker killed, both redeployed, backup and restore (SHORT=1)
	@tests/cloud_compose/run.sh

camera-rig: setup ## the driver against a kernel's uvcvideo, in a VM (SHORT=1 for a subset)
	@tests/camera_rig/run.sh
bench-camera: setup ## our snapshots beside others on the same emulated webcam
	@tests/camera_rig/bench.sh
bench: setup ## what a device costs card, uplink, a metered month and processor, and its road beside the bare work (ONLY=road)
	@.venv/bin/python -m tests.bench
bench-cloud: setup ## a fleet of 10,000 on the cloud, beside a bare application that does the same (SHORT=1, BENCH_CELLS=captures)
	@.venv/bin/python -m tests.bench.cloud
bench-alerts: setup ## from fault to message: a month of 300 cameras on its own clock, and ten over HTTP (SHORT=1, SEED=2)
	@.venv/bin/python -m tests.bench.alerts

bench-quality: setup ## what verdicts on pictures find, how soon and how often they are wrong, on synthetic cameras (SHORT=1, SEED=1)
	@.venv/bin/python -m tests.bench.quality

fuzz: setup ## every route of the cloud's API against its description, and broken HTTP at its door (SHORT=1, ONLY=tests/fuzz/test_api.py)
	@.venv/bin/pytest --timeout 1800 $(or $(ONLY),tests/fuzz)

faults: setup ## break everything, account for every trigger (ONLY=name, SHORT=1)
	@.venv/bin/python -m tests.faults
faults-workers: setup ## the same against a cloud of two workers on one PostgreSQL
	@WORKERS=2 .venv/bin/python -m tests.faults

mutants: setup ## small changes to the pure parts: do their unit tests notice? (SAMPLE=80 SEED=1 ONLY=reconnect)
	@SAMPLE=$(SAMPLE) .venv/bin/python -m tests.mutants

test-updates: setup ## releases good and bad on a real Engine and registry (SHORT=1)
	@tests/updates/run.sh
pi-host: setup ## a device from installer to uninstaller on hosts with systemd (SHORT=1, PI_HOST_SUITE=trixie)
	@tests/pi_host/run.sh

full: SAMPLE = 120
full: test fuzz mutants smoke lab smoke-containers test-containers test-cloud-compose camera-rig faults faults-workers test-updates pi-host ## every suite in full
