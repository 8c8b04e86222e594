-- What verification knows of a stream (MessagePack, operations.verification.record): it goes with the replica.
-- unfinished is a full pass that was interrupted; verified is the last one that came to its end.
CREATE TABLE IF NOT EXISTS switchback.verification (
    stream     text PRIMARY KEY,
    unfinished bytea,
    verified   bytea
);
