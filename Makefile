# Thin: each target is a command or two; set-up is in set_up.sh, settings are in conf/.

# Spark finds its Python, and so its own folder, through the `python3` that comes first on PATH.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Another Spark, another Python or a notebook as driver, set for other work, must not leak in here.
unexport SPARK_HOME SPARK_CONF_DIR PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON PYTHONPATH PYTHONHOME
# MLflow phones home unless told not to.
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check lint-fix train lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: ## build .venv from the locks, with Delta in its Spark (needs Python 3.11 and Java 17)
	@sh set_up.sh

demo: setup ## extract the entities of samples/notes.jsonl into build/demo
	@rm -rf build/demo
	@.venv/bin/spark-submit jobs/extract_entities.py --notes samples/notes.jsonl --output build/demo \
		--show-entities 20

test: setup check ## check, then run every test
	@.venv/bin/python -m pytest

test-slow: setup ## the tests that take minutes: all shared notes with the shipped model
	@.venv/bin/python -m pytest -m slow

check: ## lint, format and types, without changing anything
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

lint-fix: ## mend what ruff can mend
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

train: setup ## fine-tune a model package from the train part of BC5CDR into build/my-model
	@.venv/bin/python jobs/fine_tune_ner.py --output build/my-model

UV_COMPILE = .venv/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

lock: ## resolve the requirements*.in files anew (add UPGRADE=--upgrade for newer versions)
	@$(UV_COMPILE) $(UPGRADE) --no-deps requirements-nodeps.in --output-file requirements-nodeps.lock
	@$(UV_COMPILE) $(UPGRADE) requirements.in --output-file requirements.lock

clean: ## remove what runs and builds leave behind (.venv stays)
	@rm -rf build dist *.egg-info spark-warehouse metastore_db derby.log
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
