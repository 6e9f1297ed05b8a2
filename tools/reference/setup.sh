#!/bin/sh
# Builds tools/reference/.venv, the Python environment of the scripts in this folder. Needs Debian's or Ubuntu's
# python3-torch, python3-numpy, python3-pil and python3-venv: the PyTorch wheels of the package index are twenty
# times as large and compute the same numbers on a CPU.
set -eu
cd "$(dirname "$0")"
/usr/bin/python3 -c 'import torch' || {
  echo 'PyTorch is missing: apt-get install python3-torch python3-pil python3-venv' >&2
  exit 1
}
/usr/bin/python3 -m venv --system-site-packages .venv
.venv/bin/pip install --quiet --requirement requirements.txt
# The release that rossjillian/controlnet was built on, beside the newer one: `fixtures.use_diffusers_0_15()`.
.venv/bin/pip install --quiet --no-deps --target .venv/diffusers-0.15.1 diffusers==0.15.1
echo 'Ready: tools/reference/.venv/bin/python tools/reference/networks.py'
