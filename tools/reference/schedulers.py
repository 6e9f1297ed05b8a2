"""
Golden trajectories of diffusers' schedulers, as cases of `darkroom parity`: test/fixtures/schedulers/<case>/. The
network is a tensor of prepared outputs, one per call, so a case needs no network; noise is prepared as well and handed
to the scheduler in place of its own draws.

A release is one process, because two releases of a library cannot be imported into one:

    tools/reference/.venv/bin/python tools/reference/schedulers.py [release]
"""

import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import fixtures
from schedulers_torch import use_linspace_of_torch_2

folder = fixtures.fixtures / "schedulers"
releases = ["0.11.1", "0.15.1", "0.25.0", "0.29.2"]
shape = (2, 2, 3, 2)

all_steps = [1, 2, 3, 15, 20, 31]
some_steps = [3, 16]

# scheduler/scheduler_config.json of Stable Diffusion 1.5 and of SDXL, without the keys that say nothing new.
sd15 = dict(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    set_alpha_to_one=False,
    skip_prk_steps=True,
    steps_offset=1,
    trained_betas=None,
    clip_sample=False,
)
sdxl = dict(
    **sd15,
    interpolation_type="linear",
    prediction_type="epsilon",
    sample_max_value=1.0,
    timestep_spacing="leading",
    use_karras_sigmas=False,
)
animate_diff = dict(
    beta_start=0.00085, beta_end=0.012, beta_schedule="linear", steps_offset=1, clip_sample=False
)
sigma_min = dict(final_sigmas_type="sigma_min")
linspace = dict(timestep_spacing="linspace")
trailing = dict(timestep_spacing="trailing")
karras = dict(use_karras_sigmas=True)
velocity = dict(prediction_type="v_prediction")
original = dict(prediction_type="sample")
zero_snr = dict(rescale_betas_zero_snr=True)
cosine = dict(beta_schedule="squaredcos_cap_v2")
trained = dict(trained_betas=[0.001 + 0.0002 * (i % 7) + 0.00001 * i for i in range(1000)])
sde = dict(algorithm_type="sde-dpmsolver++")

euler, ancestral, heun, lms = (
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
)
ddim, pndm, lcm = "DDIMScheduler", "PNDMScheduler", "LCMScheduler"
dpm, unipc, deis = "DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler"


def cases_0_11_1():
    # lucataco/animate-diff
    yield "ddim-animate-diff", ddim, animate_diff, {}, [1, 2, 3, 25, 30, 100], {}


def cases_0_15_1():
    # rossjillian/controlnet. The second settings say in the words of 0.29 what 0.15 does without being asked.
    for eta in (0.0, 0.7, 1.0):
        yield f"ddim-eta-{eta}", ddim, sd15, {}, all_steps, dict(eta=eta)
    yield "pndm", pndm, sd15, {}, all_steps, {}
    for name, scheduler in [("euler", euler), ("euler-ancestral", ancestral), ("heun", heun), ("lms", lms)]:
        yield name, scheduler, sd15, linspace, all_steps, {}
    for name, scheduler in [("dpm-solver", dpm), ("unipc", unipc)]:
        yield name, scheduler, sd15, {**linspace, **sigma_min}, all_steps, {}


def cases_0_25_0():
    # tencentarc/photomaker and zsxkib/instant-id
    yield "euler", euler, sdxl, {}, all_steps, {}
    yield "heun", heun, sdxl, {}, all_steps, {}
    yield "deis", deis, sdxl, {}, all_steps, {}
    yield "dpm-solver", dpm, sdxl, sigma_min, all_steps, {}
    yield "dpm-solver-karras", dpm, {**sdxl, **karras}, sigma_min, all_steps, {}
    yield "dpm-solver-karras-sde", dpm, {**sdxl, **karras, **sde}, sigma_min, all_steps, {}
    yield "lcm", lcm, sdxl, {}, [1, 2, 3, 4, 5, 8, 15, 50], {}


def cases_0_29_2():
    yield "ddim", ddim, sdxl, {}, all_steps, {}
    yield "ddim-eta", ddim, sdxl, {}, some_steps, dict(eta=1.0)
    for name, extra in [
        ("linspace", linspace),
        ("trailing", trailing),
        ("velocity", velocity),
        ("original", original),
        ("clip", dict(clip_sample=True, clip_sample_range=2.5)),
        ("trained-betas", trained),
        ("cosine", cosine),
        ("alpha-to-one", dict(set_alpha_to_one=True)),
        ("zero-snr", {**zero_snr, **velocity, **trailing}),
        ("zero-snr-clip", {**zero_snr, **trailing, "clip_sample": True, "clip_sample_range": 2.5}),
        ("400-training-steps", dict(num_train_timesteps=400, steps_offset=0)),
    ]:
        yield f"ddim-{name}", ddim, {**sdxl, **extra}, {}, [7], {}
    yield "pndm", pndm, sdxl, {}, all_steps, {}
    for name, extra in [
        ("linspace", linspace),
        ("trailing", trailing),
        ("velocity", velocity),
        ("alpha-to-one", dict(set_alpha_to_one=True)),
    ]:
        yield f"pndm-{name}", pndm, {**sdxl, **extra}, {}, [7], {}
    yield "pndm-runge-kutta", pndm, {**sdxl, "skip_prk_steps": False}, {}, [4, 5, 16], {}
    yield "pndm-runge-kutta-velocity", pndm, {**sdxl, **velocity, "skip_prk_steps": False}, {}, [7], {}

    sigma_options = [("linspace", linspace), ("trailing", trailing), ("velocity", velocity), ("cosine", cosine)]
    yield "euler", euler, sdxl, {}, all_steps, {}
    for name, extra in [
        *sigma_options,
        ("original", original),
        ("karras", karras),
        ("karras-range", {**karras, "sigma_min": 0.1, "sigma_max": 9.0}),
        ("karras-linspace", {**karras, **linspace}),
        ("log-linear", dict(interpolation_type="log_linear")),
        ("log-linear-karras", dict(interpolation_type="log_linear", **karras)),
        ("sigma-min", sigma_min),
        ("zero-snr", {**zero_snr, **velocity, **trailing}),
    ]:
        yield f"euler-{name}", euler, {**sdxl, **extra}, {}, [7], {}
    yield "euler-ancestral", ancestral, sdxl, {}, all_steps, {}
    for name, extra in [*sigma_options, ("zero-snr", {**zero_snr, **velocity, **trailing})]:
        yield f"euler-ancestral-{name}", ancestral, {**sdxl, **extra}, {}, [7], {}
    yield "heun", heun, sdxl, {}, all_steps, {}
    for name, extra in [
        *sigma_options,
        ("original", original),
        ("karras", karras),
        ("clip", dict(clip_sample=True, clip_sample_range=2.5)),
        ("exponential", dict(beta_schedule="exp")),
    ]:
        yield f"heun-{name}", heun, {**sdxl, **extra}, {}, [7], {}
    yield "lms", lms, sdxl, {}, all_steps, {}
    for name, extra in [*sigma_options, ("original", original), ("karras", karras)]:
        yield f"lms-{name}", lms, {**sdxl, **extra}, {}, [7], {}

    solver_options = [
        ("linspace", linspace),
        ("trailing", trailing),
        ("velocity", velocity),
        ("original", original),
        ("cosine", cosine),
        ("order-1", dict(solver_order=1)),
        ("order-3", dict(solver_order=3)),
    ]
    yield "dpm-solver", dpm, sdxl, {}, all_steps, {}
    yield "dpm-solver-karras", dpm, {**sdxl, **karras}, {}, all_steps, {}
    yield "dpm-solver-karras-sde", dpm, {**sdxl, **karras, **sde}, {}, all_steps, {}
    for name, extra in [
        *solver_options,
        ("sigma-min", sigma_min),
        ("heun", dict(solver_type="heun")),
        ("sde", sde),
        ("sde-heun", {**sde, "solver_type": "heun"}),
        ("sde-order-1", {**sde, "solver_order": 1}),
        ("euler-at-final", {**sigma_min, "euler_at_final": True}),
        ("no-lower-order", {**sigma_min, "lower_order_final": False}),
        ("zero-snr", {**zero_snr, **velocity, **trailing}),
        ("noise", {**sigma_min, "algorithm_type": "dpmsolver"}),
        ("noise-heun", {**sigma_min, "algorithm_type": "dpmsolver", "solver_type": "heun"}),
        ("noise-order-3", {**sigma_min, "algorithm_type": "dpmsolver", "solver_order": 3}),
        ("noise-velocity", {**sigma_min, **velocity, "algorithm_type": "dpmsolver"}),
        ("noise-sde", {**sigma_min, "algorithm_type": "sde-dpmsolver"}),
        ("noise-sde-heun", {**sigma_min, "algorithm_type": "sde-dpmsolver", "solver_type": "heun"}),
    ]:
        yield f"dpm-solver-{name}", dpm, {**sdxl, **extra}, {}, some_steps, {}
    yield "unipc", unipc, sdxl, {}, all_steps, {}
    for name, extra in [
        *solver_options,
        ("karras", karras),
        ("karras-sigma-min", {**karras, **sigma_min}),
        ("sigma-min", sigma_min),
        # With "bh1" the reference multiplies infinity by zero where a run ends without noise.
        ("bh1", {**sigma_min, "solver_type": "bh1"}),
        ("bh1-order-3", {**sigma_min, "solver_type": "bh1", "solver_order": 3}),
        ("noise", {**sigma_min, "predict_x0": False}),
        ("noise-velocity", {**sigma_min, **velocity, "predict_x0": False}),
        ("no-lower-order", {**sigma_min, "lower_order_final": False}),
        ("uncorrected", dict(disable_corrector=[0, 1, 5])),
        ("zero-snr", {**zero_snr, **velocity, **trailing}),
    ]:
        yield f"unipc-{name}", unipc, {**sdxl, **extra}, {}, some_steps, {}
    yield "deis", deis, sdxl, {}, all_steps, {}
    for name, extra in [*solver_options, ("karras", karras), ("no-lower-order", dict(lower_order_final=False))]:
        yield f"deis-{name}", deis, {**sdxl, **extra}, {}, some_steps, {}
    yield "lcm", lcm, sdxl, {}, [1, 2, 3, 4, 5, 8, 15, 50], {}
    for name, extra in [
        ("velocity", velocity),
        ("original", original),
        ("clip", dict(clip_sample=True, clip_sample_range=2.5)),
        ("scaling", dict(timestep_scaling=0.01, original_inference_steps=40)),
    ]:
        yield f"lcm-{name}", lcm, {**sdxl, **extra}, {}, [3, 7], {}


def run(release, name, class_name, config, meaning, steps, options):
    import torch

    import diffusers

    scheduler_class = getattr(diffusers, class_name)
    scheduler = scheduler_class.from_config(config)
    scheduler.set_timesteps(steps)
    case = folder / f"{name}-{release}-steps-{steps}"
    generator = torch.Generator().manual_seed(zlib.crc32(case.name.encode()))
    draws = []

    def draw(size, **_):
        draws.append(torch.randn(size, generator=generator))
        return draws[-1]

    module = sys.modules[scheduler_class.__module__]
    if hasattr(module, "randn_tensor"):
        module.randn_tensor = draw

    timesteps = scheduler.timesteps
    start = torch.randn(shape, generator=generator) * scheduler.init_noise_sigma
    outputs = torch.randn((len(timesteps), *shape), generator=generator)
    latents, samples = start, []
    for timestep, output in zip(timesteps, outputs):
        scheduler.scale_model_input(latents, timestep)
        latents = scheduler.step(output, timestep, latents, **options).prev_sample
        samples.append(latents)
    assert all(torch.isfinite(sample).all() for sample in samples), case.name

    inputs = {"sample": start, "model_outputs": outputs}
    if draws:
        inputs["noise"] = torch.stack(draws)
    expected = {"timesteps": timesteps.to(torch.float32), "samples": torch.stack(samples)}
    per_call = class_name in (heun, pndm)
    if per_call:
        expected["samples_full"] = torch.stack([samples[call] for call in completed(class_name, config, steps)])
    # 0.29 says everything there is to say; what an older release leaves open is said in the words of 0.29.
    resolved = dict(scheduler.config) if release == "0.29.2" else {**config, **meaning}
    write_case(case, class_name, resolved, steps, {**options, **({"perCall": True} if per_call else {})})
    fixtures.save_tensors(case / "inputs.safetensors", inputs)
    fixtures.save_tensors(case / "expected.safetensors", expected)


def completed(class_name, config, steps):
    """The calls that end a step."""
    if class_name == heun:
        return [*range(1, 2 * steps - 2, 2), 2 * steps - 2]
    if config["skip_prk_steps"]:
        return [0] if steps == 1 else range(1, steps + 1)
    return [3, 7, 11, *range(12, 9 + steps)]


def write_case(case, class_name, config, steps, options):
    fixtures.write_json(
        case / "case.json",
        {
            "kind": "scheduler",
            "scheduler": class_name,
            "config": {key: value for key, value in config.items() if not key.startswith("_")},
            "steps": steps,
            "inputs": "inputs.safetensors",
            "expected": "expected.safetensors",
            "options": options,
            # Measured 1.0e-6.
            "tolerance": {"relL2": 2e-6},
        },
        indent=None if config.get("trained_betas") else 2,
    )


def main():
    if len(sys.argv) == 1:
        for old in folder.glob("*-steps-*"):
            shutil.rmtree(old)
        for release in releases:
            subprocess.run([sys.executable, __file__, release], check=True)
        subprocess.run([sys.executable, Path(__file__).with_name("schedulers_brownian.py")], check=True)
        import numpy
        import torch

        fixtures.write_provenance(
            folder,
            ["torch", "numpy", "scipy", "torchsde"],
            diffusers=releases,
            k_diffusion="0.1.1.post1",
            linspace="as in PyTorch 2",
            seed="CRC-32 of the case's name",
        )
        return
    release = sys.argv[1]
    sys.path.insert(0, str(Path(__file__).resolve().parent / ".venv" / f"diffusers-{release}"))
    use_linspace_of_torch_2()
    import diffusers

    assert diffusers.__version__ == release
    for name, class_name, config, meaning, counts, options in globals()[f"cases_{release.replace('.', '_')}"]():
        for steps in counts:
            run(release, name, class_name, config, meaning, steps, options)


main()
