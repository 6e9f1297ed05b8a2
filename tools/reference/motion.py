"""
Small random UNets with motion modules, computed by AnimateDiff's own code on the release of diffusers that it was written
for: test/fixtures/networks/motion-*/; names and shapes of the full-size modules: test/fixtures/headers/motion-module-*.
"""

import functools
import json
import sys
import types
from pathlib import Path

here = Path(__file__).resolve().parent
sys.path[:0] = [str(here / ".venv" / "diffusers-0.11.1"), str(here / ".venv" / "sources" / "AnimateDiff")]
# Imported by the module and never used.
sys.modules["torchvision"] = types.ModuleType("torchvision")

import torch
from animatediff.models import motion_module
from animatediff.models.unet import UNet3DConditionModel

from fixtures import fixtures, randomize, repair_baddbmm, save_tensors, write_json, write_provenance

torch.set_num_threads(1)
repair_baddbmm()

groups = 4
# 32 in the code, as everywhere in the published networks; the channels here are fewer.
patched = functools.partial(motion_module.TemporalTransformer3DModel, norm_num_groups=groups)
motion_module.TemporalTransformer3DModel = patched
config = dict(
    sample_size=16,
    in_channels=4,
    out_channels=4,
    block_out_channels=(8, 16, 24),
    layers_per_block=1,
    cross_attention_dim=20,
    attention_head_dim=2,
    norm_num_groups=groups,
    norm_eps=1e-5,
)
# configs/inference/inference-v1.yaml and inference-v2.yaml
versions = {
    "v14": dict(use_inflated_groupnorm=False, motion_module_mid_block=False, positions=24),
    "v15_v2": dict(use_inflated_groupnorm=True, motion_module_mid_block=True, positions=32),
}


def options_of(version):
    options = dict(versions[version])
    module = dict(
        num_attention_heads=8,
        num_transformer_block=1,
        attention_block_types=("Temporal_Self", "Temporal_Self"),
        temporal_position_encoding=True,
        temporal_position_encoding_max_len=options.pop("positions"),
        temporal_attention_dim_div=1,
    )
    return dict(
        use_motion_module=True,
        motion_module_type="Vanilla",
        motion_module_kwargs=module,
        unet_use_cross_frame_attention=False,
        unet_use_temporal_attention=False,
        **options,
    )


def header(version, groups):
    """Names, types and shapes of the published file; see headers.py."""
    patched.keywords["norm_num_groups"] = groups
    state = UNet3DConditionModel(cross_attention_dim=768, **options_of(version)).state_dict()
    entries = {key: ["F32", list(value.shape)] for key, value in sorted(state.items()) if "motion_modules" in key}
    lines = [f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in entries.items()]
    (fixtures / "headers" / f"motion-module-{version}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"motion-module-{version}: {len(entries)} tensors")


def motion_unet(name, seed, version, batch, frames, height, width, timestep):
    model = UNet3DConditionModel(
        **config,
        down_block_types=("CrossAttnDownBlock3D", "CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D"),
        **options_of(version),
    )
    # Half weights, computed in float32.
    randomize(model, seed).to(torch.float16).to(torch.float32)
    generator = torch.Generator().manual_seed(seed + 1)
    inputs = {
        "sample": torch.randn(batch, 4, frames, height, width, generator=generator),
        "timestep": torch.tensor(timestep),
        "encoder_hidden_states": torch.randn(batch, 9, config["cross_attention_dim"], generator=generator),
    }
    with torch.no_grad():
        expected = model(inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"]).sample
    case = fixtures / "networks" / name
    halves = {key: value.to(torch.float16) for key, value in model.state_dict().items()}
    # As the published files do: the UNet's own tensors in one, the modules in another, positions and all.
    save_tensors(case / "weights.safetensors", {k: v for k, v in halves.items() if "motion_modules" not in k})
    save_tensors(case / "motion.safetensors", {k: v for k, v in halves.items() if "motion_modules" in k})
    save_tensors(case / "inputs.safetensors", inputs)
    save_tensors(case / "expected.safetensors", {"sample": expected})
    write_json(
        case / "config.json",
        {
            "_class_name": "UNet2DConditionModel",
            **config,
            "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        },
    )
    write_json(
        case / "case.json",
        {
            "kind": "network",
            "network": "motion-unet",
            "config": "config.json",
            "weights": ["weights.safetensors", "motion.safetensors"],
            "inputs": "inputs.safetensors",
            "expected": "expected.safetensors",
            "options": {"version": version},
            "tolerance": {"relL2": 1e-4},
        },
    )
    write_provenance(case, ["torch", "diffusers", "einops"], animatediff="guoyww/AnimateDiff at 1904a01", seed=seed)
    print(name)


if __name__ == "__main__":
    motion_unet("motion-unet-v14", 300, "v14", batch=2, frames=5, height=6, width=10, timestep=421.0)
    motion_unet("motion-unet-v15-v2", 310, "v15_v2", batch=2, frames=3, height=10, width=6, timestep=[961.0, 41.0])
    for version in versions:
        header(version, groups=32)
