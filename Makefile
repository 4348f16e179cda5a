# Thin: every target calls a script that can be run alone and says what it does. `make` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

NODE := node_modules/.bin/node
# Dependencies are up to date when the stamp of this very lock file is there.
SETUP := node_modules/.setup-$(shell sha256sum package-lock.json | cut -c1-16)

.PHONY: help setup generate manifests build format lint unit model simulate test e2e soak bench bench-cluster bench-scale faults images cluster cluster-down demo clean

help:
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(SETUP) ## install what package-lock.json pins (Node 24 included)

$(SETUP):
	@command -v npm >/dev/null || { echo 'npm is missing: install Node.js 20 or newer (Debian: apt-get install nodejs npm).' >&2; exit 1; }
	@# Not npm ci: it refuses a lock file that lacks optional packages of other platforms, and registry mirrors that hold only
	@# some platforms make such lock files. This installs the same pinned versions, checked by the same hashes.
	npm install --no-save --no-audit --no-fund --engine-strict=false --loglevel=error
	@$(NODE) --version >/dev/null
	@rm -f node_modules/.setup-* && touch $@

generate: $(SETUP) ## write crds/, the chart's copies and docs/reference from operator/api
	@$(NODE) hack/generate/main.ts

manifests: $(SETUP) ## write manifests/mainstay.yaml from the chart, for those without Helm
	@$(NODE) hack/manifests/main.ts

build: $(SETUP) ## bundle operator, agent and kubectl-mainstay into build/
	@$(NODE) hack/build/main.ts

format: $(SETUP) ## format everything with prettier
	@$(NODE) node_modules/.bin/prettier --write --log-level warn .

lint: $(SETUP) ## formatting, eslint and types
	@$(NODE) hack/test/main.ts format lint types

unit: $(SETUP) ## unit tests (jest), no cluster needed
	@$(NODE) hack/test/main.ts postgres unit

model: $(SETUP) ## the protocol through Spin, full bounds: 8 GB, half an hour
	@$(NODE) hack/model/main.ts

simulate: $(SETUP) ## the protocol under seeded faults; SEEDS=10000, HOURS=2 for new seeds, or SEED=42 to replay one with a trace
	@$(NODE) operator/simulation/main.ts $(if $(SEED),--seed $(SEED) --trace,$(if $(HOURS),--hours $(HOURS),--seeds $(or $(SEEDS),1000)))

test: $(SETUP) ## everything: lint, types, unit, generated files, chart, then e2e on a fresh local cluster
	@$(NODE) hack/test/main.ts

e2e: $(SETUP) ## scenarios on the local cluster (or KUBECONFIG's), left running; ONLY='drain' picks some, POSTGRES=17 or ENGINE=mysql
	@$(NODE) e2e/main.ts $(if $(ENGINE),--engine $(ENGINE)) $(if $(POSTGRES),--postgres $(POSTGRES)) $(ONLY)

soak: $(SETUP) ## overlapping faults from a seed until something is wrong: HOURS=3 SEED=… ENGINE=mysql PUBLISH=1 FROM=17; MATRIX=1: the kill matrix in random order (ROUNDS=3 HOURS=8 PUBLISH=1), POSTGRES=17
	@$(NODE) e2e/soak.ts $(if $(MATRIX),--matrix) $(if $(HOURS),--hours $(HOURS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(FROM),--from $(FROM)) $(if $(SEED),--seed $(SEED)) $(if $(ENGINE),--engine $(ENGINE)) $(if $(PUBLISH),--publish) $(if $(POSTGRES),--postgres $(POSTGRES)) $(ONLY)

bench: $(SETUP) ## side by side with Patroni, without Kubernetes (75 min), into docs/benchmarks; CASES='switchover node-lost' RUNS=10 MINUTES=20; PEER=cnpg
ifeq ($(PEER),cnpg)
	@$(NODE) hack/bench/cnpg.ts --runs $(or $(RUNS),5) $(CASES)
else
	@$(NODE) hack/bench/side-by-side/main.ts --publish --runs $(or $(RUNS),5) $(if $(MINUTES),--minutes $(MINUTES)) $(CASES)
endif

bench-cluster: $(SETUP) ## how long failovers take on the local cluster (3 h), into docs/benchmarks; ONLY='switchover node-lost' RUNS=10 ENGINE=mysql
	@$(NODE) hack/bench/main.ts --publish $(if $(ENGINE),--engine $(ENGINE)) --runs $(or $(RUNS),10) $(ONLY)

bench-scale: $(SETUP) ## what the operator costs with 100, 300 and 1,000 clusters (15 min), into docs/benchmarks; SIZES='100 300'
	@$(NODE) hack/scale/main.ts --publish $(SIZES)

faults: $(SETUP) ## the operator dies at every write, and every request fails once, on a real API server; ONLY='roll' picks
	@$(NODE) hack/operator-faults/main.ts $(ONLY)

images: $(SETUP) ## container images, as archives in the cache
	@$(NODE) hack/images/main.ts

cluster: $(SETUP) ## start a local Kubernetes of three nodes, or repair it
	@$(NODE) hack/cluster/main.ts up

cluster-down: $(SETUP) ## remove the local Kubernetes, volumes included
	@$(NODE) hack/cluster/main.ts down

demo: $(SETUP) ## a cluster loses its primary's node under load; leaves it running to play with
	@$(NODE) hack/demo/main.ts

clean: $(SETUP) ## remove the local Kubernetes and build/ (caches outside the checkout stay)
	@$(NODE) hack/cluster/main.ts down
	@rm -rf build coverage
