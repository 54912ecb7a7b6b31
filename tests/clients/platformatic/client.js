// @platformatic/kafka against a broker: node client.js HOST:PORT prints one line of JSON, what held, by name;
// node client.js HOST:PORT member GROUP TOPIC prints the values a member of a group reads.
// The client wants a Node that has this; on older ones it is given what the standard says.
Promise.withResolvers ??= function () {
  const made = {};
  made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};
const { Admin, Consumer, Producer, stringDeserializers, stringSerializers } = require("@platformatic/kafka");

const [address, role, groupId, topic] = process.argv.slice(2);
const base = { clientId: "platformatic", bootstrapBrokers: [address] };
const results = {};

async function holds(name, body) {
  try {
    await body();
    results[name] = "ok";
  } catch (error) {
    results[name] = `${error.name}: ${error.message} ${(error.errors ?? []).map((e) => e.message).join("; ")}`;
  }
}

function expect(condition, text) {
  if (!condition) throw new Error(text);
}

async function member() {
  const consumer = new Consumer({
    ...base, groupId, deserializers: stringDeserializers, sessionTimeout: 6000, heartbeatInterval: 1000, rebalanceTimeout: 10000,
  });
  const stream = await consumer.consume({ topics: [topic], mode: "committed", fallbackMode: "earliest", autocommit: false, maxWaitTime: 200 });
  for await (const message of stream) {
    console.log(message.value);
    await message.commit();
  }
}

async function first(topic, options) {
  const consumer = new Consumer({ ...base, groupId: `${topic}-readers`, deserializers: stringDeserializers });
  const stream = await consumer.consume({ topics: [topic], mode: "earliest", autocommit: false, maxWaitTime: 200, ...options });
  let value;
  for await (const message of stream) {
    value = message.value;
    break;
  }
  await consumer.close(true);
  return value;
}

async function main() {
  const admin = new Admin(base);
  const producer = new Producer({ ...base, serializers: stringSerializers, idempotent: true });
  await holds("admin", async () => {
    await admin.createTopics({ topics: ["platformatic"], partitions: 2, replicas: 1 });
    await admin.createTopics({ topics: ["platformatic-txn"], partitions: 1, replicas: 1 });
    expect((await admin.listTopics()).includes("platformatic"), "the topic is not listed");
    const described = await admin.metadata({ topics: ["platformatic"] });
    expect(described.topics.get("platformatic").partitionsCount === 2, "two partitions were asked for");
  });
  await holds("idempotent", () => producer.send({ messages: [{ topic: "platformatic", key: "k", value: "first" }] }));
  for (const compression of ["gzip", "snappy", "lz4"]) { // zstd wants Node 22.15
    await holds(compression, () => producer.send({ compression, messages: [{ topic: "platformatic", value: compression.repeat(99) }] }));
  }
  await holds("offsets by timestamp", async () => {
    const consumer = new Consumer({ ...base, groupId: "by-time" });
    const offsets = await consumer.listOffsets({ topics: ["platformatic"], timestamp: 0n });
    expect(offsets.get("platformatic").some((offset) => offset === 0n), String(offsets.get("platformatic")));
    await consumer.close();
  });
  await holds("transactions", async () => {
    const writer = new Producer({ ...base, serializers: stringSerializers, transactionalId: "platformatic-txn", idempotent: true });
    for (const [value, commit] of [["aborted", false], ["committed", true]]) {
      const transaction = await writer.beginTransaction();
      await transaction.send({ messages: [{ topic: "platformatic-txn", value }] });
      await (commit ? transaction.commit() : transaction.abort());
    }
    await writer.close();
    const value = await first("platformatic-txn", { isolationLevel: 1 });
    expect(value === "committed", `read ${value}`);
  });
}

if (role === "member") {
  member();
} else {
  setTimeout(() => process.exit(3), 80000).unref();
  main()
    .catch((error) => (results.client = String(error)))
    .finally(() => {
      console.log(JSON.stringify(results));
      process.exit(0);
    });
}
