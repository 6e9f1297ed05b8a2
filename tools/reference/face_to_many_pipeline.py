"""
Whole runs of fofr/face-to-many with tiny random networks: test/fixtures/pipelines/face-to-many*/. ComfyUI itself runs at
ae77590b, node after node as the original's graph asks: LoadImage, VAEEncode, ControlNetApplyAdvanced, KSampler,
VAEDecode and SaveImage with its own UNet, ControlNets, text encoders, autoencoder and LoRA patches; ImageResize+ of
cubiq/ComfyUI_essentials at c9236fe; the MiDaS node of Fannovel16/comfyui_controlnet_aux at 6d6f63c; the text encoding of
jags111/efficiency-nodes-comfyui at 60f8700; ApplyInstantID of cubiq/ComfyUI_InstantID at 0fcf494 with insightface 0.7.3
on the small face networks of faces.py; styles of fofr/cog-face-to-many at f168c5e. In float32 on a CPU.

Not theirs: sizes that these programs write out (channels, depths, groups of norms, InstantID's numbers) are those of
tiny_sdxl.py; the noise is that of a CUDA device; latents are the encoder's mean and not drawn; the depth network is
controlnet_aux 0.0.3's; ftfy, which the original has installed, is a stand-in that leaves texts as they are. README.md beside this file describes what is written.
"""

import ast
import builtins
import contextlib
import importlib.machinery
import io
import json
import sys
import tempfile
import types
from pathlib import Path

import fixtures

# ComfyUI reads them when it is imported.
sys.argv = [sys.argv[0], "--cpu", "--force-fp32", "--fp32-text-enc", "--fp32-vae", "--disable-metadata"]
sys.path.insert(0, str(fixtures.sources / "ComfyUI"))
fixtures.use_insightface()
# Where it is there, transformers' tokenizer keeps accents; of the texts below it would change nothing.
sys.modules["ftfy"] = types.ModuleType("ftfy")
sys.modules["ftfy"].__spec__ = importlib.machinery.ModuleSpec("ftfy", None)
sys.modules["ftfy"].fix_text = lambda text: text

import annotators_midas  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from einops import rearrange  # noqa: E402
from insightface.app.face_analysis import FaceAnalysis  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from torchsde._brownian import brownian_interval  # noqa: E402
from torchvision import transforms  # noqa: E402

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.cldm.cldm  # noqa: E402
import comfy.controlnet  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.model_detection  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.samplers  # noqa: E402
import comfy.sd  # noqa: E402
import comfy.sd1_clip  # noqa: E402
import comfy.sdxl_clip  # noqa: E402
import comfy.supported_models  # noqa: E402
import comfy.utils  # noqa: E402
import folder_paths  # noqa: E402
import nodes  # noqa: E402
from comfy.ldm.modules.diffusionmodules.openaimodel import Timestep, TimestepEmbedSequential  # noqa: E402
from comfy.ldm.modules.distributions.distributions import DiagonalGaussianDistribution  # noqa: E402

import philox  # noqa: E402
import tiny_sdxl  # noqa: E402
from fixtures import randomize, save_tensors, write_json, write_provenance  # noqa: E402
from lora_files import Kinds  # noqa: E402
from original_layout import unet_name  # noqa: E402
from schedulers_torch import use_linspace_of_torch_2  # noqa: E402

sys.argv = sys.argv[:1]
torch.set_num_threads(2)
torch.set_grad_enabled(False)
cv2.ipp.setUseIPP(False)
use_linspace_of_torch_2()
folder = fixtures.fixtures / "pipelines"
weights = folder / "face-to-many-weights"
seed_of_networks = 900


def definitions(path, names, **surroundings):
    """Functions, classes and constants out of a file whose imports are not to be had here."""
    tree = ast.parse((fixtures.sources / path).read_text())
    named = lambda node: getattr(node, "name", None) or getattr(getattr(node, "targets", [None])[0], "id", None)
    tree.body = [node for node in tree.body if named(node) in names]
    exec(compile(tree, path, "exec"), surroundings)
    return types.SimpleNamespace(**{name: surroundings[name] for name in names})


# Sizes.


def use_small_norms():
    """Of 32 groups everywhere in ComfyUI."""
    norm = comfy.ops.disable_weight_init.GroupNorm
    original = norm.__init__

    def init(self, num_groups, num_channels, *rest, **named):
        original(self, min(num_groups, tiny_sdxl.sizes["norm_num_groups"]), num_channels, *rest, **named)

    norm.__init__ = init


def unet_config(depths):
    channels = tiny_sdxl.sizes["block_out_channels"]
    per_level = [[depth if index > 0 else 0] for index, depth in enumerate(depths)]
    return {
        "use_checkpoint": False,
        "image_size": 32,
        "out_channels": 4,
        "use_spatial_transformer": True,
        "legacy": False,
        "num_classes": "sequential",
        "adm_in_channels": tiny_sdxl.sizes["projection_class_embeddings_input_dim"],
        "dtype": torch.float32,
        "in_channels": 4,
        "model_channels": channels[0],
        "num_res_blocks": [2, 2, 2],
        "transformer_depth": [depth for level in per_level for depth in level * 2],
        "channel_mult": [width // channels[0] for width in channels],
        "transformer_depth_middle": depths[-1],
        "use_linear_in_transformer": True,
        "context_dim": tiny_sdxl.context_width,
        "num_head_channels": channels[0] // tiny_sdxl.sizes["attention_head_dim"][0],
        "transformer_depth_output": [depth for level in per_level for depth in level * 3],
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
    }


def load_model():
    config = unet_config(tiny_sdxl.sizes["transformer_layers_per_block"])
    # It sets the width of a head again.
    known = comfy.supported_models.SDXL(dict(config))
    known.unet_config = config
    model = comfy.model_base.SDXL(known)
    model.embedder = Timestep(tiny_sdxl.sizes["addition_time_embed_dim"])
    state = load_file(tiny_sdxl.weight_file(tiny_sdxl.base / "unet"))
    names = comfy.utils.unet_to_diffusers(config)
    assert set(state) <= set(names)
    model.diffusion_model.load_state_dict({names[key]: tensor.float() for key, tensor in state.items()})
    return comfy.model_patcher.ModelPatcher(model.eval(), load_device=torch.device("cpu"), offload_device="cpu")


def load_controlnet(place, config):
    class SmallControlNet(full_size_controlnet):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            channels = tiny_sdxl.controlnet_config["conditioning_embedding_out_channels"]
            conv = lambda a, b, stride=1: torch.nn.Conv2d(a, b, 3, padding=1, stride=stride)
            layers = [conv(3, channels[0])]
            for narrow, wide in zip(channels, channels[1:]):
                layers += [torch.nn.SiLU(), conv(narrow, narrow), torch.nn.SiLU(), conv(narrow, wide, 2)]
            layers += [torch.nn.SiLU(), conv(channels[-1], arguments["model_channels"])]
            self.input_hint_block = TimestepEmbedSequential(*layers)

    comfy.cldm.cldm.ControlNet = SmallControlNet
    comfy.model_detection.unet_config_from_diffusers_unet = lambda state: unet_config(
        config["transformer_layers_per_block"]
    )
    return comfy.controlnet.load_controlnet(str(tiny_sdxl.weight_file(place)))


full_size_controlnet = comfy.cldm.cldm.ControlNet


def load_clip():
    first, second = (json.loads((tiny_sdxl.base / name / "config.json").read_text()) for name in encoders)
    configs = iter([first, second])
    comfy.sd1_clip.json = types.SimpleNamespace(load=lambda file: next(configs))
    target = types.SimpleNamespace(
        params={}, clip=comfy.sdxl_clip.SDXLClipModel, tokenizer=comfy.sdxl_clip.SDXLTokenizer
    )
    clip = comfy.sd.CLIP(target)
    comfy.sd1_clip.json = json
    for name, model in zip(encoders, (clip.cond_stage_model.clip_l, clip.cond_stage_model.clip_g)):
        state = {key: tensor.float() for key, tensor in load_file(tiny_sdxl.weight_file(tiny_sdxl.base / name)).items()}
        if "text_projection.weight" in state:
            width, projected = second["hidden_size"], second["projection_dim"]
            model.transformer.text_projection = torch.nn.Linear(width, projected, bias=False)
        missing, unexpected = model.transformer.load_state_dict(state, strict=False)
        assert not unexpected and set(missing) <= {"text_projection.weight"}
    return clip


encoders = ("text_encoder", "text_encoder_2")


def load_vae():
    config = tiny_sdxl.vae_config
    channels = config["block_out_channels"]
    structure = {
        "double_z": True,
        "z_channels": 4,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": channels[0],
        "ch_mult": [width // channels[0] for width in channels],
        "num_res_blocks": config["layers_per_block"],
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    state = {key: tensor.float() for key, tensor in load_file(tiny_sdxl.weight_file(tiny_sdxl.base / "vae")).items()}
    return comfy.sd.VAE(sd=state, config={"params": {"ddconfig": structure, "embed_dim": 4}})


def load_instant_id():
    """Its source with the tiny sizes for those that it writes out."""
    stand_in = types.ModuleType("torchvision.transforms.v2")
    stand_in.ToTensor = lambda: lambda pictures: [transforms.ToTensor()(picture) for picture in pictures]
    sys.modules["torchvision.transforms.v2"] = stand_in
    tiny = tiny_sdxl.resampler_config
    source = (fixtures.sources / "ComfyUI_InstantID" / "InstantID.py").read_text()
    for full_size, small in [
        ("output_cross_attention_dim == 2048", f"output_cross_attention_dim == {tiny_sdxl.context_width}"),
        ("cross_attention_dim = 1280", f"cross_attention_dim = {tiny['dim']}"),
        ("depth=4", f"depth={tiny['depth']}"),
        ("heads=20", f"heads={tiny['heads']}"),
        ("ff_mult=4", f"ff_mult={tiny['ff_mult']}"),
    ]:
        assert full_size in source
        source = source.replace(full_size, small)
    package = types.ModuleType("instant_id")
    package.__path__ = [str(fixtures.sources / "ComfyUI_InstantID")]
    sys.modules["instant_id"] = package
    module = types.ModuleType("instant_id.InstantID")
    depths = tiny_sdxl.sizes["transformer_layers_per_block"]
    # Transformers in a row: 2 and 10 of the published UNet.
    module.range = lambda *limits: builtins.range(*({2: depths[1], 10: depths[2]}.get(limit, limit) for limit in limits))
    sys.modules["instant_id.InstantID"] = module
    exec(compile(source, "InstantID.py", "exec"), vars(module))
    return module


# Weights of this model alone.

depth_file = weights / "lllyasviel" / "ControlNet" / "annotator" / "ckpts" / "dpt_hybrid-midas-501f0c75.pt"
lora_files = {
    "3D": weights / "artificialguybr" / "3DRedmond-V1" / "3DRedmond-3DRenderStyle-3DRenderAF.safetensors",
    "Emoji": weights / "fofr" / "sdxl-emoji" / "lora.safetensors",
    "custom": weights / "of-all-kinds.safetensors",
}


def depth_network():
    """Of sizes that need nothing said beside the weights: norms of 32 groups, heads of 64."""
    annotators_midas.small.update(
        channels=(128, 128, 128), blocks=(1, 1, 1), stem=32, groups=32, width=64, heads=1, layers=4, mlp_ratio=1,
        grid=4, levels=(128, 128, 16, 16), fusion=8,
    )  # fmt: skip
    annotators_midas.network_seed = seed_of_networks
    return annotators_midas.small_network().eval()


def write_depth_network(network):
    depth_file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: tensor.half() for name, tensor in network.state_dict().items()}, depth_file)


def write_loras():
    rank, generator = 2, torch.Generator().manual_seed(seed_of_networks + 1)

    def matrices(weight):
        down = torch.randn(rank, weight.shape[1], generator=generator) / weight.shape[1] ** 0.5
        return down.half(), (0.5 * torch.randn(weight.shape[0], rank, generator=generator)).half()

    kohya, processors = {}, {}
    networks = {
        "lora_unet": tiny_sdxl.base / "unet",
        "lora_te1": tiny_sdxl.base / "text_encoder",
        "lora_te2": tiny_sdxl.base / "text_encoder_2",
    }
    for prefix, place in networks.items():
        for key, weight in load_file(tiny_sdxl.weight_file(place)).items():
            name = key.removesuffix(".weight")
            if weight.dim() != 2 or not any(part in name for part in (".transformer_blocks.", ".self_attn.", ".mlp.")):
                continue
            if prefix == "lora_unet":
                layer = unet_name(f"{name}.", per_level=3, attention_levels=(0, 1)).removesuffix(".")
                if ".to_" in name:
                    attention, projection = name.removesuffix(".0").rsplit(".", 1)
                    path = f"unet.{attention}.processor.{projection}_lora"
                    down, up = matrices(weight)
                    processors |= {f"{path}.down.weight": down, f"{path}.up.weight": up}
            else:
                layer = name
            down, up = matrices(weight)
            path = f"{prefix}_{layer.replace('.', '_')}"
            kohya |= {f"{path}.lora_down.weight": down, f"{path}.lora_up.weight": up}
            kohya[f"{path}.alpha"] = torch.tensor(1.5)
    save_tensors(lora_files["3D"], kohya)
    save_tensors(lora_files["Emoji"], processors)


def write_custom_lora():
    """
    Of all kinds that ComfyUI applies, and in all ways of naming layers that it knows. It changes little: of a network that
    leads far away, steps would blow up the small differences between two programs.
    """
    kinds, tensors = Kinds(seed_of_networks + 2, torch.float16), {}

    def add(weights, keep, names):
        found = [key for key, weight in weights.items() if weight.dim() == 2 and any(part in key for part in keep)]
        for index, key in enumerate(found):
            name = names[index % len(names)](key.removesuffix(".weight"))
            for part, value in kinds.next("any", weights[key].float()).items():
                tensors[f"{name}.{part}"] = value if part in ("alpha", "dora_scale") else 0.4 * value

    unet = load_file(tiny_sdxl.weight_file(tiny_sdxl.base / "unet"))
    original = lambda name: unet_name(f"{name}.", per_level=3, attention_levels=(0, 1)).removesuffix(".")
    processor = lambda name: name.replace(".to_", ".processor.to_").replace(".to_out.0", ".to_out")
    underscored = lambda prefix, rename=lambda name: name: lambda name: prefix + rename(name).replace(".", "_")
    names = [underscored("lora_unet_", original), underscored("lora_unet_"), lambda name: f"unet.{processor(name)}", processor]
    add(unet, (".attn2.", ".ff."), names)
    for name in ("conv_norm_out", "mid_block.resnets.1.norm2", "up_blocks.0.attentions.1.norm"):
        for part in ("weight", "bias"):
            size = unet[f"{name}.{part}"].shape
            tensors[f"lora_unet_{original(name).replace('.', '_')}.{part[0]}_norm"] = 0.4 * kinds.random(*size, fan_in=9)
    first = load_file(tiny_sdxl.weight_file(tiny_sdxl.base / "text_encoder"))
    second = load_file(tiny_sdxl.weight_file(tiny_sdxl.base / "text_encoder_2"))
    layers = (".self_attn.", ".mlp.")
    add(first, layers, [underscored("lora_te_"), underscored("lora_te1_"), lambda name: f"text_encoder.{name}"])
    add(second, layers, [underscored("lora_te2_"), lambda name: f"text_encoder_2.{name}"])
    save_tensors(lora_files["custom"], tensors)


# Noise of a CUDA device, by the words of philox.py for many threads at once.


def cuda_randn(size, dtype, device, seed):
    count = int(np.prod(size))
    assert count <= philox.A100_THREADS
    wide = lambda value: np.full(count, value, np.uint64)
    counter = [wide(0), wide(0), np.arange(count, dtype=np.uint64), wide(0)]
    words = philox.philox(counter, [int(seed) & 0xFFFFFFFF, int(seed) >> 32])
    u = np.asarray(words[0], np.float64) * 2.0**-32 + 2.0**-33
    v = (np.asarray(words[1], np.float64) + 0.5) * 2 * np.pi * 2.0**-32
    values = np.sqrt(-2 * np.log(u)) * np.sin(v)
    return torch.tensor(values.astype(np.float32)).reshape(size).to(dtype)


# The graph.

essentials = definitions(
    "ComfyUI_essentials/essentials.py",
    ["p", "pb", "ImageResize"],
    F=torch.nn.functional,
    comfy=comfy,
    MAX_RESOLUTION=8192,
)
aux = definitions(
    "comfyui_controlnet_aux/src/controlnet_aux/util.py",
    ["HWC3", "safer_memory", "UPSCALE_METHODS", "get_upscale_method", "pad64", "resize_image_with_pad"]
    + ["common_input_validate"],
    np=np,
    cv2=cv2,
    warnings=None,
)
midas = definitions(
    "comfyui_controlnet_aux/src/controlnet_aux/midas/__init__.py",
    ["MidasDetector"],
    **{"np": np, "cv2": cv2, "torch": torch, "rearrange": rearrange, "HF_MODEL_NAME": None, **vars(aux)},
)
annotator_call = definitions("comfyui_controlnet_aux/utils.py", ["common_annotator_call"], np=np, torch=torch)
encoding = fixtures.source("efficiency-nodes-comfyui", "py/bnk_adv_encode.py")
predictor = definitions(
    "cog-face-to-many/predict.py",
    ["Predictor"],
    **{"BasePredictor": object, "Path": Path, "List": list, "Input": lambda **_: None, "LORA_TYPES": []},
)


class Graph:
    def __init__(self):
        self.model, self.clip, self.vae = load_model(), load_clip(), load_vae()
        self.identity = load_controlnet(tiny_sdxl.identity_net, tiny_sdxl.controlnet_config)
        self.zoe = load_controlnet(tiny_sdxl.controlnet_zoe, tiny_sdxl.other_config)
        self.instant_id = load_instant_id()
        self.depth = depth_network()
        write_depth_network(self.depth)
        self.faces = self.load_faces()

    def load_faces(self):
        self.root = tempfile.TemporaryDirectory()
        models = Path(self.root.name) / "models"
        models.mkdir()
        (models / "antelopev2").symlink_to(fixtures.fixtures / "faces" / "antelopev2")
        with contextlib.redirect_stdout(io.StringIO()):
            app = FaceAnalysis(name="antelopev2", root=self.root.name, providers=["CPUExecutionProvider"])
            app.prepare(ctx_id=0, det_size=(640, 640))
        return app

    def depth_map(self, image):
        detector = midas.MidasDetector(self.depth)
        return annotator_call.common_annotator_call(detector, image, resolution=512, a=np.pi * 2.0, bg_th=0.1)

    def hint(self, image, latent):
        """As `ControlNet.get_control` makes it of what it was given."""
        height, width = (8 * side for side in latent["samples"].shape[2:])
        return comfy.utils.common_upscale(image.movedim(-1, 1), width, height, "nearest-exact", "center")

    def run(self, request, picture, output):
        """@returns what was seen on the way, and the picture"""
        seen = {}
        folder_paths.get_annotated_filepath = lambda name: name
        image = nodes.LoadImage().load_image(str(picture))[0]
        image = essentials.ImageResize().execute(image, 1024, 1024, True, "nearest", "always")[0]
        latent = nodes.VAEEncode().encode(self.vae, image)[0]
        seen["encoded"] = latent["samples"]

        original = predictor.Predictor()
        prompt, negative = request["prompt"], request["negative_prompt"]
        lora = request["lora"]
        if not request["custom"]:
            prompt = original.style_to_prompt(request["style"], prompt)
            negative = original.style_to_negative_prompt(request["style"], negative)
        state = comfy.utils.load_torch_file(str(lora), safe_load=True)
        scale = request["lora_scale"]
        model, clip = comfy.sd.load_lora_for_models(self.model, self.clip, state, scale, scale)
        clip = nodes.CLIPSetLastLayer().set_last_layer(clip, -1)[0]
        encode = encoding.AdvancedCLIPTextEncode().encode
        positive = encode(clip, prompt, "none", "comfy")[0]
        negative = encode(clip, negative, "none", "comfy")[0]
        seen["prompt"], seen["negative_prompt"] = positive[0][0], negative[0][0]

        depth = self.depth_map(image)
        seen["depth"] = self.hint(depth, latent)
        apply = nodes.ControlNetApplyAdvanced().apply_controlnet
        positive, negative = apply(positive, negative, self.zoe, depth, request["control_depth_strength"], 0, 1)
        adapter = comfy.utils.load_torch_file(str(tiny_sdxl.ip_adapter), safe_load=True)
        adapter = {part: {name: tensor.float() for name, tensor in own.items()} for part, own in adapter.items()}
        node = self.instant_id.ApplyInstantID()
        model, positive, negative = node.apply_instantid(
            adapter, self.faces, self.identity, image, model, positive, negative, 0, 1, request["instant_id_strength"]
        )
        seen["tokens"] = torch.cat([positive[0][1]["cross_attn_controlnet"], negative[0][1]["cross_attn_controlnet"]])
        seen["key_points"] = self.hint(positive[0][1]["control"].cond_hint_original.movedim(1, -1), latent)

        if request["denoising_strength"] > 0:
            # As the node "KSampler (Efficient)" does.
            trajectory = []
            original_sampler = comfy.samplers.k_diffusion_sampling.sample_dpmpp_2m_sde_gpu

            def recording(model, x, sigmas, callback=None, **arguments):
                seen["sigmas"] = sigmas
                arguments.pop("disable", None)
                end = original_sampler(
                    model, x, sigmas, callback=lambda state: trajectory.append(state["x"].clone()), disable=True, **arguments
                )
                trajectory.append(end)
                return end

            comfy.samplers.k_diffusion_sampling.sample_dpmpp_2m_sde_gpu = recording
            latent = nodes.KSampler().sample(
                model, request["seed"], 17, request["prompt_strength"], "dpmpp_2m_sde_gpu", "karras", positive, negative,
                latent, request["denoising_strength"],
            )[0]  # fmt: skip
            comfy.samplers.k_diffusion_sampling.sample_dpmpp_2m_sde_gpu = original_sampler
            seen["trajectory"] = torch.cat(trajectory)
        seen["latents"] = latent["samples"]
        pictures = nodes.VAEDecode().decode(self.vae, latent)[0]
        folder_paths.set_output_directory(output)
        saved = nodes.SaveImage()
        saved.output_dir = output
        saved.save_images(pictures, "ComfyUI")
        return seen, Image.open(Path(output) / "ComfyUI_00001_.png")


photo = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB")
words = " ".join(["word"] * 80)
defaults = dict(
    style="3D",
    prompt="a person",
    negative_prompt="",
    denoising_strength=0.65,
    prompt_strength=4.5,
    control_depth_strength=0.8,
    instant_id_strength=1,
    lora_scale=1,
    custom=False,
)
# By name: the part of the photograph (left, top, width, height), and what differs from the defaults.
runs = {
    # 1024 × 266, cut to 264.
    "default": ((0, 150, 400, 104), dict(seed=42)),
    "from-noise": (
        (40, 0, 150, 512),
        dict(style="Emoji", denoising_strength=1, prompt_strength=1, control_depth_strength=0, seed=2**40 + 5),
    ),
    "untouched": ((0, 120, 512, 333), dict(denoising_strength=0, seed=0)),
    "long-prompts": (
        (3, 100, 500, 131),
        dict(
            custom=True,
            prompt=f"({words}:0.8), a ((bronze)) bust, {words} (end:1.4)",
            negative_prompt=f"crème \\(brûlée\\) {words}",
            denoising_strength=0.3,
            prompt_strength=7.25,
            control_depth_strength=0.35,
            instant_id_strength=0.4,
            lora_scale=0.6,
            seed=2**64 - 1,
        ),
    ),
}
# Every so many-th value of rows and columns is kept.
latents_stride, picture_stride = 3, 9


def thin(latents):
    return latents[:, :, ::latents_stride, ::latents_stride]


if __name__ == "__main__":
    use_small_norms()
    DiagonalGaussianDistribution.sample = DiagonalGaussianDistribution.mode
    brownian_interval._randn = cuda_randn
    assert cuda_randn((7,), torch.float32, None, 2**33 + 9).tolist() == philox.draw(2**33 + 9, 0, 7)[0]
    write_loras()
    write_custom_lora()
    graph = Graph()
    target = folder / "face-to-many"
    target.mkdir(exist_ok=True)
    cases, tensors = [], {}
    for name, ((left, top, width, height), changes) in runs.items():
        request = {**defaults, **changes}
        request["lora"] = lora_files["custom" if request["custom"] else request["style"]]
        picture = target / f"{name}-photograph.png"
        photo.crop((left, top, left + width, top + height)).save(picture, optimize=True)
        with tempfile.TemporaryDirectory() as output:
            seen, result = graph.run(request, picture, output)
        print(name, result.size, {key: tuple(value.shape) for key, value in seen.items()})
        pixels = np.asarray(result)
        Image.fromarray(pixels[::picture_stride, ::picture_stride]).save(target / f"{name}.png", optimize=True)
        for key in ("encoded", "latents", "trajectory"):
            if key in seen:
                tensors[f"{name}.{key}"] = thin(seen[key])
        for key in ("tokens",):
            tensors[f"{name}.{key}"] = seen[key]
        for key in ("depth", "key_points"):
            shown = (seen[key][0] * 255).round().to(torch.uint8)
            tensors[f"{name}.{key}"] = shown[:, ::picture_stride, ::picture_stride]
        request.pop("lora")
        custom = request.pop("custom")
        request["seed"] = str(request["seed"])
        flat = [float(((pixels == value).sum()) / pixels.size) for value in (0, 255)]
        cases.append(
            {"name": name, "input": {**request, "image": picture.name}, "custom_lora": custom, "size": list(result.size)}
            | {"picture": f"{name}.png", "black_or_white": flat, "sigmas": seen.get("sigmas", torch.zeros(0)).tolist()}
        )
    save_tensors(target / "expected.safetensors", tensors)
    strides = {"latents": latents_stride, "picture": picture_stride}
    write_json(target / "case.json", {"expected": "expected.safetensors", "strides": strides, "runs": cases})
    write_provenance(
        target,
        ["torch", "torchsde", "insightface", "transformers", "cv2"],
        seeds={"networks": seed_of_networks},
        sources={
            "comfyanonymous/ComfyUI": "ae77590b",
            "cubiq/ComfyUI_InstantID": "0fcf494",
            "cubiq/ComfyUI_essentials": "c9236fe",
            "Fannovel16/comfyui_controlnet_aux": "6d6f63c",
            "jags111/efficiency-nodes-comfyui": "60f8700",
            "fofr/cog-face-to-many": "f168c5e",
        },
    )
