//! rskafka against a broker: client HOST:PORT. Prints one line of JSON: what held, by name.
use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn expect(condition: bool, text: String) -> Outcome {
    if condition { Ok(()) } else { Err(text.into()) }
}

fn record(text: &str, timestamp: DateTime<Utc>) -> Record {
    Record { key: Some(b"k".to_vec()), value: Some(text.repeat(200).into_bytes()), headers: BTreeMap::new(), timestamp }
}

async fn admin(client: &Client) -> Outcome {
    let controller = client.controller_client()?;
    controller.create_topic("rskafka", 2, 1, 5_000).await?;
    controller.create_topic("rskafka-gone", 1, 1, 5_000).await?;
    controller.delete_topic("rskafka-gone", 5_000).await?;
    let topics = client.list_topics().await?;
    let found = topics.iter().find(|topic| topic.name == "rskafka").map(|topic| topic.partitions.len());
    expect(found == Some(2) && !topics.iter().any(|topic| topic.name == "rskafka-gone"), format!("{found:?}"))
}

async fn codec(partition: &PartitionClient, name: &str, compression: Compression) -> Outcome {
    let offsets = partition.produce(vec![record(name, Utc::now()), record(name, Utc::now())], compression).await?;
    let (records, _) = partition.fetch_records(offsets[0], 1..1_000_000, 1_000).await?;
    let values: Vec<_> = records.iter().filter(|item| item.offset >= offsets[0]).map(|item| item.record.value.clone()).collect();
    expect(values == vec![Some(name.repeat(200).into_bytes()); 2], format!("{} records came back", values.len()))
}

async fn by_timestamp(partition: &PartitionClient) -> Outcome {
    let tomorrow = Utc::now() + Duration::days(1);
    expect(partition.get_offset(OffsetAt::Timestamp(DateTime::UNIX_EPOCH)).await? == 0, "the first is not at 0".into())?;
    expect(partition.get_offset(OffsetAt::Timestamp(tomorrow)).await? < 0, "tomorrow has come".into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let address = std::env::args().nth(1).expect("HOST:PORT");
    let client = ClientBuilder::new(vec![address]).build().await.expect("a client");
    let mut results = BTreeMap::new();
    let mut note = |name: &str, outcome: Outcome| {
        results.insert(name.to_string(), outcome.map_or_else(|error| error.to_string(), |()| "ok".to_string()));
    };
    note("admin", admin(&client).await);
    let partition = client.partition_client("rskafka", 0, UnknownTopicHandling::Retry).await.expect("a partition");
    for (name, compression) in [
        ("none", Compression::NoCompression),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ] {
        note(name, codec(&partition, name, compression).await);
    }
    note("offsets by timestamp", by_timestamp(&partition).await);
    println!("{}", serde_json::to_string(&results).unwrap());
}
