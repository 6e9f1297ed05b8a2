#!/bin/sh
# Builds the environments of the clients in this folder: Python's in .venv/, Go's in its module cache. Needs Python 3.11
# or later with venv, and Go 1.22 or later.
set -eu
cd "$(dirname "$0")"
environment() {
  python3 -m venv ".venv/$1"
  ".venv/$1/bin/pip" install --quiet $2
}
environment one 'replicate==1.0.7 langchain-community==0.4.2'
environment two 'replicate==2.0.0b4'
environment schemathesis 'schemathesis==4.32.5'
(cd go && go build -o ../.venv/go .)
echo 'Ready: npm run build && node tools/reference/clients/run.js'
