# Tools that are not in go.mod, pinned.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4

CACHE   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/perch
ORT_LIB := $(CACHE)/onnxruntime-1.24.3/libonnxruntime.so.1
CLIP    := $(CACHE)/clips/vtest.avi
SAMPLE  := $(CACHE)/clips/sample.mp4
SDK     := $(CACHE)/inference-sdk-0.1.13/index.es.js
STATE   ?= $(CURDIR)/.perch
# .source is in an unpacked source archive, which has no git.
VERSION ?= $(or $(shell cut -d' ' -f1 .source 2>/dev/null),$(shell git describe --tags --always --dirty 2>/dev/null),unknown)
# Who answers for the packages: set it when they are handed on to others.
export MAINTAINER ?= Perch maintainers <perch@example.org>
GOLINK  := -ldflags "-X main.version=$(VERSION)"

.PHONY: help run test build check bench cross deb source test-deb test-arm64 clean
help: ## show this
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 13

run: build ## install what is missing, build, and watch the sample clip in the console
	@packaging/deps.sh run
	@packaging/fetch.sh ort clip
	PERCH_DATA_DIR=$(STATE) PERCH_CACHE_DIR=$(STATE)/cache PERCH_MODELS_ONNXRUNTIME=$(ORT_LIB) \
	PERCH_CAMERAS_SAMPLE_URL=$(SAMPLE) bin/perch run --config packaging/sample/perch.yaml

build: ## write bin/perch
	@packaging/deps.sh build
	go build $(GOLINK) -o bin/perch ./cmd/perch

test: ## run all tests, with the race detector
	@packaging/deps.sh build run test
	@packaging/fetch.sh ort clip sdk
	PERCH_ORT_LIB=$(ORT_LIB) PERCH_TEST_CLIP=$(CLIP) PERCH_TEST_SDK=$(SDK) go test -race -timeout 20m ./...

check: ## gofmt, vet, staticcheck, and known vulnerabilities where the database is at hand
	@packaging/deps.sh build
	@bad=$$(gofmt -l cmd gst mqtt pipeline storage systemd packaging); test -z "$$bad" || { echo "run gofmt -w on: $$bad" >&2; exit 1; }
	go vet -race ./...
	GOBIN=$(CURDIR)/.build go install $(STATICCHECK)
	GOFLAGS=-race .build/staticcheck ./...
	go test -race ./cmd/internal/rules
	@if [ -n "$$GOVULNDB" ]; then go run $(GOVULNCHECK) -db "$$GOVULNDB" ./...; \
	else echo "govulncheck: left out; set GOVULNDB to the URL or folder of a vulnerability database"; fi

bench: build ## print measured ratios: speed, memory, accuracy
	@packaging/deps.sh run
	@packaging/fetch.sh ort clip
	PERCH_ORT_LIB=$(ORT_LIB) PERCH_TEST_CLIP=$(CLIP) packaging/bench/bench.sh bin/perch

cross: ## write dist/perch-arm64 for JetPack 6 and 7 and Debian 12, and check what it needs
	@packaging/deps.sh build cross
	cross/build.sh arm64 $(VERSION) dist/perch-arm64
	cross/checked.sh arm64 dist/perch-arm64

deb: ## write the Debian packages for amd64 and arm64 to dist, with their bills of materials
	@packaging/deps.sh build cross
	packaging/deb.sh $(VERSION) dist
	@if command -v lintian >/dev/null; then packaging/test/lint.sh dist; else echo "lintian: left out; apt-get install lintian"; fi

source: ## write the packages' source to dist, which the LGPL wants beside them
	@packaging/deps.sh build
	packaging/source.sh $(VERSION) dist

test-deb: deb ## install, upgrade, break and purge the package in a container with systemd; needs root
	@packaging/deps.sh run machine
	@packaging/fetch.sh clip
	packaging/test/run.sh dist $(CACHE)/test $(SAMPLE)

test-arm64: deb ## install, run and purge the arm64 package, every instruction emulated; needs root
	@packaging/deps.sh run emulate
	@packaging/fetch.sh clip
	cross/check-test.sh
	cross/test-arm64.sh "$$(packaging/newest.sh dist arm64)" dist/perch-amd64 "$$(packaging/ort.sh amd64)" $(SAMPLE)

clean: ## remove what was built and the sample run's state
	rm -rf bin dist .build .perch
