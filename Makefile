# Everything a person or a machine does with this repository. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

BUILD := $(CURDIR)/.build
DATA ?= $(BUILD)/dev
MIRROR := $(BUILD)/mirror
PORTAL := deploy/backstage
ROADBED := $(BUILD)/bin/roadbed

# Node.js 22 or newer: the machine's own, or the binary that npm's `node` package carries.
NODE_MAJOR := $(shell node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/')
ifeq ($(shell test "$(NODE_MAJOR)" -ge 22 2>/dev/null && echo yes),yes)
NODE_BIN := $(dir $(shell command -v node))
NODE_READY :=
else
NODE_BIN := $(BUILD)/node/node_modules/node/bin/
NODE_READY := $(BUILD)/node/.ready
endif
NODE := $(NODE_BIN)node
NPM := PATH="$(NODE_BIN):$$PATH" npm

export GOFLAGS ?= -buildvcs=false
# What deploy/providers/tools obtains is found after the machine's own.
export PATH := $(PATH):$(BUILD)/tools:$(BUILD)/postgres/bin

GO_SOURCES := $(shell git ls-files -co --exclude-standard '*.go' '*.sql' '*.rego' '*.yaml' '*.tf' go.mod go.sum 2>/dev/null | grep -v '^deploy/backstage/')
PORTAL_SOURCES := $(shell git ls-files -co --exclude-standard $(PORTAL)/packages $(PORTAL)/plugins 2>/dev/null)

##@ Run it
.PHONY: up down reset
up: $(ROADBED) $(MIRROR)/terraform.rc $(PORTAL)/packages/app/dist/index.html tools ## Start everything and print where to click; Ctrl-C stops it and keeps the data
	@exec $(ROADBED) dev --data "$(DATA)" --mirror "$(MIRROR)" --portal "$(PORTAL)" --node "$(NODE)"

down: $(ROADBED) ## Stop what `make up` started; the data stays
	@$(ROADBED) dev --data "$(DATA)" --stop

reset: down ## Stop everything and delete its data
	@rm -rf "$(DATA)"
	@echo "Deleted $(DATA). Databases made there are gone with it."

##@ Check it
.PHONY: test test-go test-providers test-aws test-aws-here test-portal test-doors e2e lint verify measure bench
test: lint test-go test-providers test-aws-here test-portal test-doors verify e2e measure ## Install what the tests need and run every one of them
	@echo "all tests passed"

test-go: tools $(MIRROR)/terraform.rc ## Go and Rego, against real PostgreSQL, NATS and Terraform
	TF_CLI_CONFIG_FILE="$(MIRROR)/terraform.rc" go test -timeout 45m ./...

test-providers: tools $(MIRROR)/terraform.rc ## Our Terraform provider and the offerings' modules
	cd deploy/providers && go test -timeout 15m ./...

# A folder with the AWS provider, in the layout of Terraform's plugin folders; without one the provider is downloaded.
AWS_MIRROR ?= $(shell for d in "$$HOME/.terraform.d/plugins" /usr/local/share/terraform/plugins /usr/share/terraform/plugins; do \
	for aws in "$$d"/*/hashicorp/aws; do [ ! -d "$$aws" ] || { echo "$$d"; exit; }; done; done)
PYTHON ?= python3

$(BUILD)/aws/terraform.rc:
	@mkdir -p $(@D)
	@printf 'disable_checkpoint = true\nprovider_installation {\n  %s\n}\n' '$(if $(AWS_MIRROR),filesystem_mirror { path = "$(AWS_MIRROR)" },direct {})' >$@

test-aws: tools $(BUILD)/aws/terraform.rc ## The implementations at AWS, on moto: make, drift, revert, change, rotate, destroy
	@$(PYTHON) -c 'import moto.server' 2>/dev/null || { echo "The AWS tests need moto, a stand-in for AWS: pip install 'moto[server]', or set PYTHON to the Python that has it."; exit 1; }
	TF_CLI_CONFIG_FILE="$(BUILD)/aws/terraform.rc" PYTHON="$(PYTHON)" go test -count=1 -timeout 20m -tags aws -run '^TestAWS' ./sidecar/...

test-aws-here:
	@if [ -n "$(AWS_MIRROR)" ] && $(PYTHON) -c 'import moto.server' 2>/dev/null; then $(MAKE) --no-print-directory test-aws; \
	else echo "The AWS tests are left out: this machine lacks moto or the AWS provider; make test-aws says more."; fi

test-portal: $(PORTAL)/node_modules/.ready ## The Backstage packages: types and unit tests
	cd $(PORTAL) && $(NPM) run --silent typecheck && $(NPM) test --silent

# The packages of the release before the portal's, for the doors that need none of ours.
DOORS := $(BUILD)/doors
test-doors: tools $(MIRROR)/terraform.rc $(PORTAL)/node_modules/.ready $(DOORS)/.ready ## The doors without our plugins, on two releases of Backstage
	go vet -tags doors ./sidecar/cmd/roadbed
	TF_CLI_CONFIG_FILE="$(MIRROR)/terraform.rc" ROADBED_NODE="$(NODE)" \
	ROADBED_DOORS="1.57=$(CURDIR)/$(PORTAL)/node_modules,1.55=$(DOORS)/node_modules" \
	go test -tags doors -count=1 -timeout 15m -run '^TestDoors$$' ./sidecar/cmd/roadbed

$(DOORS)/.ready: $(PORTAL)/doors/older/package-lock.json $(NODE_READY)
	@mkdir -p $(@D)
	@cp $(PORTAL)/doors/older/package.json $(PORTAL)/doors/older/package-lock.json $(PORTAL)/doors/older/.npmrc $(@D)
	cd $(@D) && $(NPM) ci --ignore-scripts --no-audit --no-fund
	@touch $@

e2e: $(ROADBED) $(MIRROR)/terraform.rc $(PORTAL)/packages/app/dist/index.html tools chromium ## The whole road in a real browser
	cd $(PORTAL) && ROADBED="$(ROADBED)" MIRROR="$(MIRROR)" NODE="$(NODE)" CHROMIUM="$(CHROMIUM)" "$(NODE)" --test e2e/*.test.ts

.PHONY: bench-form
bench-form: $(ROADBED) $(MIRROR)/terraform.rc $(PORTAL)/packages/app/dist/index.html tools chromium ## Milliseconds from a keystroke in the form to its price and verdict
	cd $(PORTAL) && ROADBED="$(ROADBED)" MIRROR="$(MIRROR)" NODE="$(NODE)" CHROMIUM="$(CHROMIUM)" "$(NODE)" e2e/form.bench.ts

lint: $(ROADBED) ## Formatting, vet, staticcheck, policies, offerings, Terraform
	@test -z "$$(gofmt -l sidecar policies backstage-templates deploy/environments deploy/providers)" || { gofmt -l sidecar policies backstage-templates deploy; echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	go vet -tags aws ./sidecar/...
	go tool staticcheck ./...
	$(ROADBED) lint
	@terraform fmt -check -recursive backstage-templates

GENERATED := sidecar/api backstage-templates docs/offerings $(PORTAL)/plugins/roadbed/src/api
verify: $(ROADBED) $(PORTAL)/node_modules/.ready ## Fail when a generated file is stale
	@before="$$(git diff -- $(GENERATED) | git hash-object --stdin)"; \
	$(MAKE) --no-print-directory generate >/dev/null; \
	after="$$(git diff -- $(GENERATED) | git hash-object --stdin)"; \
	[ "$$before" = "$$after" ] || { git diff --stat -- $(GENERATED); echo "generated files were stale: commit what 'make generate' wrote"; exit 1; }

measure: tools $(MIRROR)/terraform.rc ## Print the road's time, the sidecar's memory, and each part of the request path
	TF_CLI_CONFIG_FILE="$(MIRROR)/terraform.rc" go test -count=1 -v -run '^(TestRoad|TestMemory)$$' ./sidecar/cmd/roadbed
	go test -run '^$$' -bench '^Benchmark(Authenticate|Permitted|Check|Price|Judge|Findings|Allow|Accept|Submit|Routes)$$' -benchtime 200x -benchmem ./sidecar/...

.PHONY: chaos
SEED ?= $(shell date +%s)
SCHEDULES ?= 69
PAIRS ?=
chaos: tools $(MIRROR)/terraform.rc ## Break something at boundaries of the road: SEED=n repeats, SCHEDULES=n is how often; PAIRS=all is every one once
	ROADBED_CHAOS_SEED=$(SEED) ROADBED_CHAOS_SCHEDULES=$(SCHEDULES) ROADBED_CHAOS_PAIRS=$(PAIRS) ROADBED_CHAOS_CRASH="$(CRASH)" \
	ROADBED_CHAOS_SHARD=$(SHARD) ROADBED_CHAOS_FROM=$(FROM) TF_CLI_CONFIG_FILE="$(MIRROR)/terraform.rc" \
	go test -count=1 -timeout 900m -v -run '$(if $(PAIRS),^TestChaos$$,^(TestChaos|TestPartitions|TestAnswersOfPostgresAreLost|TestStrandedConnections|TestNATSLeaderLost)$$)' ./sidecar/cmd/roadbed

bench: ## Every benchmark, at length
	TF_CLI_CONFIG_FILE="$(MIRROR)/terraform.rc" go test -run '^$$' -bench . -benchmem ./sidecar/...

# A copy of the vulnerability database, as file:///…; vuln.go.dev when it is not set.
VULNDB ?=
.PHONY: vuln
vuln: ## Look for known vulnerabilities in what the binary calls; needs vuln.go.dev or VULNDB
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 $(if $(VULNDB),-db "$(VULNDB)") ./... || { echo "docs/threat-model.md says what to do when it finds something, or cannot read its database."; exit 1; }

TIME ?= 30s
.PHONY: fuzz
fuzz: ## Give every border hostile input for TIME each (30s); what breaks is kept under testdata/fuzz and fails from then on
	@for file in $$(git grep -l '^func Fuzz' -- 'sidecar/*_test.go'); do \
	  for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9]+)\(.*/\1/p' "$$file"); do \
	    echo "$$target"; \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(TIME) "./$$(dirname "$$file")"; \
	  done; \
	done

##@ Make it
.PHONY: build generate tools chromium clean help
build: $(ROADBED) $(PORTAL)/packages/app/dist/index.html ## Build the binary and the portal

generate: $(ROADBED) $(PORTAL)/node_modules/.ready ## Rewrite every generated file
	go generate ./sidecar/api
	$(ROADBED) generate
	cd $(PORTAL) && $(NPM) run --silent generate --workspace plugins/roadbed

$(ROADBED): $(GO_SOURCES)
	@mkdir -p $(@D)
	go build -o $@ ./sidecar/cmd/roadbed

$(MIRROR)/terraform.rc: $(shell git ls-files -co --exclude-standard deploy/providers 2>/dev/null)
	deploy/providers/build "$(MIRROR)"
	@touch $@

$(BUILD)/node/.ready:
	@mkdir -p $(@D)
	npm install --prefix $(BUILD)/node --no-save --no-package-lock --loglevel=error node@24
	@touch $@

$(PORTAL)/node_modules/.ready: $(PORTAL)/package-lock.json $(NODE_READY)
	cd $(PORTAL) && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(PORTAL)/packages/app/dist/index.html: $(PORTAL)/node_modules/.ready $(PORTAL_SOURCES)
	@echo "building the portal"
	@cd $(PORTAL) && $(NPM) run --silent build >$(BUILD)/portal-build.log 2>&1 || { cat $(BUILD)/portal-build.log; exit 1; }
	@touch $@

tools: ## PostgreSQL and Terraform: found on the machine, or obtained
	@BUILD="$(BUILD)" deploy/providers/tools

CHROMIUM ?= $(firstword $(shell command -v chromium chromium-browser google-chrome 2>/dev/null) $(wildcard /Applications/Google\ Chrome.app/Contents/MacOS/Google\ Chrome) /usr/bin/chromium)
chromium:
	@command -v "$(CHROMIUM)" >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || { echo "The browser tests need Chromium: install it, or set CHROMIUM to its binary."; exit 1; }

clean: ## Delete what was built; data of `make up` included
	rm -rf $(BUILD) $(PORTAL)/node_modules $(PORTAL)/packages/app/dist

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_-]+:.*## / {printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
