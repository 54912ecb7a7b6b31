"""The orders in which Java's collections give back what was put in: HashSet, and TreeSet while its order changes.

Kafka keeps a processor's stores in a HashSet, and it shows twice: in `describe`, and in the order in which stores are
registered, which is the order of their flushes. `describe` also keeps neighbours in a TreeSet whose comparison
(subtree size) still grows while it is filled, so that what comes out depends on the tree's shape.
Source: java.util.HashMap, String.hashCode, java.util.TreeMap (red-black insertion).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

__all__ = ["TreeOrder", "hash_ordered"]

SMALLEST_TABLE = 16


def hash_ordered(names: Iterable[str], begun: int = 0) -> tuple[str, ...]:
    """Distinct names in a HashSet's order; `names` in the order in which they were put in.

    `begun` is the hash code of what stands before each name, in objects that have more than a name.
    """
    distinct = tuple(dict.fromkeys(names))
    buckets = SMALLEST_TABLE
    while len(distinct) * 4 > buckets * 3:
        buckets *= 2
    return tuple(sorted(distinct, key=lambda name: spread(begun + java_hash(name) & 0xFFFFFFFF) & (buckets - 1)))


def java_hash(text: str) -> int:
    """String.hashCode, as an unsigned 32-bit number."""
    value = 0
    encoded = text.encode("utf-16-be")
    for high, low in zip(encoded[::2], encoded[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    return value


def spread(value: int) -> int:
    """What HashMap makes of a hash code before it picks a bucket."""
    return value ^ value >> 16


class Leaf(Struct, eq=False):
    """A node of the red-black tree."""

    name: str
    red: bool = True
    parent: Leaf | None = None
    left: Leaf | None = None
    right: Leaf | None = None


class TreeOrder:
    """A TreeSet of names; `precedes(a, b)` may answer differently as time goes on."""

    def __init__(self, precedes: Callable[[str, str], bool]) -> None:
        self._precedes = precedes
        self._root: Leaf | None = None

    def add(self, name: str) -> None:
        """Put a name in, unless the search for its place meets it."""
        parent, place = None, self._root
        while place is not None:
            if place.name == name:
                return
            parent = place
            place = place.left if self._precedes(name, place.name) else place.right
        leaf = Leaf(name, parent=parent)
        if parent is None:
            self._root = leaf
        elif self._precedes(name, parent.name):
            parent.left = leaf
        else:
            parent.right = leaf
        self._balance(leaf)

    def __iter__(self) -> Iterator[str]:
        return _in_order(self._root)

    def _balance(self, leaf: Leaf) -> None:
        while leaf.parent is not None and leaf.parent.red and leaf.parent.parent is not None:
            parent, grandparent = leaf.parent, leaf.parent.parent
            on_left = grandparent.left is parent
            uncle = grandparent.right if on_left else grandparent.left
            if uncle is not None and uncle.red:
                parent.red = uncle.red = False
                grandparent.red = True
                leaf = grandparent
                continue
            if leaf is (parent.right if on_left else parent.left):
                self._rotate(parent, to_left=on_left)
                leaf, parent = parent, leaf
            parent.red, grandparent.red = False, True
            self._rotate(grandparent, to_left=not on_left)
        if self._root is not None:
            self._root.red = False

    def _rotate(self, top: Leaf, *, to_left: bool) -> None:
        """Lift the right child (or, not `to_left`, the left one) into the place of `top`."""
        lifted = top.right if to_left else top.left
        assert lifted is not None
        inner = lifted.left if to_left else lifted.right
        if to_left:
            top.right, lifted.left = inner, top
        else:
            top.left, lifted.right = inner, top
        if inner is not None:
            inner.parent = top
        self._replace(top, lifted)
        top.parent = lifted

    def _replace(self, old: Leaf, new: Leaf) -> None:
        new.parent = old.parent
        if old.parent is None:
            self._root = new
        elif old.parent.left is old:
            old.parent.left = new
        else:
            old.parent.right = new


def _in_order(leaf: Leaf | None) -> Iterator[str]:
    if leaf is not None:
        yield from _in_order(leaf.left)
        yield leaf.name
        yield from _in_order(leaf.right)
