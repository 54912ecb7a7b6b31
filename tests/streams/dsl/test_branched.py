"""Splitting a stream."""


def test_branches_are_named_after_the_split(builder):
    """A branch's name is the split's and its own, or its place."""
    branches = (
        builder.stream("in")
        .split(name="by-size-")
        .branch(lambda k, v: v > 10, name="large")
        .branch(lambda k, v: v > 5)
        .default_branch()
    )
    assert list(branches) == ["by-size-large", "by-size-2", "by-size-0"]


def test_a_split_knows_its_branches_in_order(builder):
    """The split holds one predicate per branch, None for the default."""
    builder.stream("in").split().branch(lambda k, v: True).default_branch()
    split = builder.program.graph["KSTREAM-BRANCH-0000000001"]
    assert split.branches == ("KSTREAM-BRANCH-00000000011", "KSTREAM-BRANCH-00000000010")
    assert [function is None for function in split.functions] == [False, True]


def test_a_branch_may_be_used_on_the_spot(builder):
    """What `use` returns stands in the result; None leaves the branch out."""
    branches = (
        builder.stream("in")
        .split(name="s")
        .branch(lambda k, v: True, name="a", use=lambda stream: stream.filter(lambda k, v: True, name="kept"))
        .branch(lambda k, v: True, name="b", use=lambda stream: stream.to("out"))
        .no_default_branch()
    )
    assert {name: stream.node for name, stream in branches.items()} == {"sa": "kept"}
