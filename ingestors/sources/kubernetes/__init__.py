"""Kubernetes: rollouts of Deployments, canaries of KServe's InferenceServices, Seldon's predictors."""

from ingestors.sources.kubernetes.source import KubernetesConfig, KubernetesSource

__all__ = ["KubernetesConfig", "KubernetesSource"]
