"""What the fixture scripts share: where fixtures lie, how they are written, and what made them."""

import importlib.util
import json
import shlex
import sys
import types
from importlib.metadata import version
from pathlib import Path

root = Path(__file__).resolve().parents[2]
fixtures = root / "test" / "fixtures"
# Of projects that are in no package index: README.md says where they are from, and which commit.
sources = Path(__file__).resolve().parent / ".venv" / "sources"


def use_diffusers_0_15():
    """Puts diffusers 0.15.1 before the newer release. Call it before the first import of diffusers."""
    sys.path.insert(0, str(Path(__file__).resolve().parent / ".venv" / "diffusers-0.15.1"))


def use_diffusers_0_25():
    """As `use_diffusers_0_15`, with diffusers 0.25.0."""
    sys.path.insert(0, str(Path(__file__).resolve().parent / ".venv" / "diffusers-0.25.0"))


def use_transformers_4_36():
    """Puts transformers 4.36.2 before the older release. Call it before the first import of transformers."""
    sys.path.insert(0, str(Path(__file__).resolve().parent / ".venv" / "transformers-4.36.2"))


def use_ftfy():
    """Makes ftfy 6.2.0 importable, which tokenizers that are made from then on use."""
    sys.modules.pop("ftfy", None)
    sys.path.insert(0, str(Path(__file__).resolve().parent / ".venv" / "ftfy-6.2.0"))


def use_controlnet_aux(release):
    """Makes controlnet_aux importable: "0.0.3" or "0.0.6"; with timm, from which MiDaS takes its vision transformer."""
    environment = Path(__file__).resolve().parent / ".venv"
    sys.path[:0] = [str(environment / f"controlnet_aux-{release}"), str(environment / "timm-0.6.13")]


def use_insightface():
    """Makes insightface 0.7.3 importable, without the parts that draw masks and render heads and want many packages."""
    sys.path.insert(0, str(Path(__file__).resolve().parent / ".venv" / "insightface-0.7.3"))
    for name in ("insightface.app.mask_renderer", "insightface.thirdparty"):
        sys.modules[name] = types.ModuleType(name)


def source(project, path):
    """A module of a project that is in no package index."""
    file = sources / project / path
    specification = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def repair_baddbmm():
    """
    Attention in diffusers multiplies memory that nobody has written by zero, and for small matrices on a CPU PyTorch 1.13
    really does so: NaN stays NaN, now and then. Call it before a network runs.
    """
    import torch

    original = torch.baddbmm

    def baddbmm(addend, a, b, *, beta=1, alpha=1):
        return original(addend, a, b, beta=beta, alpha=alpha) if beta else alpha * torch.bmm(a, b)

    torch.baddbmm = baddbmm


def write_json(path, value, indent=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def write_provenance(folder, packages, **facts):
    """Leaves `provenance.json`: the command that wrote the folder, the packages that computed it, the seeds."""
    script = Path(sys.argv[0]).resolve().relative_to(root)
    versions = {}
    for name in packages:
        module = sys.modules.get(name)
        versions[name] = getattr(module, "__version__", None) or version(name)
    command = " ".join(["tools/reference/.venv/bin/python", str(script), *map(shlex.quote, sys.argv[1:])])
    write_json(folder / "provenance.json", {"command": command, "packages": versions, **facts})


def save_tensors(path, tensors):
    import torch
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, str(path))


def randomize(module, seed):
    """
    Fills every parameter from a seeded stream, so that nothing is accidentally zero or one: fresh networks have unit
    norms and zero biases, and ControlNet's output convolutions start at zero, which would hide a missing addition.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() >= 2:
                fan_in = parameter[0].numel() if "embedding.weight" not in name else 4
                parameter.copy_(noise / fan_in**0.5)
            elif name.endswith("bias"):
                parameter.copy_(0.1 * noise)
            else:
                parameter.copy_(1 + 0.2 * noise)
    return module.eval()


def measure_batch_norms(module, *inputs):
    """Gives batch norms what they see of these inputs, as in training: so each layer's result is of some size."""
    import torch

    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        module.train()
        for values in inputs:
            module(values)
    return module.eval()
