"""Every crate under spice/ can be used on its own: it has a README and an example, and the README names it."""

import re

from . import files
from .rule import Rule


def load() -> dict[str, str]:
    return {path: text for path, text in files.texts().items() if path.startswith("spice/")}


def problems(texts: dict[str, str]) -> list[str]:
    found = []
    crates = [path.removesuffix("/Cargo.toml") for path in texts if re.fullmatch(r"spice/[^/]+/Cargo\.toml", path)]
    if not crates:
        return ["there is no crate under spice/"]
    for crate in crates:
        readme = texts.get(f"{crate}/README.md")
        examples = [match[1] for path in texts if (match := re.fullmatch(rf"{crate}/examples/(\w+)\.rs", path))]
        if readme is None:
            found.append(f"{crate}: README.md is missing")
        if not examples:
            found.append(f"{crate}: examples/ is missing or empty")
        if readme is not None:
            for example in examples:
                if not re.search(rf"--example {example}\b", readme):
                    found.append(f"{crate}: README.md does not say how to run the example {example}")
    return found


README = "cargo run -p caraway-a --example draw"
CRATE = {"spice/a/Cargo.toml": "", "spice/a/README.md": README, "spice/a/examples/draw.rs": ""}


def without(path: str) -> dict[str, str]:
    return {name: text for name, text in CRATE.items() if name != path}


RULE = Rule(
    "SPICE crates stand alone",
    problems,
    load,
    good=[CRATE],
    bad=[
        ("no README", without("spice/a/README.md"), "spice/a: README.md is missing"),
        ("no example", without("spice/a/examples/draw.rs"), "spice/a: examples/ is missing"),
        ("an example nobody hears of", CRATE | {"spice/a/examples/more.rs": ""}, "the example more"),
        ("nothing at all", {}, "no crate under spice/"),
    ],
)
