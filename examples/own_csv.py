"""From two csv files to recommendations, in Python. The loans and books of this small library are invented.

Run it from anywhere: python examples/own_csv.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl

from dynmm import Dataset, DatasetInfo, Recommendation, Recommender

HERE = Path(__file__).resolve().parent / "own_csv"


def read_library(folder: Path = HERE) -> Dataset:
    """The two tables under the names that dynmm knows. Ids may be text or whole numbers."""
    loans = pl.read_csv(folder / "loans.csv", try_parse_dates=True)
    loans = loans.rename({"reader": "user_id", "book_id": "item_id", "borrowed_on": "timestamp"})
    books = pl.read_csv(folder / "books.csv").rename({"book_id": "item_id", "author": "brand", "genres": "categories"})
    books = books.with_columns(pl.col("categories").str.split("|"))
    return Dataset.from_frames(loans, books, info=DatasetInfo(name="library", noun="book", verb="borrowed"))


def recommend_next(reader: str, k: int = 3) -> list[Recommendation]:
    """Fit, save, load, and ask. A small model, few epochs and the words of the titles are enough for 41 readers."""
    config = {
        "backbone": {"width": 32, "epochs": 30},
        "encoders": {"text": "hashed-words"},
        "fusion": {"hidden": 32, "epochs": 30},
    }
    fitted = Recommender.fit(read_library(), config)
    with tempfile.TemporaryDirectory() as place:
        fitted.save_pretrained(Path(place) / "run")
        recommender = Recommender.from_pretrained(Path(place) / "run")
    return recommender.recommend(reader, k)


if __name__ == "__main__":
    for book in recommend_next("reader-41"):
        print(f"{book.score:7.3f}  {book.title}")
