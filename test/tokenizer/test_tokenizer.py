"""The C++ tokenizer against PyPI tokenizers, in both directions.

Texts: test/tokenizer/multilingual.txt, a long shuffle of it, and random strings over the characters
of Unicode 14 (the version of Python 3.11's tables and of the C++ side's library).
"""

import json
import os
import random
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOKENIZE = Path(os.environ.get("RSHARD_BUILD", ROOT / "build")) / "bin" / "tokenize"
SMOLLM2 = ROOT / "models" / "SmolLM2-135M-Instruct"
LINES = (HERE / "multilingual.txt").read_text(encoding="utf-8").split("\n")

CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = CL100K.replace("{1,3}", "")
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())


def split(pattern, behavior="isolated", **more):
    return pre_tokenizers.Split(pattern, behavior, **more)


def trained(pre_tokenizer, normalizer=None, alphabet=BYTES, unk=None, special=("<|end|>", "<|start|>"), **model):
    tokenizer = Tokenizer(models.BPE(unk_token=unk, **model))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    first = ([unk] if unk else []) + list(special)
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=first,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    return tokenizer


def byte_level(**options):
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **options})


def gpt2():
    return trained(byte_level(), continuing_subword_prefix="", end_of_word_suffix="")


def llama3():
    steps = [split(Regex(CL100K)), byte_level(use_regex=False)]
    tokenizer = trained(pre_tokenizers.Sequence(steps), ignore_merges=True)
    template = processors.TemplateProcessing(single="<|start|> $A <|end|>", special_tokens=[("<|start|>", 1), ("<|end|>", 0)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def qwen2():
    steps = [split(Regex(QWEN2)), byte_level(use_regex=False)]
    tokenizer = trained(pre_tokenizers.Sequence(steps), normalizers.NFC())
    tokenizer.add_tokens([
        AddedToken("<tool>", normalized=False),
        AddedToken("<tool_call>", normalized=False),
        AddedToken("e\u0301te\u0301", normalized=True),
        AddedToken("<left>", lstrip=True, normalized=False),
        AddedToken("<right>", rstrip=True, normalized=False),
        AddedToken("two words", normalized=True),
    ])
    return tokenizer


def digits():
    steps = [pre_tokenizers.Digits(individual_digits=True), byte_level()]
    return trained(pre_tokenizers.Sequence(steps))


def prefix_and_unknown():
    steps = [pre_tokenizers.Digits(), byte_level(add_prefix_space=True)]
    return trained(pre_tokenizers.Sequence(steps), alphabet=BYTES[:90], unk="<unk>")


def fused_unknown():
    return trained(byte_level(), alphabet=BYTES[:90], unk="<unk>", fuse_unk=True)


def dropped_bytes():
    return trained(byte_level(), alphabet=BYTES[:90])


def removed():
    steps = [split(" ", "removed"), split("a.b", "isolated"), split(Regex(r"[\p{L}\p{N}]+|\S"), "removed", invert=True)]
    return trained(pre_tokenizers.Sequence([*steps, byte_level(use_regex=False)]))


MADE = [gpt2, llama3, qwen2, digits, prefix_and_unknown, fused_unknown, dropped_bytes, removed]


class Pair:
    """One tokenizer.json in both implementations."""

    def __init__(self, path):
        self.path, self.theirs = path, Tokenizer.from_file(str(path))

    def ask(self, questions):
        text = "".join(json.dumps(question) + "\n" for question in questions)
        done = subprocess.run([TOKENIZE, self.path], input=text.encode(), stdout=subprocess.PIPE, check=True)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(questions)
        return answers

    def check_encode(self, texts):
        for text, ours in zip(texts, self.ask(texts)):
            assert ours == self.theirs.encode(text).ids, repr(text)

    def check_decode(self, lists):
        for ids, ours in zip(lists, self.ask(lists)):
            assert ours["text"] == self.theirs.decode(ids), ids
            assert ours["kept"] == self.theirs.decode(ids, skip_special_tokens=False), ids
            assert "".join(ours["streamed"]) == ours["text"], ids


@pytest.fixture(scope="module", params=["smollm2", *(make.__name__ for make in MADE)])
def pair(request, tmp_path_factory):
    if request.param == "smollm2":
        subprocess.run([sys.executable, ROOT / "scripts" / "convert-smollm2.py"], check=True)
        return Pair(SMOLLM2 / "tokenizer.json")
    path = tmp_path_factory.mktemp(request.param) / "tokenizer.json"
    next(make for make in MADE if make.__name__ == request.param)().save(str(path))
    return Pair(path)


def shuffled_text(size, seed):
    generator = random.Random(seed)
    words = " ".join(LINES).split(" ")
    separators = [" "] * 20 + ["", "\n", "  ", "\n\n", "\t", " \n", "\r\n", "\u3000", "\u00a0", "<|end|>"]
    return "".join(generator.choice(words) + generator.choice(separators) for _ in range(size))


def assigned():
    """Every character of Unicode 14, most of them Han; without surrogates and private use."""
    characters = map(chr, range(0x110000))
    return [c for c in characters if unicodedata.category(c) not in ("Cn", "Cs", "Co")]


def random_strings(count, seed):
    generator = random.Random(seed)
    everything = assigned()
    tricky = list("  \n\t\r'sStTre0129aZéß.,-_<|>")
    tricky += ["'ll", "\u0301", "\u3000", "\u180e", "\u0085", "\u200d", "<|end|>", "<tool_call>", "\0"]
    pools = [everything, [c for c in everything if ord(c) < 0x3000], tricky, tricky]
    strings = []
    while len(strings) < count:
        length = generator.randrange(1, 40)
        string = "".join(generator.choice(generator.choice(pools)) for _ in range(length))
        # PyPI tokenizers orders marks by the tables of an older Unicode; a hundred came since.
        if normalizers.NFC().normalize_str(string) == unicodedata.normalize("NFC", string):
            strings.append(string)
    return strings


def test_lines(pair):
    pair.check_encode(["", " ", "\n", *LINES])


def test_long_text(pair):
    text = shuffled_text(20000, 1)
    assert len(text.encode()) > 200_000
    pair.check_encode([text, "\n".join(LINES)])


def test_long_words(pair):
    pair.check_encode(["a" * 5000, "=" * 3000, " " * 3000 + "x", "の" * 2000, "1" * 1000])


def test_random_strings(pair):
    pair.check_encode(random_strings(1500, 2))


def test_added_tokens(pair):
    texts = ["<|end|>", "a<|end|>b", " <|end|> <|start|> ", "<tool><tool_call>", "x <left> <right>  y", "\u3000<left><left>"]
    texts += ["<right> \n<left>", "two words", "e\u0301te\u0301 \u00e9t\u00e9", "<|en", "<|im_start|>user\n1 + 1<|im_end|>\n"]
    pair.check_encode(texts)


def test_decode(pair):
    texts = [*LINES, *random_strings(200, 3)]
    pair.check_decode([pair.theirs.encode(text).ids for text in texts])


def test_decode_arbitrary_ids(pair):
    """Random ids split characters anywhere; ids beyond the vocabulary stand for nothing."""
    generator = random.Random(4)
    limit = pair.theirs.get_vocab_size() + 10
    lists = [[generator.randrange(limit) for _ in range(generator.randrange(30))] for _ in range(1500)]
    # The low ids hold the bytes, so that broken UTF-8 of every kind comes up.
    lists += [[generator.randrange(300) for _ in range(generator.randrange(30))] for _ in range(1500)]
    pair.check_decode(lists)


def test_stream_holds_incomplete_characters_back():
    """A piece of a stream is never a broken character that a later token mends."""
    subprocess.run([sys.executable, ROOT / "scripts" / "convert-smollm2.py"], check=True)
    pair = Pair(SMOLLM2 / "tokenizer.json")
    ids = pair.theirs.encode("𠮷 ᐃ 🙂").ids
    assert len(ids) > 5
    pieces = pair.ask([ids])[0]["streamed"]
    assert "".join(pieces) == "𠮷 ᐃ 🙂" and not any("\ufffd" in piece for piece in pieces)
    # Cut in the middle of a character, finish() says that something was missing.
    pieces = pair.ask([ids[:1]])[0]["streamed"]
    assert pieces == ["", "\ufffd"]


def refusal(tmp_path, change):
    path = tmp_path / "tokenizer.json"
    root = json.loads(gpt2().to_str())
    change(root)
    path.write_text(json.dumps(root))
    done = subprocess.run([TOKENIZE, path], input=b"", capture_output=True)
    assert done.returncode == 1 and done.stdout == b""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and str(path) in lines[0]
    return lines[0]


REFUSALS = {
    "tokenizer model WordPiece": lambda r: r["model"].update(type="WordPiece"),
    "normalizer Lowercase": lambda r: r.update(normalizer={"type": "Lowercase"}),
    "pre-tokenizer Metaspace": lambda r: r.update(pre_tokenizer={"type": "Metaspace"}),
    "does not end in ByteLevel": lambda r: r.update(pre_tokenizer=None),
    "behavior 'MergedWithNext'": lambda r: r.update(
        pre_tokenizer={"type": "Split", "pattern": {"String": "x"}, "behavior": "MergedWithNext", "invert": False}
    ),
    "cannot read the pattern": lambda r: r.update(
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "(x"}, "behavior": "Isolated", "invert": False}
    ),
    "uses \\w": lambda r: r.update(
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "\\w+"}, "behavior": "Isolated", "invert": False}
    ),
    "decoder WordPiece": lambda r: r.update(decoder={"type": "WordPiece"}),
    "post-processor BertProcessing": lambda r: r.update(post_processor={"type": "BertProcessing"}),
    "dropout 0.5": lambda r: r["model"].update(dropout=0.5),
    "byte_fallback true": lambda r: r["model"].update(byte_fallback=True),
    'end_of_word_suffix "</w>"': lambda r: r["model"].update(end_of_word_suffix="</w>"),
    "truncation": lambda r: r.update(truncation={"max_length": 5}),
    "single_word": lambda r: r["added_tokens"][0].update(single_word=True),
    "has two ids": lambda r: r["added_tokens"][0].update(id=77),
    "'zzzzqqqq' is not in the vocabulary": lambda r: r["model"]["merges"].append(["zzzz", "qqqq"]) or r["model"]["vocab"].update(zzzz=9998, qqqq=9999),
    'unk_token "nowhere"': lambda r: r["model"].update(unk_token="nowhere"),
    "is not a token id": lambda r: r["model"]["vocab"].update(a=-1),
    "have id 300": lambda r: r["model"]["vocab"].update(zzzz=300),
    "merge 0 is not a pair": lambda r: r["model"].update(merges=["abc"]),
    "merge 0 is not a pair: 7": lambda r: r["model"].update(merges=[7]),
    'merge 0 is not a pair: ["a",1]': lambda r: r["model"].update(merges=[["a", 1]]),
    "model: merges {} vs a list": lambda r: r["model"].update(merges={}),
    "model: no field 'merges'": lambda r: r["model"].pop("merges"),
    "model: no field 'vocab'": lambda r: r["model"].pop("vocab"),
    'model: vocab ["a"] vs an object': lambda r: r["model"].update(vocab=["a"]),
    "model: fuse_unk 1 vs true or false": lambda r: r["model"].update(fuse_unk=1),
    "model: [] vs an object": lambda r: r.update(model=[]),
    "tokenizer: no field 'model'": lambda r: r.clear(),
    "added_tokens: no field 'content'": lambda r: r.update(added_tokens=[{"id": "x"}]),
    "added token 'x': no field 'id'": lambda r: r.update(added_tokens=[{"content": "x"}]),
    "token 'x': id 4294967296 is not a token id": lambda r: r.update(added_tokens=[{"content": "x", "id": 2**32}]),
    "added_tokens 7 vs a list": lambda r: r.update(added_tokens=7),
    'pre_tokenizer: "x" vs an object': lambda r: r.update(pre_tokenizer="x"),
    "decoder: type 3 vs a string": lambda r: r.update(decoder={"type": 3}),
    "TemplateProcessing: no field 'SpecialToken'": lambda r: r.update(post_processor={"type": "TemplateProcessing", "single": [{}]}),
    "token 'a': id 4294967296": lambda r: r.update(
        post_processor={
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "a"}}, {"Sequence": {"id": "A"}}],
            "special_tokens": {"a": {"ids": [2**32]}},
        }
    ),
    "pattern of a Split: no field 'String'": lambda r: r.update(pre_tokenizer={"type": "Split", "pattern": {}}),
}


@pytest.mark.parametrize("message", REFUSALS)
def test_refusals(tmp_path, message):
    assert message in refusal(tmp_path, REFUSALS[message])


def test_damaged_files(tmp_path):
    for name, content in (("empty", b""), ("cut", b'{"model": {"vocab'), ("binary", bytes(range(256)))):
        (tmp_path / name).write_bytes(content)
        done = subprocess.run([TOKENIZE, tmp_path / name], input=b"", capture_output=True)
        assert done.returncode == 1 and b": not valid JSON at line 1, column " in done.stderr
    (tmp_path / "comma").write_text('{\n  "model": {},\n}')
    (tmp_path / "list").write_text("[]")
    os.mkfifo(tmp_path / "pipe")
    refused = [
        ("comma", "not valid JSON at line 3, column 1"),
        ("list", "tokenizer: [] vs an object"),
        (".", "not a regular file"),
        ("pipe", "not a regular file"),
    ]
    for name, message in refused:
        done = subprocess.run([TOKENIZE, tmp_path / name], input=b"", capture_output=True, timeout=20)
        assert done.returncode == 1 and done.stderr.decode() == f"error: {tmp_path / name}: {message}\n"
    done = subprocess.run([TOKENIZE, tmp_path / "absent"], input=b"", capture_output=True)
    assert done.returncode == 1 and b"cannot be opened" in done.stderr
