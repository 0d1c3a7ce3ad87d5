# Every target is one command and sets up what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3

.PHONY: help setup lock lock-check
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: ## make .venv from the locks (the other targets do it by themselves)
	@PYTHON=$(PYTHON) tools/setup.sh

lock: setup ## compile requirements/*.txt after a dependency was edited
	@tools/lock.sh
lock-check: setup ## fail where the locks are not current
	@tools/lock.sh --check
