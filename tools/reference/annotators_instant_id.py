"""
The structures of zsxkib/InstantID (test/fixtures/annotators/instant-id/): poses of controlnet_aux 0.0.7 with the narrow
network of annotators_pose.py, edges, and depth by its own `get_depth_map` with a small random DPT-hybrid of transformers
(annotators/dpt-hybrid-transformers/); the names in the full-size file (headers/dpt-hybrid-transformers.json).
"""


import fixtures

fixtures.use_transformers_4_36()
fixtures.use_controlnet_aux("0.0.7")

import cv2  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from controlnet_aux.open_pose import OpenposeDetector  # noqa: E402
from controlnet_aux.open_pose.body import Body  # noqa: E402
from PIL import Image  # noqa: E402
from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor  # noqa: E402

import annotators_pose  # noqa: E402
from fixtures import randomize, save_tensors, write_json, write_provenance  # noqa: E402
from headers import folder as headers, write_header  # noqa: E402

folder = fixtures.fixtures / "annotators" / "instant-id"
packages = ["transformers", "torch", "controlnet_aux", "cv2", "numpy", "PIL"]
photo = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB")
seed = 520

# As annotators_midas.py; positions for the size that the feature extractor makes.
small = dict(
    is_hybrid=True, hidden_size=40, num_hidden_layers=5, num_attention_heads=5, intermediate_size=120, image_size=384,
    backbone_out_indices=[0, 1, 2, 4], neck_hidden_sizes=[32, 48, 28, 36], fusion_hidden_size=24,
    backbone_featmap_shape=[1, 80, 24, 24],
    backbone_config=dict(
        global_padding="same", layer_type="bottleneck", depths=[2, 3, 2], hidden_sizes=[32, 48, 80], embedding_size=16,
        num_groups=4, out_features=["stage1", "stage2", "stage3"], embedding_dynamic_padding=True,
    ),
)  # fmt: skip


def small_network():
    network = randomize(DPTForDepthEstimation(DPTConfig(**small)), seed)
    with torch.no_grad():
        # So small that the epsilons of norms decide, see annotators_midas.py.
        embeddings = network.dpt.embeddings
        embeddings.backbone.bit.embedder.convolution.weight.mul_(0.01)
        for tensor in (embeddings.projection.weight, embeddings.projection.bias):
            tensor.mul_(0.003)
        for tensor in (embeddings.cls_token, embeddings.position_embeddings):
            tensor.mul_(0.01)
        # Two ReLUs end the network.
        network.head.head[2].bias.add_(0.5)
        network.head.head[4].weight.abs_()
    return network.to(torch.float16).to(torch.float32)


def network_case(network):
    case = fixtures.fixtures / "annotators" / "dpt-hybrid-transformers"
    pixels = DPTImageProcessor()(photo.crop((150, 60, 250, 135)), return_tensors="pt").pixel_values
    with torch.no_grad():
        expected = network(pixels).predicted_depth
        exact = network.double()(pixels.double()).predicted_depth
    network.float()
    save_tensors(case / "weights.safetensors", {name: tensor.half() for name, tensor in network.state_dict().items()})
    write_json(case / "config.json", DPTConfig(**small).to_diff_dict())
    # Every third row and column: the whole map has more bytes than the network.
    save_tensors(case / "expected.safetensors", {"predicted_depth": expected[:, ::3, ::3]})
    distance = float((expected - exact).norm() / exact.norm())
    write_provenance(case, ["transformers", "torch", "PIL"], seed=seed, againstFloat64=distance)
    print(expected.min(), expected.max(), expected.std(), distance)


def depth_of(network):
    """`get_depth_map` of the original, with this network in place of the published one, and on this processor."""
    text = (fixtures.sources / "InstantID" / "gradio_demo" / "controlnet_util.py").read_text()
    body = text[text.index("def get_depth_map") : text.index("def get_canny_image")].replace('.to("cuda")', "")
    body = body.replace(', torch.autocast("cuda")', "")
    scope = {
        "torch": torch, "np": numpy, "Image": Image, "feature_extractor": DPTImageProcessor(), "depth_estimator": network,
    }  # fmt: skip
    exec(body, scope)  # noqa: S102
    return scope["get_depth_map"]


def edges_of(image):
    """`get_canny_image` of the original."""
    bgr = cv2.cvtColor(numpy.array(image), cv2.COLOR_RGB2BGR)
    return Image.fromarray(cv2.Canny(bgr, 100, 200), "L")


def pose_of(model):
    body = Body.__new__(Body)
    body.model = model
    return OpenposeDetector(body)


def save(name, picture):
    picture.save(folder / f"{name}.png", optimize=True)


def poses_in_maps():
    """In the maps of annotators_pose.py, of which the pictures alone are kept."""
    for name, height, width, paf, heatmap in annotators_pose.map_cases():
        if name == "tall":
            continue
        save(f"{name}-pose", pose_of(Maps(paf, heatmap))(numpy.zeros((height, width, 3), numpy.uint8)))


class Maps(annotators_pose.Maps):
    def parameters(self):
        yield torch.zeros(1)


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    # See opencv.py.
    cv2.ipp.setUseIPP(False)
    folder.mkdir(parents=True, exist_ok=True)
    network = small_network()
    network_case(network)
    crop = photo.crop((120, 10, 390, 190))
    save("crop-depth", depth_of(network)(crop))
    save("photo-canny", edges_of(photo))
    model = annotators_pose.narrow_network()
    save("photo-pose", pose_of(model)(photo))
    save("crop-pose", pose_of(model)(crop))
    poses_in_maps()
    write_provenance(folder, packages, seed=seed)
    full = DPTConfig(is_hybrid=True, neck_hidden_sizes=[256, 512, 768, 768])
    write_header("dpt-hybrid-transformers", DPTForDepthEstimation(full).state_dict())
    write_json(
        headers / "provenance-dpt-hybrid-transformers.json",
        {
            "command": "tools/reference/.venv/bin/python tools/reference/annotators_instant_id.py",
            "packages": {"torch": torch.__version__, "transformers": "4.36.2"},
            "files": ["dpt-hybrid-transformers"],
        },
    )
