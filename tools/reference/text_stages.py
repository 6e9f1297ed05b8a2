"""
What the originals make of prompts before the text encoder, and of its results: test/fixtures/text/.

- the later tokenizer of transformers 4.36.2, without ftfy;
- PhotoMaker's trigger word, by its own pipeline;
- what ftfy 6.2.0 puts right;
- ComfyUI's weights and windows, by its own `sd1_clip.py` at ae77590b, with ftfy.

README.md says where the sources of PhotoMaker and ComfyUI are put.
"""

import json
import sys
import tempfile
import types
from pathlib import Path

import fixtures

fixtures.use_transformers_4_36()

import torch  # noqa: E402

import tokenizer as texts_and_tokenizer  # noqa: E402
from tokenizer import encode, load_tokenizer  # noqa: E402

folder = fixtures.fixtures / "text"
sources = Path(__file__).resolve().parent / ".venv" / "sources"

contractions = [
    "it's we're they've I'm she'll he'd don't 'tis rock'n'roll",
    "IT'S WE'RE 'S 's' 'ſ it'ſ",
    "o'clock''s 're've 'mm 'lll",
    "e\u0301 \u212b \u1e9b\u0323 \uac00\u11a8 \u0344",
    "<|StartOfText|> a <|ENDOFTEXT|>b",
    "K \u212a \u0130i \u03a3\u03a3 \u1fb3\u0345",
]

trigger_prompts = [
    "A photo of a person img",
    "cinematic photo A photo of a person img . 35mm photograph, film, bokeh, professional, 4k, highly detailed",
    "timg a",
    "img of a man",
    "imgur",
    "a  man\n img",
    "a photo of a grandmother img, smiling. . It's 5 o'clock , isn't it ?",
    "a WOMAN img IMG Img",
    "crème brûlée person img, naïve",
    "portrait of a donaudampfschifffahrtskapitän img",
    "word " * 70 + "man img and more words that are cut off",
    "word " * 74 + "man img",
    "word " * 75 + "man img",
    "word " * 80 + "man img and more",
    "<|endoftext|> man img",
    "Wow!! a man!!! img ?!",
    "a woman !img! smiles",
    "hey!!! " * 18 + "a tall man img",
    "img",
    "a woman, img",
    "two imgs of a man",
    "a woman 😀 img 日本, i\u200bmg",
]

weighted_prompts = [
    "",
    "a person",
    "(a) ((b)) (((c)))",
    "(a:1.3) ((b:1.3)) ((b:1.3) c) (d (e:0.5) f:2)",
    "(a:) (a:x) (:1.2) (a:1:2) (a:-0.5) (a: 1.5 ) (a:1e-1) (a:.5) (a:5.) (a:1_0) (a:+2) (a:0)",
    "[a] [[b]] {c} a BREAK b",
    "\\(a\\) (\\(b\\):1.2) \\\\(c) (d\\) e)",
    "(a b) c) (d:1.4) e",
    "(a (b c",
    "((a) b",
    "a) b) (c:2)",
    "() (()) ( ) (:) (::) a(b)c",
    "photo of (a man:1.2),\n(hat:0.8) ,\t(tab\there:1.1)",
    "embedding:EasyNegative, a (embedding:bad-hands:1.2) embedding: embedding:,x,, b",
    "3D Render Style, 3DRenderAF, a (very happy:1.21) person",
    "word " * 75,
    "word " * 76,
    "word " * 74 + "twelve (hippopotamuses:1.5) more",
    "word " * 73 + "donaudampfschifffahrtselektrizitätenhauptbetriebswerk after",
    "word " * 70 + "donaudampfschiff after",
    "(" + "word " * 160 + ":0.7) end",
    "日本語の写真" * 20,
    "crème (brûlée:1.5) naïve 😀",
    "a woman\u2019s \u201c(red:1.2)\u201d hat, \u2018tis \u201eso\u201f \u02bcn",
    "ﬂuﬃeﬆ ﬅ Ĳssel ŉ ǅ ＬＯＵＤ\u3000Ｕﾀｰﾝ (９０ｓ：1.3) ａ＆ｂ",
    "👩\u200d🚀 ❤\ufe0f e\u0301\u0327 \u212b \u00a0x\u2009y\u2028z\u0085w",
    "\x1b[31mred\x1b[0m a\x07b\x7f \ufeffc \u206ad \ufffae \ufffd \ue000 \u200eleft \u00adsoft",
    "日本語、(絵画:1.4)한국어 русский ΣΑΣ İ",
    "Tom &amp; Jerry, P&EACUTE;REZ, caf&#233;(&#x1F600;:1.3) a&nbsp;b &lt;b&gt; <i>&eacute;</i> &amp;quot; &bogus; &#59;",
    "cafÃ© (crÃ¨me brÃ»lÃ©e:1.2) lâ€™Ã©tÃ© Ð¿Ñ€Ð¸Ð²ÐµÑ‚ naÃƒÂ¯ve \udc80",
    "a<|endoftext|>b <|startoftext|> (<|endoftext|>:1.2) <|ENDOFTEXT|>",
    "(wide:１.５) (arabic:١.٢) (bold:𝟏.𝟑) (blanks:\u30001.2\x85) (mark:\x1c1.2) (dot:1．5) (byte:\ufeff1.2) (sign:−2) (_:1__0) (x:0x1)",
    "embedding:,😀,, embedding:a,b",
]

# What ftfy puts right: texts as they are read in the wrong encoding, once or twice, whole or in parts; names of characters.
written = [
    "crème brûlée à la carte, às vezes",
    "“déjà vu” – l’œuvre…",
    "Größe süß 5 ° ± ½ ×² €3 ™",
    "Привет мир Ёжик",
    "日本語の写真 한국어",
    "Ελληνικά Άνθρωπος",
    "čeština žluťoučký Łódź ğüşç",
    "مرحبا हिन्दी",
    "😀👩\u200d🚀❤\ufe0f",
    "(╯°□°)╯︵ ┻━┻ ﬁn",
]
named = [
    "&eacute; &EACUTE; &nTILDE; &SZLIG; &TRADE; &LTIMES; &notin; &acE; &amp &AMP; &bogus; &constructor;",
    "&amp;lt;b&amp;gt;",
    "<b>&amp;</b>",
    "&#233;&#x1F600;&#X41; &#59; &#x3b; &#0; &#11; &#12;&#13; &#128;&#129; &#xd800; &#xfdd0; &#1114112; &#99999999999999999999;",
    "&#12ab; &#xZZ; &#x; &#; &;",
    "caf&Atilde;&copy; &#xC3;&#xA9; x&nbsp;y&NewLine;",
    "&CounterClockwiseContourIntegral;",
]


def write_lines(name, cases):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    print(name, len(cases))


def later_tokenizer(tokenizer):
    cases = [encode(tokenizer, text) for text in texts_and_tokenizer.texts + contractions]
    write_lines("clip-tokenizer-4.36.json", cases)


class Recorder:
    """Stands in for a text encoder: keeps the ids it is given."""

    dtype = torch.float32

    def __call__(self, ids, output_hidden_states):
        self.ids = ids[0].tolist()
        state = torch.zeros(1, ids.shape[1], 1)
        return type("Output", (tuple,), {"hidden_states": [state] * 3})((state, state))


def trigger_word(load):
    # The pipeline imports torchvision and does not use it.
    sys.modules["torchvision"] = types.SimpleNamespace(transforms=None)
    sys.modules["torchvision.transforms"] = None
    sys.path.insert(0, str(sources / "PhotoMaker"))
    from photomaker.pipeline import PhotoMakerStableDiffusionXLPipeline as pipeline

    first, second = load(), load(pad_token="!")
    for tokenizer in (first, second):
        tokenizer.add_tokens(["img"], special_tokens=True)
    encoders = Recorder(), Recorder()
    this = types.SimpleNamespace(
        tokenizer=first,
        tokenizer_2=second,
        text_encoder=encoders[0],
        text_encoder_2=encoders[1],
        trigger_word="img",
        _execution_device="cpu",
    )
    cases = []
    for index, prompt in enumerate(trigger_prompts):
        photos = 1 + index % 4
        _, _, mask = pipeline.encode_prompt_with_trigger_word(this, prompt, num_id_images=photos, device="cpu")
        plain = first.encode(prompt, add_special_tokens=False)
        plain.remove(first.convert_tokens_to_ids("img"))
        cases.append(
            {
                "prompt": prompt,
                "photos": photos,
                "ids": encoders[0].ids,
                "ids2": encoders[1].ids,
                "classTokens": mask[0].nonzero().flatten().tolist(),
                "textOnly": first.decode(plain, add_special_tokens=False),
            }
        )
    write_lines("trigger-word.json", cases)


def ftfy_texts():
    fixtures.use_ftfy()
    import ftfy
    from ftfy.chardata import CHARMAP_ENCODINGS

    texts = list(written + named)
    for index, text in enumerate(written):
        for page, encoding in enumerate(CHARMAP_ENCODINGS):
            misread = text.encode().decode(encoding, "replace")
            again = CHARMAP_ENCODINGS[(index + page) % len(CHARMAP_ENCODINGS)]
            place = (7 * index + 3 * page) % len(misread)
            variants = [
                misread.encode().decode(again, "replace"),
                misread.replace("\xa0", " "),
                f"{text} {misread} ж 漢",
                misread[:place] + "\ufffd" + misread[place + 1 :],
                misread[:place] + "?" + misread[place + 1 :],
            ]
            texts += [misread, variants[(index + page) % len(variants)]]
    surrogates = "😀".encode("utf-16-be")
    pair = "".join(chr(int.from_bytes(surrogates[at : at + 2], "big")) for at in (0, 2))
    texts += [pair.encode("utf-8", "surrogatepass").decode("latin-1") + " \xc3\xa9 \xc0\x80", "\udc80\ud83d\ude00"]
    cases = [{"text": text, "fixed": ftfy.fix_text(text)} for text in dict.fromkeys(texts)]
    write_lines("ftfy.json", cases)
    assert sum(case["text"] != case["fixed"] for case in cases) > len(cases) / 2


def comfy(tokenizer_folder):
    fixtures.use_ftfy()
    # Its memory management looks for a GPU; none of it takes part here.
    for name in ("ops", "model_management", "clip_model"):
        sys.modules[f"comfy.{name}"] = types.ModuleType(name)
    sys.modules["comfy.model_management"].intermediate_device = lambda: "cpu"
    sys.modules["comfy.clip_model"].CLIPTextModel = None
    sys.modules["comfy.ops"].manual_cast = None
    sys.path.insert(0, str(sources / "ComfyUI"))
    import comfy as package

    package.model_management = sys.modules["comfy.model_management"]
    package.clip_model = sys.modules["comfy.clip_model"]
    package.ops = sys.modules["comfy.ops"]
    from comfy.sd1_clip import ClipTokenWeightEncoder, SDTokenizer

    def tokenizer(pad_with_end):
        return SDTokenizer(tokenizer_folder, pad_with_end=pad_with_end, embedding_directory=[str(tokenizer_folder)])

    cases = []
    for index, prompt in enumerate(weighted_prompts):
        pad_with_end = index % 2 == 0
        windows = tokenizer(pad_with_end).tokenize_with_weights(prompt)
        cases.append(
            {
                "prompt": prompt,
                "padding": 49407 if pad_with_end else 0,
                "windows": [
                    {"ids": [token for token, _ in window], "weights": [weight for _, weight in window]}
                    for window in windows
                ],
            }
        )
    write_lines("weighted-prompts.json", cases)

    class Encoder(ClipTokenWeightEncoder):
        special_tokens = {"start": 49406, "end": 49407, "pad": 0}

        def encode(self, tokens):
            self.tokens = tokens
            self.states = torch.randn(len(tokens), 77, 5, generator=torch.Generator().manual_seed(7))
            return self.states.clone(), None

    encoder = Encoder()
    prompt = "(" + "word " * 60 + ":1.37) (less:0.3) none " + "word " * 30 + "(negative:-1.7)"
    weighted, _ = encoder.encode_token_weights(tokenizer(False).tokenize_with_weights(prompt))
    assert len(encoder.tokens) == 3
    tensors = {"states": encoder.states, "weighted": weighted, "empty_ids": torch.tensor(encoder.tokens[-1])}
    fixtures.save_tensors(folder / "weighted-states.safetensors", tensors)
    fixtures.write_json(folder / "weighted-states.json", {"prompt": prompt})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        later_tokenizer(load_tokenizer(Path(name)))
        trigger_word(lambda **changes: load_tokenizer(Path(name), **changes))
        ftfy_texts()
        comfy(Path(name))
    fixtures.write_json(
        folder / "provenance-stages.json",
        {
            "command": "tools/reference/.venv/bin/python tools/reference/text_stages.py",
            "packages": {"transformers": "4.36.2", "ftfy": "6.2.0", "torch": torch.__version__},
            "sources": {"TencentARC/PhotoMaker": "6ec44fc", "comfyanonymous/ComfyUI": "ae77590b"},
        },
    )
