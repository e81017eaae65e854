"""Statements as vectors: words weighted by rarity or a model of sentences, in few dimensions.

What is fitted to the tasks of a benchmark is kept, so that new tasks are placed in the same space.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from harness.errors import InputError
from harness.features.statement import words_of

if TYPE_CHECKING:
    from harness.irt import Array

_TERMS = 2000
_RARE = 10
"""With so many texts a word must occur in two of them."""
_DIGITS = 6
_NOTHING = 1e-6
"""Directions with less than this share of the first one's length are noise of the arithmetic."""


@dataclass(frozen=True, eq=False)
class TermVectors:
    """Words weighted by rarity (tf-idf, Salton and Buckley 1988) on leading directions.

    A text's weight of a term is ``(1 + ln count) · idf``, scaled to length 1 over all terms.
    """

    terms: tuple[str, ...]
    idf: "Array"
    """``(terms,)`` ``1 + ln((1 + n) / (1 + texts with the term))``."""
    directions: "Array"
    """``(d, terms)`` leading right singular vectors (truncated SVD)."""

    @cached_property
    def _index(self) -> dict[str, int]:
        return {term: k for k, term in enumerate(self.terms)}

    def place(self, texts: Sequence[str]) -> "Array":
        """``(n, d)`` coordinates; a text without a known term is at 0."""
        weights = np.zeros((len(texts), len(self.terms)))
        for row, text in enumerate(texts):
            for term, count in Counter(words_of(text)).items():
                if (k := self._index.get(term)) is not None:
                    weights[row, k] = (1 + math.log(count)) * self.idf[k]
        lengths = np.linalg.norm(weights, axis=1, keepdims=True)
        found: Array = (weights / np.where(lengths > 0, lengths, 1)) @ self.directions.T
        return found


@dataclass(frozen=True, eq=False)
class ModelVectors:
    """Vectors of a sentence-embedding model on their leading directions."""

    model: str
    mean: "Array"
    """``(m,)`` of the texts that it was fitted to."""
    directions: "Array"
    """``(d, m)`` principal components."""

    def place(self, texts: Sequence[str]) -> "Array":
        """``(n, d)`` coordinates.

        Raises:
            InputError: the model is not there, or is another one than was fitted.
        """
        found = _encode(self.model, texts)
        if found.shape[1] != len(self.mean):
            raise InputError(
                f"model {self.model!r} makes vectors of {found.shape[1]} numbers, but the space "
                f"was fitted to {len(self.mean)}; use the same model, or extract anew"
            )
        coordinates: Array = (found - self.mean) @ self.directions.T
        return coordinates


Vectors: TypeAlias = TermVectors | ModelVectors


def fit_terms(texts: Sequence[str], dimensions: int) -> TermVectors:
    """The space of the words of some texts.

    It has fewer dimensions than asked where there are fewer different texts or words: at most one
    less than there are texts, and none where they share no word.

    >>> space = fit_terms(["sort a list", "sort a file", "read a file"], 2)
    >>> space.place(["sort a file"]).shape
    (1, 2)
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        analyzer=words_of,
        sublinear_tf=True,
        min_df=2 if len(texts) >= _RARE else 1,
        max_features=_TERMS,
    )
    if not any(words_of(text) for text in texts):
        return TermVectors((), np.zeros(0), np.zeros((0, 0)))
    try:
        weights = vectorizer.fit_transform(texts)
    except ValueError:  # no word occurs twice
        return TermVectors((), np.zeros(0), np.zeros((0, 0)))
    terms = tuple(map(str, vectorizer.get_feature_names_out()))
    idf = np.round(vectorizer.idf_, _DIGITS)
    return TermVectors(terms, idf, _directions(weights, dimensions))


def fit_model(model: str, texts: Sequence[str], dimensions: int) -> ModelVectors:
    """The space of a sentence-embedding model's vectors of some texts (principal components).

    Raises:
        InputError: sentence-transformers is not installed, or the model cannot be loaded.
    """
    found = _encode(model, texts)
    mean = np.round(found.mean(axis=0), _DIGITS)
    return ModelVectors(model, mean, _directions(found - mean, dimensions))


def _directions(rows: Any, dimensions: int) -> "Array":
    """``(d, m)`` leading right singular vectors, as many as are more than rounding."""
    from sklearn.decomposition import TruncatedSVD

    most = min(dimensions, rows.shape[0] - 1, rows.shape[1])
    if most < 1 or not abs(rows).sum() > 0:
        return np.zeros((0, rows.shape[1]))
    if rows.shape[1] == 1:
        return np.ones((1, 1))
    # of equal rows it would divide by a variance of 0, which is not used here
    with np.errstate(divide="ignore", invalid="ignore"):
        svd = TruncatedSVD(most, n_iter=7, random_state=0).fit(rows)
    kept = svd.singular_values_ > _NOTHING * svd.singular_values_[0]
    directions: Array = np.round(svd.components_[kept], _DIGITS)
    return directions


def _encode(model: str, texts: Sequence[str]) -> "Array":
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise InputError(
            "vectors by a sentence-embedding model need the package sentence-transformers: pip "
            "install 'cat-harness[embed]', or use --vectors alone, which needs nothing"
        ) from None
    encode: Callable[..., Any]
    try:
        encode = SentenceTransformer(model).encode
    except Exception as error:  # the library has no class of its own for a model that is missing
        raise InputError(
            f"the sentence-embedding model {model!r} cannot be loaded: {error}"
        ) from None
    found = np.asarray(encode(list(texts), show_progress_bar=False), dtype=float)
    return found.reshape(len(texts), -1)


def vectors_to_dict(vectors: Vectors) -> dict[str, Any]:
    """Plain data of a space, for JSON."""
    match vectors:
        case TermVectors():
            return {
                "terms": list(vectors.terms),
                "idf": vectors.idf.tolist(),
                "directions": vectors.directions.tolist(),
            }
        case ModelVectors():
            return {
                "model": vectors.model,
                "mean": vectors.mean.tolist(),
                "directions": vectors.directions.tolist(),
            }


def vectors_from_dict(data: Any) -> Vectors:
    """A space from plain data.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    directions = np.array(data["directions"], dtype=float)
    if "model" in data:
        mean = np.array(data["mean"], dtype=float)
        return ModelVectors(str(data["model"]), mean, directions.reshape(-1, len(mean)))
    terms = tuple(map(str, data["terms"]))
    idf = np.array(data["idf"], dtype=float)
    if len(idf) != len(terms):
        raise ValueError("terms and idf differ in number")
    return TermVectors(terms, idf, directions.reshape(len(directions), len(terms)))
