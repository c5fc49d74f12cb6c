"""Several attributions become one map on one grid.

``fuse`` is the rule of this project (densities, a global scale, nothing thrown away);
``fuse_spans`` and ``fuse_published`` repeat the published programme. Both combine cells in
``cells.combine``. ``tau`` never changes what ``fuse`` gives, only what ``view`` shows of it; the
published fusion drops the spans below ``tau`` from the map itself, so there it changes scores.
"""

from ecgxai_core.fusion.families import RECOMMENDED, family_warning, same_family
from ecgxai_core.fusion.maps import FusedView, fuse, view
from ecgxai_core.fusion.published import Span, SpanFusion, fuse_published, fuse_spans, spans_of

__all__ = [
    "RECOMMENDED",
    "FusedView",
    "Span",
    "SpanFusion",
    "family_warning",
    "fuse",
    "fuse_published",
    "fuse_spans",
    "same_family",
    "spans_of",
    "view",
]
