"""
Noise tables and sampler runs of diffusers 0.15.1: test/fixtures/samplers/. The network is a formula, so that a test
can evaluate it too; the noise of each step is that of a torch CPU generator, which the test draws again by itself.
"""

import torch

import fixtures

fixtures.use_diffusers_0_15()

from diffusers import DDIMScheduler  # noqa: E402

folder = fixtures.fixtures / "samplers"

# scheduler/scheduler_config.json of Stable Diffusion 1.5; rossjillian/controlnet makes its schedulers from it.
sd15 = dict(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    set_alpha_to_one=False,
    skip_prk_steps=True,
    steps_offset=1,
    clip_sample=False,
)
indices = [0, 1, 2, 51, 333, 499, 500, 501, 951, 998, 999]


def network(latents, timestep):
    return 0.8 * torch.tanh(latents) + 0.05 * torch.cos(0.01 * timestep)


def ddim(config, eta, steps):
    scheduler = DDIMScheduler.from_config(config)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(7)
    latents = torch.randn(2, 3, 5, generator=generator)
    trajectory = []
    for timestep in scheduler.timesteps:
        noise = network(latents, timestep)
        latents = scheduler.step(noise, timestep, latents, eta=eta, generator=generator).prev_sample
        trajectory.append(latents.flatten().tolist())
    chosen = trajectory if steps < 10 else [trajectory[0], trajectory[-1]]
    return {"eta": eta, "steps": steps, "timesteps": scheduler.timesteps.tolist(), "latents": chosen}


def table(beta_schedule):
    scheduler = DDIMScheduler.from_config({**sd15, "beta_schedule": beta_schedule})
    values = scheduler.alphas_cumprod
    return {
        "betaSchedule": beta_schedule,
        "alphasCumprod": {str(index): values[index].item() for index in indices},
        "sum": values.double().sum().item(),
    }


fixtures.write_json(
    folder / "noise-tables.json", [table(name) for name in ("linear", "scaled_linear", "squaredcos_cap_v2")]
)
runs = [ddim(sd15, eta, steps) for eta in (0.0, 0.5, 1.0) for steps in (1, 2, 7, 20, 37)]
fixtures.write_json(folder / "ddim.json", runs, indent=None)
# Another end of the schedule: linear betas and no noise before timestep 0, as lucataco/animate-diff sets them.
other = {**sd15, "beta_schedule": "linear", "set_alpha_to_one": True}
fixtures.write_json(folder / "ddim-alpha-to-one.json", [ddim(other, 0.5, 5)], indent=None)
fixtures.write_provenance(folder, ["torch", "diffusers"], seed=7)
