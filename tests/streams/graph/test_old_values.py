"""Which tables keep their rows, and which pass on old values."""


def test_a_table_without_need_keeps_nothing(builder, build):
    """An unnamed table that is only passed on has no store."""
    builder.table("t").to_stream().to("out")
    assert build().stores == {}


def test_a_named_table_is_kept(builder, build):
    """A name makes a table queryable, so it has a store."""
    builder.table("t", name="rows").to_stream().to("out")
    assert list(build().stores) == ["rows"]


def test_a_join_makes_both_tables_keep_their_rows(builder, build):
    """A table that is looked up has a store, through steps that keep none."""
    left, right = builder.table("l"), builder.table("r").map_values(lambda v: v)
    left.join(right, lambda a, b: a).to_stream().to("out")
    topology = build()
    assert list(topology.stores) == ["l-STATE-STORE-0000000000", "r-STATE-STORE-0000000003"]
    assert topology.nodes["KTABLE-JOINTHIS-0000000008"].stores == ("r-STATE-STORE-0000000003",)


def test_group_by_asks_for_old_values_all_the_way_up(builder, build):
    """Retraction needs the row that a change replaced, from the source on."""
    builder.table("t").map_values(lambda v: v).group_by(lambda k, v: (v, k)).count()
    graph = build().graph
    assert graph["KTABLE-SOURCE-0000000002"].send_old_values
    assert graph["KTABLE-SOURCE-0000000002"].stored
    assert graph["KTABLE-MAPVALUES-0000000003"].send_old_values


def test_a_filter_asks_softly(builder, build):
    """A filter takes old values where there is a store already, and forces none."""
    builder.table("a", name="kept").filter(lambda k, v: True).to_stream().to("x")
    builder.table("b").filter(lambda k, v: True).to_stream().to("y")
    topology = build()
    assert list(topology.stores) == ["kept"]
    filters = [node for name, node in topology.graph.items() if "FILTER" in name]
    assert [node.send_old_values for node in filters] == [True, False]


def test_a_left_join_asks_its_left_side_only(builder, build):
    """Kafka's table: inner asks nobody, left the left, outer both."""
    tables = {name: builder.table(name, name=name) for name in ("l1", "r1", "l2", "r2", "l3", "r3")}
    tables["l1"].join(tables["r1"], lambda a, b: a)
    tables["l2"].left_join(tables["r2"], lambda a, b: a)
    tables["l3"].outer_join(tables["r3"], lambda a, b: a)
    asked = {node.topic for node in build().graph.values() if getattr(node, "topic", None) and node.send_old_values}
    assert asked == {"l2", "l3", "r3"}


def test_suppress_asks_for_old_values(builder, build):
    """A suppressed table answers lookups with the value before the one it holds back."""
    from streams.dsl.suppressed import until_time_limit

    builder.table("t").suppress(until_time_limit("1 s")).to_stream().to("out")
    assert build().graph["KTABLE-SOURCE-0000000002"].send_old_values
