"""Bar charts as SVG: a bar per peer, its length the median, a whisker from the least to the most."""

from xml.sax.saxutils import escape

from summary import number

WIDTH = 760
LABEL_WIDTH = 250
VALUE_WIDTH = 90
BAR_HEIGHT = 16
BAR_STEP = 24
TITLE_HEIGHT = 30
GROUP_HEIGHT = 26
OURS = "#1a7f5a"
OTHERS = "#8a94a6"
TEXT = "#24292f"
BACKGROUND = "#ffffff"


def bars(title, unit, groups, one_scale=True):
    """`groups`: (heading, bars) pairs; a bar is (label, spread or None, whether it is ours).

    A bar without a spread says that there is no value. With `one_scale` bars can be compared across
    groups; otherwise the longest fills the width in each.
    """
    scale = scale_of(bar for _, group in groups for bar in group)
    parts = [text(10, 20, f"{title} [{unit}]", size=15, weight="bold")]
    y = TITLE_HEIGHT
    for heading, group in groups:
        if heading:
            parts.append(text(10, y + 17, heading, weight="bold"))
            y += GROUP_HEIGHT
        for label, value, ours in group:
            parts.extend(bar(y, label, value, ours, scale if one_scale else scale_of(group)))
            y += BAR_STEP
    height = y + 10
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="{BACKGROUND}"/>',
        *parts, "</svg>", ""])


def scale_of(group):
    most = max((value.most for _, value, _ in group if value), default=0)
    return (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / most if most > 0 else 0


def bar(y, label, value, ours, scale):
    baseline = y + BAR_HEIGHT - 3
    yield text(LABEL_WIDTH - 8, baseline, label, anchor="end")
    if value is None:
        yield text(LABEL_WIDTH, baseline, "–")
        return
    length = value.median * scale
    colour = OURS if ours else OTHERS
    yield (f'<rect x="{LABEL_WIDTH}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}" '
           f'fill="{colour}"/>')
    middle = y + BAR_HEIGHT / 2
    low, high = (LABEL_WIDTH + edge * scale for edge in (value.least, value.most))
    yield (f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {y + 4}v8M{high:.1f} {y + 4}v8" '
           f'stroke="{TEXT}" fill="none"/>')
    yield text(max(high, LABEL_WIDTH + length) + 6, baseline, number(value.median))


def text(x, y, content, size=12, weight="normal", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{TEXT}" font-size="{size}" '
            f'font-weight="{weight}" text-anchor="{anchor}">{escape(content)}</text>')
