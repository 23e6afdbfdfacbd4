package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// fixture feeds a store by hand.
type fixture struct {
	testing.TB
	*Store
	index, term uint64
	seq         uint64
	now         int64
}

func newFixture(t testing.TB) *fixture {
	return &fixture{TB: t, Store: New(nil), term: 1, now: 1}
}

// command makes the next command of member m.
func (f *fixture) command(txn Txn) Command {
	f.seq++
	return Command{ID: CommandID{Incarnation: "m", Seq: f.seq}, Proposer: "m", Time: f.now, Txn: &txn}
}

// apply puts the commands into one entry.
func (f *fixture) apply(commands ...Command) []Result {
	f.Helper()
	data, err := EncodeEntry(commands)
	if err != nil {
		f.Fatal(err)
	}
	f.index++
	results, err := f.Apply(f.index, f.term, data)
	if err != nil {
		f.Fatal(err)
	}
	return results
}

// txn applies a transaction in an entry of its own.
func (f *fixture) txn(txn Txn) Result {
	f.Helper()
	return f.apply(f.command(txn))[0]
}

// do applies ops and wants them done.
func (f *fixture) do(ops ...Op) Revision {
	f.Helper()
	r := f.txn(Txn{Then: ops})
	if r.Err != nil {
		f.Fatal(r.Err)
	}
	return r.Revision
}

// upload splits a transaction and writes its chunks.
func (f *fixture) upload(txn Txn) Txn {
	f.Helper()
	txn, parts := SplitTxn(txn)
	for _, p := range parts {
		if r := f.apply(Command{Proposer: "m", Time: f.now, Chunk: p.Data})[0]; r.Err != nil {
			f.Fatal(r.Err)
		}
	}
	return txn
}

// snapshot returns a store's bytes.
func snapshot(t testing.TB, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := s.Snapshot().WriteTo(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(b.Len()) {
		t.Fatalf("WriteTo says %d bytes, wrote %d", n, b.Len())
	}
	return b.Bytes()
}

// restored is a new store of a snapshot.
func restored(t testing.TB, auth Authorizer, data []byte) *Store {
	t.Helper()
	s := New(auth)
	if err := s.Restore(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return s
}

// noise makes bytes that do not repeat.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	x := seed*0x9e3779b97f4a7c15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x >> 32)
	}
	return b
}

func member(id string) Member {
	m := Member{ID: MemberID(id), Cluster: "c-" + id, Region: "eu", Addresses: []string{id + ":7946"}}
	copy(m.Pin[:], "pin of "+id)
	return m
}

func keys(kvs []KV) (all []string) {
	for _, kv := range kvs {
		all = append(all, fmt.Sprintf("%s=%s@%d/%d", kv.Key, kv.Value, kv.Created, kv.Modified))
	}
	return all
}

// hashOf is the hash of a chunk.
func hashOf(data string) Hash { return sha256.Sum256([]byte(data)) }

var update = flag.Bool("update", false, "write testdata anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is no longer what members write (go test -update, and raise the version):\n%s", name, hex.Dump(got))
	}
}
