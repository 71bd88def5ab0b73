"""Where one item is shown, and how: its path with the batch, attempt and view in the query."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class ItemLinks:
    """An item's page in one state of it."""

    item_id: str
    batch_id: str = ""
    run_id: str = ""
    view: str = ""
    whole: str = ""
    """The piece of content that is shown unfolded."""

    @property
    def base(self) -> str:
        """The item's path; its actions lie beneath it."""
        return f"/review/{quote(self.item_id, safe='')}"

    @property
    def path(self) -> str:
        """The page, with what is not as by default."""
        given = {"batch": self.batch_id, "run": self.run_id, "view": self.view, "all": self.whole}
        query = urlencode({name: value for name, value in given.items() if value})
        return f"{self.base}?{query}" if query else self.base

    def shown(self, *, run_id: str | None = None, view: str | None = None, whole: str = "") -> ItemLinks:
        """The same item shown otherwise; what was unfolded is folded again."""
        return replace(
            self,
            run_id=self.run_id if run_id is None else run_id,
            view=self.view if view is None else str(view),
            whole=whole,
        )
