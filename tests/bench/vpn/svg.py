"""Bar charts as SVG: one bar for each subject, the spread of the rounds as a whisker."""

from xml.sax.saxutils import escape

WIDTH, LABEL, BAR, GAP, TOP = 760, 190, 22, 10, 58
OURS, OTHERS, PLAIN = "#1f6f5c", "#9aa5b1", "#d8dde3"


def bars(title, unit, rows, logarithmic=False):
    """An SVG of rows [(label, median, least, most, kind)], kind "ours", "peer" or "plain"; all values positive."""
    import math
    rows = [row for row in rows if row[1] is not None and row[1] > 0]
    height = TOP + len(rows) * (BAR + GAP) + 34
    top = max((row[3] for row in rows), default=1)
    low = min((row[2] for row in rows), default=1)
    floor = 10 ** math.floor(math.log10(low) - 0.2) if logarithmic and low > 0 else 0
    room = WIDTH - LABEL - 90

    def at(value):
        if logarithmic:
            return room * math.log(max(value, floor) / floor) / math.log(top / floor) if top > floor else room
        return room * value / top

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="Helvetica, Arial, sans-serif" font-size="13">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="16" y="26" font-size="16" font-weight="bold" fill="#1b1f24">{escape(title)}</text>',
           f'<text x="16" y="45" fill="#5b6570">{escape(unit)}{", logarithmic" if logarithmic else ""}; median, and the range of the rounds</text>']
    for i, (label, middle, least, most, kind) in enumerate(rows):
        y = TOP + i * (BAR + GAP)
        colour = {"ours": OURS, "plain": PLAIN}.get(kind, OTHERS)
        centre = y + BAR / 2
        out.append(f'<text x="{LABEL - 8}" y="{centre + 4.5:.1f}" text-anchor="end" fill="#1b1f24">{escape(label)}</text>')
        out.append(f'<rect x="{LABEL}" y="{y}" width="{max(at(middle), 1):.1f}" height="{BAR}" fill="{colour}"/>')
        out.append(f'<path d="M{LABEL + at(least):.1f} {centre:.1f}H{LABEL + at(most):.1f}" stroke="#1b1f24" stroke-width="1.5"/>')
        out.append(f'<text x="{LABEL + max(at(middle), at(most)) + 8:.1f}" y="{centre + 4.5:.1f}" fill="#1b1f24">{short(middle)}</text>')
    if not rows:
        out.append(f'<text x="16" y="{TOP + 16}" fill="#5b6570">nothing was measured</text>')
    return "\n".join(out) + "\n</svg>\n"


def short(value):
    """Three digits and a unit of thousands."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"
