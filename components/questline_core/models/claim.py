"""Name a model's folder as pods find it: a path on a volume that is mounted here is a path in the volume's claim."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from questline_core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Claim:
    """A PersistentVolumeClaim of the models' namespace, and the folder where this side has it mounted."""

    name: str = ""
    """Empty when no volume is shared: then models must be at a URL that pods can read."""
    root: str = ""

    def there(self, uri: str) -> str:
        """Turn a folder below the root into `pvc://CLAIM/…`; a URL is the same on both sides.

        Raises:
            BadInput: it is a folder of this machine that no pod can see.
        """
        path = uri.removeprefix("file://")
        if not path.startswith("/"):
            return uri
        if self.name and Path(path).is_relative_to(self.root):
            return f"pvc://{self.name}/{Path(path).relative_to(self.root)}"
        where = f"the claim {self.name} is mounted at {self.root}" if self.name else "no claim is named"
        raise BadInput(
            f"pods cannot read {path}: {where}; publish below it, say kserve:NAMESPACE?claim=CLAIM&root=FOLDER, or "
            "give a URL"
        )

    def here(self, uri: str) -> str:
        """Turn `pvc://CLAIM/…` back into the folder; anything else stays as it is."""
        inside = uri.removeprefix(f"pvc://{self.name}/")
        return uri if not self.name or inside == uri else str(Path(self.root, inside))


NO_CLAIM = Claim()
