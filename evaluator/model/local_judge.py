"""The small local model that judges where no other is set: its names, as every table and page shows them."""

from __future__ import annotations

LOCAL_PROVIDER = "local"
LOCAL_JUDGE = f"{LOCAL_PROVIDER}/qwen2.5-coder-1.5b-instruct"
LOCAL_JUDGE_LABEL = "Qwen2.5-Coder 1.5B (a small local model to start with)"
