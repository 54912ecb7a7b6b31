import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;

/**
 * The seven workloads on Kafka Streams, as its users write them: the DSL, records as values, JSON by Jackson with its
 * reader and writer made once, one thread, every setting at its default but the commit interval.
 *
 * Arguments: workload, bootstrap servers, application id, state directory, guarantee, commit interval in ms, output
 * topic, input topics. It runs until it is told to stop.
 */
public final class Benchmark {
    record Ride(
        long id, String driver, long zone, double fare, double miles, String payment,
        @JsonProperty("picked_up_ms") long pickedUpMs) {}

    record Zone(String name, String borough) {}

    record Kept(long id, long zone, double fare, @JsonProperty("per_mile") double perMile) {}

    record Takings(long rides, double fares) {}

    record Placed(long id, double fare, String zone, String borough) {}

    record Pair(long id, double fare, double miles) {}

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final Serde<Long> LONG = Serdes.Long();

    public static void main(String[] arguments) throws InterruptedException {
        StreamsBuilder builder = new StreamsBuilder();
        String other = arguments.length > 8 ? arguments[8] : "";
        build(builder, arguments[0], arguments[6], arguments[7], other);
        Properties properties = new Properties();
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[1]);
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[2]);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, arguments[3]);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[4]);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments[5]);
        KafkaStreams streams = new KafkaStreams(builder.build(properties), properties);
        CountDownLatch stopped = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(10));
            stopped.countDown();
        }));
        streams.start();
        stopped.await();
    }

    private static void build(StreamsBuilder builder, String workload, String output, String input, String other) {
        switch (workload) {
            case "stateless" -> stateless(rides(builder, input), output);
            case "count", "count-1m" -> count(rides(builder, input), output);
            case "rekey-count" -> rekeyCount(rides(builder, input), output);
            case "window" -> window(rides(builder, input), output);
            case "table-join" -> tableJoin(builder, input, other, output);
            case "stream-join" -> streamJoin(rides(builder, input), rides(builder, other), output);
            default -> throw new IllegalArgumentException("no workload named " + workload);
        }
    }

    private static KStream<Long, Ride> rides(StreamsBuilder builder, String topic) {
        return builder.stream(topic, Consumed.with(LONG, json(Ride.class)));
    }

    private static void stateless(KStream<Long, Ride> rides, String output) {
        rides
            .filter((key, ride) -> ride.miles() >= 6.0)
            .mapValues(ride -> new Kept(ride.id(), ride.zone(), ride.fare(), ride.fare() / ride.miles()))
            .to(output, Produced.with(LONG, json(Kept.class)));
    }

    private static void count(KStream<Long, Ride> rides, String output) {
        rides
            .groupByKey(Grouped.with(LONG, json(Ride.class)))
            .count(Materialized.as("counts"))
            .toStream()
            .to(output, Produced.with(LONG, LONG));
    }

    private static void rekeyCount(KStream<Long, Ride> rides, String output) {
        rides
            .groupBy((key, ride) -> ride.driver(), Grouped.with(Serdes.String(), json(Ride.class)))
            .count(Materialized.as("counts"))
            .toStream()
            .to(output, Produced.with(Serdes.String(), LONG));
    }

    private static void window(KStream<Long, Ride> rides, String output) {
        rides
            .groupByKey(Grouped.with(LONG, json(Ride.class)))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofSeconds(10)))
            .aggregate(
                () -> new Takings(0, 0.0),
                (zone, ride, total) -> new Takings(total.rides() + 1, total.fares() + ride.fare()),
                Materialized.with(LONG, json(Takings.class)))
            .toStream()
            .to(output, Produced.with(
                WindowedSerdes.timeWindowedSerdeFrom(Long.class, 60_000L), json(Takings.class)));
    }

    private static void tableJoin(StreamsBuilder builder, String input, String table, String output) {
        KTable<Long, Zone> zones = builder.table(table, Consumed.with(LONG, json(Zone.class)));
        rides(builder, input)
            .join(
                zones,
                (ride, zone) -> new Placed(ride.id(), ride.fare(), zone.name(), zone.borough()),
                Joined.with(LONG, json(Ride.class), json(Zone.class)))
            .to(output, Produced.with(LONG, json(Placed.class)));
    }

    private static void streamJoin(KStream<Long, Ride> begun, KStream<Long, Ride> ended, String output) {
        begun
            .join(
                ended,
                (left, right) -> new Pair(left.id(), left.fare(), right.miles()),
                JoinWindows.ofTimeDifferenceWithNoGrace(Duration.ofSeconds(5)),
                StreamJoined.with(LONG, json(Ride.class), json(Ride.class)))
            .to(output, Produced.with(LONG, json(Pair.class)));
    }

    private static <T> Serde<T> json(Class<T> type) {
        ObjectReader reader = MAPPER.readerFor(type);
        ObjectWriter writer = MAPPER.writerFor(type);
        Serializer<T> serializer = (topic, value) -> {
            try {
                return value == null ? null : writer.writeValueAsBytes(value);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        };
        Deserializer<T> deserializer = (topic, bytes) -> {
            try {
                return bytes == null ? null : reader.readValue(bytes);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        };
        return Serdes.serdeFrom(serializer, deserializer);
    }

    private Benchmark() {}
}
