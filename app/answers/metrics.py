"""Which way a metric goes, by its name; None where the name does not say."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HIGHER = _words(
    """accuracy acc auc auroc auprc aucpr ap map ndcg mrr f1 f2 fbeta fscore precision recall sensitivity
    specificity tpr tnr r2 bleu rouge rouge1 rouge2 rougel meteor chrf iou miou dice jaccard kappa mcc
    spearman pearson correlation psnr ssim reward hit hits hitrate coverage exact match em success
    throughput gini ks lift silhouette likelihood top1 top5 pass"""
)
_LOWER = _words(
    """loss error err errors mse rmse mae mape smape msle rmsle logloss nll perplexity ppl wer cer ter mer
    fid kid brier ece mce latency duration seconds time cost entropy crossentropy kl divergence hamming eer
    fpr fnr regret distance deviance bic aic gap drift violations"""
)
_TOKEN = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")


def higher_is_better(name: str) -> bool | None:
    """True for ``val_auc``, False for ``testRMSE``, None for a name that says nothing, or both."""
    tokens = [token.lower() for token in _TOKEN.findall(name)]
    said = {True for token in tokens if token in _HIGHER} | {False for token in tokens if token in _LOWER}
    if len(said) != 1:
        return None
    (higher,) = said
    # scikit-learn's scorers turn errors around: neg_mean_squared_error.
    return higher != ("neg" in tokens or "negative" in tokens)


def stage_of(name: str) -> int:
    """0 for a metric of a test or evaluation, 1 of a validation, 2 where the name does not say, 3 of the
    training itself: the order in which they tell about a model."""
    tokens = {token.lower() for token in _TOKEN.findall(name)}
    if tokens & {"test", "eval", "evaluation", "holdout", "heldout"}:
        return 0
    if tokens & {"val", "valid", "validation", "dev"}:
        return 1
    return 3 if tokens & {"train", "training"} else 2
