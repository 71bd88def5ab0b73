"""The small local model that judges where no other is set: its names, as every table and page shows them."""

from __future__ import annotations

LOCAL_PROVIDER = "local"
LOCAL_JUDGE = f"{LOCAL_PROVIDER}/qwen2.5-coder-1.5b-instruct"
LOCAL_JUDGE_LABEL = "Qwen2.5-Coder 1.5B (a small local model to start with)"

LOCAL_JUDGE_FILE = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
LOCAL_JUDGE_BYTES = 1_117_320_768
LOCAL_JUDGE_SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
LOCAL_JUDGE_LICENCE = "Apache-2.0"
