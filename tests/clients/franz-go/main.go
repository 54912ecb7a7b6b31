// franz-go against a broker: client HOST:PORT prints one line of JSON, what held, by name;
// client HOST:PORT member GROUP TOPIC prints the values a member of a group reads.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var results = map[string]string{}

func holds(name string, body func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	results[name] = "ok"
	if err := body(ctx); err != nil {
		results[name] = err.Error()
	}
}

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(options, kgo.SeedBrokers(os.Args[1]))...)
	if err != nil {
		panic(err)
	}
	return made
}

func read(ctx context.Context, reader *kgo.Client, count int) ([]string, error) {
	var values []string
	for len(values) < count {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			return values, fmt.Errorf("read %v, not %d records", values, count)
		}
		fetches.EachRecord(func(record *kgo.Record) { values = append(values, string(record.Value)) })
	}
	return values, nil
}

func admin(ctx context.Context) error {
	tools := kadm.NewClient(client())
	defer tools.Close()
	if _, err := tools.CreateTopics(ctx, 2, 1, nil, "go", "go-txn"); err != nil {
		return err
	}
	topics, err := tools.ListTopics(ctx, "go")
	if err != nil {
		return err
	}
	if len(topics["go"].Partitions) != 2 {
		return errors.New("two partitions were asked for")
	}
	return nil
}

func codec(codec kgo.CompressionCodec) func(context.Context) error {
	return func(ctx context.Context) error {
		producer := client(kgo.ProducerBatchCompression(codec))
		defer producer.Close()
		return producer.ProduceSync(ctx, &kgo.Record{Topic: "go", Value: make([]byte, 2000)}).FirstErr()
	}
}

func group(ctx context.Context) error {
	reader := client(kgo.ConsumerGroup("go-group"), kgo.ConsumeTopics("go"), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer reader.Close()
	if _, err := read(ctx, reader, 5); err != nil {
		return err
	}
	if err := reader.CommitUncommittedOffsets(ctx); err != nil {
		return err
	}
	offsets, err := kadm.NewClient(reader).FetchOffsets(ctx, "go-group")
	if err != nil {
		return err
	}
	var sum int64
	offsets.Each(func(offset kadm.OffsetResponse) { sum += offset.At })
	if sum != 5 {
		return fmt.Errorf("the group stands at %d", sum)
	}
	return nil
}

func byTimestamp(ctx context.Context) error {
	tools := kadm.NewClient(client())
	defer tools.Close()
	offsets, err := tools.ListOffsetsAfterMilli(ctx, 0, "go")
	if err != nil {
		return err
	}
	return offsets.Error()
}

func transactions(ctx context.Context) error {
	writer := client(kgo.TransactionalID("go-txn"))
	defer writer.Close()
	for value, commit := range map[string]kgo.TransactionEndTry{"aborted": kgo.TryAbort, "committed": kgo.TryCommit} {
		if err := writer.BeginTransaction(); err != nil {
			return err
		}
		if err := writer.ProduceSync(ctx, &kgo.Record{Topic: "go-txn", Value: []byte(value)}).FirstErr(); err != nil {
			return err
		}
		if err := writer.EndTransaction(ctx, commit); err != nil {
			return err
		}
	}
	reader := client(kgo.ConsumeTopics("go-txn"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer reader.Close()
	values, err := read(ctx, reader, 1)
	if err == nil && (len(values) != 1 || values[0] != "committed") {
		err = fmt.Errorf("read %v", values)
	}
	return err
}

func member(group, topic string) {
	reader := client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(time.Second), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for {
		reader.PollFetches(context.Background()).EachRecord(func(record *kgo.Record) { fmt.Println(string(record.Value)) })
		reader.CommitUncommittedOffsets(context.Background())
	}
}

func main() {
	if len(os.Args) > 2 {
		member(os.Args[3], os.Args[4])
	}
	holds("admin", admin)
	holds("idempotent", codec(kgo.NoCompression()))
	holds("gzip", codec(kgo.GzipCompression()))
	holds("snappy", codec(kgo.SnappyCompression()))
	holds("lz4", codec(kgo.Lz4Compression()))
	holds("zstd", codec(kgo.ZstdCompression()))
	holds("group", group)
	holds("offsets by timestamp", byTimestamp)
	holds("transactions", transactions)
	line, _ := json.Marshal(results)
	fmt.Println(string(line))
}
