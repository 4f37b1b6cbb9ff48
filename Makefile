# Chancery: how it is built, tested and tried. `make demo` and `make test` need nothing but a Swift 6 toolchain: each
# installs the Debian packages that are missing.

SHELL := /bin/bash
.DEFAULT_GOAL := help

help: ## Show what there is to make.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | column -t -s $$'\t'

toolchain:
	@command -v swift >/dev/null || { echo "chancery: there is no 'swift' on the PATH; install a Swift 6.2 or later toolchain (https://www.swift.org/install/linux/)" >&2; exit 1; }

packages: toolchain
	@.ci/packages

format: toolchain ## Format all Swift code that is written by hand.
	@git ls-files '*.swift' ':!:*/Generated/*' | xargs swift format format --in-place --parallel

lint: toolchain ## Check the format of all Swift code.
	@git ls-files '*.swift' | xargs swift format lint --strict --parallel

generate: packages ## Generate C and Swift from the .proto files.
	Codegen/generate

check-generated: packages ## Check that what is generated is up to date.
	Codegen/check

build: packages ## Build .build/release/chancery.
	swift build -c release --product chancery

demo: build ## Sign 100,000 records with 100 keys in a private cluster, verify every signature, and audit.
	.build/release/chancery demo

bench-rpc-peers: build ## Compare calls with those of grpc-swift-2 and of bare SwiftNIO, in turns (ARGS='--rounds 5 -o json').
	swift build -c release --package-path Benchmarks
	Benchmarks/.build/release/compare --chancery .build/release/chancery $(ARGS)

fuzz: packages ## Fuzz what reads bytes from outside (FUZZ_SECONDS=60 for each target; TARGET=frames).
	Tests/Fuzzing/fuzz $(or $(FUZZ_SECONDS),60) $(TARGET)

model: packages ## Check the model of leases and commits with spin.
	docs/model/check

chaos: build ## Break clusters of real processes in every way that is known (ARGS='--fault redis-killed', '--list').
	.build/release/chancery chaos $(ARGS)

test: packages lint check-generated ## Install what is missing, and run every test; fuzzes for some seconds too.
	swift test --package-path Codegen
	@echo 'swift test --no-parallel'
	@swift test --no-parallel 2>&1 | tee .build/test.log; status=$${PIPESTATUS[0]}; \
	  if [[ $$status -ne 0 ]]; then echo; echo 'What failed, out of .build/test.log:'; grep -aE '✘|error:' .build/test.log; fi; exit $$status
	Tests/Fuzzing/fuzz 4
	docs/model/check

.PHONY: help toolchain packages format lint generate check-generated build demo bench-rpc-peers fuzz model chaos test
