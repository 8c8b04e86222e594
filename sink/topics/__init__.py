"""The table topics: what happens to the data, for everybody who reads Kafka, in the envelope of Debezium."""
