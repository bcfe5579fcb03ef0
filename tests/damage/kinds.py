"""Every kind of damage, done to the files of one moment.

A kind takes what the folder holds, and may look at the life that it comes from. What no replica
can notice by itself is not among them: that all of its folder is put back as it once was.
"""

from collections.abc import Callable, Sequence
from random import Random

from .moments import INDEX, INDEX_LOG, MARK, Files, Moment

__all__ = ["INDEX_KINDS", "KINDS", "SIDECAR_KINDS", "Kind", "Life"]

Life = Sequence[Moment]
"""Up to the moment whose files are damaged."""

Kind = Callable[[Files, Life, Random], None]

SECTORS = (1, 16, 512, 512, 4096)


def segments(files: Files) -> list[str]:
    return sorted(name for name in files if name.startswith("log/") and name.endswith(".jsonl"))


def some_segment(files: Files, random: Random) -> str:
    """Any segment, and the last as often as all others."""
    names = segments(files)
    return names[-1] if random.random() < 0.5 else random.choice(names)


def some_file(files: Files, random: Random) -> str:
    return MARK if random.random() < 0.25 else some_segment(files, random)


def flip_bit(files: Files, name: str, random: Random) -> None:
    text = bytearray(files[name])
    if text:
        text[random.randrange(len(text))] ^= 1 << random.randrange(8)
    files[name] = bytes(text)


def one_bit_flipped(files: Files, _: Life, random: Random) -> None:
    flip_bit(files, some_file(files, random), random)


def last_newline_flipped(files: Files, _: Life, random: Random) -> None:
    name = segments(files)[-1]
    files[name] = files[name][:-1] + bytes([10 ^ 1 << random.randrange(8)])


def several_bits_flipped(files: Files, _: Life, random: Random) -> None:
    for _each in range(random.randint(2, 20)):
        flip_bit(files, some_file(files, random), random)


def bytes_overwritten(files: Files, _: Life, random: Random) -> None:
    name = some_file(files, random)
    text = files[name]
    at = random.randrange(len(text))
    files[name] = text[:at] + random.randbytes(random.choice((1, 8, 100))) + text[at + 100 :]


def cut_short(files: Files, _: Life, random: Random) -> None:
    name = some_file(files, random)
    files[name] = files[name][: random.randrange(len(files[name]))]


def cut_short_a_little(files: Files, _: Life, random: Random) -> None:
    name = some_file(files, random)
    files[name] = files[name][: -random.randint(1, 40)]


def cut_at_an_end_of_line(files: Files, _: Life, random: Random) -> None:
    name = some_segment(files, random)
    lines = files[name].splitlines(keepends=True)
    files[name] = b"".join(lines[: random.randrange(len(lines))])


def cut_off(files: Files, life: Life, random: Random) -> None:
    """All of the log from somewhere on, as if it had never been written."""
    at = random.randrange(sum(len(files[name]) for name in segments(files)))
    for name in segments(files):
        size = len(files[name])
        files[name] = files[name][:at]
        at = max(0, at - size)
        if not files[name]:
            del files[name]


def zeros_in_it(files: Files, _: Life, random: Random) -> None:
    name = some_file(files, random)
    size = random.choice(SECTORS)
    text = files[name]
    at = random.randrange(len(text)) // size * size
    files[name] = text[:at] + bytes(len(text[at : at + size])) + text[at + size :]


def zeros_to_its_end(files: Files, _: Life, random: Random) -> None:
    name = some_file(files, random)
    size = random.choice(SECTORS)
    at = random.randrange(len(files[name])) // size * size
    files[name] = files[name][:at] + bytes(len(files[name]) - at)


def rubbish_after_it(files: Files, _: Life, random: Random) -> None:
    name = some_file(files, random)
    rubbish = (random.randbytes(random.randint(1, 600)), bytes(600), b"\n", files[name][-200:])
    files[name] += random.choice(rubbish)


def block_written_elsewhere(files: Files, _: Life, random: Random) -> None:
    """A disk that writes a block to the wrong place."""
    source, name = some_segment(files, random), some_file(files, random)
    at = random.randrange(len(files[source])) // 512 * 512
    block = files[source][at : at + 512]
    to = random.randrange(len(files[name])) // 512 * 512
    files[name] = files[name][:to] + block + files[name][to + len(block) :]


def with_lines(
    files: Files, random: Random, change: Callable[[list[bytes], int, int], None]
) -> None:
    name = some_segment(files, random)
    lines = files[name].splitlines(keepends=True)
    change(lines, random.randrange(len(lines)), random.randrange(len(lines)))
    files[name] = b"".join(lines)


def line_deleted(files: Files, _: Life, random: Random) -> None:
    with_lines(files, random, lambda lines, at, _: lines.pop(at))


def line_doubled(files: Files, _: Life, random: Random) -> None:
    with_lines(files, random, lambda lines, at, to: lines.insert(to + 1, lines[at]))


def lines_swapped(files: Files, _: Life, random: Random) -> None:
    def swap(lines: list[bytes], at: int, to: int) -> None:
        lines[at], lines[to] = lines[to], lines[at]

    with_lines(files, random, swap)


def segment_gone(files: Files, _: Life, random: Random) -> None:
    del files[some_segment(files, random)]


def last_segments_gone(files: Files, _: Life, random: Random) -> None:
    names = segments(files)
    for name in names[random.randrange(len(names)) :]:
        del files[name]


def segments_swapped(files: Files, _: Life, random: Random) -> None:
    one, other = some_segment(files, random), some_segment(files, random)
    files[one], files[other] = files[other], files[one]


def segment_renamed(files: Files, _: Life, random: Random) -> None:
    name = some_segment(files, random)
    text = files.pop(name)
    files[f"log/{random.choice((0, len(text), random.randrange(10**6))):020}.jsonl"] = text


def segment_doubled(files: Files, _: Life, random: Random) -> None:
    files[f"log/{random.randrange(10**5):020}.jsonl"] = files[some_segment(files, random)]


def log_gone(files: Files, _: Life, random: Random) -> None:
    for name in segments(files):
        del files[name]


def mark_gone(files: Files, _: Life, random: Random) -> None:
    del files[MARK]


def all_gone(files: Files, _: Life, random: Random) -> None:
    files.clear()


def file_emptied(files: Files, _: Life, random: Random) -> None:
    files[some_file(files, random)] = b""


def older(life: Life, random: Random) -> Moment:
    return random.choice(life[:-1] or life)


def old_copy_of_a_segment(files: Files, life: Life, random: Random) -> None:
    copy = older(life, random)
    name = random.choice(copy.segments)
    files[name] = copy.files[name]


def old_copy_of_the_log(files: Files, life: Life, random: Random) -> None:
    log_gone(files, life, random)
    copy = older(life, random)
    files.update({name: copy.files[name] for name in copy.segments})


def old_copy_of_the_mark(files: Files, life: Life, random: Random) -> None:
    files[MARK] = older(life, random).files[MARK]


def log_with_other_boot_names(files: Files, life: Life, random: Random) -> None:
    """A log that this replica might have written, and has not: its boots have other names."""
    name = segments(files)[-1]
    files[name] = files[name].replace(b'"boot":"', b'"boot":"0')


def two_at_once(files: Files, life: Life, random: Random) -> None:
    for kind in random.sample(SINGLE, 2):
        if segments(files) and MARK in files and all(files.values()):
            kind(files, life, random)


SINGLE: tuple[Kind, ...] = (
    one_bit_flipped, last_newline_flipped, several_bits_flipped, bytes_overwritten, cut_short,
    cut_short_a_little, cut_at_an_end_of_line, cut_off, zeros_in_it, zeros_to_its_end,
    rubbish_after_it, block_written_elsewhere, line_deleted, line_doubled, lines_swapped,
    segment_gone, last_segments_gone, segments_swapped, segment_renamed, segment_doubled,
    log_gone, mark_gone, file_emptied, log_with_other_boot_names,
)  # fmt: skip


# What is done to sidecars. Whatever they say, the log is whole.


def with_sidecar(files: Files, random: Random, change: Callable[[bytes], bytes]) -> None:
    names = [name for name in files if name.startswith("log/") and name.endswith(".places")]
    if names:
        name = random.choice(sorted(names))
        files[name] = change(files[name])


def sidecar_bit_flipped(files: Files, _: Life, random: Random) -> None:
    def flipped(text: bytes) -> bytes:
        changed = bytearray(text)
        changed[random.randrange(len(text))] ^= 1 << random.randrange(8)
        return bytes(changed)

    with_sidecar(files, random, flipped)


def sidecar_cut_short(files: Files, _: Life, random: Random) -> None:
    with_sidecar(files, random, lambda text: text[: random.randrange(len(text))])


def sidecar_of_zeros(files: Files, _: Life, random: Random) -> None:
    """As after a loss of power: it is never synced."""

    def zeros(text: bytes) -> bytes:
        at = random.randrange(len(text)) // 512 * 512
        return text[:at] + bytes(len(text) - at)

    with_sidecar(files, random, zeros)


def sidecar_blocks_of_another(files: Files, life: Life, random: Random) -> None:
    """The first line of one, and the places of another."""
    copy = older(life, random)
    others = [copy.files[name] for name in copy.sidecars] or [b"\n"]

    def mixed(text: bytes) -> bytes:
        first, _, places = text.partition(b"\n")
        other = random.choice(others).partition(b"\n")[2]
        return first + b"\n" + other[: len(places)].ljust(len(places), b"\0")

    with_sidecar(files, random, mixed)


def sidecar_gone(files: Files, _: Life, random: Random) -> None:
    names = sorted(name for name in files if name.startswith("log/") and name.endswith(".places"))
    for name in names[: random.randint(0, len(names))]:
        del files[name]


def sidecar_of_another_segment(files: Files, life: Life, random: Random) -> None:
    copy = older(life, random)
    if copy.sidecars:
        text = copy.files[random.choice(copy.sidecars)]
        files[f"{segments(files)[0].removesuffix('.jsonl')}.places"] = text
        with_sidecar(files, random, lambda _: text)


def older_sidecars(files: Files, life: Life, random: Random) -> None:
    copy = older(life, random)
    files.update({name: copy.files[name] for name in copy.sidecars})


SIDECAR_KINDS: tuple[Kind, ...] = (
    sidecar_bit_flipped, sidecar_bit_flipped, sidecar_cut_short, sidecar_of_zeros,
    sidecar_blocks_of_another, sidecar_gone, sidecar_of_another_segment, older_sidecars,
)  # fmt: skip
KINDS: tuple[Kind, ...] = (
    *SINGLE, *SIDECAR_KINDS, all_gone, old_copy_of_a_segment, old_copy_of_the_log,
    old_copy_of_the_mark, two_at_once,
)  # fmt: skip


# What is done to the index. It may be gone, or older than the log; it may not lie.


def index_file(files: Files, random: Random) -> str:
    return random.choice([name for name in (INDEX, INDEX_LOG) if files.get(name)])


def index_bit_flipped(files: Files, _: Life, random: Random) -> None:
    flip_bit(files, index_file(files, random), random)


def index_bits_flipped(files: Files, _: Life, random: Random) -> None:
    for _each in range(random.randint(2, 50)):
        flip_bit(files, index_file(files, random), random)


def index_cut_short(files: Files, _: Life, random: Random) -> None:
    name = index_file(files, random)
    files[name] = files[name][: random.randrange(len(files[name]))]


def index_zeros_in_it(files: Files, _: Life, random: Random) -> None:
    name = index_file(files, random)
    text, size = files[name], random.choice(SECTORS)
    at = random.randrange(len(text)) // size * size
    files[name] = text[:at] + bytes(len(text[at : at + size])) + text[at + size :]


def copy_page(files: Files, source: Files, random: Random, same_place: bool) -> None:
    name = index_file(files, random)
    text, copied = files[name], source.get(name) or files[name]
    at = random.randrange(len(copied)) // 4096 * 4096
    to = at if same_place else random.randrange(len(text)) // 4096 * 4096
    page = copied[at : at + 4096]
    files[name] = text[:to] + page + text[to + len(page) :]


def index_page_written_elsewhere(files: Files, _: Life, random: Random) -> None:
    copy_page(files, files, random, same_place=False)


def index_page_of_an_older_one(files: Files, life: Life, random: Random) -> None:
    """A write to a page that the disk forgot."""
    copy_page(files, life[0].files, random, same_place=True)


def old_copy_of_the_index(files: Files, life: Life, random: Random) -> None:
    for name in (INDEX, INDEX_LOG):
        if name in files and random.random() < 0.7:
            files[name] = life[0].files[name]


def index_gone(files: Files, _: Life, random: Random) -> None:
    for name in (INDEX, INDEX_LOG):
        if random.random() < 0.7:
            files.pop(name, None)


def log_and_mark_put_back(files: Files, life: Life, random: Random) -> None:
    """All but the index is as it once was: only the index still knows."""
    copy = life[0]
    log_gone(files, life, random)
    files.update({name: copy.files[name] for name in (*copy.segments, MARK)})


INDEX_KINDS: tuple[Kind, ...] = (
    index_bit_flipped, index_bit_flipped, index_bits_flipped, index_cut_short, index_zeros_in_it,
    index_page_written_elsewhere, index_page_of_an_older_one, old_copy_of_the_index, index_gone,
    log_and_mark_put_back,
)  # fmt: skip
