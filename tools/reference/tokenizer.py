"""
Token ids of transformers' CLIPTokenizer without ftfy, as rossjillian/controlnet ran it, and the text that its pipeline
reports as cut off: test/fixtures/text/clip-tokenizer.json.
"""

import gzip
import json
import sys
import tempfile
from pathlib import Path

sys.modules["ftfy"] = None  # an import of it fails, also where it is installed

from transformers import CLIPTokenizer  # noqa: E402
from transformers.models.clip.tokenization_clip import bytes_to_unicode  # noqa: E402

import fixtures  # noqa: E402

default_negative = (
    "Longbody, lowres, bad anatomy, bad hands, missing fingers, extra digit, fewer digits, cropped, "
    "worst quality, low quality"
)
texts = [
    "",
    " ",
    "a photo of an astronaut riding a horse on mars",
    default_negative,
    "A Photo Of AN ASTRONAUT",
    "cyberpunk's city, we'll don't I'm they've you're he'd it's 's",
    "don’t use “curly” quotes — or … ellipses",
    "(masterpiece:1.2), [best quality], {8k}, <lora:foo:0.5>",
    "best quality,extremely detailed,4k,8K uhd,f/1.8,ISO-100,1920x1080",
    "12345 6789 3.14159 1,000,000 ½ ² Ⅷ ٣ ५ ①",
    "crème brûlée façade naïve Ångström señor",
    "cafe\u0301 na\u0131ve e\u0302\u0301 \u0130stanbul I\u0307",
    "Straße ẞ ﬁ ﬀ ſharp ŉ ǆ Ǆ",
    "ΟΔΟΣ ΣΑΣ Σ. ΑΣ.Β Ἀθῆναι",
    "Привет мир ЁЖИК йод",
    "日本語の写真 漢字とカタカナ ひらがな",
    "中文字符,混合English和数字123",
    "\u3400\u4dbf\uf900\ufaff \U00020000\U0002a6df\U0002f800",
    "한국어 사진 각",
    "สวัสดีชาวโลก हिन्दी में चित्र தமிழ்",
    "مرحبا بالعالم שלום עולם שָׁלוֹם",
    "emoji 😀👍🏽👩‍👩‍👧‍👦🇫🇷❤️✨ end",
    "☺️ ☃ ♥ ★ ™ © ® € £ ¥ § ° ± × ÷",
    "tab\tnewline\nreturn\rvertical\x0bform\x0cfeed",
    "null\x00bell\x07escape\x1bdel\x7fnel\x85end",
    "\x1cfile\x1dgroup\x1erecord\x1funit",
    "nbsp\u00a0thin\u2009em\u2003ideographic\u3000ogham\u1680end",
    "line\u2028separator\u2029paragraph",
    "zero\u200bwidth\u200cjoin\u200der\ufeffbom\u2060word\u00adsoft",
    "rtl\u202eoverride\u202c private\ue000use replacement\ufffdchar",
    "unassigned\u0378code\U000e0001tag\U000f0000plane",
    "   leading and   many    spaces   ",
    "<|startoftext|>a dog<|endoftext|> a cat <|endoftext|>",
    "<|STARTOFTEXT|> <|endoftext <|endoftext|",
    "x<|endoftext|>y <|startoftext|>",
    "!!! ??? ... ,,, --- ___ === +++ ~~~ ``` ^^^ |||",
    "a.b.c e.g. i.e. U.S.A. v1.5-pruned_emaonly.safetensors",
    "https://example.com/path?query=1&other=2#fragment",
    "&amp; &lt;b&gt; &quot;quoted&quot; &#39;x&#39; &eacute; <b>bold</b>",
    "snake_case camelCase PascalCase kebab-case SCREAMING_CASE",
    "#hashtag @mention $100 50% 3^2 a*b a+b a=b a/b a\\b",
    "\"double\" 'single' `back` «guillemets» ‹single› „low“ 「corner」",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "a" * 100,
    "ab" * 300,
    "the" * 200,
    "aaaa bbbb " * 60,
    "a, " * 100,
    "word " * 74,
    "word " * 75,
    "word " * 76,
    "word " * 75 + "and more, don't cut it here! Is it n't? 'm yes",
    default_negative * 4,
    "日本語の写真" * 20,
    "😀" * 60,
    "¼ part " + "é" * 90,
    "lowres\u0000" * 90,
    "img timg imgur IMG a photo of a person img",
    "A\u0300\u0316\u0300 \u0489 x\u20e3 1\ufe0f\u20e3",
    "\ud800 lone \udfff surrogate",
    "ᾳ ᾼ Ⅷ Ⓐ ａｂｃ １２３ ｱｲｳ",
]


def load_tokenizer(folder, **changes):
    """As from_pretrained loads the published folder; its files follow from the list of merges.

    @param changes of its configuration: a token that is special has to be one from the beginning
    """
    packed = fixtures.root / "src" / "text" / "data" / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(packed.read_bytes()).decode("utf-8").split("\n")
    merges = lines[1 : 49152 - 256 - 2 + 1]
    alphabet = list(bytes_to_unicode().values())
    words = alphabet + [letter + "</w>" for letter in alphabet] + ["".join(merge.split()) for merge in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    special = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False, "__type": "AddedToken"}
    config = {
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": 77,
        "tokenizer_class": "CLIPTokenizer",
        "pad_token": "<|endoftext|>",
        "bos_token": {"content": "<|startoftext|>", **special},
        "eos_token": {"content": "<|endoftext|>", **special},
        "unk_token": {"content": "<|endoftext|>", **special},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return CLIPTokenizer.from_pretrained(folder, **changes)


def encode(tokenizer, text):
    # The calls of StableDiffusionControlNetPipeline._encode_prompt in diffusers 0.15.1.
    ids = tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids
    whole = tokenizer(text, padding="longest").input_ids
    removed = ""
    if len(whole) >= len(ids) and whole != ids:
        removed = tokenizer.batch_decode([whole[76:-1]])[0]
    assert ids[0] == 49406 and len(ids) == 77
    last = len(ids)
    while ids[last - 1] == 49407 and last > 2 and ids[last - 2] == 49407:
        last -= 1  # padding, which the test puts back
    return {"text": text, "ids": ids[:last], "removed": removed}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        tokenizer = load_tokenizer(Path(name))
        assert tokenizer.fix_text is None and len(tokenizer.encoder) == 49408
        cases = [encode(tokenizer, text) for text in texts]

    folder = fixtures.fixtures / "text"
    lines = ",\n".join(json.dumps(case) for case in cases)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "clip-tokenizer.json").write_text(f"[\n{lines}\n]\n")
    fixtures.write_provenance(folder, ["transformers"], python=sys.version.split()[0])
    print(len(cases), "texts")
