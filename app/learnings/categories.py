"""Which sort of failure a text tells of: rules over its title and body. Pure.

Each rule is a phrase that people and tools write of one sort of failure only, and a weight. What is said in
the title counts three times, and an error's own line twice: reports quote whole logs, and a log mentions much.
A category is given where its phrases come to enough, and to clearly more than those of any other; else none
is. A text that asks for something, or is about documentation, tells of no failure.
"""

# ruff: noqa: E501 - a pattern in one line is easier to read than in three

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

#: What a category needs, and how many times as much as the next. A title alone is enough.
ENOUGH, CLEARLY = 3.0, 1.3
_TITLE, _ERROR, _BODY = 3.0, 2.0, 1.0
#: Characters of a body that are read: its beginning and its end, where an error stands mostly.
_HEAD, _TAIL = 6_000, 6_000


class Phrase(msgspec.Struct, frozen=True):
    """A phrase that speaks for a category."""

    category: str
    pattern: re.Pattern[str]
    weight: float


class Category(msgspec.Struct, frozen=True):
    """A category that a text is given, what it came to, and the words that say so."""

    name: str
    score: float
    evidence: str


def _phrases(category: str, *phrases: tuple[float, str]) -> Iterator[Phrase]:
    for weight, pattern in phrases:
        yield Phrase(category, re.compile(pattern, re.IGNORECASE), weight)


PHRASES: tuple[Phrase, ...] = (
    *_phrases(
        "out-of-memory",
        (3.0, r"\bout[ -]of[ -]memory\b|\bOutOfMemory(?:Error)?\b|\bOOM(?:[ -]?killed)?\b"),
        (3.0, r"\bCUDA_ERROR_OUT_OF_MEMORY\b|\bstd::bad_alloc\b|\bMemoryError\b|\bbad_alloc\b"),
        (3.0, r"\bcannot allocate memory\b|\bfailed to alloc(?:ate)?\b.{0,40}\bmemory\b"),
        (2.0, r"\bOOM when allocating\b|\bJava heap space\b|\bran? out of (?:GPU )?memory\b"),
        (1.5, r"\bmemory leaks?\b|\bleak(?:s|ing) memory\b"),
    ),
    *_phrases(
        "non-finite-loss",
        (3.0, r"\b(?:loss|cost|gradients?|weights?)\b.{0,30}\b(?:is|are|becomes?|became|turns?|goes|=|:)?\s*`?nan\b"),
        (3.0, r"\bnan\b`?.{0,12}\bloss(?:es)?\b|\bloss is not finite\b|\binvalid loss\b"),
        (2.5, r"\bnon-?finite (?:loss|gradients?|values?)\b|\bloss (?:diverge[sd]|explode[sd])\b"),
        (2.0, r"\bcause[sd]? nan\b|\bexploding gradients?\b|\bgradients? (?:explode|overflow)\b"),
        (2.0, r"\bgives? nan\b|\bproduc(?:es?|ing) nans?\b|\breturns? nan\b|\bnans? (?:loss|values?|gradients?)\b"),
    ),
    *_phrases(
        "shape-or-dtype-mismatch",
        (3.0, r"\bincompatible shapes?\b|\bshapes?\b.{0,40}\b(?:mismatch|do(?:es)?(?: not|n't) match|not aligned|incompatible)"),
        (3.0, r"\b(?:size|dimensions?|length|lengths|types?|dtypes?|data ?type)[ -]mis-?match(?:ed)?\b|\bmis-?match(?:ed)? (?:shapes?|sizes?|dimensions?|dtypes?|lengths?)"),
        (3.0, r"\b(?:tensors?|dimensions?|sizes?)\b.{0,30}\bmust match\b|\bmust match\b.{0,30}\b(?:dimension|size|shape)"),
        (3.0, r"\bexpected (?:scalar type|dtype|object of (?:scalar )?type|type)\b.{0,40}\b(?:but )?(?:got|found)"),
        (3.0, r"\bhas type \w+ that does not match\b|\bcan(?:'t|not) be cast to (?:the desired|dtype|type)\b|\bcannot (?:convert|cast)\b.{0,30}\bdtype"),
        (2.5, r"\bcannot (?:reshape|broadcast|feed value of shape)\b|\bnot broadcastable\b|\bcould not (?:be )?broadcast\b"),
        (2.5, r"\bshape inference\b.{0,20}\b(?:fail|error|wrong)|\binfer shape\b.{0,30}\b(?:fail|error)|\bwrong (?:output )?shape\b"),
        (2.5, r"\bshape\b.{0,30}\b(?:is|gets?|are|becomes?) (?:lost|none|wrong|incorrect|unknown)\b"),
        (2.5, r"\bnew and old shape do not match\b|\bnum_input_elements? != num_output_elements?\b"),
        (2.0, r"\breshape cannot infer\b|\bdata type not understood\b|\bincorrect (?:shape|dtype)\b"),
        (2.0, r"\bCheck failed:.{0,80}\b(?:shape|size|dims?|dtype|ndim|width|height)[^ ]*\b.{0,80}\(\S+ vs\.? \S+"),
    ),
    *_phrases(
        "missing-or-changed-column",
        (3.0, r"\b(?:column|columns|feature|features|field)\b.{0,40}\b(?:missing|not found|does(?: not|n't) exist|not in index|renamed|was changed|were changed)"),
        (3.0, r"\bmissing (?:required )?(?:column|columns|feature|features)\b|\bno such column\b|\bunknown column\b"),
        (3.0, r"\bcolumns? (?:mis-?match|differ|do not match)|\bfeature[_ ]names? (?:mis-?match|should match)"),
        (2.5, r"\bschema (?:mis-?match|changed|drift|violation)|\bKeyError:.{0,40}\bnot in index\b|\bnone of \[.{0,80}are in the \[columns\]"),
    ),
    *_phrases(
        "time-out",
        (3.0, r"\btimed[ -]?out\b|\bTimeout(?:Error|Exception|Expired)\b|\bDEADLINE_EXCEEDED\b|\bdeadline exceeded\b"),
        (3.0, r"\bdead-?lock(?:s|ed)?\b|\bhangs? (?:forever|indefinitely)\b"),
        (2.0, r"\bhangs?\b|\bhanging\b|\bhung\b|\bgets? stuck\b|\bstuck (?:at|in|on|for)\b"),
        (2.5, r"\binfinite loop\b|\bremains? waiting\b|\bwaits? (?:forever|indefinitely)\b|\bnever (?:ends|returns|finishes)\b"),
        (1.4, r"\bfreez(?:es|ing)\b"),
        (2.0, r"\btime ?limit (?:exceeded|reached)\b|\btime-?outs?\b"),
    ),
    *_phrases(
        "permission",
        (3.0, r"\bpermission(?:s)? (?:denied|error|issue|problem)|\bPermissionError\b|\bAccessDenied(?:Exception)?\b|\baccess (?:is )?denied\b"),
        (3.0, r"\bEACCES\b|\bnot authori[sz]ed\b|\bunauthori[sz]ed\b|\b(?:401|403)\b.{0,15}\b(?:unauthorized|forbidden)|\bAccessControlException\b"),
        (2.5, r"\b(?:invalid|expired|missing) (?:credentials?|token|api[ -]?key)\b|\bauthentication (?:failed|error|required)|\bread-only file ?system\b"),
    ),
    *_phrases(
        "dependency",
        (3.0, r"(?<!except )\bImportError\b|\bModuleNotFoundError\b|\bno module named\b|\bcannot import name\b|\bDLL load failed\b"),
        (3.0, r"\bcould not find a version\b|\bno matching distribution\b|\bversion conflict\b|\bResolutionImpossible\b|\bincompatible versions?\b"),
        (3.0, r"\b(?:fail(?:s|ed|ure|ing)?|unable|can(?:'t|not)|error|errors|problem|issue)s? (?:to |on |in |when |while |during |with )?(?:the )?(?:pip install|install(?:ing|ation)?|build(?:ing)?(?![-_ ](?:arg|doc|your|model|network|graph|vocab))|compil(?:e|ing|ation)(?! (?:model|the model|keras)))\b"),
        (3.0, r"\b(?:install(?:ation)?|builds?|compil(?:ing|ation)|linker)\b(?: \S+)? (?:(?:is|are|was) )?(?:fails?|failed|failure|failing|errors?|broken)\b"),
        (2.5, r"\bundefined (?:reference|symbol)s?\b|\bsymbol not found\b|\bcannot open shared object file\b|\bunresolved external\b|\blibrary not (?:found|loaded)\b"),
        (2.5, r"\bfatal error: .{0,60}no such file|\.h'? file not found\b|\bmissing (?:header|native header)|\bCMake Error\b|\bcould not find a package configuration\b"),
        (2.5, r"\b(?:compatib(?:le|ility)) (?:issue|problem|error)s?\b|\bhas no attribute\b.{0,40}\b(?:after|since) (?:upgrad|updat)|\b(?:not|in)compatible with (?:python|numpy|keras|tensorflow|torch|pandas|cuda|jdk)\b"),
        (1.4, r"\bmodule '[\w.]+' has no attribute\b"),
        (2.5, r"\b(?:upgrade|bump|downgrade|shaded?) (?:\w+ )?(?:\w+ )?(?:to|from|version)\b"),
    ),
    *_phrases(
        "quota",
        (3.0, r"\bquota (?:exceeded|reached|limit)|\bexceeded (?:your|the|its)?.{0,20}\bquota\b|\brate[ -]limit(?:ed| exceeded| reached)|\btoo many requests\b"),
        (3.0, r"\bno space left on device\b|\bdisk (?:is )?full\b|\bENOSPC\b|\btoo many open files\b|\bdisk quota\b"),
        (2.5, r"\bInsufficient ?(?:Capacity|Quota)|\bLimitExceeded(?:Exception)?\b|\binsufficient (?:resources|nvidia\.com/gpu|cpu)\b"),
    ),
    *_phrases(
        "missing-file",
        (3.0, r"\bFileNotFound(?:Error|Exception)?\b|\bno such file or directory\b|\b(?:file|checkpoint|path|directory) (?:was )?(?:not found|does(?: not|n't) exist)\b"),
        (3.0, r"\bNoSuchKey\b|\bNoSuchBucket\b|\bENOENT\b|\bcan(?:'t|not) (?:find|open) (?:the )?(?:file|checkpoint|directory)\b"),
    ),
    *_phrases(
        "network",
        (3.0, r"\bconnection (?:refused|reset|aborted|error)\b|\bConnectionError\b|\bECONN(?:REFUSED|RESET)\b|\bfailure in name resolution\b|\bUnknownHostException\b"),
        (2.5, r"\bnetwork (?:error|unreachable|is down)\b|\bSSL(?:Error)?.{0,20}\b(?:certificate|handshake)|\b(?:502|503|504)\b.{0,15}\b(?:bad gateway|service unavailable|gateway time)|\bfailed to (?:download|fetch)\b"),
    ),
    *_phrases(
        "device",
        (3.0, r"\bCUDA (?:error|driver|runtime)\b.{0,40}\b(?:insufficient|initiali[sz]|invalid|illegal|no kernel|unspecified|failed|device-side)"),
        (3.0, r"\bCUDA_ERROR_(?!OUT_OF_MEMORY)\w+|\bdevice-side assert\b|\billegal memory access\b|\bno CUDA-capable device\b|\bNCCL (?:error|failure)\b|\bcudnn_status_\w+"),
        (3.0, r"\b(?:GPU|CUDA|TPU)s? (?:is |are )?(?:not (?:found|detected|available|visible|recogni[sz]ed|used)|unavailable)\b|\bno GPUs? (?:found|detected|available)\b"),
        (3.0, r"\bcannot assign a device\b|\bincompatible assigned devices\b|\bexpected all tensors to be on the same device\b"),
    ),
    *_phrases(
        "crash",
        (3.0, r"\bseg(?:mentation)?[ -]?faults?\b|\bSIGSEGV\b|\bSIGABRT\b|\bcore[ -]dump(?:ed|s)?\b|\bsignal 11\b|\bbus error\b"),
        (3.0, r"\bJVM crash|\bhs_err_pid\b|\b(?:process|kernel|python|interpreter) (?:crash(?:es|ed)|died|dies|has died)\b|\bdouble free\b|\bheap corruption\b|\bfree\(\): invalid\b"),
        (1.4, r"\baborted\b|\baccess violation\b"),
    ),
    *_phrases(
        "drift",
        (3.0, r"\b(?:data|feature|concept|prediction|model|target|covariate|score|embedding) ?drift(?:ed|s|ing)?\b|\bdrift (?:detected|alert|score|check)\b|\w*Drift(?:Detected|Alert)?\b(?<=[a-z]Drift)"),
        (2.5, r"\bdistribution (?:shift(?:ed)?|changed|drift)|\bpopulation stability index\b|\bPSI\b.{0,20}\b(?:above|exceed)"),
    ),
)  # fmt: skip

CATEGORIES = tuple(dict.fromkeys(phrase.category for phrase in PHRASES))

#: What asks for something, or is about a text, is no failure, whatever it mentions.
_NO_FAILURE = re.compile(
    r"\b(?:feature request|documentation request|doc(?:umentation|s)? (?:issue|bug|error)|typo|api docs|broken link"
    r"|spelling|please add|add support|support for|wrong description|allow (?:use|users?)|question)\b",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(
    r"\btag:(?:doc|feature)_template\b|submitting a tensorflow documentation issue", re.IGNORECASE
)
_ERROR_LINE = re.compile(
    r"(?:\b\w*(?:Error|Exception)\b\s*[:(]|\berror:|\bfatal\b|\bFAILED\b|Check failed|what\(\):).{0,300}",
    re.IGNORECASE,
)
#: What tools write into every log and diagnosis, and is no failure.
_NOISE = re.compile(
    r"failed call to cuInit.{0,120}|caller indicates that this is not a failure"
    r"|ran out of memory trying to allocate.{0,80}(?=The caller)|Timing for .{0,300}|Error open .{0,200}"
    r"|Could not (?:dlopen|load dynamic) library.{0,200}|issue linking",
    re.IGNORECASE,
)


def categorise(title: str, body: str) -> list[Category]:
    """Categories that a failure's text gives reason for, the best first, whether or not it is enough."""
    if _NO_FAILURE.search(title) or _TEMPLATE.search(body[:2_000]):
        return []
    read = body if len(body) <= _HEAD + _TAIL else f"{body[:_HEAD]}\n{body[-_TAIL:]}"
    read = _NOISE.sub(" ", read)
    errors = "\n".join(_ERROR_LINE.findall(read))
    found: dict[str, tuple[float, float, str]] = {}
    for phrase in PHRASES:
        for text, factor in ((title, _TITLE), (errors, _ERROR), (read, _BODY)):
            match = phrase.pattern.search(text)
            if match is None:
                continue
            # The place that counts most; quoted in a log once or ten times tells the same.
            weight = phrase.weight * factor
            score, best, words = found.get(phrase.category, (0.0, 0.0, ""))
            found[phrase.category] = (
                score + weight,
                max(best, weight),
                match.group(0) if weight > best else words,
            )
            break
    made = [Category(name, score, " ".join(words.split())) for name, (score, _, words) in found.items()]
    return sorted(made, key=lambda each: (-each.score, CATEGORIES.index(each.name)))


def category(title: str, body: str) -> Category | None:
    """The one category of a failure; None where nothing is clear enough."""
    found = categorise(title, body)
    if not found or found[0].score < ENOUGH:
        return None
    if len(found) > 1 and found[0].score < CLEARLY * found[1].score:
        return None
    return found[0]
