"""Texts with the token counts of public tokenizers: Claude 2, cl100k_base and o200k_base, in this order."""

import base64
import random
from collections.abc import Iterable
from typing import Final

_ENGLISH = (
    "When in the course of an investigation the same question comes up for the third time, it is worth writing the "
    "answer down. A short note, kept beside the code that it explains, saves the next reader an afternoon; a long one, "
    "kept elsewhere, is rarely found and seldom trusted. Say what was measured, where, and how to repeat it. "
)
_PYTHON = '''def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds of a header with seconds or a date; None if it is invalid."""
    if not value:
        return None
    try:
        date = parsedate_to_datetime(value.strip())
    except ValueError:
        return None
    return max((date - (now or datetime.now(UTC))).total_seconds(), 0.0)


'''
_JAVASCRIPT = (
    "function a(e,t){for(var n=[],r=0;r<e.length;r++)if(t(e[r],r)!==!1&&null!=e[r]){n.push({k:e[r].id,v:r})}"
    "return n.sort(function(e,t){return e.k-t.k}).map(e=>e.v)};"
)
_JSON = (
    '{"id": "task_12", "status": "completed", "usage": {"input_tokens": 1043, "output_tokens": 88}, "error": null}\n'
)
_CHINESE = (
    "人工智能是计算机科学的一个分支。它企图了解智能的实质。并生产出一种新的能以人类智能相似的方式做出反应的智能机器。"
)
_JAPANESE = (
    "人工知能とは、計算という概念とコンピュータという道具を用いて知能を研究する計算機科学の一分野を指す語である。"
)
_KOREAN = "인공지능은 인간의 학습능력, 추론능력, 지각능력을 인공적으로 구현하려는 컴퓨터 과학의 세부분야 중 하나이다. "
_RUSSIAN = "Искусственный интеллект — свойство систем выполнять творческие функции, которые считаются делом человека. "
_GERMAN = "Künstliche Intelligenz ist ein Teilgebiet der Informatik, das sich mit der Automatisierung befasst. "
_PATH = "/srv/app/claude_code_server/upstream/offline/rules/summary.py\n"


def _random() -> Iterable[tuple[str, str]]:
    source = random.Random(7)
    data = bytes(source.getrandbits(8) for _ in range(6000))
    yield "base64", base64.b64encode(data).decode()
    yield "base64 in lines", base64.encodebytes(data).decode()
    yield "hexadecimal", data[:3000].hex()
    yield "hex dump", "\n".join(f"{n:08x}  {data[n : n + 16].hex(' ')}" for n in range(0, 3000, 16))
    yield "digits", "".join(str(byte % 10) for byte in data[:3000])
    yield "CSV", "\n".join(",".join(f"{source.uniform(-1000, 1000):.4f}" for _ in range(8)) for _ in range(80))
    yield (
        "UUIDs",
        "\n".join(
            "-".join(data[n + a : n + b].hex() for a, b in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 16)))
            for n in range(0, 1600, 16)
        ),
    )
    yield "rare Chinese characters", "".join(chr(source.randrange(0x4E00, 0x9FA5)) for _ in range(1500))
    yield "emoji", "".join(chr(source.randrange(0x1F300, 0x1F6FF)) for _ in range(800))
    yield "punctuation", "".join(source.choice("!@#$%^&*()_+-=[]{};:,.<>/?|~`'\"\\") for _ in range(2000))
    yield "random letters", "".join(source.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(2000))


TEXTS: Final[dict[str, str]] = {
    "English": _ENGLISH * 10,
    "Python": _PYTHON * 10,
    "minified JavaScript": _JAVASCRIPT * 20,
    "JSON": _JSON * 40,
    "Chinese": _CHINESE * 20,
    "Japanese": _JAPANESE * 20,
    "Korean": _KOREAN * 20,
    "Russian": _RUSSIAN * 20,
    "German": _GERMAN * 20,
    "paths": _PATH * 40,
    **dict(_random()),
}

COUNTS: Final[dict[str, tuple[int, int, int]]] = {
    "English": (711, 711, 711),
    "Python": (1029, 950, 960),
    "minified JavaScript": (1800, 1320, 1340),
    "JSON": (1520, 1480, 1480),
    "Chinese": (1120, 1240, 840),
    "Japanese": (1100, 1200, 820),
    "Korean": (1361, 1181, 761),
    "Russian": (1041, 941, 402),
    "German": (561, 561, 481),
    "paths": (880, 680, 720),
    "base64": (5689, 5793, 5504),
    "base64 in lines": (5809, 5913, 5627),
    "hexadecimal": (3496, 3407, 3420),
    "hex dump": (5347, 7377, 7377),
    "digits": (1241, 1000, 1000),
    "CSV": (3219, 3237, 3237),
    "UUIDs": (2499, 2363, 2361),
    "rare Chinese characters": (3218, 3536, 2874),
    "emoji": (2100, 2293, 1796),
    "punctuation": (1329, 1312, 1328),
    "random letters": (1059, 1091, 1042),
}
