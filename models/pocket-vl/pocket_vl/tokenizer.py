"""The tokenizer and the texts of a checkpoint. The published one stays as it is; this is how it was made."""

import json, os, random

from .questions import questions
from .render import face
from .render.scene import scene
from .batches import SYSTEM
from .text import anything


VISION = dict(
    depth=6,
    hidden_size=256,
    intermediate_size=768,
    num_heads=4,
    patch_size=16,
    temporal_patch_size=2,
    spatial_merge_size=2,
    in_channels=3,
    out_hidden_size=256,
    num_position_embeddings=2304,
    deepstack_visual_indexes=[1, 3],
    hidden_act="gelu_pytorch_tanh",
    initializer_range=0.02,
    model_type="qwen3_vl",
)
TEXT = dict(
    vocab_size=4096,
    hidden_size=256,
    intermediate_size=768,
    num_hidden_layers=6,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=64,
    hidden_act="silu",
    max_position_embeddings=8192,
    initializer_range=0.02,
    rms_norm_eps=1e-6,
    use_cache=True,
    attention_bias=False,
    attention_dropout=0.0,
    rope_theta=10000,
    rope_scaling=dict(rope_type="default", mrope_interleaved=True, mrope_section=[12, 10, 10]),
    tie_word_embeddings=True,
    dtype="bfloat16",
    model_type="qwen3_vl_text",
)


SPECIALS = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> <|quad_start|> <|quad_end|> "
    "<|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>"
).split()
ADDED = "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|> <tool_response> </tool_response> <think> </think>".split()
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CHAT = """{%- set image_count = namespace(value=0) %}{%- set video_count = namespace(value=0) %}
{%- macro render(content) %}{%- if content is string %}{{- content }}{%- else %}{%- for item in content %}
{%- if item.type == 'image' or 'image' in item or 'image_url' in item %}{%- set image_count.value = image_count.value + 1 %}
{%- if add_vision_id %}{{- 'Picture ' ~ image_count.value ~ ': ' }}{%- endif %}{{- '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- elif item.type == 'video' or 'video' in item %}{%- set video_count.value = video_count.value + 1 %}
{%- if add_vision_id %}{{- 'Video ' ~ video_count.value ~ ': ' }}{%- endif %}{{- '<|vision_start|><|video_pad|><|vision_end|>' }}
{%- elif 'text' in item %}{{- item.text }}{%- endif %}{%- endfor %}{%- endif %}{%- endmacro %}
{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}{{- render(message.content) }}{{- '<|im_end|>\\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""


def make_tokenizer(assets, out):
    """Byte-level BPE over what screens say and what is said about them; then the files of a Qwen3-VL checkpoint."""
    from tokenizers import Tokenizer, Regex, AddedToken, normalizers, pre_tokenizers, decoders, processors
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    face.load_assets(assets)
    r = random.Random(0)
    A = face.assets()
    text = ["user\nassistant\nsystem\n<0.2 seconds>" for _ in range(2000)] + SYSTEM * 50
    for _ in range(6000):
        _, T, _ = scene(r, 640, 360)
        qa = questions(r, T, [])
        text += [q for q, _ in qa] + [a for _, a in qa]
    text += [anything(r) for _ in range(60000)] + r.sample(A.prose, 12000) + r.sample(A.code, 6000) + r.sample(A.words, 12000)
    t = Tokenizer(BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(
        text,
        BpeTrainer(
            vocab_size=TEXT["vocab_size"] - len(SPECIALS) - len(ADDED),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    t.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in SPECIALS])
    t.add_tokens([AddedToken(s, normalized=False, special=False) for s in ADDED])
    os.makedirs(out, exist_ok=True)
    t.save(os.path.join(out, "tokenizer.json"))
    tid = t.token_to_id
    text_config = dict(TEXT, vocab_size=t.get_vocab_size(), bos_token_id=tid("<|endoftext|>"), eos_token_id=tid("<|im_end|>"))
    config = dict(
        architectures=["Qwen3VLForConditionalGeneration"],
        model_type="qwen3_vl",
        image_token_id=tid("<|image_pad|>"),
        video_token_id=tid("<|video_pad|>"),
        vision_start_token_id=tid("<|vision_start|>"),
        vision_end_token_id=tid("<|vision_end|>"),
        tie_word_embeddings=True,
        text_config=text_config,
        vision_config=VISION,
        transformers_version="4.57.0",
    )
    pre = dict(
        patch_size=16,
        temporal_patch_size=2,
        merge_size=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        processor_class="Qwen3VLProcessor",
    )
    files = {
        "config.json": config,
        "generation_config.json": dict(
            bos_token_id=tid("<|endoftext|>"),
            pad_token_id=tid("<|endoftext|>"),
            eos_token_id=[tid("<|im_end|>"), tid("<|endoftext|>")],
            do_sample=False,
            max_new_tokens=256,
            repetition_penalty=1.0,
        ),
        "preprocessor_config.json": dict(
            pre, size=dict(longest_edge=1048576, shortest_edge=4096), image_processor_type="Qwen2VLImageProcessorFast"
        ),
        "video_preprocessor_config.json": dict(
            pre, size=dict(longest_edge=2097152, shortest_edge=4096), video_processor_type="Qwen3VLVideoProcessor"
        ),
        "tokenizer_config.json": dict(
            tokenizer_class="Qwen2Tokenizer",
            bos_token=None,
            eos_token="<|im_end|>",
            pad_token="<|endoftext|>",
            unk_token=None,
            errors="replace",
            model_max_length=8192,
            add_bos_token=False,
            add_prefix_space=False,
            clean_up_tokenization_spaces=False,
            split_special_tokens=False,
            chat_template=CHAT,
            additional_special_tokens=SPECIALS[1:],
            added_tokens_decoder={
                str(tid(s)): dict(
                    content=s, lstrip=False, normalized=False, rstrip=False, single_word=False, special=s in SPECIALS
                )
                for s in SPECIALS + ADDED
            },
        ),
    }
    for name, value in files.items():
        json.dump(value, open(os.path.join(out, name), "w"), indent=1)
    open(os.path.join(out, "chat_template.jinja"), "w").write(CHAT)
    some = [anything(r) for _ in range(3000)]
    print(
        "vocabulary",
        t.get_vocab_size(),
        "characters a token",
        round(sum(map(len, some)) / sum(len(e.ids) for e in t.encode_batch(some)), 2),
    )
