"""
What zsxkib/instant-id makes of a base's own scheduler configuration: test/fixtures/pipelines/instant-id-schedules/. For
configurations of many classes, of which the bases that it offers have one or another, the original's `load_weights` and
`generate_image` at commit b8dc74a choose the scheduler with diffusers 0.25.0, and that takes a run with a formula in place of
a network: the one of src/schedulers/from-config.test.ts.
"""

import math
import sys
import types

import instant_id_pipeline

import diffusers
import numpy
import torch
from fixtures import write_json, write_provenance
from schedulers_torch import use_linspace_of_torch_2

folder = instant_id_pipeline.folder / "instant-id-schedules"
stable_diffusion = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
bases = {
    "SDXL's own": dict(
        _class_name="EulerDiscreteScheduler", clip_sample=False, interpolation_type="linear", prediction_type="epsilon",
        sample_max_value=1.0, set_alpha_to_one=False, skip_prk_steps=True, timestep_spacing="leading", trained_betas=None,
        use_karras_sigmas=False,
    ),
    "Euler with a range of sigmas": dict(
        _class_name="EulerDiscreteScheduler", use_karras_sigmas=True, sigma_min=0.05, sigma_max=12.5, final_sigmas_type="sigma_min",
        timestep_spacing="leading",
    ),
    "Euler of velocities": dict(
        _class_name="EulerDiscreteScheduler", prediction_type="v_prediction", rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    ),
    "Euler of noise alone at the start": dict(
        _class_name="EulerDiscreteScheduler", prediction_type="epsilon", rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    ),
    "Euler of noise alone at the start, clipped": dict(
        _class_name="EulerDiscreteScheduler", prediction_type="epsilon", rescale_betas_zero_snr=True,
        timestep_spacing="trailing", clip_sample=True, clip_sample_range=1.1,
    ),
    "ancestral": dict(_class_name="EulerAncestralDiscreteScheduler", timestep_spacing="trailing", clip_sample=True),
    "DDIM": dict(_class_name="DDIMScheduler", clip_sample=True, clip_sample_range=0.7, set_alpha_to_one=False),
    "DDPM": dict(
        _class_name="DDPMScheduler", clip_sample=True, clip_sample_range=2.0, thresholding=False, variance_type="fixed_small",
        dynamic_thresholding_ratio=0.995, timestep_spacing="leading",
    ),
    "PNDM": dict(_class_name="PNDMScheduler", set_alpha_to_one=False, skip_prk_steps=True, clip_sample=False),
    "DPM-Solver": dict(
        _class_name="DPMSolverMultistepScheduler", algorithm_type="dpmsolver++", solver_type="heun", use_karras_sigmas=True,
        euler_at_final=True, final_sigmas_type="zero", timestep_spacing="leading", lambda_min_clipped=-math.inf,
        use_lu_lambdas=False, variance_type=None,
    ),
    "DPM-Solver of noise": dict(
        _class_name="DPMSolverMultistepScheduler", algorithm_type="dpmsolver", solver_order=2, lower_order_final=False,
        timestep_spacing="linspace",
    ),
    "DPM-Solver with noise at each step": dict(
        _class_name="DPMSolverMultistepScheduler", algorithm_type="sde-dpmsolver++", solver_order=2, timestep_spacing="trailing",
    ),
    "DPM-Solver in single steps": dict(
        _class_name="DPMSolverSinglestepScheduler", solver_order=2, use_karras_sigmas=True, lower_order_final=True,
    ),
    "DPM-Solver by differential equations": dict(
        _class_name="DPMSolverSDEScheduler", use_karras_sigmas=True, timestep_spacing="leading",
    ),
    "Heun": dict(_class_name="HeunDiscreteScheduler", clip_sample=True, use_karras_sigmas=True, timestep_spacing="trailing"),
    "UniPC": dict(
        _class_name="UniPCMultistepScheduler", solver_type="bh1", solver_order=1, predict_x0=True, disable_corrector=[0],
        timestep_spacing="linspace",
    ),
    "LCM": dict(
        _class_name="LCMScheduler", original_inference_steps=100, timestep_scaling=5.0, clip_sample=True, clip_sample_range=0.9,
    ),
}  # fmt: skip
schedulers = [
    "DEISMultistepScheduler", "HeunDiscreteScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler",
    "DPMSolverMultistepScheduler-Karras", "DPMSolverMultistepScheduler-Karras-SDE", "LCMScheduler",
]  # fmt: skip
steps = 5


def choose(module, base, name):
    """The scheduler of the first request after a base was loaded."""
    loaded = getattr(diffusers, base["_class_name"]).from_config({**stable_diffusion, **base})
    predictor = module.Predictor()
    predictor.pipe = types.SimpleNamespace(enable_lora=lambda: None, disable_lora=lambda: None)
    predictor.pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(loaded.config)
    chosen = dict(scheduler=name, enable_LCM=name == "LCMScheduler", face_image_path=None)
    others = (
        "pose_image_path", "prompt", "negative_prompt", "num_steps", "identitynet_strength_ratio", "adapter_strength_ratio",
        "pose_strength", "canny_strength", "depth_strength", "controlnet_selection", "guidance_scale", "seed",
        "enhance_face_region", "num_images_per_prompt",
    )  # fmt: skip
    try:
        predictor.generate_image(**chosen, **dict.fromkeys(others))
    except Exception as reason:
        # Without a photograph it ends once the scheduler stands.
        if "input face" not in str(reason):
            raise
    return predictor.pipe.scheduler


def run(scheduler):
    draws = 0

    def noise(shape, **_):
        nonlocal draws
        draws += 1
        return torch.tensor([math.sin(4 * (draws - 1) + index + 1) for index in range(4)], dtype=torch.float32).reshape(shape)

    for name, module in list(sys.modules.items()):
        if name.startswith("diffusers.schedulers.") and hasattr(module, "randn_tensor"):
            module.randn_tensor = noise
    scheduler.set_timesteps(steps)
    latents = torch.tensor([-1.5, -0.5, 0.5, 1.5]).reshape(1, 1, 2, 2) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        seen = scheduler.scale_model_input(latents, timestep)
        answer = 0.8 * torch.tanh(seen.double()) + 0.05 * math.cos(0.01 * float(timestep))
        latents = scheduler.step(answer.float(), timestep, latents, return_dict=False)[0]
    return latents.flatten().tolist()


def without_infinity(values):
    return {key: "-Infinity" if value == -math.inf else value for key, value in values.items()}


if __name__ == "__main__":
    use_linspace_of_torch_2()
    diffusers.logging.set_verbosity_error()
    module = instant_id_pipeline.original()
    rows = []
    for title, base in bases.items():
        for name in schedulers:
            row = {"base": title, "scheduler": name}
            try:
                row["end"] = run(choose(module, base, name))
            except NotImplementedError as reason:
                row["end"] = None
                print(title, name, "fails:", reason)
            if row["end"] is not None and not numpy.isfinite(row["end"]).all():
                print(title, name, "ends at", row["end"])
                row["end"] = None
            rows.append(row)
    configurations = {title: without_infinity({**stable_diffusion, **base}) for title, base in bases.items()}
    write_json(folder / "schedules.json", {"steps": steps, "bases": configurations, "runs": rows}, indent=1)
    write_provenance(folder, ["diffusers", "torch", "numpy"], sources={"zsxkib/InstantID": "b8dc74a"})
    print(len(rows), "runs")
