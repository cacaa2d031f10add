"""Rows that say nearly the same: found by MinHash over character 5-grams, verified by the Jaccard similarity of the 5-grams themselves.

Shared by the stages that clean, split and list groups. It knows nothing of what becomes of the groups.

    rows.jsonl ─ compared_text ─▶ 5-gram hashes ─▶ sketch (the 5-grams) and signature (MinHash)     sketches.py, arithmetic.py
    signatures ─ locality-sensitive hashing ─▶ candidates ─ Jaccard ≥ threshold ─▶ union-find      groups.py, arithmetic.py

Broder, "On the resemblance and containment of documents" (1997), for both; Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets",
chapter 3, for the bands.
"""

from __future__ import annotations

from appliance.stages.near_duplicates.groups import Groups, find_groups

__all__ = ["Groups", "find_groups"]
