# Everything a fresh machine needs is Python 3.11+, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check docs faults torture bugs vendors real-model bench clean

run: $(VENV)/local.done ## the main job on the embedded model
	$(BIN)/rmft-api run

test: $(VENV)/dev.done check ## every gate, then every test
	$(BIN)/pytest -n 2

check: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/docs.done ## the documentation site, in build/site
	$(BIN)/mkdocs build --quiet --strict

faults: $(VENV)/dev.done ## crashes, provider faults, lost replies: every case of the matrix
	$(BIN)/python -m tests.faults matrix
	$(BIN)/python -m tests.faults.hosted
	$(BIN)/python -m tests.faults.hosted --provider bedrock
	$(BIN)/python -m tests.faults.hosted --provider bedrock-rented
	$(BIN)/python -m tests.faults.hosted --provider together
	$(BIN)/python -m tests.faults.hosted --provider fireworks

torture: $(VENV)/dev.done ## random kills (SEEDS=1000), pairs of crashes, system calls (one in EVERY)
	$(BIN)/python -m tests.faults torture --seeds $(or $(SEEDS),20) --every $(or $(EVERY),20)

bugs: $(VENV)/dev.done ## protocol bugs planted on purpose: each must be caught
	$(BIN)/python -m tests.faults bugs

vendors: $(VENV)/dev.done ## the packages of Together, Fireworks and Tinker drive our fakes; their pins are not ours
	$(BIN)/pip install --quiet --no-deps --target build/vendors together==3.1.1 httpx==0.28.1 httpcore==1.0.9 \
		distro==1.9.0 detect-agent cyclopts==5.5.2 types-pyyaml docstring-parser rich-rst attrs filelock sniffio \
		fireworks-ai==1.2.30 httpx-aiohttp==0.2.0 tinker==0.38.0 pyqwest protobuf zstandard orjson h2 hpack hyperframe
	PYTHONPATH=build/vendors $(BIN)/pytest -rs -p no:unraisableexception tests/fakes/test_together_sdk.py tests/fakes/test_fireworks_sdk.py \
		tests/fakes/test_tinker_sdk.py

real-model: $(VENV)/dev.done ## one iteration of a real language model on this CPU (needs an index; 4 CPU minutes)
	RMFT_REAL_MODEL=1 $(BIN)/pytest tests/local_server/hf/test_real_model.py

integrations: .venv-integrations/done ## inspect_ai, verifiers, Gymnasium, trackers: the real packages, in an environment of their own
	.venv-integrations/bin/pytest tests/integrations tests/tracking -rs

.venv-integrations/done: pyproject.toml
	test -d .venv-integrations || $(PYTHON) -m venv .venv-integrations
	.venv-integrations/bin/pip install --quiet --disable-pip-version-check pytest pytest-asyncio hypothesis \
		-e '.[inspect,verifiers,gym,figures,mlflow,wandb]'
	touch $@

bench: $(VENV)/bench.done ## what everything costs; CLIENTS="--client litellm=PYTHON ..." adds others
	$(BIN)/python -m benchmarks.calls $(CLIENTS)
	$(BIN)/python -m benchmarks.limits
	$(BIN)/python -m benchmarks.journal
	$(BIN)/python -m benchmarks.tokens
	$(BIN)/python -m benchmarks.coalescing
	$(BIN)/python -m benchmarks.coalesced --plan runs/gpt-4o-mini.toml runs/gpt-4.1-mini.toml
	$(BIN)/python -m benchmarks.start_up

$(VENV)/%.done: pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS_$*)]'
	touch $@

EXTRAS_local := local
EXTRAS_dev := local,open,dev
EXTRAS_bench := local,bench
EXTRAS_docs := docs

clean:
	rm -rf $(VENV)
