# The commands that .ci/run and the CI workflow run, by name. Each works on a
# machine with Go and, for the race detector alone, a C compiler.

GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   = golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: all build test race check lint fuzz vuln measure compare release ci clean

all: check test

build: ## the program, static
	CGO_ENABLED=0 go build -trimpath -o oriel .

test: ## all tests that need no other files
	go test ./...

race: ## the tests with the race detector, without the longest
	CGO_ENABLED=1 go test -race -short -timeout 15m ./...

check: ## formatting, go.mod, vet, staticcheck, dead code
	.ci/check

lint: ## .golangci.yml, by the installed golangci-lint or one that Go builds
	$$(command -v golangci-lint || echo go run $(GOLANGCI_LINT)) run ./...

fuzz: ## every fuzz target for a moment
	.ci/fuzz

vuln: ## known vulnerabilities of the dependencies
	go run $(GOVULNCHECK) ./...

measure: ## sizes, words, repeated and dead code
	go run ./internal/measure -tools

OLD = origin/main
compare: ## held figures of OLD and the working tree, a quarter of an hour
	go run ./bench/compare $(OLD)

release: ## archives, checksums, SBOM, completions and man pages in dist/
	.ci/release dist

ci: ## what must hold before a change lands
	.ci/run

clean:
	rm -rf oriel dist

help:
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/'
