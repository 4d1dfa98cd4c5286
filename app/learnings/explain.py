"""Why a failure is shown as alike: what both share, what differs, and whether that is enough. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from app.learnings.entries import Entry
from app.learnings.failures import ALERT, LABELS
from app.learnings.ranking import Contribution, Item
from app.learnings.signature import Signature, template, terms
from app.learnings.surroundings import SORTS
from app.lineage.differences import CODE, DATA, PARAMETER, RUNTIME, Difference
from graph_schema.kinds import NodeKind
from graph_schema.wording import counted

Rarity = Callable[[str], float]

#: What is said of failures that have nothing else in common.
_GENERIC = re.compile(
    r"out of memory|\bkilled\b|exit (?:code|status)|sigkill|sigterm|tim(?:ed?|ing)[ -]?out|deadline exceeded"
    r"|connection (?:refused|reset|aborted)|segmentation fault|core dumped|no space left|broken pipe"
    r"|^(?:\w+(?:error|exception)):? *$|ended (?:by|with)|non-zero exit|unknown error"
    r"|internal (?:server )?error|something went wrong|operation (?:failed|aborted)|(?:task|job) failed"
    r"|^failed$",
    re.IGNORECASE,
)
#: Words of such messages, as the lexical index has them: agreeing in them alone is no likeness.
_GENERIC_WORDS = frozenset(
    terms(
        "CUDA out of memory, tried to allocate MiB GiB of total capacity; GPU already allocated, reserved"
        " free torch.cuda.OutOfMemoryError RuntimeError RuntimeException Killed killing SIGKILL SIGTERM"
        " exit code exit status ended by process job task run failed failure timeout timed out time"
        " deadline exceeded connection refused reset aborted segmentation fault core dumped no space left"
        " on device broken pipe unknown internal server error exception Traceback most recent call last"
        " file line module main train py fail fails"
    )
)
#: Sharing one of these says more than that both ran in the same house.
_TELLING = frozenset({
    NodeKind.DATASET, NodeKind.DATASET_VERSION, NodeKind.MODEL, NodeKind.MODEL_VERSION, NodeKind.ARTIFACT,
    NodeKind.JOB, NodeKind.DEPLOYMENT, NodeKind.CHECK, NodeKind.RUN, NodeKind.JOB_RUN,
})  # fmt: skip
#: That both are of one project is said by the match itself.
_EVERYWHERE = frozenset({NodeKind.REPOSITORY, NodeKind.EXPERIMENT, NodeKind.ENVIRONMENT})
#: Frames of an interpreter's or a framework's own entry points are passed by everything.
_ENTRANCES = re.compile(r"(?:^|:)(?:<module>|main|run|__call__|_call_impl|forward|wrapper|inner)$")
#: Signals that rest on words in common.
WORDS = ("text", "title", "title_in_text", "text_in_title")
#: Signals that are told in a sentence: kind, sentence, the signals.
_SAID = (
    ("meaning", "close in meaning", ("meaning", "title_meaning")),
    ("project", "same project", ("project",)),
    ("recency", "not long ago", ("recency",)),
)
_FIRST = {"labels": 0, "alert": 0, "signature": 0, "raised": 1, "frame": 2}
_LAST = frozenset({"recency", "project"})
_FEW_WORDS = 2
_MESSAGE_WORDS = 4
_MOST_SHARED = 8
_MOST_DIFFERENT = 10
_RARE = 0.25


class Shared(msgspec.Struct, frozen=True):
    """Something that both have: sort, sentence, share of the score (0 to 1), and the handle of the node that
    it is about. ``telling``: whether it alone makes two failures alike."""

    kind: str
    text: str
    weight: float
    node: int | None = None
    telling: bool = False


def item_text(item: Item) -> str:
    """All that an item says."""
    return f"{item.title}\n{item.body}"


def shared(
    query: Item,
    match: Entry,
    contributions: Sequence[Contribution],
    signatures: tuple[Signature, Signature],
    rarity: Rarity,
    holding: Callable[[str], int],
) -> list[Shared]:
    """What both share, the most telling first; weights are shares of the score's positive part.
    ``signatures``: of the query's text and the match's."""
    positive = {c.signal: c for c in contributions if c.value > 0}
    whole = sum(c.value for c in positive.values()) or 1.0
    share = {name: c.value / whole for name, c in positive.items()}
    found = [
        *_sharing(_signatures(query.title, match.item.title, *signatures), share.get("signature", 0.0)),
        *_sharing(
            [
                *_alert(query, match),
                *_places(query, match, rarity),
                *_parameters(query, match, rarity, holding),
            ],
            share.get("graph", 0.0),
        ),
        *_component(query, match, share.get("component", 0.0)),
        *_fix(match, positive, share),
        *_words(positive, share),
        *(
            Shared(name, said, sum(share.get(each, 0.0) for each in signals))
            for name, said, signals in _SAID
            if any(each in share for each in signals)
        ),
    ]
    found.sort(key=lambda e: (-e.telling, _FIRST.get(e.kind, len(_FIRST)), e.kind in _LAST, -e.weight))
    return _once(found)[:_MOST_SHARED]


def _once(found: Iterable[Shared]) -> list[Shared]:
    """Each sentence once: two tools may each know a job of one name."""
    said: dict[str, Shared] = {}
    for each in found:
        before = said.get(each.text)
        weight = each.weight + (before.weight if before else 0.0)
        said[each.text] = msgspec.structs.replace(before or each, weight=weight)
    return list(said.values())


def _sharing(found: Iterable[Shared], weight: float) -> list[Shared]:
    """What one signal rests on carries its share, in equal parts."""
    listed = list(found)
    return [msgspec.structs.replace(each, weight=weight / len(listed)) for each in listed]


def _words(positive: Mapping[str, Contribution], share: Mapping[str, float]) -> Iterable[Shared]:
    there = [positive[name] for name in WORDS if name in positive]
    words = list(dict.fromkeys(word for each in there for word in each.shared))
    if words:
        text = f"words in common: {', '.join(words[:6])}"[:160]
        yield Shared("text", text, sum(share[each.signal] for each in there))


def _alert(query: Item, match: Entry) -> Iterable[Shared]:
    """That both are the same alert. Its words may be few, and its values differ each time."""
    both = set(query.entities).intersection(match.item.entities)
    names = sorted(each.removeprefix(ALERT) for each in both if each.startswith(ALERT))
    labels = any(each.startswith(LABELS) for each in both)
    if names:
        text = f"the same alert: {names[0]}"[:160]
        yield Shared("labels" if labels else "alert", text + ", of the same labels" * labels, 0.0, None, True)


def _fix(match: Entry, positive: Mapping[str, Contribution], share: Mapping[str, float]) -> Iterable[Shared]:
    named = set(positive["fix"].shared) if "fix" in positive else set()
    if named and match.fixes.said:
        best = max(match.fixes.said, key=lambda fix: len(named.intersection(terms(fix.text))))
        words = ", ".join(positive["fix"].shared[:6])
        yield Shared("fix", f"names what its fix concerned: {words}"[:160], share["fix"], best.node)


def _component(query: Item, match: Entry, weight: float) -> Iterable[Shared]:
    theirs = match.item
    if query.component and query.component == theirs.component and query.project == theirs.project:
        yield Shared("component", f"same {query.component.replace(':', ' ', 1)}", weight, telling=True)


def _signatures(our_title: str, their_title: str, ours: Signature, theirs: Signature) -> Iterable[Shared]:
    templates = [t for t in ours.templates if t in set(theirs.templates)]
    generic = _GENERIC.search(our_title) is not None
    if _same(our_title, their_title) and not generic:
        templates = [our_title, *(t for t in templates if t != template(our_title))]
    if generic and template(our_title) == template(their_title):
        yield Shared("words", f"the same words: {our_title[:160]}", 0.0)
    frames = [f for f in ours.frames if f in set(theirs.frames)]
    own = [f for f in frames if not _ENTRANCES.search(f)]
    messages = [t for t in templates if t == our_title or _says_something(t)][:2]
    for said in messages:
        yield Shared("signature", f"same message: {said[:160]}", 0.0, telling=True)
    if own:
        yield Shared("frame", f"both pass {', '.join(own[-2:])}", 0.0, telling=True)
    raised = [each for each in ours.raised if each in set(theirs.raised)]
    exceptions = [each for each in ours.exceptions if each in set(theirs.exceptions)]
    if raised and our_title not in messages:
        yield Shared("raised", f"both raise {raised[0]}", 0.0, telling=True)
    elif exceptions and not raised:
        yield Shared("exception", f"both raise {exceptions[0]}", 0.0)
    versions = [v for v in ours.versions if v in set(theirs.versions)]
    if versions:
        yield Shared("version", f"both name {', '.join(versions[:3])}", 0.0)


def _same(ours: str, theirs: str) -> bool:
    """Whether two titles say the same, or one the whole of the other and something before or behind it."""
    if ours == theirs:
        return True
    short, long = sorted((template(ours), template(theirs)), key=len)
    return short in long and _says_something(short)


def _says_something(masked: str) -> bool:
    """Whether a message still tells one failure from another once names and numbers are masked:
    ``keyerror: <str>`` does not."""
    words = re.sub(r"<\w+>|\w+(?:error|exception)\b", " ", masked)
    return not _GENERIC.search(masked) and len(re.findall(r"[a-z]{2,}", words)) >= _MESSAGE_WORDS


def _places(query: Item, match: Entry, rarity: Rarity) -> Iterable[Shared]:
    ours = set(query.entities)
    both = [near for near in match.around.near if near.entity in ours and near.kind not in _EVERYWHERE]
    found = [(rarity(near.entity), near) for near in both]
    found.sort(key=lambda pair: (pair[1].hops, -pair[0], pair[1].id))
    names = {near.handle: near.name for near in match.around.near}
    for rare, near in found[:5]:
        sort = SORTS[near.kind]
        if near.hops == 1:
            text = f"same {sort} {near.name}"
        else:
            text = f"same {sort} {near.name}, behind {names.get(near.by, 'it')}"
        yield Shared("lineage" if near.hops > 1 else sort, text, 0.0, near.handle, _tells(near.kind, rare))


def _tells(kind: NodeKind, rarity: float) -> bool:
    return kind in _TELLING and rarity > 0


def _parameters(query: Item, match: Entry, rarity: Rarity, holding: Callable[[str], int]) -> Iterable[Shared]:
    ours = set(query.entities)
    for key, value in match.parameters.items():
        entity = f"parameter:{key}={value}"
        if entity in ours and rarity(entity) >= _RARE:
            others = max(0, holding(entity) - 1)
            told = f"both with {key}={value}" + (f", as {counted(others, 'other')}" if others else "")
            yield Shared("parameter", told[:160], 0.0)


def convincing(evidence: Sequence[Shared], contributions: Sequence[Contribution]) -> bool:
    """Whether two failures share more than what thousands say: a message, a frame, a place in the graph of
    their own, or words beyond "CUDA out of memory" and "Killed"."""
    if any(each.telling for each in evidence):
        return True
    said = (c for c in contributions if c.signal in (*WORDS, "fix") and c.value > 0)
    words = {word for c in said for word in c.shared}
    own = {word for word in words if word not in _GENERIC_WORDS and not _generic(word)}
    return len(own) >= _FEW_WORDS


def likeness(evidence: Sequence[Shared]) -> float:
    """The least probability that two failures are alike which share this, whatever else they say: few are
    those that raise the same in the same place with the same words for different reasons."""
    kinds = {each.kind for each in evidence if each.telling or each.kind in ("exception", "words")}
    if "labels" in kinds or {"alert", "component"} <= kinds:
        return 0.6
    raise_alike = not kinds.isdisjoint(("exception", "raised"))
    say_alike = raise_alike or "words" in kinds
    if "signature" in kinds:
        return 0.85 if "frame" in kinds else 0.6
    if "frame" in kinds and raise_alike:
        return 0.5
    # The same exception or words on the same data, pipeline or model, even if thousands say so elsewhere, or
    # the same exception of the same column; the same alert of something else.
    return 0.35 if "alert" in kinds or (say_alike and any(each.telling for each in evidence)) else 0.0


def _generic(word: str) -> bool:
    parts = re.split(r"[\W_]+", word)
    return word.replace(".", "").isdigit() or all(part in _GENERIC_WORDS for part in parts if part)


def differs(query: Entry, match: Entry, rarity: Rarity) -> list[Difference]:
    """What is different: parameters, versions of data, packages, commit; what matters comes first.
    ``left`` is of the failure asked about."""
    found = [
        *_between("params", query.parameters, match.parameters, PARAMETER, rarity),
        *_of_data(query, match),
        *_of_packages(query, match),
    ]
    ours, theirs = (entry.around.first(NodeKind.COMMIT) for entry in (query, match))
    if ours is not None and theirs is not None and ours.id != theirs.id and ours.hops == theirs.hops == 1:
        found.append(Difference("code", ours.id, theirs.id, CODE * 0.3))
    return sorted(found, key=lambda each: (-each.weight, each.path))[:_MOST_DIFFERENT]


def _between(
    group: str, ours: Mapping[str, str], theirs: Mapping[str, str], weight: float, rarity: Rarity
) -> Iterable[Difference]:
    if not ours or not theirs:
        return
    for key in sorted(ours.keys() | theirs.keys()):
        a, b = ours.get(key), theirs.get(key)
        if a == b:
            continue
        # A value that few have explains more than one that changes with every run.
        rare = [rarity(f"parameter:{key}={value}") for value in (a, b) if value is not None]
        common = 1.0 - min(rare)
        both = 1.0 if a is not None and b is not None else 0.6
        yield Difference(f"{group}.{key}", a, b, weight * both * (0.4 + 0.6 * common))


def _of_data(query: Entry, match: Entry) -> Iterable[Difference]:
    names = {near.id: near.name for near in (*query.around.near, *match.around.near)}
    for data_set in sorted(query.around.data.keys() & match.around.data.keys()):
        a, b = query.around.data[data_set], match.around.data[data_set]
        if a != b:
            yield Difference(f"data.{names.get(data_set, data_set)}", a, b, DATA * 0.8)


def _of_packages(query: Entry, match: Entry) -> Iterable[Difference]:
    told = item_text(query.item).casefold()
    for name in sorted(query.packages.keys() & match.packages.keys()):
        a, b = query.packages[name], match.packages[name]
        if a != b:
            # A package that the error itself names is suspect.
            named = name.casefold().replace("-", "_") in told or name.casefold() in told
            yield Difference(f"packages.{name}", a, b, RUNTIME * (1.0 if named else 0.5))
