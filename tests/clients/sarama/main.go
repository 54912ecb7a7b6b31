// sarama against a broker: client HOST:PORT prints one line of JSON, what held, by name;
// client HOST:PORT member GROUP TOPIC prints the values a member of a group reads.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
)

var address = []string{os.Args[1]}

func config(change func(*sarama.Config)) *sarama.Config {
	made := sarama.NewConfig()
	made.Version = sarama.MaxVersion
	made.Producer.Return.Successes = true
	made.Consumer.Offsets.Initial = sarama.OffsetOldest
	made.Consumer.Group.Session.Timeout = 6 * time.Second
	made.Consumer.Group.Heartbeat.Interval = time.Second
	if change != nil {
		change(made)
	}
	return made
}

func idempotent(made *sarama.Config) {
	made.Producer.Idempotent = true
	made.Producer.RequiredAcks = sarama.WaitForAll
	made.Net.MaxOpenRequests = 1
}

func admin() error {
	tools, err := sarama.NewClusterAdmin(address, config(nil))
	if err != nil {
		return err
	}
	defer tools.Close()
	for name, partitions := range map[string]int32{"sarama": 2, "sarama-txn": 1} {
		if err := tools.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
			return err
		}
	}
	topics, err := tools.DescribeTopics([]string{"sarama"})
	if err != nil {
		return err
	}
	if len(topics[0].Partitions) != 2 {
		return errors.New("two partitions were asked for")
	}
	value := "1000000"
	if err := tools.AlterConfig(sarama.TopicResource, "sarama", map[string]*string{"retention.ms": &value}, false); err != nil {
		return err
	}
	entries, err := tools.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: "sarama", ConfigNames: []string{"retention.ms"}})
	if err != nil {
		return err
	}
	if entries[0].Value != value {
		return fmt.Errorf("retention.ms is %s", entries[0].Value)
	}
	return nil
}

func send(codec sarama.CompressionCodec) func() error {
	return func() error {
		producer, err := sarama.NewSyncProducer(address, config(func(made *sarama.Config) {
			idempotent(made)
			made.Producer.Compression = codec
		}))
		if err != nil {
			return err
		}
		defer producer.Close()
		_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: "sarama", Value: sarama.ByteEncoder(make([]byte, 2000))})
		return err
	}
}

func byTimestamp() error {
	client, err := sarama.NewClient(address, config(nil))
	if err != nil {
		return err
	}
	defer client.Close()
	offset, err := client.GetOffset("sarama-txn", 0, time.Now().UnixMilli()+3600000)
	if err == nil && offset != -1 {
		err = fmt.Errorf("offset %d lies in an hour", offset)
	}
	return err
}

func transactions() error {
	producer, err := sarama.NewSyncProducer(address, config(func(made *sarama.Config) {
		idempotent(made)
		made.Producer.Transaction.ID = "sarama-txn"
	}))
	if err != nil {
		return err
	}
	defer producer.Close()
	for _, value := range []string{"aborted", "committed"} {
		if err := producer.BeginTxn(); err != nil {
			return err
		}
		if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "sarama-txn", Value: sarama.StringEncoder(value)}); err != nil {
			return err
		}
		end := producer.CommitTxn
		if value == "aborted" {
			end = producer.AbortTxn
		}
		if err := end(); err != nil {
			return err
		}
	}
	reader, err := sarama.NewConsumer(address, config(func(made *sarama.Config) { made.Consumer.IsolationLevel = sarama.ReadCommitted }))
	if err != nil {
		return err
	}
	defer reader.Close()
	partition, err := reader.ConsumePartition("sarama-txn", 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	defer partition.Close()
	select {
	case message := <-partition.Messages():
		if string(message.Value) != "committed" {
			return fmt.Errorf("read %s", message.Value)
		}
		return nil
	case <-time.After(15 * time.Second):
		return errors.New("nothing was read")
	}
}

type printer struct{}

func (printer) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (printer) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (printer) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		fmt.Println(string(message.Value))
		session.MarkMessage(message, "")
		session.Commit()
	}
	return nil
}

func member(group, topic string) {
	reader, err := sarama.NewConsumerGroup(address, group, config(nil))
	if err != nil {
		panic(err)
	}
	for {
		if err := reader.Consume(context.Background(), []string{topic}, printer{}); err != nil {
			panic(err)
		}
	}
}

func main() {
	if len(os.Args) > 2 {
		member(os.Args[3], os.Args[4])
	}
	results := map[string]string{}
	holds := func(name string, body func() error) {
		results[name] = "ok"
		if err := body(); err != nil {
			results[name] = err.Error()
		}
	}
	holds("admin", admin)
	holds("idempotent", send(sarama.CompressionNone))
	holds("gzip", send(sarama.CompressionGZIP))
	holds("snappy", send(sarama.CompressionSnappy))
	holds("lz4", send(sarama.CompressionLZ4))
	holds("zstd", send(sarama.CompressionZSTD))
	holds("offsets by timestamp", byTimestamp)
	holds("transactions", transactions)
	line, _ := json.Marshal(results)
	fmt.Println(string(line))
}
