import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.errors.ErrorHandlerContext;
import org.apache.kafka.streams.errors.LogAndContinueProcessingExceptionHandler;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.kstream.internals.AbstractStream;
import org.apache.kafka.streams.processor.Cancellable;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.RecordContext;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.processor.TopicNameExtractor;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.ValueAndTimestamp;
import org.apache.kafka.streams.state.ValueTimestampHeaders;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.state.WindowStoreIterator;
import org.apache.kafka.streams.test.TestRecord;

/**
 * Runs cases on Kafka Streams: reads them as JSON lines, builds each topology with Kafka's own DSL, feeds the steps to
 * Kafka's TopologyTestDriver, and writes the cases back with Kafka's outputs and description, or with its error.
 *
 * <p>One process serves any number of cases. The DSL forgets serdes behind a map; here types are known on every edge,
 * so a result that lost its serdes gets them back. That changes no topology: names and shape do not depend on serdes.
 */
@SuppressWarnings({"unchecked", "rawtypes", "deprecation"})
public final class Recorder {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String LETTERS = "errors_dead_letter_queue_topic_name";
    private static final String PLACE = "__streams.errors.";
    private static final Pattern LEFT_OUT = Pattern.compile("__streams\\.errors\\.(exception|message|stacktrace)");

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        int number = 0;
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            // A folder of its own: a driver that fails to start keeps the locks on its stores.
            String stateDirectory = arguments[0] + "/" + number++;
            out.println(JSON.writeValueAsString(answered((ObjectNode) JSON.readTree(line), stateDirectory)));
        }
    }

    /** The case with Kafka's outputs and description, or with its error. */
    private static ObjectNode answered(ObjectNode wanted, String stateDirectory) {
        ObjectNode answer = wanted.deepCopy();
        Continuing.AFTER.clear();
        try {
            Program program = new Program(wanted);
            Properties settings = settingsOf(wanted, stateDirectory);
            Topology topology = program.build(settings);
            answer.put("describe", topology.describe().toString());
            try (TopologyTestDriver driver = new TopologyTestDriver(topology, settings, Instant.ofEpochMilli(0))) {
                feed(driver, program, (ArrayNode) answer.get("steps"));
                answer.put("dropped", dropped(driver));
                if (wanted.path("bytes").asBoolean()) answer.set("bytes", internalTopics(driver));
            }
        } catch (Throwable error) {
            answer.put("error", described(error));
        }
        if (!Continuing.AFTER.isEmpty()) Continuing.AFTER.forEach(answer.putArray("continued_after")::add);
        return answer;
    }

    /** Goes on after errors, and keeps what those say that no function of a case raised: they are of Kafka itself. */
    public static final class Continuing extends LogAndContinueProcessingExceptionHandler {
        static final Set<String> AFTER = new TreeSet<>();

        @Override
        public Response handleError(
            ErrorHandlerContext context, org.apache.kafka.streams.processor.api.Record<?, ?> record, Exception error) {
            if (!Functions.RAISED.equals(error.getMessage())) AFTER.add(described(error));
            return super.handleError(context, record, error);
        }
    }

    /** How many records the driver's tasks dropped. */
    private static long dropped(TopologyTestDriver driver) {
        double dropped = 0;
        for (Map.Entry<MetricName, ? extends Metric> metric : driver.metrics().entrySet()) {
            if (metric.getKey().name().equals("dropped-records-total")) dropped += (double) metric.getValue().metricValue();
        }
        return (long) dropped;
    }

    private static String described(Throwable error) {
        Throwable root = error;
        while (root.getCause() != null) root = root.getCause();
        String text = error.getClass().getSimpleName() + ": " + error.getMessage();
        return root == error ? text : text + " / " + root.getClass().getSimpleName() + ": " + root.getMessage();
    }

    private static Properties settingsOf(JsonNode wanted, String stateDirectory) {
        Properties settings = new Properties();
        settings.put("application.id", "oracle");
        settings.put("bootstrap.servers", "unused:1");
        settings.put("state.dir", stateDirectory);
        settings.put("default.value.serde", Serdes.StringSerde.class); // a foreign-key join's result, without a store
        JsonNode config = wanted.path("config");
        if (config.has("cache_max_bytes")) {
            settings.put("statestore.cache.max.bytes", config.get("cache_max_bytes").asText());
        }
        if (config.has("topology_optimization")) {
            settings.put("topology.optimization", config.get("topology_optimization").asText());
        }
        if (config.has("dsl_store_format")) {
            settings.put("dsl.store.format", config.get("dsl_store_format").asText());
        }
        if (config.has("processing_on_error")) {
            settings.put("processing.exception.handler", Continuing.class);
        }
        if (config.has(LETTERS)) settings.put("errors.dead.letter.queue.topic.name", config.get(LETTERS).asText());
        if (config.has("max_task_idle_ms")) settings.put("max.task.idle.ms", config.get("max_task_idle_ms").asText());
        if (config.has("upgrade_from")) settings.put("upgrade.from", config.get("upgrade_from").asText());
        return settings;
    }

    private static void feed(TopologyTestDriver driver, Program program, ArrayNode steps) {
        Map<String, TestInputTopic> inputs = new HashMap<>();
        Map<String, TestOutputTopic> outputs = new LinkedHashMap<>();
        program.outputs.forEach((topic, types) -> outputs.put(topic, driver.createOutputTopic(
            topic, types.key.serde.deserializer(), types.value.serde.deserializer())));
        JsonNode named = program.wanted.path("config").path(LETTERS);
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        TestOutputTopic<byte[], byte[]> letters =
            named.isMissingNode() ? null : driver.createOutputTopic(named.asText(), bytes, bytes);
        for (JsonNode step : steps) {
            if (step.has("clock")) driver.advanceWallClockTime(Duration.ofMillis(step.get("clock").asLong()));
            else pipe(driver, program, inputs, step.get("in"));
            ArrayNode out = ((ObjectNode) step).putArray("out");
            outputs.forEach((topic, output) -> {
                while (!output.isEmpty()) out.add(entry(topic, output.readRecord()));
            });
            if (letters != null) while (!letters.isEmpty()) out.add(letter(letters.readRecord()));
        }
    }

    /** All that was written to internal topics, as bytes in hexadecimal: [key, value, timestamp, headers] by topic. */
    private static ObjectNode internalTopics(TopologyTestDriver driver) {
        ObjectNode topics = JSON.createObjectNode();
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        for (String topic : new TreeSet<>(driver.producedTopicNames())) {
            if (!topic.startsWith("oracle-")) continue;
            ArrayNode records = topics.putArray(topic);
            for (TestRecord<byte[], byte[]> record : driver.createOutputTopic(topic, bytes, bytes).readRecordsToList()) {
                ArrayNode shown = records.addArray().add(hex(record.key())).add(hex(record.value()));
                shown.add(record.timestamp());
                ArrayNode headers = shown.addArray();
                for (Header header : record.headers()) headers.addArray().add(header.key()).add(hex(header.value()));
            }
        }
        return topics;
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? null : HexFormat.of().formatHex(bytes);
    }

    private static void pipe(TopologyTestDriver driver, Program program, Map<String, TestInputTopic> inputs, JsonNode in) {
        Types types = program.typesOf(in.get(0).asText());
        RecordHeaders headers = new RecordHeaders();
        for (JsonNode header : in.path(4)) {
            headers.add(header.get(0).asText(), header.get(1).asText().getBytes(StandardCharsets.UTF_8));
        }
        TestInputTopic input = inputs.computeIfAbsent(in.get(0).asText(), topic -> driver.createInputTopic(
            topic, types.key.serde.serializer(), types.value.serde.serializer()));
        input.pipeInput(new TestRecord(types.key.parsed(in.get(1)), types.value.parsed(in.get(2)), headers,
            in.get(3).asLong()));
    }

    private static ArrayNode entry(String topic, TestRecord<?, ?> written) {
        ArrayNode entry = JSON.createArrayNode().add(topic).add(shown(written.key())).add(shown(written.value()))
            .add((long) written.timestamp());
        if (written.headers().toArray().length == 0) return entry;
        ArrayNode headers = entry.addArray();
        for (Header header : written.headers()) {
            headers.addArray().add(header.key()).add(new String(header.value(), StandardCharsets.UTF_8));
        }
        return entry;
    }

    /** A dead letter, without what its headers say of the error, and of the place of what a punctuator put out. */
    private static ArrayNode letter(TestRecord<byte[], byte[]> written) {
        ArrayNode entry = JSON.createArrayNode().add("dead").add(hex(written.key())).add(hex(written.value()))
            .add((long) written.timestamp());
        ArrayNode headers = entry.addArray();
        boolean ofNoTopic = written.headers().lastHeader(PLACE + "topic").value() == null;
        for (Header header : written.headers()) {
            if (LEFT_OUT.matcher(header.key()).matches() || (ofNoTopic && header.key().startsWith(PLACE))) continue;
            headers.addArray().add(header.key()).add(new String(header.value(), StandardCharsets.UTF_8));
        }
        return entry;
    }

    private static JsonNode shown(Object value) {
        if (!(value instanceof Windowed)) return JSON.valueToTree(value);
        Windowed windowed = (Windowed) value;
        ObjectNode node = JSON.createObjectNode();
        node.set("key", shown(windowed.key()));
        node.putArray("window").add(windowed.window().start()).add(windowed.window().end());
        return node;
    }

    /** A type of keys or values, with its serde; a windowed type knows that of the key inside. */
    private record Type(String name, Serde serde, Type inner) {
        static final Type STRING = new Type("string", Serdes.String(), null);
        static final Type INT = new Type("int", Serdes.Integer(), null);
        static final Type LONG = new Type("long", Serdes.Long(), null);
        static final Type DOUBLE = new Type("double", Serdes.Double(), null);

        static Type of(String name) {
            return switch (name) {
                case "string" -> STRING;
                case "int" -> INT;
                case "long" -> LONG;
                case "double" -> DOUBLE;
                default -> throw new IllegalArgumentException("no type " + name);
            };
        }

        Object parsed(JsonNode node) {
            if (node.isNull()) return null;
            return switch (name) {
                case "string" -> node.asText();
                case "int" -> node.asInt();
                case "long" -> node.asLong();
                case "double" -> node.asDouble();
                default -> throw new IllegalArgumentException("no inputs of type " + name);
            };
        }
    }

    private record Types(Type key, Type value) {}

    /** What an operation gave: an object of the DSL, and the types on it. */
    private record Result(Object handle, Type key, Type value) {
        boolean isTable() {
            return handle instanceof KTable;
        }

        Types types() {
            return new Types(key, value);
        }
    }

    /** Builds the program of a case, operation by operation. */
    private static final class Program {
        final Map<String, Types> outputs = new LinkedHashMap<>();
        private final StreamsBuilder builder = new StreamsBuilder();
        private final Map<String, Result> results = new HashMap<>();
        private final JsonNode wanted;

        Program(JsonNode wanted) {
            this.wanted = wanted;
        }

        Topology build(Properties settings) throws Exception {
            for (JsonNode operation : wanted.get("topology")) {
                Result result = add(operation);
                if (result != null && operation.has("id")) results.put(operation.get("id").asText(), typed(result));
            }
            return builder.build(settings);
        }

        Types typesOf(String topic) {
            JsonNode own = wanted.path("types").path(topic);
            String key = own.isArray() ? own.get(0).asText() : wanted.path("key_type").asText("string");
            String value = own.isArray() ? own.get(1).asText() : wanted.path("value_type").asText("string");
            return new Types(Type.of(key), Type.of(value));
        }

        private static Result typed(Result result) throws Exception {
            if (result.handle instanceof AbstractStream) {
                restore(result.handle, "keySerde", result.key.serde);
                restore(result.handle, "valueSerde", result.value.serde);
            }
            return result;
        }

        private static void restore(Object handle, String name, Serde serde) throws Exception {
            Field field = AbstractStream.class.getDeclaredField(name);
            field.setAccessible(true);
            if (field.get(handle) == null) field.set(handle, serde);
        }

        private Result of(JsonNode operation, String field) {
            Result found = results.get(operation.get(field).asText());
            if (found == null) throw new IllegalArgumentException("no result " + operation.get(field));
            return found;
        }

        private Result add(JsonNode operation) {
            return switch (operation.get("op").asText()) {
                case "stream" -> stream(operation);
                case "table" -> table(operation);
                case "globalTable" -> globalTable(operation);
                case "filter", "filterNot" -> filtered(operation);
                case "mapValues" -> mappedValues(operation, false);
                case "transformValues" -> mappedValues(operation, true);
                case "map", "flatMap", "selectKey", "flatMapValues" -> mapped(operation);
                case "merge" -> merged(operation);
                case "split" -> split(operation);
                case "repartition" -> repartitioned(operation);
                case "toTable" -> toTable(operation);
                case "toStream" -> toStream(operation);
                case "groupByKey", "groupBy" -> grouped(operation);
                case "cogroup" -> cogrouped(operation);
                case "windowedBy" -> windowed(operation);
                case "count" -> counted(operation);
                case "reduce" -> reduced(operation);
                case "aggregate" -> aggregated(operation);
                case "suppress" -> suppressed(operation);
                case "process" -> processed(operation);
                case "addStore" -> addedStore(operation);
                case "join", "leftJoin", "outerJoin" -> joined(operation);
                case "to" -> to(operation);
                default -> throw new IllegalArgumentException("no operation " + operation.get("op"));
            };
        }

        // Sources and sinks

        private Result stream(JsonNode operation) {
            String topic = operation.get("topic").asText();
            Types types = typesOf(topic);
            KStream handle = builder.stream(topic, consumed(operation, types));
            return new Result(handle, types.key, types.value);
        }

        private Result table(JsonNode operation) {
            String topic = operation.get("topic").asText();
            Types types = typesOf(topic);
            Consumed consumed = consumed(operation, types);
            Materialized stored = stored(operation, types, false);
            KTable handle = stored == null ? builder.table(topic, consumed) : builder.table(topic, consumed, stored);
            return new Result(handle, types.key, types.value);
        }

        private Result globalTable(JsonNode operation) {
            String topic = operation.get("topic").asText();
            Types types = typesOf(topic);
            Object handle = builder.globalTable(topic, consumed(operation, types));
            return new Result(handle, types.key, types.value);
        }

        private static Consumed consumed(JsonNode operation, Types types) {
            Consumed consumed = Consumed.with(types.key.serde, types.value.serde);
            if (!operation.has("extractor")) return consumed;
            return consumed.withTimestampExtractor(Functions.extractor(operation.get("extractor").asText()));
        }

        private Result to(JsonNode operation) {
            Result source = of(operation, "from");
            String topic = operation.get("topic").asText();
            Produced produced = Produced.with(source.key.serde, source.value.serde);
            if (!operation.has("route")) {
                outputs.putIfAbsent(topic, source.types());
                ((KStream) source.handle).to(topic, produced);
                return null;
            }
            for (int number = 0; number < 2; number++) outputs.putIfAbsent(topic + "-" + number, source.types());
            ((KStream) source.handle).to(new Route(topic, operation.get("route").asText()), produced);
            return null;
        }

        /** How a result is stored; null when the case says nothing of it, unless it must be said. */
        private static Materialized stored(JsonNode operation, Types types, boolean always) {
            if (!always && !operation.has("store") && !operation.has("cache") && !operation.has("versionedMs")) {
                return null;
            }
            Materialized stored = operation.has("versionedMs")
                ? Materialized.as(Stores.persistentVersionedKeyValueStore(
                    operation.get("store").asText(), millis(operation, "versionedMs")))
                : operation.has("maxEntries")
                ? Materialized.as(Stores.lruMap(operation.get("store").asText(), operation.get("maxEntries").asInt()))
                : operation.has("store") ? Materialized.as(operation.get("store").asText())
                : Materialized.with(types.key.serde, types.value.serde);
            stored = stored.withKeySerde(types.key.serde).withValueSerde(types.value.serde);
            return operation.path("cache").asBoolean(true) ? stored : stored.withCachingDisabled();
        }

        private static Duration millis(JsonNode node, String field) {
            return Duration.ofMillis(node.path(field).asLong());
        }

        // Stateless steps

        private Result filtered(JsonNode operation) {
            Result source = of(operation, "from");
            Predicate predicate = Functions.predicate(operation.get("fn").asText());
            boolean positive = operation.get("op").asText().equals("filter");
            if (!source.isTable()) {
                KStream stream = (KStream) source.handle;
                return new Result(positive ? stream.filter(predicate) : stream.filterNot(predicate),
                    source.key, source.value);
            }
            KTable table = (KTable) source.handle;
            Materialized stored = stored(operation, source.types(), false);
            KTable handle = stored == null
                ? (positive ? table.filter(predicate) : table.filterNot(predicate))
                : (positive ? table.filter(predicate, stored) : table.filterNot(predicate, stored));
            return new Result(handle, source.key, source.value);
        }

        /** By functions or, if it transforms, by transformers of tables and processors of streams that call them. */
        private Result mappedValues(JsonNode operation, boolean transforms) {
            Result source = of(operation, "from");
            String name = operation.get("fn").asText();
            ValueMapperWithKey mapper = Functions.valueMapper(name)::apply;
            Types types = Functions.valueMapperTypes(name, source.types());
            if (!source.isTable()) {
                KStream stream = (KStream) source.handle;
                FixedKeyProcessorSupplier processor = () -> new Processing(counting(operation, mapper));
                return new Result(transforms ? stream.processValues(processor) : stream.mapValues(mapper),
                    types.key, types.value);
            }
            KTable table = (KTable) source.handle;
            Materialized stored = stored(operation, types, false);
            ValueTransformerWithKeySupplier transformer = () -> new Transforming(counting(operation, mapper));
            KTable handle = stored == null
                ? (transforms ? table.transformValues(transformer) : table.mapValues(mapper))
                : (transforms ? table.transformValues(transformer, stored) : table.mapValues(mapper, stored));
            return new Result(handle, types.key, types.value);
        }

        /** The mapper; of texts, one that counts how often it was asked for their key, where the operation says so. */
        private static ValueMapperWithKey counting(JsonNode operation, ValueMapperWithKey mapper) {
            if (!operation.path("counts").asBoolean()) return mapper;
            Map<Object, Integer> asked = new HashMap<>();
            return (key, value) -> {
                int count = asked.merge(key, 1, Integer::sum);
                Object mapped = mapper.apply(key, value);
                return mapped instanceof String ? mapped + "#" + count : mapped;
            };
        }

        private Result mapped(JsonNode operation) {
            Result source = of(operation, "from");
            KStream stream = (KStream) source.handle;
            String name = operation.get("fn").asText();
            if (operation.get("op").asText().equals("flatMapValues")) {
                ValueMapperWithKey mapper = Functions.valueMapper(name)::apply;
                Types types = Functions.valueMapperTypes(name, source.types());
                return new Result(stream.flatMapValues(mapper), types.key, types.value);
            }
            if (operation.get("op").asText().equals("selectKey")) {
                KeyValueMapper selector = Functions.selector(name);
                Type key = Functions.selectorType(name, source.types());
                return new Result(stream.selectKey(selector), key, source.value);
            }
            KeyValueMapper mapper = Functions.mapper(name);
            Types types = Functions.mapperTypes(name, source.types());
            boolean flat = operation.get("op").asText().equals("flatMap");
            return new Result(flat ? stream.flatMap(mapper) : stream.map(mapper), types.key, types.value);
        }

        private Result merged(JsonNode operation) {
            Result left = of(operation, "left");
            return new Result(((KStream) left.handle).merge((KStream) of(operation, "right").handle),
                left.key, left.value);
        }

        private Result split(JsonNode operation) {
            Result source = of(operation, "from");
            KStream stream = (KStream) source.handle;
            BranchedKStream branches =
                operation.has("name") ? stream.split(Named.as(operation.get("name").asText())) : stream.split();
            for (JsonNode branch : operation.get("branches")) {
                Function function = kept -> {
                    keep(branch.get("id").asText(), new Result(kept, source.key, source.value));
                    return kept;
                };
                Branched keep = Branched.withFunction(function);
                if (branch.path("default").asBoolean()) branches.defaultBranch(keep);
                else branches.branch(Functions.predicate(branch.get("fn").asText()), keep);
            }
            return null;
        }

        private void keep(String id, Result result) {
            try {
                results.put(id, typed(result));
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }

        private Result repartitioned(JsonNode operation) {
            Result source = of(operation, "from");
            KStream stream = (KStream) source.handle;
            return new Result(stream.repartition(Repartitioned.with(source.key.serde, source.value.serde)),
                source.key, source.value);
        }

        private Result toTable(JsonNode operation) {
            Result source = of(operation, "from");
            KStream stream = (KStream) source.handle;
            Materialized stored = stored(operation, source.types(), false);
            return new Result(stored == null ? stream.toTable() : stream.toTable(stored), source.key, source.value);
        }

        private Result toStream(JsonNode operation) {
            Result source = of(operation, "from");
            return new Result(((KTable) source.handle).toStream(), source.key, source.value);
        }

        // Processors

        private Result addedStore(JsonNode operation) {
            Serde key = Type.of(operation.get("key").asText()).serde;
            String name = operation.get("store").asText();
            StoreBuilder store = operation.path("headers").asBoolean()
                ? Stores.timestampedKeyValueStoreWithHeadersBuilder(
                    Stores.persistentTimestampedKeyValueStoreWithHeaders(name), key, Serdes.String())
                : Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), key, Serdes.String());
            if (operation.has("window")) {
                JsonNode window = operation.get("window");
                store = Stores.windowStoreBuilder(Stores.persistentWindowStore(
                    name, millis(window, "retention"), millis(window, "size"), false), key, Serdes.String());
            }
            builder.addStateStore(operation.path("cache").asBoolean() ? store.withCachingEnabled() : store);
            return null;
        }

        private Result processed(JsonNode operation) {
            Result source = of(operation, "from");
            String store = operation.path("store").asText();
            String[] stores = store.isEmpty() ? new String[0] : new String[] {store};
            KStream stream = (KStream) source.handle;
            KStream handle = stream.process(() -> new Doing(operation, store), stores);
            return new Result(handle, source.key, Type.STRING);
        }

        // Groups and aggregates

        private Result grouped(JsonNode operation) {
            Result source = of(operation, "from");
            if (operation.get("op").asText().equals("groupByKey")) {
                Grouped grouped = Grouped.with(source.key.serde, source.value.serde);
                return new Result(((KStream) source.handle).groupByKey(grouped), source.key, source.value);
            }
            String name = operation.get("fn").asText();
            if (source.isTable()) {
                Types types = Functions.mapperTypes(name, source.types());
                Grouped grouped = Grouped.with(types.key.serde, types.value.serde);
                KeyValueMapper mapper = Functions.mapper(name);
                return new Result(((KTable) source.handle).groupBy(mapper, grouped), types.key, types.value);
            }
            Type key = Functions.selectorType(name, source.types());
            Grouped grouped = Grouped.with(key.serde, source.value.serde);
            return new Result(((KStream) source.handle).groupBy(Functions.selector(name), grouped), key, source.value);
        }

        private Result cogrouped(JsonNode operation) {
            CogroupedKStream together = null;
            Type key = null;
            for (JsonNode entry : operation.get("streams")) {
                Result source = of(entry, "from");
                KGroupedStream stream = (KGroupedStream) source.handle;
                Aggregator add = Functions.aggregator(entry.get("add").asText());
                together = together == null ? stream.cogroup(add) : together.cogroup(stream, add);
                key = key == null ? source.key : key;
            }
            return new Result(together, key, Type.STRING);
        }

        private Result windowed(JsonNode operation) {
            Result source = of(operation, "from");
            JsonNode window = operation.get("window");
            EmitStrategy emit = operation.path("emit").asText().equals("close")
                ? EmitStrategy.onWindowClose() : EmitStrategy.onWindowUpdate();
            boolean together = source.handle instanceof CogroupedKStream;
            Object handle;
            Serde serde;
            switch (window.get("type").asText()) {
                case "time" -> {
                    TimeWindows windows = TimeWindows.ofSizeAndGrace(millis(window, "size"), millis(window, "grace"));
                    if (window.has("advance")) windows = windows.advanceBy(millis(window, "advance"));
                    handle = together ? ((CogroupedKStream) source.handle).windowedBy(windows)
                        : ((KGroupedStream) source.handle).windowedBy(windows).emitStrategy(emit);
                    serde = new WindowedSerdes.TimeWindowedSerde(source.key.serde, window.get("size").asLong());
                }
                case "sliding" -> {
                    SlidingWindows windows =
                        SlidingWindows.ofTimeDifferenceAndGrace(millis(window, "diff"), millis(window, "grace"));
                    handle = together ? ((CogroupedKStream) source.handle).windowedBy(windows)
                        : ((KGroupedStream) source.handle).windowedBy(windows).emitStrategy(emit);
                    serde = new WindowedSerdes.TimeWindowedSerde(source.key.serde, window.get("diff").asLong());
                }
                case "unlimited" -> {
                    UnlimitedWindows windows = UnlimitedWindows.of().startOn(Instant.ofEpochMilli(window.get("start").asLong()));
                    handle = together ? ((CogroupedKStream) source.handle).windowedBy(windows)
                        : ((KGroupedStream) source.handle).windowedBy(windows);
                    serde = new WindowedSerdes.TimeWindowedSerde(source.key.serde, Long.MAX_VALUE);
                }
                case "session" -> {
                    SessionWindows windows =
                        SessionWindows.ofInactivityGapAndGrace(millis(window, "gap"), millis(window, "grace"));
                    handle = together ? ((CogroupedKStream) source.handle).windowedBy(windows)
                        : ((KGroupedStream) source.handle).windowedBy(windows).emitStrategy(emit);
                    serde = new WindowedSerdes.SessionWindowedSerde(source.key.serde);
                }
                default -> throw new IllegalArgumentException("no windows " + window.get("type"));
            }
            return new Result(handle, new Type("windowed", serde, source.key), source.value);
        }

        /** How an aggregate is stored: windowed stores take the key without its window. */
        private static Materialized storedAggregate(JsonNode operation, Result source, Type value) {
            Object handle = source.handle;
            boolean plain = handle instanceof KGroupedStream || handle instanceof KGroupedTable
                || handle instanceof CogroupedKStream;
            Materialized stored = stored(operation, new Types(plain ? source.key : source.key.inner, value), true);
            return operation.has("retention") ? stored.withRetention(millis(operation, "retention")) : stored;
        }

        private Result counted(JsonNode operation) {
            Result source = of(operation, "from");
            Materialized stored = storedAggregate(operation, source, Type.LONG);
            Object from = source.handle;
            KTable handle;
            if (from instanceof KGroupedStream) handle = ((KGroupedStream) from).count(stored);
            else if (from instanceof KGroupedTable) handle = ((KGroupedTable) from).count(stored);
            else if (from instanceof TimeWindowedKStream) handle = ((TimeWindowedKStream) from).count(stored);
            else handle = ((SessionWindowedKStream) from).count(stored);
            return new Result(handle, source.key, Type.LONG);
        }

        private Result reduced(JsonNode operation) {
            Result source = of(operation, "from");
            Materialized stored = storedAggregate(operation, source, source.value);
            Object from = source.handle;
            Reducer add = Functions.reducer(operation.get(from instanceof KGroupedTable ? "add" : "fn").asText());
            KTable handle;
            if (from instanceof KGroupedStream) handle = ((KGroupedStream) from).reduce(add, stored);
            else if (from instanceof KGroupedTable) {
                Reducer remove = Functions.reducer(operation.get("remove").asText());
                handle = ((KGroupedTable) from).reduce(add, remove, stored);
            } else if (from instanceof TimeWindowedKStream) handle = ((TimeWindowedKStream) from).reduce(add, stored);
            else handle = ((SessionWindowedKStream) from).reduce(add, stored);
            return new Result(handle, source.key, source.value);
        }

        private Result aggregated(JsonNode operation) {
            Result source = of(operation, "from");
            JsonNode init = operation.get("init");
            Type value = init.isTextual() ? Type.STRING : Type.INT;
            Initializer start = init.isTextual() ? init::asText : init::asInt;
            Aggregator add = function(operation, "add", Functions::aggregator);
            Aggregator remove = function(operation, "remove", Functions::aggregator);
            Merger merger = function(operation, "merger", Functions::merger);
            Materialized stored = storedAggregate(operation, source, value);
            KTable handle = aggregate(source.handle, start, add, remove, merger, stored);
            return new Result(handle, source.key, value);
        }

        private static <T> T function(JsonNode operation, String field, Function<String, T> named) {
            return operation.has(field) ? named.apply(operation.get(field).asText()) : null;
        }

        private static KTable aggregate(Object from, Initializer start, Aggregator add, Aggregator remove,
                                        Merger merger, Materialized stored) {
            if (from instanceof KGroupedStream) return ((KGroupedStream) from).aggregate(start, add, stored);
            if (from instanceof KGroupedTable) return ((KGroupedTable) from).aggregate(start, add, remove, stored);
            if (from instanceof TimeWindowedKStream) {
                return ((TimeWindowedKStream) from).aggregate(start, add, stored);
            }
            if (from instanceof SessionWindowedKStream) {
                return ((SessionWindowedKStream) from).aggregate(start, add, merger, stored);
            }
            if (from instanceof CogroupedKStream) return ((CogroupedKStream) from).aggregate(start, stored);
            if (from instanceof TimeWindowedCogroupedKStream) {
                return ((TimeWindowedCogroupedKStream) from).aggregate(start, stored);
            }
            return ((SessionWindowedCogroupedKStream) from).aggregate(start, merger, stored);
        }

        private Result suppressed(JsonNode operation) {
            Result source = of(operation, "from");
            Suppressed suppressed = operation.get("until").asText().equals("windowCloses")
                ? Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded())
                : Suppressed.untilTimeLimit(millis(operation, "ms"), bufferOf(operation));
            return new Result(((KTable) source.handle).suppress(suppressed), source.key, source.value);
        }

        private static Suppressed.EagerBufferConfig bufferOf(JsonNode operation) {
            if (operation.has("maxBytes")) {
                return Suppressed.BufferConfig.maxBytes(operation.get("maxBytes").asLong()).emitEarlyWhenFull();
            }
            long records = operation.has("maxRecords") ? operation.get("maxRecords").asLong() : Long.MAX_VALUE;
            return Suppressed.BufferConfig.maxRecords(records).emitEarlyWhenFull();
        }

        // Joins

        private Result joined(JsonNode operation) {
            Result left = of(operation, "left");
            Result right = of(operation, "right");
            ValueJoiner joiner = Functions.joiner(operation.get("joiner").asText());
            String op = operation.get("op").asText();
            Object handle;
            if (left.isTable()) handle = joinedTables(operation, op, left, right, joiner);
            else if (right.isTable()) handle = joinedTable(operation, op, left, right, joiner);
            else if (right.handle instanceof GlobalKTable) handle = joinedGlobal(operation, op, left, right, joiner);
            else handle = joinedStreams(operation, op, left, right, joiner);
            return new Result(handle, left.key, Type.STRING);
        }

        private static KTable joinedTables(JsonNode operation, String op, Result left, Result right, ValueJoiner joiner) {
            KTable table = (KTable) left.handle;
            KTable other = (KTable) right.handle;
            Materialized stored = stored(operation, new Types(left.key, Type.STRING), false);
            if (operation.has("foreignKey")) {
                KeyValueMapper selector = Functions.selector(operation.get("foreignKey").asText());
                Function foreignKey = value -> selector.apply(null, value);
                if (op.equals("join")) {
                    return stored == null ? table.join(other, foreignKey, joiner)
                        : table.join(other, foreignKey, joiner, stored);
                }
                return stored == null ? table.leftJoin(other, foreignKey, joiner)
                    : table.leftJoin(other, foreignKey, joiner, stored);
            }
            return switch (op) {
                case "join" -> stored == null ? table.join(other, joiner) : table.join(other, joiner, stored);
                case "leftJoin" -> stored == null ? table.leftJoin(other, joiner) : table.leftJoin(other, joiner, stored);
                default -> stored == null ? table.outerJoin(other, joiner) : table.outerJoin(other, joiner, stored);
            };
        }

        private static KStream joinedTable(JsonNode operation, String op, Result left, Result right, ValueJoiner joiner) {
            KStream stream = (KStream) left.handle;
            KTable table = (KTable) right.handle;
            Joined joined = Joined.with(left.key.serde, left.value.serde, right.value.serde);
            if (operation.has("graceMs")) {
                joined = joined.withName("Grace").withGracePeriod(millis(operation, "graceMs"));
            }
            return op.equals("join") ? stream.join(table, joiner, joined) : stream.leftJoin(table, joiner, joined);
        }

        private static KStream joinedGlobal(JsonNode operation, String op, Result left, Result right, ValueJoiner joiner) {
            KStream stream = (KStream) left.handle;
            GlobalKTable table = (GlobalKTable) right.handle;
            KeyValueMapper selector = Functions.selector(operation.get("keySelector").asText());
            return op.equals("join") ? stream.join(table, selector, joiner) : stream.leftJoin(table, selector, joiner);
        }

        private static KStream joinedStreams(JsonNode operation, String op, Result left, Result right, ValueJoiner joiner) {
            KStream stream = (KStream) left.handle;
            KStream other = (KStream) right.handle;
            JoinWindows windows = joinWindows(operation.get("window"));
            StreamJoined joined = StreamJoined.with(left.key.serde, left.value.serde, right.value.serde);
            return switch (op) {
                case "join" -> stream.join(other, joiner, windows, joined);
                case "leftJoin" -> stream.leftJoin(other, joiner, windows, joined);
                default -> stream.outerJoin(other, joiner, windows, joined);
            };
        }

        private static JoinWindows joinWindows(JsonNode window) {
            if (window.has("legacyOf")) {
                JoinWindows windows = JoinWindows.of(millis(window, "legacyOf"));
                return window.has("grace") ? windows.grace(millis(window, "grace")) : windows;
            }
            Duration widest = Duration.ofMillis(Math.max(0,
                Math.max(window.get("before").asLong(), window.get("after").asLong())));
            return JoinWindows.ofTimeDifferenceAndGrace(widest, millis(window, "grace"))
                .before(millis(window, "before")).after(millis(window, "after"));
        }
    }

    /** A processor that does what an operation says with the store that it is connected to. */
    private static final class Doing implements Processor<Object, Object, Object, Object> {
        private final JsonNode operation;
        private final String name;
        private ProcessorContext<Object, Object> context;
        private KeyValueStore<Object, Object> store;
        private WindowStore<Object, Object> windows;
        private Cancellable scheduled;
        private int punctuated;

        Doing(JsonNode operation, String name) {
            this.operation = operation;
            this.name = name;
        }

        @Override
        public void init(ProcessorContext<Object, Object> context) {
            this.context = context;
            String kind = operation.get("do").asText();
            if (kind.startsWith("window")) windows = context.getStateStore(name);
            else if (!name.isEmpty()) store = context.getStateStore(name);
            if (!kind.equals("later") && !kind.equals("tick")) return;
            if (!operation.path("inside").asBoolean()) schedule();
        }

        /** Forwards all entries again and again: so many times, or without an end, or deletes what it has forwarded. */
        private void schedule() {
            Duration every = Duration.ofMillis(operation.get("every").asLong());
            PunctuationType type = operation.get("do").asText().equals("later")
                ? PunctuationType.STREAM_TIME : PunctuationType.WALL_CLOCK_TIME;
            scheduled = operation.has("start")
                ? context.schedule(Instant.ofEpochMilli(operation.get("start").asLong()), every, type, this::punctuate)
                : context.schedule(every, type, this::punctuate);
        }

        private void punctuate(long time) {
            forwardAll(store.all(), new Record<>(null, null, time));
            if (operation.path("clears").asBoolean()) {
                List<Object> keys = new ArrayList<>();
                try (KeyValueIterator<Object, Object> entries = store.all()) {
                    entries.forEachRemaining(entry -> keys.add(entry.key));
                }
                keys.forEach(store::delete);
            }
            if (operation.path("times").asInt() == ++punctuated) scheduled.cancel();
        }

        @Override
        public void process(Record<Object, Object> record) {
            Object key = record.key();
            if (scheduled == null && operation.path("inside").asBoolean()) schedule();
            if (key == null) {
                context.forward(record.withValue("none"));
                return;
            }
            String value = Functions.text(record.value());
            switch (operation.get("do").asText()) {
                case "count" -> {
                    String more = Functions.text(store.get(key)) + "+";
                    store.put(key, more);
                    context.forward(record.withValue(more));
                }
                case "all" -> {
                    store.put(key, value);
                    forwardAll(store.all(), record);
                }
                case "reverse" -> {
                    store.put(key, value);
                    forwardAll(store.reverseAll(), record);
                }
                case "range" -> {
                    store.put(key, value);
                    forwardAll(store.range(key, null), record);
                }
                case "absent" -> context.forward(record.withValue(Functions.text(store.putIfAbsent(key, value))));
                case "delete" -> context.forward(record.withValue(Functions.text(store.delete(key))));
                case "windowone", "windowall", "windowrange", "windowkeys" -> {
                    long time = record.timestamp();
                    windows.put(key, record.value() == null ? null : value, time);
                    forwardWindows(operation.get("do").asText(), key, record);
                }
                case "where" -> context.forward(record.withValue(where(record)));
                case "headed" -> {
                    Object before = store.get(key);
                    store.put(key, record.value() == null ? null
                        : ValueTimestampHeaders.make(value, record.timestamp(), record.headers()));
                    context.forward(record.withValue(row(before)));
                }
                case "look" -> context.forward(record.withValue(row(store.get(key))));
                case "lookall" -> forwardAll(store.all(), record);
                default -> store.put(key, value);
            }
        }

        private int most() {
            return operation.has("most") ? operation.get("most").asInt() : Integer.MAX_VALUE;
        }

        private void forwardAll(KeyValueIterator<Object, Object> entries, Record<Object, Object> record) {
            try (entries) {
                for (int left = most(); left > 0 && entries.hasNext(); left--) {
                    KeyValue<Object, Object> entry = entries.next();
                    context.forward(record.withKey(entry.key).withValue(row(entry.value)));
                }
            }
        }

        private void forwardWindows(String kind, Object key, Record<Object, Object> record) {
            long time = record.timestamp();
            long first = time - operation.get("back").asLong();
            if (kind.equals("windowone")) {
                try (WindowStoreIterator<Object> found = windows.fetch(key, first, time)) {
                    for (int left = most(); left > 0 && found.hasNext(); left--) {
                        KeyValue<Long, Object> entry = found.next();
                        context.forward(record.withValue(entry.key + ":" + entry.value));
                    }
                }
                return;
            }
            try (KeyValueIterator<Windowed<Object>, Object> found = kind.equals("windowall") ? windows.all()
                : kind.equals("windowrange") ? windows.fetchAll(first, time) : windows.fetch(key, key, first, time)) {
                for (int left = most(); left > 0 && found.hasNext(); left--) {
                    KeyValue<Windowed<Object>, Object> entry = found.next();
                    context.forward(record.withKey(entry.key.key())
                        .withValue(entry.key.window().start() + ":" + entry.value));
                }
            }
        }

        private String where(Record<Object, Object> record) {
            String read = context.recordMetadata().filter(data -> data.topic() != null)
                .map(data -> data.topic() + ":" + data.partition() + ":" + data.offset()).orElse("nowhere");
            return read + "@" + record.timestamp() + "/" + context.currentStreamTimeMs() + record.headers().toArray().length;
        }

        private static String row(Object value) {
            if (value instanceof ValueTimestampHeaders) {
                ValueTimestampHeaders row = (ValueTimestampHeaders) value;
                StringBuilder text = new StringBuilder(Functions.text(row.value()) + "@" + row.timestamp());
                for (Header header : row.headers()) {
                    text.append("#").append(header.key()).append(new String(header.value(), StandardCharsets.UTF_8));
                }
                return text.toString();
            }
            if (!(value instanceof ValueAndTimestamp)) return Functions.text(value);
            ValueAndTimestamp row = (ValueAndTimestamp) value;
            return Functions.text(row.value()) + "@" + row.timestamp();
        }
    }

    /** Names one of two topics for each record, by something that is even or odd. */
    private record Route(String topic, String name) implements TopicNameExtractor {
        @Override
        public String extract(Object key, Object value, RecordContext context) {
            return topic + "-" + Math.floorMod(switch (name) {
                case "key" -> Functions.text(key).length();
                case "value" -> Functions.text(value).length();
                case "offset" -> context.offset();
                case "time" -> context.timestamp();
                case "headers" -> context.headers().toArray().length;
                case "topic" -> Functions.text(context.topic()).length();
                default -> throw Functions.unknown(name);
            }, 2);
        }

        @Override
        public String toString() {
            return "by " + name;
        }
    }

    /** The named functions of the case format, and the types of what they give. */
    private static final class Functions {
        private static String text(Object value) {
            return String.valueOf(value);
        }

        private static String head(String name) {
            return name.split(":", 2)[0];
        }

        private static String argument(String name) {
            return name.contains(":") ? name.split(":", 2)[1] : "";
        }

        private static RuntimeException unknown(String name) {
            return new IllegalArgumentException("no function " + name);
        }

        /** The text; null in place of one whose length is a multiple of 4. */
        private static String unlessFourth(String result) {
            return result.length() % 4 == 0 ? null : result;
        }

        static final String RAISED = "raised";
        private static final String RAISING = "raising ";

        private static boolean raises(String name) {
            return name.startsWith(RAISING);
        }

        private static String plain(String name) {
            return raises(name) ? name.substring(RAISING.length()) : name;
        }

        /** Raises where the texts of the arguments together are of a length that is a multiple of 5. */
        private static void check(Object... arguments) {
            int length = 0;
            for (Object argument : arguments) length += text(argument).length();
            if (length % 5 == 0) throw new IllegalStateException(RAISED);
        }

        private static KeyValueMapper raising(KeyValueMapper mapper) {
            return (key, value) -> {
                check(key, value);
                return mapper.apply(key, value);
            };
        }

        static TimestampExtractor extractor(String name) {
            long number = Long.parseLong(argument(name));
            return switch (head(name)) {
                case "plus" -> (record, partitionTime) -> record.timestamp() + number;
                case "length" -> (record, partitionTime) -> record.timestamp() + number * text(record.value()).length();
                case "partition" -> (record, partitionTime) ->
                    record.value() == null ? partitionTime : record.timestamp() + number;
                default -> throw unknown(name);
            };
        }

        static ValueJoiner joiner(String name) {
            if (raises(name)) {
                ValueJoiner joiner = joiner(plain(name));
                return (left, right) -> {
                    check(left, right);
                    return joiner.apply(left, right);
                };
            }
            String separator = argument(name);
            return switch (head(name)) {
                case "concat" -> (left, right) -> text(left) + separator + text(right);
                case "concatOrNull" -> (left, right) -> unlessFourth(text(left) + separator + text(right));
                case "pair" -> (left, right) -> "(" + text(left) + "," + text(right) + ")";
                default -> throw unknown(name);
            };
        }

        static Aggregator aggregator(String name) {
            if (raises(name)) {
                Aggregator aggregator = aggregator(plain(name));
                return (key, value, aggregate) -> {
                    check(key, value, aggregate);
                    return aggregator.apply(key, value, aggregate);
                };
            }
            String separator = argument(name);
            return switch (head(name)) {
                case "concat" -> (key, value, aggregate) -> text(aggregate) + separator + text(value);
                case "concatOrNull" -> (key, value, aggregate) -> unlessFourth(text(aggregate) + separator + text(value));
                case "append" -> (key, value, aggregate) -> text(aggregate) + text(value);
                case "removeAll" -> (key, value, aggregate) -> text(aggregate).replace(text(value), "");
                case "sumParsed" -> (key, value, aggregate) -> (int) aggregate + Integer.parseInt(text(value));
                default -> throw unknown(name);
            };
        }

        static Reducer reducer(String name) {
            if (raises(name)) {
                Reducer reducer = reducer(plain(name));
                return (old, added) -> {
                    check(old, added);
                    return reducer.apply(old, added);
                };
            }
            String separator = argument(name);
            return switch (head(name)) {
                case "concat" -> (old, added) -> text(old) + separator + text(added);
                case "concatOrNull" -> (old, added) -> unlessFourth(text(old) + separator + text(added));
                case "add" -> (old, added) -> arithmetic(old, added, 1);
                case "subtract" -> (old, added) -> arithmetic(old, added, -1);
                default -> throw unknown(name);
            };
        }

        private static Object arithmetic(Object old, Object added, int sign) {
            if (old instanceof Integer) return (int) old + sign * (int) added;
            if (old instanceof Long) return (long) old + sign * (long) added;
            return (double) old + sign * (double) added;
        }

        static Merger merger(String name) {
            if (raises(name)) {
                Merger merger = merger(plain(name));
                return (key, one, other) -> {
                    check(key, one, other);
                    return merger.apply(key, one, other);
                };
            }
            String separator = argument(name);
            if (head(name).equals("concatOrNull")) {
                return (key, one, other) -> unlessFourth(text(one) + separator + text(other));
            }
            if (!head(name).equals("concat")) throw unknown(name);
            return (key, one, other) -> text(one) + separator + text(other);
        }

        static Predicate predicate(String name) {
            if (raises(name)) {
                Predicate predicate = predicate(plain(name));
                return (key, value) -> {
                    check(key, value);
                    return predicate.test(key, value);
                };
            }
            String argument = argument(name);
            return switch (head(name)) {
                case "keyMultipleOf" -> (key, value) -> ((Number) key).longValue() % Long.parseLong(argument) == 0;
                case "keyNegative" -> (key, value) -> ((Number) key).longValue() < 0;
                case "valueEven" -> (key, value) -> ((Number) value).longValue() % 2 == 0;
                default -> throw unknown(name);
            };
        }

        static KeyValueMapper valueMapper(String name) {
            if (raises(name)) return raising(valueMapper(plain(name)));
            return switch (name) {
                case "identity" -> (key, value) -> value;
                case "toInt" -> (key, value) -> toInt(value);
                case "orNull" -> (key, value) -> unlessFourth("or" + text(value));
                case "lowerUpper" -> (key, value) -> List.of("v" + text(value), "V" + text(value));
                case "valueAndKey" -> (key, value) -> List.of("v" + text(value), "k" + text(key));
                default -> throw unknown(name);
            };
        }

        private static Object toInt(Object value) {
            return value instanceof Number ? ((Number) value).intValue() : Integer.parseInt(text(value));
        }

        static Types valueMapperTypes(String name, Types types) {
            return switch (plain(name)) {
                case "identity" -> types;
                case "toInt" -> new Types(types.key, Type.INT);
                default -> new Types(types.key, Type.STRING);
            };
        }

        static KeyValueMapper mapper(String name) {
            if (raises(name)) return raising(mapper(plain(name)));
            return switch (name) {
                case "identity" -> KeyValue::pair;
                case "swap" -> (key, value) -> KeyValue.pair(value, key);
                case "valueAsKeyAndValue" -> (key, value) -> KeyValue.pair(value, value);
                case "valueAsKeyAndValueWithNulls" -> (key, value) ->
                    "NULL".equals(key) ? null : KeyValue.pair("null".equals(key) ? null : value, value);
                case "splitKeyChars" -> (key, value) ->
                    KeyValue.pair(part(text(key), 0), part(text(key), 1));
                case "keyAndIntValue" -> (key, value) -> KeyValue.pair(key, toInt(value));
                case "single" -> (key, value) -> List.of(KeyValue.pair(key, value));
                case "repeatKeyTimes" -> (key, value) -> repeated((Number) key, value);
                default -> throw unknown(name);
            };
        }

        private static String part(String text, int index) {
            return text.length() > index ? text.substring(index, index + 1) : "";
        }

        private static List<KeyValue> repeated(Number key, Object value) {
            List<KeyValue> pairs = new ArrayList<>();
            for (long index = 0; index < key.longValue(); index++) {
                pairs.add(KeyValue.pair(text(key.longValue() * 10 + index), value));
            }
            return pairs;
        }

        static Types mapperTypes(String name, Types types) {
            return switch (plain(name)) {
                case "identity", "single" -> types;
                case "swap" -> new Types(types.value, types.key);
                case "valueAsKeyAndValue", "valueAsKeyAndValueWithNulls" -> new Types(types.value, types.value);
                case "splitKeyChars" -> new Types(Type.STRING, Type.STRING);
                case "keyAndIntValue" -> new Types(types.key, Type.INT);
                case "repeatKeyTimes" -> new Types(Type.STRING, types.value);
                default -> throw unknown(name);
            };
        }

        static KeyValueMapper selector(String name) {
            if (raises(name)) return raising(selector(plain(name)));
            String argument = argument(name);
            return switch (head(name)) {
                case "key" -> (key, value) -> key;
                case "value" -> (key, value) -> value;
                case "null" -> (key, value) -> null;
                case "splitSecond" -> (key, value) -> secondPart((String) value, argument);
                case "mapInt" -> (key, value) -> chosen(argument, text(value));
                default -> throw unknown(name);
            };
        }

        private static String secondPart(String value, String separator) {
            String[] parts = value == null ? new String[0] : value.split(Pattern.quote(separator));
            return parts.length > 1 ? parts[1] : null;
        }

        private static String chosen(String table, String value) {
            for (String choice : table.split(",")) {
                String[] pair = choice.split("=");
                if (pair[0].equals(value)) return pair[1];
            }
            return null;
        }

        static Type selectorType(String name, Types types) {
            return switch (head(plain(name))) {
                case "value" -> types.value;
                case "splitSecond", "mapInt" -> Type.STRING;
                default -> types.key;
            };
        }
    }

    /** A transformer that maps, and leaves deletions alone. */
    private static final class Transforming implements ValueTransformerWithKey {
        private final ValueMapperWithKey mapper;

        Transforming(ValueMapperWithKey mapper) {
            this.mapper = mapper;
        }

        @Override
        public void init(org.apache.kafka.streams.processor.ProcessorContext context) {
        }

        @Override
        public Object transform(Object key, Object value) {
            return value == null ? null : mapper.apply(key, value);
        }

        @Override
        public void close() {
        }
    }

    /** A processor that maps. */
    private static final class Processing extends ContextualFixedKeyProcessor {
        private final ValueMapperWithKey mapper;

        Processing(ValueMapperWithKey mapper) {
            this.mapper = mapper;
        }

        @Override
        public void process(FixedKeyRecord record) {
            context().forward(record.withValue(mapper.apply(record.key(), record.value())));
        }
    }
}
