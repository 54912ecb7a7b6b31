// Java clients and Kafka Streams against a broker: java Client.java HOST:PORT prints one line of JSON, what held, by name;
// java Client.java HOST:PORT member GROUP TOPIC [consumer] prints the values a member of a group reads.
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

public class Client {
    static String address;
    static final Map<String, String> results = new TreeMap<>();

    interface Body { void run() throws Exception; }

    static void holds(String name, Body body) {
        try {
            body.run();
            results.put(name, "ok");
        } catch (Throwable error) {
            results.put(name, String.valueOf(error).replace('"', '\'').replace('\n', ' '));
        }
    }

    static void expect(boolean condition, Object text) {
        if (!condition) throw new IllegalStateException(String.valueOf(text));
    }

    static Map<String, Object> settings(Object... pairs) {
        Map<String, Object> made = new HashMap<>(Map.of("bootstrap.servers", address));
        for (int i = 0; i < pairs.length; i += 2) made.put((String) pairs[i], pairs[i + 1]);
        return made;
    }

    static KafkaProducer<String, String> producer(Object... pairs) {
        return new KafkaProducer<>(settings(pairs), new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(Object... pairs) {
        Map<String, Object> made = settings(pairs);
        made.putIfAbsent("auto.offset.reset", "earliest");
        return new KafkaConsumer<>(made, new StringDeserializer(), new StringDeserializer());
    }

    static List<String> read(KafkaConsumer<String, String> reader, int count) {
        List<String> values = new ArrayList<>();
        long end = System.currentTimeMillis() + 20_000;
        while (values.size() < count && System.currentTimeMillis() < end)
            for (var record : reader.poll(Duration.ofMillis(200))) values.add(record.value());
        expect(values.size() >= count, "read " + values);
        return values;
    }

    static void admin() throws Exception {
        try (Admin admin = Admin.create(settings())) {
            var one = new NewTopic("java", Optional.of(2), Optional.empty()).configs(Map.of("retention.ms", "1000000"));
            var names = List.of(one, new NewTopic("java-txn", 1, (short) 1), new NewTopic("java-out", 1, (short) 1));
            var created = admin.createTopics(names);
            created.all().get();
            expect(created.config("java").get().get("retention.ms").value().equals("1000000"), "config echoed");
            var described = admin.describeTopics(List.of("java")).allTopicNames().get().get("java");
            expect(described.partitions().size() == 2, described);
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, "java");
            var set = new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND);
            admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
            var policy = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("cleanup.policy");
            expect(policy.value().equals("delete,compact"), policy);
            var unset = new AlterConfigOp(new ConfigEntry("cleanup.policy", ""), AlterConfigOp.OpType.DELETE);
            admin.incrementalAlterConfigs(Map.of(resource, List.of(unset))).all().get();
            admin.createPartitions(Map.of("java-out", NewPartitions.increaseTo(2))).all().get();
            admin.describeCluster().nodes().get();
            admin.describeMetadataQuorum().quorumInfo().get();
            admin.describeFeatures().featureMetadata().get();
            admin.describeLogDirs(List.of(admin.describeCluster().controller().get().id())).allDescriptions().get();
            admin.listConfigResources().all().get();
        }
    }

    static void admins() throws Exception {
        try (Admin admin = Admin.create(settings())) {
            var groups = admin.listGroups().all().get();
            expect(groups.stream().anyMatch(group -> group.groupId().equals("java-group")), groups);
            var offsets = admin.listConsumerGroupOffsets("java-group").partitionsToOffsetAndMetadata().get();
            expect(offsets.values().stream().mapToLong(OffsetAndMetadata::offset).sum() >= 1, offsets);
            admin.deleteConsumerGroupOffsets("java-group", offsets.keySet()).all().get();
            admin.deleteConsumerGroups(List.of("java-group")).all().get();
            admin.listTransactions().all().get();
            admin.describeTransactions(List.of("java-txn")).all().get();
            admin.deleteRecords(Map.of(new TopicPartition("java", 0), RecordsToDelete.beforeOffset(-1))).all().get();
            admin.deleteTopics(List.of("java-out")).all().get();
        }
    }

    static void codec(String name) throws Exception {
        try (var producer = producer("compression.type", name)) {
            producer.send(new ProducerRecord<>("java", name, name.repeat(500))).get(20, TimeUnit.SECONDS);
        }
    }

    static void group(String protocol) {
        try (var reader = consumer("group.id", "java-group", "group.protocol", protocol, "enable.auto.commit", "false")) {
            reader.subscribe(List.of("java"));
            read(reader, 5);
            reader.commitSync();
        }
        try (Admin admin = Admin.create(settings())) {
            if (protocol.equals("classic")) admin.deleteConsumerGroups(List.of("java-group")).all().get();
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    static void byTimestamp() {
        try (var reader = consumer()) {
            var partition = new TopicPartition("java", 0);
            expect(reader.offsetsForTimes(Map.of(partition, 0L)).get(partition).offset() == 0, "the first");
            expect(reader.offsetsForTimes(Map.of(partition, Long.MAX_VALUE)).get(partition) == null, "the last");
        }
    }

    static void transactions() throws Exception {
        try (var writer = producer("transactional.id", "java-txn")) {
            writer.initTransactions();
            for (String value : List.of("aborted", "committed")) {
                writer.beginTransaction();
                writer.send(new ProducerRecord<>("java-txn", "k", value)).get(20, TimeUnit.SECONDS);
                writer.sendOffsetsToTransaction(
                    Map.of(new TopicPartition("java", 0), new OffsetAndMetadata(1)), new ConsumerGroupMetadata("java-offsets"));
                if (value.equals("committed")) writer.commitTransaction(); else writer.abortTransaction();
            }
        }
        try (var reader = consumer("group.id", "java-committed", "isolation.level", "read_committed")) {
            reader.subscribe(List.of("java-txn"));
            expect(read(reader, 1).equals(List.of("committed")), "read_committed");
        }
    }

    static void streams() throws Exception {
        try (Admin admin = Admin.create(settings())) {
            admin.createTopics(List.of(new NewTopic("java-words", 2, (short) 1), new NewTopic("java-counts", 1, (short) 1))).all().get();
        }
        var builder = new StreamsBuilder();
        builder.stream("java-words", Consumed.with(Serdes.String(), Serdes.String()))
            .groupBy((key, value) -> value, Grouped.with(Serdes.String(), Serdes.String()))
            .count().toStream().mapValues(String::valueOf).to("java-counts", Produced.with(Serdes.String(), Serdes.String()));
        var properties = new Properties();
        properties.putAll(settings("application.id", "java-streams", "processing.guarantee", "exactly_once_v2",
            "commit.interval.ms", 200, "state.dir", System.getProperty("java.io.tmpdir") + "/streams-" + ProcessHandle.current().pid()));
        try (var app = new KafkaStreams(builder.build(), properties); var producer = producer()) {
            app.start();
            for (String word : List.of("a", "b", "a", "a")) producer.send(new ProducerRecord<>("java-words", null, word)).get();
            try (var reader = consumer("group.id", "java-counts", "isolation.level", "read_committed")) {
                reader.subscribe(List.of("java-counts"));
                long end = System.currentTimeMillis() + 40_000;
                var values = new HashMap<String, String>();
                while (!Objects.equals(values.get("a"), "3") && System.currentTimeMillis() < end)
                    for (var record : reader.poll(Duration.ofMillis(200))) values.put(record.key(), record.value());
                expect(values.equals(Map.of("a", "3", "b", "1")), values);
            }
        }
    }

    static void member(String group, String topic, String protocol) {
        var more = protocol.equals("classic") ? new Object[] {"session.timeout.ms", "6000", "heartbeat.interval.ms", "1000"} : new Object[0];
        var pairs = new ArrayList<Object>(List.of("group.id", group, "group.protocol", protocol, "enable.auto.commit", "false"));
        pairs.addAll(List.of(more));
        try (var reader = consumer(pairs.toArray())) {
            reader.subscribe(List.of(topic));
            while (true) {
                for (var record : reader.poll(Duration.ofMillis(100))) System.out.println(record.value());
                reader.commitSync();
            }
        }
    }

    public static void main(String[] arguments) {
        address = arguments[0];
        if (arguments.length > 3) member(arguments[2], arguments[3], arguments.length > 4 ? arguments[4] : "classic");
        holds("admin", Client::admin);
        holds("idempotent", () -> codec("none"));
        for (String name : List.of("gzip", "snappy", "lz4", "zstd")) holds(name, () -> codec(name));
        holds("group", () -> group("classic"));
        holds("group (consumer protocol)", () -> group("consumer"));
        holds("offsets by timestamp", Client::byTimestamp);
        holds("transactions", Client::transactions);
        holds("streams, exactly once", Client::streams);
        holds("admin of groups", Client::admins);
        var line = new StringJoiner(", ", "{", "}");
        results.forEach((name, result) -> line.add('"' + name + "\": \"" + result + '"'));
        System.out.println(line);
        System.exit(0);
    }
}
