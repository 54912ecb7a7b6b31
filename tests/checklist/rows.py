"""Rows of the list of Kafka Streams' features that tests elsewhere prove: row -> file::test."""

BUILDER = "tests/streams/dsl/test_topology_builder.py"
BUILD = "tests/streams/topology/test_build.py"
VECTORS = "tests/oracle/test_format_vectors.py::test_topics_carry_kafkas_bytes"
SINKS = "tests/streams/operators/test_source_and_sink.py"
STATE = "tests/state"
RUNTIME = "tests/streams/runtime"
DRIVER = "tests/streams/test_testing.py"

NOT_HERE = {
    145: "stores that keep headers beside values (Kafka 4.3): headers travel with records, and end at stores",
    159: "store classes of the user's own: a store is of one of the kinds that `state` has",
}
"""Rows that Headrace does not have, and what there is."""

ELSEWHERE = {
    7: "tests/streams/dsl/test_builder.py::test_a_processor_may_use_stores_by_name_or_bring_its_own",
    8: "tests/streams/dsl/test_builder.py::test_a_global_store_is_filled_by_its_processor",
    10: f"{BUILDER}::test_a_sink_may_choose_topic_and_partition",
    11: f"{BUILDER}::test_source_processor_and_sink_run",
    12: f"{BUILDER}::test_a_sink_may_choose_topic_and_partition",
    13: f"{BUILDER}::test_a_store_is_connected_as_it_is_added",
    14: f"{BUILDER}::test_a_shared_store_joins_processors_in_one_task",
    15: f"{BUILDER}::test_a_global_store_is_filled_by_its_processor",
    16: f"{BUILDER}::test_a_read_only_store_has_its_topic_as_changelog",
    17: "tests/streams/topology/test_describe.py::test_random_programs_are_described_as_by_kafka",
    21: f"{BUILD}::test_stores_may_be_in_memory_by_default",
    22: f"{BUILD}::test_a_wrapper_goes_around_every_processor",
    23: f"{BUILD}::test_generated_names_can_be_forbidden",
    45: f"{SINKS}::test_a_partitioner_may_choose_several_partitions_or_none",
    46: f"{SINKS}::test_windows_of_a_key_share_its_partition",
    82: "tests/streams/serdes/test_windowed.py::test_layouts",
    83: "tests/streams/serdes/test_windowed.py::test_layouts",
    84: "tests/streams/serdes/test_windowed.py::test_round_trip",
    89: "tests/streams/operators/test_suppress.py::test_what_waits_is_found_again_in_the_store",
    92: "tests/streams/operators/test_process.py::test_a_transformer_of_a_table_sees_deletions",
    116: f"{BUILD}::test_a_global_join_may_take_both_keys",
    138: f"{STATE}/test_key_value.py::test_it_is_a_dictionary",
    139: f"{STATE}/test_key_value.py::test_it_is_a_dictionary",
    140: f"{STATE}/test_key_value.py::test_it_is_a_dictionary",
    141: f"{STATE}/test_bounded.py::test_what_was_not_used_for_longest_makes_room",
    142: f"{STATE}/test_versioned.py::test_it_knows_what_was_valid_when",
    143: f"{STATE}/test_window.py::test_it_keeps_and_forgets_as_kafka_does",
    144: f"{STATE}/test_session.py::test_sessions_are_found",
    146: f"{STATE}/test_key_value.py::test_plain_stores_have_kafkas_verbs",
    147: f"{STATE}/test_window.py::test_it_keeps_and_forgets_as_kafka_does",
    148: f"{STATE}/test_session.py::test_sessions_are_found",
    149: f"{STATE}/test_versioned.py::test_it_knows_what_was_valid_when",
    150: f"{STATE}/test_cache.py::test_updates_replace_each_other_until_a_flush",
    151: VECTORS,
    152: f"{RUNTIME}/test_restorer.py::test_restores_everything_into_a_new_store",
    153: f"{RUNTIME}/test_placement.py::test_the_dead_are_replaced_by_their_standbys",
    154: f"{STATE}/test_key_value.py::test_a_restart_continues_at_the_position",
    155: f"{RUNTIME}/test_global_state.py::test_all_partitions_are_read_before_the_first_record",
    156: f"{BUILD}::test_stores_may_be_in_memory_by_default",
    157: f"{STATE}/test_crash.py::test_a_killed_process_leaves_a_whole_commit",
    158: f"{DRIVER}::test_rocksdbs_options_may_be_set",
    160: f"{DRIVER}::test_stores_can_be_looked_into",
    171: f"{RUNTIME}/test_worker.py::test_counts_words_and_commits",
    172: f"{RUNTIME}/test_worker.py::test_counts_words_and_commits",
    175: f"{RUNTIME}/test_partition_group.py::test_waits_by_the_clock_when_told",
    176: f"{RUNTIME}/test_committer.py::test_the_only_safe_order",
    177: f"{RUNTIME}/test_worker.py::test_exactly_once_counts_each_word_once_over_restarts",
    178: f"{STATE}/test_crash.py::test_a_killed_process_leaves_a_whole_commit",
    179: "tests/streams/topology/test_internal_topics.py::test_settings_of_changelogs_by_kind_of_store",
    180: f"{RUNTIME}/test_worker.py::test_repartition_topics_are_purged_after_commits",
    182: f"{SINKS}::test_bytes_that_cannot_be_read_are_skipped_on_demand",
    183: f"{RUNTIME}/test_error_handlers.py::test_user_code_and_results_have_their_own_errors",
    184: f"{SINKS}::test_a_result_that_cannot_be_serialized_names_the_topic",
    186: "tests/streams/clients/test_partitioner.py::test_murmur2_equals_kafkas",
    187: f"{RUNTIME}/test_assignor.py::test_a_task_waits_for_a_warm_copy",
    189: f"{RUNTIME}/test_placement.py::test_standbys_lie_in_as_many_racks_as_can_be",
    193: f"{STATE}/test_directory.py::test_a_second_owner_is_refused_by_name",
    194: "tests/streams/cli/test_topic_commands.py::test_reset_takes_an_application_back",
    195: f"{DRIVER}::test_records_go_in_and_come_out",
    196: f"{DRIVER}::test_without_a_timestamp_a_record_has_the_driver_clocks",
    197: f"{DRIVER}::test_output_is_read_once",
    198: f"{DRIVER}::test_output_is_read_once",
    199: "tests/streams/test_mock_processor_context.py::test_what_a_processor_does_is_written_down",
    200: f"{DRIVER}::test_without_a_timestamp_a_record_has_the_driver_clocks",
}
