// kafkajs against a broker: node client.js HOST:PORT prints one line of JSON, what held, by name;
// node client.js HOST:PORT member GROUP TOPIC prints the values a member of a group reads.
const { Kafka, CompressionTypes, logLevel } = require("kafkajs");

const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.NOTHING });
const results = {};

async function holds(name, body) {
  try {
    await body();
    results[name] = "ok";
  } catch (error) {
    results[name] = `${error.name}: ${error.message}`;
  }
}

function expect(condition, text) {
  if (!condition) throw new Error(text);
}

async function readGroup(groupId, topic, count, options = {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, ...options });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const values = [];
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`read ${values.length} of ${count}`)), 20000).unref();
    consumer.run({
      eachMessage: async ({ message }) => {
        values.push(message.value.toString());
        if (values.length >= count) resolve();
      },
    });
  });
  await consumer.disconnect();
  return values;
}

async function member(groupId, topic) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 1000 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ autoCommitThreshold: 1, eachMessage: async ({ message }) => console.log(message.value.toString()) });
}

async function main() {
  const admin = kafka.admin();
  await admin.connect();
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();

  await holds("admin", async () => {
    await admin.createTopics({ topics: [{ topic: "js", numPartitions: 2 }, { topic: "js-txn" }] });
    expect((await admin.listTopics()).includes("js"), "the topic is not listed");
    const { topics } = await admin.fetchTopicMetadata({ topics: ["js"] });
    expect(topics[0].partitions.length === 2, "two partitions were asked for");
  });
  await holds("idempotent", () => producer.send({ topic: "js", messages: [{ key: "k", value: "first" }] }));
  await holds("gzip", () =>
    producer.send({ topic: "js", compression: CompressionTypes.GZIP, messages: [{ value: "second" }] })
  );
  await holds("group", async () => {
    const values = await readGroup("js-group", "js", 2);
    expect(values.sort().join() === "first,second", values.join());
    const [{ partitions }] = await admin.fetchOffsets({ groupId: "js-group", topics: ["js"] });
    expect(partitions.reduce((sum, { offset }) => sum + Math.max(Number(offset), 0), 0) === 2, "offsets");
  });
  await holds("offsets by timestamp", async () => {
    const offsets = await admin.fetchTopicOffsetsByTimestamp("js", 0);
    expect(offsets.every(({ offset }) => Number(offset) >= 0), JSON.stringify(offsets));
  });
  await holds("transactions", async () => {
    const writer = kafka.producer({ transactionalId: "js-txn", idempotent: true, maxInFlightRequests: 1 });
    await writer.connect();
    for (const [value, commit] of [["aborted", false], ["committed", true]]) {
      const transaction = await writer.transaction();
      await transaction.send({ topic: "js-txn", messages: [{ value }] });
      await (commit ? transaction.commit() : transaction.abort());
    }
    await writer.disconnect();
    const values = await readGroup("js-txn-group", "js-txn", 1, { readUncommitted: false });
    expect(values.join() === "committed", values.join());
  });
  await producer.disconnect();
  await admin.disconnect();
}

if (process.argv[3] === "member") {
  member(process.argv[4], process.argv[5]);
} else {
  main()
    .catch((error) => (results.client = String(error)))
    .finally(() => {
      console.log(JSON.stringify(results));
      process.exit(0);
    });
}
