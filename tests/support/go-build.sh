#!/usr/bin/env bash
# Builds a Go program out of the sources that Debian ships, without a network.
#   go-build.sh GO SOURCES BUILD-FOLDER OUTPUT
set -euo pipefail

go=$1 sources=$2 folder=$3 output=$(realpath -m "$4")
# In GOPATH mode an import path that ends in /v3 is found only from below a GOPATH, beside a go.mod.
project=$folder/gopath/src/$(basename "$output")
mkdir -p "$project"
cp "$sources"/*.go "$sources/go.mod" "$project"
cd "$project"
GO111MODULE=off GOPATH=$folder/gopath:/usr/share/gocode GOCACHE=$folder/gocache CGO_ENABLED=0 \
  GOFLAGS=-p=2 "$go" build -o "$output" .
