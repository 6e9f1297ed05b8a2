#!/bin/sh
# Builds tools/reference/.venv, the Python environment of the scripts in this folder. Needs Debian's or Ubuntu's
# python3-torch, python3-torchvision, python3-numpy, python3-pil and python3-venv: the PyTorch wheels of the package index are twenty
# times as large and compute the same numbers on a CPU.
set -eu
cd "$(dirname "$0")"
/usr/bin/python3 -c 'import torch' || {
  echo 'PyTorch is missing: apt-get install python3-torch python3-torchvision python3-pil python3-venv' >&2
  exit 1
}
/usr/bin/python3 -m venv --system-site-packages .venv
.venv/bin/pip install --quiet --requirement requirements.txt
# Releases beside that one, each in a folder of its own. 0.15.1 is what rossjillian/controlnet was built on
# (`fixtures.use_diffusers_0_15()`); the schedulers are compared with all of them.
for release in 0.11.1 0.15.1 0.25.0 0.29.2; do
  .venv/bin/pip install --quiet --no-deps --target ".venv/diffusers-$release" "diffusers==$release"
done
# The release of PhotoMaker, whose CLIP tokenizer and pooling differ (`fixtures.use_transformers_4_36()`).
.venv/bin/pip install --quiet --no-deps --target .venv/transformers-4.36.2 transformers==4.36.2 tokenizers==0.15.2
# What face-to-many's tokenizer has installed and the other models' have not (`fixtures.use_ftfy()`).
.venv/bin/pip install --quiet --no-deps --target .venv/ftfy-6.2.0 ftfy==6.2.0 wcwidth==0.2.14
# Fuses PhotoMaker's LoRA, as in its own container.
.venv/bin/pip install --quiet --no-deps --target .venv/peft-0.7.1 peft==0.7.1 accelerate==0.26.1 psutil==5.9.8
# InstantID's release of it.
.venv/bin/pip install --quiet --no-deps --target .venv/peft-0.8.2 peft==0.8.2 accelerate==0.26.1
# Eight-bit floats, which this PyTorch does not have.
.venv/bin/pip install --quiet --no-deps --target .venv/ml_dtypes-0.3.2 ml_dtypes==0.3.2
# The sampling module alone is used, so what the package wants for training stays away.
.venv/bin/pip install --quiet --no-deps --target .venv/k-diffusion k-diffusion==0.1.1.post1
# The annotators of rossjillian/controlnet, the release with the HED network that may be used commercially, and that of
# InstantID's poses.
for release in 0.0.3 0.0.6 0.0.7; do
  .venv/bin/pip install --quiet --no-deps --target ".venv/controlnet_aux-$release" "controlnet-aux==$release"
done
.venv/bin/pip install --quiet --no-deps --target .venv/timm-0.6.13 timm==0.6.13
# The Python files of insightface alone: building it compiles what renders heads, which nothing here needs.
environment=.venv/insightface-0.7.3
.venv/bin/pip install --quiet --no-deps --target "$environment" onnx==1.14.1 onnxruntime==1.16.3 protobuf==3.20.3
.venv/bin/pip download --quiet --no-deps --no-binary insightface --dest "$environment" insightface==0.7.3
tar -xzf "$environment/insightface-0.7.3.tar.gz" -C "$environment" --strip-components=1 insightface-0.7.3/insightface
echo 'Ready: tools/reference/.venv/bin/python tools/reference/networks.py'
