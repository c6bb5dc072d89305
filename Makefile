# Thin: each target is a command or two; set-up is in set_up.sh, settings are in conf/.

# LANE=spark4 chooses Spark 4.2 for any target.
LANES := default spark4
VENV := $(if $(filter spark4,$(LANE)),.venv-spark4,.venv)
export LANE
# Spark finds its Python, and so its own folder, through the `python3` that comes first on PATH.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Another Spark, another Python or a notebook as driver, set for other work, must not leak in here.
unexport SPARK_HOME SPARK_CONF_DIR PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON PYTHONPATH PYTHONHOME
# MLflow phones home unless told not to.
export MLFLOW_DISABLE_TELEMETRY := true

PYTEST := $(VENV)/bin/python -m pytest
# Two test processes, each with a Spark of its own; WORKERS=0 runs all in one.
WORKERS := 2

.DEFAULT_GOAL := help
.PHONY: help setup demo quick test test-all test-rest test-whole test-slow test-integration test-faults test-planted soak stored bench spark-nlp check docs lint-fix train lock audit dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' Makefile

setup: ## build .venv from the locks, with Delta in its Spark (LANE=spark4: .venv-spark4)
	@sh set_up.sh

spark-nlp: setup ## the jars of Spark NLP (151 MB) into .venv, once, for --engine spark_nlp
	@$(VENV)/bin/python jobs/set_up/set_up_spark_nlp.py

demo: setup ## extract the entities of samples/notes.jsonl into build/demo
	@rm -rf build/demo
	@$(VENV)/bin/spark-submit jobs/extract_entities.py --notes samples/notes.jsonl --output build/demo \
		--show-entities 20

quick: setup ## the tests without Spark and training, and lint: below a minute
	@.venv/bin/ruff check .
	@$(PYTEST) tests --quick --hypothesis-profile quick --numprocesses $(WORKERS)

test: setup $(if $(filter spark4,$(LANE)),,check) ## checks, and the tests of the default lane (LANE=spark4: of the other)
	@$(LANE_TESTS)

test-all: test test-rest ## all that CI needs: `test`, whole runs, and the other lane

# What `test-all` adds to `test`. Whole runs take half of the time and are run on the default lane;
# those that another Spark may end otherwise on both.
test-rest:
	@$(MAKE) --no-print-directory test-whole
	@$(MAKE) --no-print-directory LANE=spark4 test-whole WHOLE='(not whole or both_lanes) and $(OTHERS)'

OTHERS := not slow and not integration and not faults
WHOLE = whole and $(OTHERS)

test-whole: setup ## whole runs over real tables (LANE=spark4: on the other lane)
	@$(LANE_TESTS) -m '$(WHOLE)'

# udfs/, training/ and these jobs never import Spark, and the locks agree but for Spark's packages
# (tests hold both): on the second lane their tests would only repeat themselves.
WITHOUT_SPARK := adapt_encoder average_models calibrate_model fine_tune_ner score_model
ONCE := $(if $(filter spark4,$(LANE)),--ignore=tests/udfs --ignore=tests/training \
	--ignore=tests/test_docs.py --ignore=tests/test_layering.py $(WITHOUT_SPARK:%=--ignore=tests/jobs/test_%.py))
LANE_TESTS = $(PYTEST) $(ONCE) --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test-slow: setup ## the tests that take minutes: all shared notes with the shipped model
	@$(PYTEST) -m slow --timeout 3600

test-integration: setup ## the tests that start clusters: standalone, GPU scheduling, Spark Connect
	@$(PYTEST) -m integration --timeout 3600

test-faults: setup ## kill, damage and fill up what a run needs; prints a list of faults with results
	@$(PYTEST) -m faults --timeout 3600

test-planted: setup ## plant small faults in a copy of the code and see whether the tests catch them
	@$(VENV)/bin/python tests/faults/plant_faults.py $(PLANTED)

soak: setup ## NOTES=100000 invented notes in ten days through the main job, killed every few minutes
	@$(VENV)/bin/python tests/soak/run_soak.py --notes $(or $(NOTES),100000) $(SOAK)

stored: setup ## what a day of 1 % new notes costs beside PREDICTIONS=10000000 stored ones
	@$(VENV)/bin/python tests/soak/run_stored.py --predictions $(or $(PREDICTIONS),10000000)

bench: setup ## Clinspan beside its peers, by conf/benchmark.yaml; BENCH="--set KEY=VALUE" for others
	@$(VENV)/bin/python jobs/run_benchmark.py $(BENCH)

check: ## lint, format and types, without changing anything
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

docs: ## write the tables of columns in docs/ from udfs/table_columns.py
	@.venv/bin/python jobs/set_up/column_docs.py

lint-fix: ## mend what ruff can mend
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

train: setup ## fine-tune a model package from the train part of BC5CDR into build/my-model
	@$(VENV)/bin/python jobs/fine_tune_ner.py --output build/my-model

UV_COMPILE = .venv/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

lock: ## resolve the requirements*.in files anew (add UPGRADE=--upgrade for newer versions)
	@$(UV_COMPILE) $(UPGRADE) --no-deps requirements-nodeps.in --output-file requirements-nodeps.lock
	@for lane in $(LANES); do \
		$(UV_COMPILE) $(UPGRADE) requirements-$$lane.in --output-file requirements-$$lane.lock || exit 1; done

# --strict, because a package that the service does not know would else pass as one without faults.
PIP_AUDIT = .venv/bin/uv tool run --quiet --from pip-audit==2.10.1 pip-audit --strict --disable-pip \
	--progress-spinner off

audit: setup ## ask pypi.org for known vulnerabilities of all that is locked, and of torch
	@mkdir -p build
	@$(VENV)/bin/python -c 'from importlib.metadata import version; \
		print("torch==" + version("torch").partition("+")[0])' >build/torch.txt
	@status=0; for lock in requirements-*.lock; do echo "$$lock"; \
		$(PIP_AUDIT) --require-hashes --requirement $$lock || status=1; done; \
	echo torch; $(PIP_AUDIT) --no-deps --requirement build/torch.txt || status=1; exit $$status

# A build reads what an older one left in build/. Spark puts a .zip on the executors' path, not a .whl.
dist: setup ## build the wheel, and the same as a .zip for --py-files, into dist/
	@rm -rf dist build/lib build/bdist.*
	@$(VENV)/bin/python -m pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir dist .
	@rm -rf build/lib build/bdist.* clinspan.egg-info
	@cp dist/clinspan-*.whl "$$(ls dist/clinspan-*.whl | cut -d - -f 1,2).zip"
	@ls dist

clean: ## remove what runs and builds leave behind (the environments stay)
	@rm -rf build dist *.egg-info spark-warehouse metastore_db derby.log
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
