# Everything a developer needs. `make demo` and `make test` do all the set-up themselves.

PYTHON     ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3.10 python3,$(shell command -v $(p) 2>/dev/null)))
VENV       ?= .venv
BIN        := $(VENV)/bin
UV         := $(BIN)/uv
# uv does not read pip's configuration: hand on the places where pip looks for wheels.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_HTTP_TIMEOUT ?= 180
export UV_LINK_MODE ?= copy
# Without compiled modules every process compiles all that it imports: tests and demo start hundreds.
unexport PYTHONDONTWRITEBYTECODE

# PyTorch from PyPI brings several GB of CUDA. Its tests run where pip has a CPU build at hand, or with TORCH=1,
# in an environment of their own: litert-torch pins older versions than the rest needs.
TORCH_WHEEL := $(firstword $(wildcard $(PIP_FIND_LINKS)/torch-*+cpu-cp311-*.whl))
TORCH       ?= $(if $(TORCH_WHEEL),1)
TORCH_VENV  := $(VENV)-torch

PYTEST     := $(BIN)/python -m pytest
JOBS       ?= 2
DEMO_DIR   ?= demo-output

.DEFAULT_GOAL := help

.PHONY: help demo test test-torch test-fast check format types lint docs lock setup setup-demo setup-test system-demo system-test bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: setup-demo ## Build, sign, deploy, benchmark and report the example model; no device needed
	@$(BIN)/python examples/fashion/demo.py --output $(DEMO_DIR)

test: setup-test ## Run every test
	@echo "==> Running the tests"
	@$(PYTEST) -n $(JOBS) --dist loadfile
	@$(if $(TORCH),$(MAKE) --no-print-directory test-torch,echo "==> PyTorch tests left out: no CPU build of torch at hand (make test TORCH=1)")

test-torch: $(TORCH_VENV)/.installed ## Run the tests of the PyTorch importer, in an environment of their own
	@$(TORCH_VENV)/bin/python -m pytest -q -n $(JOBS) tests/converters/importers/test_torch.py

test-fast: setup-test ## Run the tests that take seconds
	@$(PYTEST) -n $(JOBS) --dist loadfile -m "not slow"

check: setup-test ## Lint, types, import contracts, spelling, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell README.md ARCHITECTURE.md DECISIONS.md CONTRIBUTING.md CHANGELOG.md docs toolchain targets converters device_agent benchmarks examples tools
	$(BIN)/python -m tools.generated --check

format: setup-test ## Format the code and write the generated files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m tools.generated --write

bench: setup-test ## Speed and memory, side by side with peers (minutes)
	$(BIN)/python -m benchmarks

lock: $(UV) ## Resolve the development dependencies again
	$(UV) pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate --upgrade \
	  --extra tensorflow --extra onnx --extra images --extra postgresql --extra dev pyproject.toml --output-file requirements/dev.txt
	UV_FIND_LINKS= $(UV) pip compile --quiet --python-version 3.11 --no-header --no-annotate --upgrade \
	  --constraints requirements/torch.in --extra torch --extra dev pyproject.toml --output-file requirements/torch.txt

setup: setup-demo

# --- environment -----------------------------------------------------------------------------------------

$(UV):
	@test -n "$(PYTHON)" || { echo "edgepack needs Python 3.10 or newer: apt-get install python3 python3-venv"; exit 1; }
	@echo "==> Creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.demo: pyproject.toml requirements/dev.txt | system-demo $(UV)
	@echo "==> Installing edgepack (about 30 s; TensorFlow among it, to read the example's Keras file)"
	@$(UV) pip install --python $(BIN)/python --quiet --constraints requirements/dev.txt --editable '.[tensorflow]'
	@touch $@

$(VENV)/.test: pyproject.toml requirements/dev.txt | system-test $(UV)
	@echo "==> Installing edgepack with what its tests need (1 to 2 min; TensorFlow among it)"
	@$(UV) pip install --python $(BIN)/python --quiet --constraints requirements/dev.txt --editable '.[tensorflow,onnx,images,postgresql,dev]'
	@touch $@ $(VENV)/.demo

$(TORCH_VENV)/.installed: pyproject.toml requirements/torch.txt | $(UV)
	@echo "==> Installing PyTorch and litert-torch into $(TORCH_VENV) (about 1 min)"
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python $(TORCH_VENV)
	@$(UV) pip install --python $(TORCH_VENV)/bin/python --quiet --constraints requirements/torch.txt --editable '.[torch,dev]' $(TORCH_WHEEL)
	@touch $@

setup-demo: $(VENV)/.demo
setup-test: $(VENV)/.test

# System programs: installed where this runs as root on Debian, otherwise the tests that need them skip with a reason.
DEMO_PACKAGES := openssh-server openssh-client
# The second line makes emulated Arm machines (docs/lab.md), the third a board that miscomputes.
TEST_PACKAGES := $(DEMO_PACKAGES) iproute2 nftables chromium dataset-fashion-mnist \
  qemu-system-arm qemu-utils gcc-12-aarch64-linux-gnu device-tree-compiler e2fsprogs xz-utils make \
  qemu-user-static binfmt-support qemu-system-misc

system-demo:
	@tools/system_packages.sh $(DEMO_PACKAGES)

system-test:
	@tools/system_packages.sh $(TEST_PACKAGES)

clean: ## Remove what these commands made
	rm -rf $(VENV) $(TORCH_VENV) $(DEMO_DIR) .edgepack dist build src/*.egg-info .mypy_cache .ruff_cache .pytest_cache
