"""Tags that runs, data, models and incidents are given from what is known of them. Pure.

Each tag belongs to a group, says what gave reason for it, and who or what gave it. Of *category*, *task* and
*framework* a thing has one at most; of *modality*, *sensitivity* and *technique* it may have several.
"""

# ruff: noqa: E501 - a pattern in one line is easier to read than in three

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from app.learnings import failures
from app.learnings.categories import CATEGORIES, category
from graph_schema.kinds import NodeKind
from graph_schema.values import Node

#: Kinds that are tagged.
KINDS = (
    NodeKind.RUN,
    NodeKind.JOB_RUN,
    NodeKind.INCIDENT,
    NodeKind.DATASET,
    NodeKind.DATASET_VERSION,
    NodeKind.MODEL,
    NodeKind.MODEL_VERSION,
)
_MODELLING = frozenset((NodeKind.RUN, NodeKind.MODEL, NodeKind.MODEL_VERSION))
_DATA = frozenset((NodeKind.DATASET, NodeKind.DATASET_VERSION))
_MOST = 20_000
_LONGEST = 120


class Given(msgspec.Struct, frozen=True, order=True):
    """A tag, its group, why, and what gave it: ``rules`` or ``prototypes``."""

    tag: str
    group: str
    evidence: str
    by: str = "rules"


class Rule(msgspec.Struct, frozen=True):
    """Words that speak for a tag. Of several tags of a group that allows one, the first rule wins."""

    tag: str
    group: str
    pattern: re.Pattern[str]


def _rules(group: str, flags: int = re.IGNORECASE, **patterns: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(tag.replace("_", "-"), group, re.compile(pattern, flags)) for tag, pattern in patterns.items()
    )


# Names run together by underscores and dots are words here: ``val_f1``, ``sklearn.linear_model``.
_B, _E = r"(?<![A-Za-z0-9])(?:", r")(?![A-Za-z0-9])"

FRAMEWORKS = _rules(
    "framework",
    lightgbm=_B + "lightgbm|lgbm?" + _E,
    xgboost=_B + "xgboost|xgb(?:classifier|regressor)?" + _E,
    catboost=_B + "catboost" + _E,
    transformers=_B + "transformers|huggingface|hf_hub" + _E,
    pytorch=_B + "pytorch|torch|lightning|torchvision" + _E,
    keras=_B + "keras" + _E,
    tensorflow=_B + "tensorflow|tf2?" + _E,
    jax=_B + "jax|flax|optax" + _E,
    mxnet=_B + "mxnet|gluon" + _E,
    paddle=_B + "paddle(?:paddle)?" + _E,
    spacy=_B + "spacy" + _E,
    spark_ml=_B + "pyspark|spark_ml|sparkml" + _E,
    scikit_learn=_B + "sklearn|scikit-learn" + _E,
)
TASKS = _rules(
    "task",
    object_detection=_B + "map_?50(?:_95)?|object_detection|yolo\\w*|retinanet|maskrcnn" + _E,
    segmentation=_B + "segmentation|dice|mean_iou|miou|unet\\w*" + _E,
    speech_recognition=_B + "wer|cer|speech_recognition|rnnt|asr" + _E,
    translation=_B + "bleu|sacrebleu|chrf|translation" + _E,
    summarisation=_B + "rouge\\w*|summari[sz]ation" + _E,
    language_modelling=_B + "perplexity|ppl|masked_lm|mlm_loss|language_model(?:l?ing)?|bert|gpt2?|llama\\w*" + _E,
    recommendation=_B + "ndcg(?:_?\\d+)?|recall_at_\\d+|hit_rate|recommend(?:er|ation)s?|dlrm" + _E,
    forecasting=_B + "forecast\\w*|smape|mase|horizon" + _E,
    reinforcement_learning=_B + "episode_reward|mean_reward|reinforcement_learning|selfplay\\w*|minigo" + _E,
    anomaly_detection=_B + "anomaly\\w*|outlier_score" + _E,
    clustering=_B + "silhouette|n_clusters|kmeans|clustering" + _E,
    regression=_B + "rmse|mse|mae|r2|r2_score|mean_(?:squared|absolute)_error|regress(?:ion|or)" + _E,
    classification=_B
    + "accuracy|acc|auc|roc_auc|f1|f1_score|log_?loss|precision|recall|cross_entropy|top_?5|classif(?:ier|ication)|churn"
    + _E,
)  # fmt: skip
MODALITIES = _rules(
    "modality",
    image=r"(?<![A-Za-z0-9])images?(?![A-Za-z0-9])|\.(?:jpe?g|png|tiff?|webp)\b|imagenet|cifar\w*|coco",
    audio=r"(?<![A-Za-z0-9])(?:audio|speech)(?![A-Za-z0-9])|\.(?:wav|mp3|flac)\b|librispeech",
    video=r"(?<![A-Za-z0-9])videos?(?![A-Za-z0-9])|\.(?:mp4|avi|mkv)\b",
    text=r"(?<![A-Za-z0-9])(?:corpus|tokeni[sz]er|tokens|documents|reviews|wikipedia)(?![A-Za-z0-9])|\.(?:txt|jsonl)\b",
    time_series=r"(?<![A-Za-z0-9])time[_ -]?series(?![A-Za-z0-9])",
    tabular=r"\.(?:csv|tsv|parquet|feather|avro|orc)\b|(?<![A-Za-z0-9])(?:columns|tabular|dataframe)(?![A-Za-z0-9])",
)
SENSITIVITIES = _rules(
    "sensitivity",
    personal_data=_B
    + "e-?mail(?:_address)?|ssn|social_security(?:_number)?|phone(?:_number)?|date_of_birth|dob|birth_?date"
    + "|passport(?:_number)?|first_name|last_name|full_name|surname|home_address|street_address|national_id|ip_address"
    + _E,
    health_data=_B + "patients?|diagnos[ie]s|icd_?10|medication|blood_pressure|medical_record" + _E,
    payment_data=_B + "credit_card(?:_number)?|card_number|iban|cvv|account_number|pan_number" + _E,
    special_category=_B + "ethnicity|race|religion|sexual_orientation|political_(?:opinion|view)s?|trade_union" + _E,
)  # fmt: skip
#: MITRE ATLAS techniques that a failure's or a check's words name. See https://atlas.mitre.org/techniques
TECHNIQUES: Mapping[str, tuple[str, re.Pattern[str]]] = {
    id: (name, re.compile(pattern, re.IGNORECASE))
    for id, name, pattern in (
        ("AML.T0010", "AI Supply Chain Compromise", r"\b(?:malicious|compromised|typosquat\w*) (?:package|dependency|model|weights|image)\b|\bsupply[ -]chain (?:attack|compromise)"),
        ("AML.T0015", "Evade AI Model", r"\badversarial (?:example|input|attack|patch|perturbation)s?\b|\bevasion attack\b"),
        ("AML.T0018", "Manipulate AI Model", r"\bback-?door(?:ed)? (?:model|weights|network)\b|\btrojan(?:ed)? model\b|\bmalicious pickle\b"),
        ("AML.T0020", "Poison Training Data", r"\b(?:data|label|training[ -]set) poisoning\b|\bpoisoned (?:data|samples?|labels?|training data)\b"),
        ("AML.T0024", "Exfiltration via AI Inference API", r"\bmodel (?:extraction|stealing|inversion)\b|\bmembership inference\b"),
        ("AML.T0029", "Denial of AI Service", r"\bdenial[ -]of[ -]service\b|\bsponge (?:example|attack)s?\b|\bDDoS\b"),
        ("AML.T0034", "Cost Harvesting", r"\bcost harvesting\b|\bdenial[ -]of[ -]wallet\b"),
        ("AML.T0051", "LLM Prompt Injection", r"\bprompt[ -]injection\b|\bignore (?:all )?previous instructions\b"),
        ("AML.T0054", "LLM Jailbreak", r"\bjail-?break(?:s|ing)?\b.{0,40}\b(?:llm|model|prompt|chat)|\b(?:llm|model|prompt|chat)\w*\b.{0,40}\bjail-?break"),
        ("AML.T0057", "LLM Data Leakage", r"\b(?:training data|system prompt|memori[sz]ed) (?:leak(?:age|ed)?|extract(?:ion|ed))\b|\bleak(?:s|ed)? (?:its |the )?(?:system prompt|training data)\b"),
    )
}  # fmt: skip

#: Tags of each group: a person's tag of a group stands for the whole of it.
GROUPS: Mapping[str, frozenset[str]] = {
    "category": frozenset(CATEGORIES),
    **{
        rules[0].group: frozenset(rule.tag for rule in rules)
        for rules in (FRAMEWORKS, TASKS, MODALITIES, SENSITIVITIES)
    },
    "technique": frozenset(TECHNIQUES),
}


def group_of(tag: str) -> str | None:
    """The group that a tag belongs to; None for people's own."""
    return next((group for group, tags in GROUPS.items() if tag in tags), None)


def given(node: Node, checks: Sequence[Node] = (), data: Sequence[Node] = ()) -> list[Given]:
    """The tags of a node. ``checks``: those that failed on it; ``data``: the data that it read."""
    if node.kind not in KINDS or node.stub:
        return []
    found: list[Given] = []
    if failures.is_failure(node, checks):
        found += _of_failure(node, checks)
    about = _about(node)
    if node.kind in _MODELLING:
        found += _one(FRAMEWORKS, about)
        found += _one(TASKS, about)
    if node.kind in _MODELLING | _DATA:
        read = [*about, *((f"its data, {where}", text) for each in data for where, text in _about(each))]
        found += _several(MODALITIES, read)
        found += _several(SENSITIVITIES, read)
    return sorted(found)


def _of_failure(node: Node, checks: Sequence[Node]) -> Iterator[Given]:
    title, body = failures.title(node, checks), failures.body(node, checks)
    text = f"{title}\n{body}"[:_MOST]
    found = category(title, body)
    if found is not None:
        yield Given(found.name, "category", f"it says {_quoted(found.evidence)}")
    for id, (name, pattern) in TECHNIQUES.items():
        if match := pattern.search(text):
            yield Given(id, "technique", f"{name}: it says {_quoted(match.group(0))}")


def _about(node: Node) -> list[tuple[str, str]]:
    """What may be told of a node's nature: where it stands, and the words there."""
    said = node.properties
    parts = [("the name", node.name)]
    for key in ("path", "command", "script", "format", "description"):
        if isinstance(said.get(key), str):
            parts.append((key, said[key]))
    for key in ("params", "metrics", "tags", "flavors", "fields", "columns", "schema", "packages"):
        value = said.get(key)
        if value:
            parts.append((key, _words(value)[:_MOST]))
    for key in ("error", "errorTrace"):
        if isinstance(said.get(key), str):
            parts.append(("the traceback", " ".join(re.findall(r"site-packages/[\w/]+", said[key]))))
    return parts


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(_words, value))
    return str(value)


def _one(rules: Sequence[Rule], about: Sequence[tuple[str, str]]) -> list[Given]:
    return _several(rules, about)[:1]


def _several(rules: Sequence[Rule], about: Sequence[tuple[str, str]]) -> list[Given]:
    found = []
    for rule in rules:
        for where, text in about:
            if match := rule.pattern.search(text):
                found.append(Given(rule.tag, rule.group, f"{where}: {_quoted(match.group(0))}"))
                break
    return found


def _quoted(words: str) -> str:
    clean = " ".join(words.split())
    return f"“{clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + '…'}”"
