"""A browser that looks at the page, given one step at a time."""

from .vm import CHECKOUT, SECONDS, expect, output
from .watcher import Steps

TOOLS = CHECKOUT / "ci" / "web"
# What axe finds and people cannot live with.
GRAVE = ("serious", "critical")


class Browser(Steps):
    """`ci/web/browser.mjs`, whose head tells the steps. To be used with `with`."""

    def __init__(self, name: str = "browser", *, seconds: float = SECONDS, path: str = "/usr/bin/chromium") -> None:
        output([str(TOOLS / "tools")])
        # A step says itself that what it waits for has not come.
        script, patience = str(TOOLS / "browser.mjs"), f"{seconds:g}"
        super().__init__(name, ["node", script, "--browser", path, "--seconds", patience], seconds=2 * seconds)

    def accessible(self, what: str) -> None:
        """Nobody is kept from using what is shown."""
        found = self.step("axe")["violations"]
        grave = [line for line in found if line["impact"] in GRAVE]
        expect(not grave, f"{what}: {grave}")

    def complaints(self) -> list[str]:
        """What the browser has said since it was asked last."""
        return self.step("complaints")["complaints"]
