package store

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// filled has n small keys.
func filled(b *testing.B, n int) *fixture {
	f := newFixture(b)
	for i := 0; i < n; {
		var ops []Op
		for range 1000 {
			ops = append(ops, Put(fmt.Sprintf("/grants/c%03d/b%d", i%300, i), []byte(`{"bundle":"shop"}`)))
			i++
		}
		f.do(ops...)
	}
	return f
}

func BenchmarkApply(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch of %d in 100k keys", batch), func(b *testing.B) {
			f := filled(b, 100_000)
			f.do(PutMember(member("m")))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				b.StopTimer()
				var commands []Command
				for range batch {
					key := fmt.Sprintf("/grants/c%03d/b%d", n%300, n%50_000)
					n++
					commands = append(commands, f.command(Txn{
						If:   []Condition{PrefixUnchanged("/clusters/", f.View().Revision())},
						Then: []Op{Put(key, []byte(`{"bundle":"shop"}`))},
					}))
				}
				data, err := EncodeEntry(commands)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if _, err := f.Apply(1, 1, data); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/txn")
		})
	}
}

// BenchmarkEntry encodes and decodes entries as they are written: a status, a secret with its revision, and what many clients at once write.
func BenchmarkEntry(b *testing.B) {
	for _, bb := range []struct {
		name     string
		commands []Command
	}{
		{"of 200 bytes", []Command{putting(100, 1)}},
		{"of a secret", []Command{secretAndRevision(1)}},
		{"of 256 writes", many(256, func(i int) Command { return putting(256, i) })},
		{"of 30 secrets", many(30, secretAndRevision)},
		{"of a chunk of noise", []Command{{Proposer: "m", Chunk: noise(MaxChunk, 1)}}},
		{"of a chunk of text", []Command{{Proposer: "m", Chunk: []byte(strings.Repeat(manifest, MaxChunk)[:MaxChunk])}}},
	} {
		data, err := EncodeEntry(bb.commands)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("encode one "+bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := EncodeEntry(bb.commands); err != nil {
					b.Fatal(err)
				}
			}
			whole, err := plain(bb.commands)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(whole)), "B-before")
			b.ReportMetric(float64(len(data)), "B-after")
		})
		b.Run("decode one "+bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeEntry(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func many(n int, command func(int) Command) (all []Command) {
	for i := range n {
		all = append(all, command(i))
	}
	return all
}

func BenchmarkSnapshot(b *testing.B) {
	f := filled(b, 100_000)
	b.Run("taken of 100k keys", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = f.Snapshot()
		}
	})
	b.Run("written of 100k keys", func(b *testing.B) {
		for b.Loop() {
			n, err := f.Snapshot().WriteTo(io.Discard)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(n)
		}
	})
	b.Run("restored of 100k keys", func(b *testing.B) {
		data := snapshot(b, f.Store)
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if err := New(nil).Restore(bytes.NewReader(data)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLargeValue(b *testing.B) {
	value := noise(8<<20, 1)
	b.Run("split of 8 MiB", func(b *testing.B) {
		b.SetBytes(int64(len(value)))
		for b.Loop() {
			SplitTxn(Txn{Then: []Op{Put("/a", value)}})
		}
	})
	b.Run("put of 8 MiB", func(b *testing.B) {
		b.SetBytes(int64(len(value)))
		for b.Loop() {
			f := newFixture(b)
			f.do(f.upload(Txn{Then: []Op{Put("/a", value)}}).Then...)
		}
	})
	f := newFixture(b)
	f.do(f.upload(Txn{Then: []Op{Put("/a", value)}}).Then...)
	b.Run("get of 8 MiB, assembled each time", func(b *testing.B) {
		e, _ := f.View().keys.Get([]byte("/a"))
		b.SetBytes(int64(len(value)))
		for b.Loop() {
			newLarge(e.large.hashes, e.large.parts).bytes()
		}
	})
	b.Run("get of 8 MiB, shared", func(b *testing.B) {
		b.SetBytes(int64(len(value)))
		for b.Loop() {
			kv, _ := f.View().Get("/a")
			runtime.KeepAlive(kv)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	f := filled(b, 100_000)
	b.Run("get of 100k keys", func(b *testing.B) {
		for b.Loop() {
			f.View().Get("/grants/c007/b7")
		}
	})
	b.Run("list of 333 in 100k keys", func(b *testing.B) {
		for b.Loop() {
			f.View().List("/grants/c007/")
		}
	})
}
