"""The model card: every sentence that stands beside pushed weights; all numbers come from JSON."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from emotion.config import NetworkConfig
from emotion.evaluation import Evaluation
from emotion.labels import LABELS
from train.corpora.licences import licence_of
from train.faces.prepared import VALIDATION, official_split

_METRICS = (
    ("accuracy", "accuracy", "Accuracy"),
    ("f1", "macro_f1", "Macro F1"),
    ("precision", "macro_precision", "Macro precision"),
    ("recall", "macro_recall", "Macro recall"),
)
"""The Hub's name of a metric, its key in ``evaluate --json``, and what readers see."""

_CARD = """---
{front}
---

# {name}

Says which of six expressions a face shows: {labels}. A network of the SEP Emotion Classifier
({parameters:,} parameters), which finds and aligns the faces, shows with every answer where on the
face it comes from, and runs live in a browser on two CPU cores.

## Results

{results}

## Intended use

Research and teaching on facial expressions, and demonstrations in which the people seen know of it
and agree. It answers for frontal and half-turned faces from about 20 pixels on.

Not for deciding about people: hiring, grading, policing, insurance, health, or anything alike. In
the EU, inferring emotions at work and in education is prohibited (AI Act, art. 5(1)(f)), and
elsewhere the people concerned must be told (art. 50(3)).

## Limits

- An expression is not a feeling. The network says what a face looks like, not what anybody feels.
- There is no neutral class among the six. {abstention}
- The labels it learnt from are noisy: people agree on about two thirds of them.
- Nobody balanced the corpora by age, gender or origin, and the results are not broken down by
  them: expect it to be worse for people who are rare there.
- Grey crops of 64 by 64 pixels only, aligned as `config.json` says; others give other answers.

## Training data

{data}

{training}## How to load it

With the project's code:

```
python app.py --weights hf://{name}
python -m emotion classify photo.jpg --weights hf://{name}
```

```python
from emotion import Analyzer, decode_image

analyzer = Analyzer.from_weights("hf://{name}")
for face in analyzer.analyze(decode_image("photo.jpg")):
    print(face.label, face.confidence)
```

A commit after the name, `hf://{name}@COMMIT`, pins it: once in the cache it starts without a
network connection. The network alone is `emotion.network.EmotionNet.from_pretrained("{name}")`.
Weights are safetensors; nothing has to be unpickled.

## Files

{files}
"""

_FILES = {
    "config.json": "labels, architecture, alignment, calibration and threshold",
    "model.safetensors": "the weights",
    "model.onnx": "their graph, over model.safetensors, for browsers and other ONNX runtimes",
    "evaluation/": "every number behind the results, confusion matrices among them",
    "figures/": "drawn from them",
    "int8.json": "an 8-bit export that runs in their place where it is faster (OpenVINO)",
    "int8.onnx": "the same for browsers (ONNX Runtime)",
    "training/": "the configuration of the training run and its log",
}


def model_card(
    name: str,
    config: NetworkConfig,
    parameters: int,
    evaluations: Sequence[Evaluation],
    training: Mapping[str, Any] | None,
    files: Sequence[str],
) -> str:
    """Write the card of a network.

    Args:
        name: ``USER/NAME`` of its repository.
        config: of the network.
        parameters: how many numbers it has.
        evaluations: what ``evaluate --json`` wrote for it.
        training: the configuration of its training run, if that is known.
        files: paths in the repository.

    Returns:
        Markdown with the Hub's metadata (``model-index``) in front; the same input gives the same
        text, so that a second push changes nothing.
    """
    used = dict.fromkeys(split.partition("/")[0] for split in config.trained_on)
    return _CARD.format(
        front=_front(name, list(used), evaluations),
        name=name,
        labels=", ".join(config.labels),
        parameters=parameters,
        results=_results(evaluations, used) + _figures(files),
        abstention=_abstention(config),
        data=_data(config.trained_on, list(used)),
        training=_training(training),
        files="\n".join(
            f"- `{path}`: {what}"
            for path, what in _FILES.items()
            if any(file.startswith(path) for file in files)
        ),
    )


def _front(name: str, corpora: Sequence[str], evaluations: Sequence[Evaluation]) -> str:
    known = [licence_of(corpus) for corpus in corpora]
    free = bool(known) and all(licence.redistributable for licence in known)
    data = ModelCardData(
        license="mit" if free else "other",
        license_name=None if free else "research-and-teaching",
        library_name="sep-emotion-classifier",
        pipeline_tag="image-classification",
        tags=["facial-expression-recognition", "emotion-recognition", "explainability"],
        model_name=name.partition("/")[2],
        eval_results=[
            EvalResult(
                task_type="image-classification",
                task_name="Facial expression recognition, six classes",
                dataset_type=result.corpus,
                dataset_name=_title(result.corpus),
                dataset_split=result.split,
                metric_type=kind,
                metric_name=label,
                metric_value=round(getattr(result, key), 4),
            )
            for result in evaluations
            for kind, key, label in _METRICS
        ]
        or None,
    )
    return data.to_yaml(line_break="\n")


def _title(corpus: str) -> str:
    return licence_of(corpus).title


def _results(evaluations: Sequence[Evaluation], used: Container[str]) -> str:
    if not evaluations:
        return "No measurement was pushed with these weights."
    head = ["split", "images", "accuracy (95 %)", "macro F1 (95 %)", *LABELS, "ECE"]
    rows = [
        [
            _split(result),
            f"{result.n:,}",
            _with_interval(result, "accuracy"),
            _with_interval(result, "macro_f1"),
            *(f"{result.per_class[label]['recall']:.2f}" for label in LABELS),
            f"{result.ece:.3f}",
        ]
        for result in evaluations
    ]
    notes = [
        "Six classes; the class columns are recall. **Every** image counts: one without a detected "
        "face is classified from its plain crop. One network, one pass where nothing else is said."
    ]
    for result in evaluations:
        notes.append(f"{_split(result)}: {_sentence(result, used)}")
    notes += [note for result in evaluations for note in result.notes or ()]
    return table(head, rows) + "\n\n" + "\n\n".join(notes)


def _split(result: Evaluation) -> str:
    averaged = result.tta or "none"
    return f"{_title(result.corpus)} {result.split}" + (
        "" if averaged == "none" else f", averaged over {averaged}"
    )


def _sentence(result: Evaluation, used: Container[str]) -> str:
    """Say what one must know of a measurement besides its numbers."""
    parts = [f"{result.faces_not_found:,} images without a detected face."]
    if result.excluded:
        parts.append(f"{result.excluded:,} images were left out by a list.")
    if result.corpus in used and official_split(result.corpus, VALIDATION) == result.split:
        parts.append("Epoch and calibration were chosen on this split, which flatters it.")
    calibration = result.calibration
    if calibration:
        unnamed = f"{_unnamed(calibration)} of these faces"
        if calibration.get("neutral"):
            unnamed += f" and to {_unnamed(calibration, 'neutral_')} of the neutral ones"
        told = (
            "*Not sure* or *no clear expression*" if "called_calm" in calibration else "*Not sure*"
        )
        parts.append(f"{told} is the answer to {unnamed}.")
    return " ".join(parts)


def _unnamed(calibration: Mapping[str, Any], kind: str = "") -> str:
    """Say how many faces get no expression's name, and how many of all are called calm."""
    share = f"{1 - calibration[f'{kind}answered']:.0%}"
    calm = calibration.get(f"{kind}called_calm")
    return share if calm is None else f"{share} (the latter to {calm:.0%})"


def _figures(files: Sequence[str]) -> str:
    figures = [file for file in files if file.startswith("figures/")]
    names = [re.sub(r"\W+", " ", PurePosixPath(file).stem) for file in figures]
    return "".join(f"\n\n![{name}]({file})" for name, file in zip(names, figures, strict=True))


def _with_interval(result: Evaluation, key: str) -> str:
    low, high = result.confidence_intervals[key]
    return f"{getattr(result, key):.3f} ({low:.3f}–{high:.3f})"


def _abstention(config: NetworkConfig) -> str:
    if config.calm:
        return (
            "A second output tells calm faces, which are answered *no clear expression*; where the "
            f"highest probability is below {config.abstain_below:.2f}, the answer is *not sure*."
        )
    if config.abstain_below:
        return (
            "A calm face has no right answer; where the highest probability is below "
            f"{config.abstain_below:.2f}, the answer is *not sure*."
        )
    return "A calm face has no right answer among them, and gets one all the same."


def _data(splits: Sequence[str], corpora: Sequence[str]) -> str:
    if not splits:
        return "Not known: the configuration names none. Take them for research use only."
    rows = []
    for corpus in corpora:
        own = [split.partition("/")[2] for split in splits if split.startswith(f"{corpus}/")]
        licence = licence_of(corpus)
        rows.append([licence.title, ", ".join(own), licence.terms, licence.origin])
    return (
        table(["corpus", "splits trained on", "licence", "origin"], rows)
        + "\n\nThe weights are MIT as far as they are ours to license; the corpora's terms go "
        "further. No picture of any corpus lies in this repository."
    )


def _training(training: Mapping[str, Any] | None) -> str:
    if training is None:
        return ""
    groups = [value if isinstance(value, dict) else {key: value} for key, value in training.items()]
    rows = [[f"`{key}`", f"`{value}`"] for group in groups for key, value in group.items()]
    return f"## Training\n\n{table(['field', 'value'], rows)}\n\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Render a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
