# One command each; what they do stands behind ##.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Packages at a time: every race-built test links for a while and takes a gigabyte.
TESTFLAGS ?= -p 2

.DEFAULT_GOAL := help
.PHONY: help build demo test check bench benchmarks generate clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/hanse and bin/testbed
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/hanse ./cmd/hanse
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/testbed ./chaos/cmd/testbed

.PHONY: next
next: ## build bin/hanse-next, a hanse that can apply one version of the log more: for drills of upgrades
	$(GO) build -tags hanse_next -ldflags '$(LDFLAGS)-next' -o bin/hanse-next ./cmd/hanse

demo: build ## a fleet on three real clusters, one region killed and healed (KEEP=1: leave it running)
	@bin/testbed demo $(if $(filter-out 0,$(KEEP)),--keep)

check: lint ## what can be told without real clusters, in minutes: gofmt, vet, staticcheck, unit tests, simulations
	$(GO) test -short $(TESTFLAGS) ./...

test: build next lint ## everything: the race detector, real clusters, killed regions, the system as a whole
	@$(MAKE) --no-print-directory -j 2 rooms drills

# A drill mostly waits for programs of their own, in which the race detector sees nothing: it runs without, two others and the
# rooms beside it. What make lint has vetted is not vetted again. The timeout of the drills ends what hangs, not what is slow: they take
# 18 minutes alone on two processors.
.PHONY: rooms drills
REAL = KUBEBUILDER_ASSETS="$$(bin/testbed build)" && export KUBEBUILDER_ASSETS && \
	HANSE_BINARY='$(CURDIR)/bin/hanse' HANSE_NEXT_BINARY='$(CURDIR)/bin/hanse-next' TESTBED_BINARY='$(CURDIR)/bin/testbed'
rooms:
	$(REAL) $(GO) test -race -vet=off -timeout 30m $(TESTFLAGS) $$($(GO) list ./... | grep -v /chaos/drill$$)
	$(GO) test -vet=off -timeout 30m $(TESTFLAGS) ./chaos/sim # the long ones too, which -race leaves out

drills:
	$(REAL) $(GO) test -vet=off -timeout 45m -parallel 3 ./chaos/drill

.PHONY: lint
lint:
	@unformatted="$$(gofmt -l .)"; \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:" && echo "$$unformatted" && exit 1; fi
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...

.PHONY: sim sim-bugs
sim: ## play fresh seeds on simulated fleets, and rollouts in them (SEEDS=1000, or SEED=n for one)
	$(GO) test ./chaos/sim -run '^(TestSeeds|TestNoRevisionOfTheLogHasTwoFaultDomainsInChange)$$' -v -count 1 -timeout 0 \
		$(if $(SEED),-seed $(SEED) -seeds 1,-seed $$(date +%s) -seeds $(or $(SEEDS),10))

sim-bugs: ## put each known bug back, and see how long it takes to be caught (RUNS=20 seeds at most)
	$(GO) test ./chaos/sim -run '^TestBugTable$$' -v -count 1 -timeout 0 -seed $$(date +%s) -bug all -runs $(or $(RUNS),20)

# Each target in its turn. One that fails leaves what broke it in testdata/fuzz of its room, where every test run tries it from then on.
# What is new is made smaller by ten tries, not for a minute: of targets that seal something, that took all the time there was.
.PHONY: fuzz
FUZZTIME ?= 30s
fuzz: ## look for inputs that break what reads them: every fuzz target in turn (FUZZTIME=30s for each, or FUZZ=FuzzOpen for one)
	@grep -rHoE --include='*_test.go' '^func $(or $(FUZZ),Fuzz[A-Za-z0-9_]+)\(' . | sed 's|/[^/]*:func \(.*\)($$| \1|' | sort | { \
		ran=; failed=; \
		while read -r room target; do \
			echo "$$target in $$room"; ran=1; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$room" </dev/null || failed="$$failed $$target in $$room,"; \
		done; \
		test -n "$$ran" || { echo "there is no such target"; exit 1; }; \
		test -z "$$failed" || { echo "broken:$${failed%,}"; exit 1; }; \
	}

bench: build ## measure the store beside etcd, and changes beside kubectl (BENCHFLAGS='--only write'; bin/bench --help)
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/bench ./chaos/cmd/bench
	KUBEBUILDER_ASSETS="$$(bin/testbed build)" bin/bench $(BENCHFLAGS)

benchmarks: build ## run every Go benchmark, those with real clusters too
	KUBEBUILDER_ASSETS="$$(bin/testbed build)" && export KUBEBUILDER_ASSETS && \
	HANSE_BINARY='$(CURDIR)/bin/hanse' $(GO) test -run '^$$' -bench . -benchmem -p 1 -timeout 60m ./...

generate: ## write generated code again
	$(GO) generate ./...

clean: ## end the testbeds in this folder, delete what was built in it
	@if [ -x bin/testbed ]; then bin/testbed down && bin/testbed --dir .demo down; fi
	rm -rf bin
