# What there is to do here: `make` lists it.

GO            ?= go
ROOMS         := cmd gateway threading store outbound deploy
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME      ?= 10s
BENCH         ?= .
BENCHTIME     ?= 1s
# One package's tests, if real servers hang. The whole takes a few minutes, most of it
# the first compilation of SQLite with the race detector.
TEST_TIMEOUT  ?= 20m

.PHONY: help test tools vet fmt-check run build lint fuzz bench cover clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: tools vet fmt-check ## install what the tests need, then vet, gofmt and every test, with -race
	# Not from the cache (-count=1): real servers are not among the inputs that it sees.
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -count=1 -timeout=$(TEST_TIMEOUT) ./...

tools: ## install PostgreSQL, Redis, Postfix, Radicale and what else the tests start, if missing (Debian)
	@deploy/testbed/install.sh

vet:
	$(GO) vet ./...

fmt-check:
	@found=$$(gofmt -l $(ROOMS) *.go) && [ -z "$$found" ] || { echo "gofmt would change:"; echo "$$found"; exit 1; }

build: ## build bin/ticketgate, static
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ticketgate ./cmd/ticketgate

run: ## run the daemon on embedded parts, in ./ticketgate-data
	$(GO) run ./cmd/ticketgate serve

lint: ## golangci-lint at its pinned version (the first run compiles it)
	$(GO) run $(GOLANGCI_LINT) run ./...

fuzz: ## run every fuzz target for FUZZTIME (10s)
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

bench: ## run the Go benchmarks that match BENCH (all), for BENCHTIME (1s) each
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./...

cover: tools ## test coverage of all packages by all tests, in coverage.out
	$(GO) test -count=1 -timeout=$(TEST_TIMEOUT) -coverpkg=./... -coverprofile=coverage.out ./...
	$(GO) tool cover -func=coverage.out | tail -n 1

clean: ## remove what build, cover and profiles leave
	rm -rf bin coverage.out
	find . -name '*.test' -o -name '*.prof' | xargs -r rm -f
