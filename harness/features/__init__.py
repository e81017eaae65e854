"""What is known of tasks before anyone runs them: tables of features, and features of texts."""

from harness.features.extract import (
    Extraction,
    Space,
    extract_features,
    features_of_task,
    read_space,
    write_space,
)
from harness.features.sources import harbor_texts, read_texts, table_texts
from harness.features.statement import statement_features, statement_languages
from harness.features.tables import feature_files, read_features, write_features
from harness.features.task_text import LEVELS, Fact, Files, Level, TaskText, highest_level, level_of

__all__ = [
    "LEVELS",
    "Extraction",
    "Fact",
    "Files",
    "Level",
    "Space",
    "TaskText",
    "extract_features",
    "feature_files",
    "features_of_task",
    "harbor_texts",
    "highest_level",
    "level_of",
    "read_features",
    "read_space",
    "read_texts",
    "statement_features",
    "statement_languages",
    "table_texts",
    "write_features",
    "write_space",
]
