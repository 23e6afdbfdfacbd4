package store

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// manifest is text as objects have it.
const manifest = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"shop","labels":{"app":"shop"}},"data":{"colour":"blue"}},`

// putting is a command that writes as many letters by chance.
func putting(size, seed int) Command {
	value := fmt.Sprintf(`{"text":%q}`, base64.StdEncoding.EncodeToString(noise(size, uint64(seed)))[:size])
	return Command{ID: CommandID{Incarnation: "11111111-1111-4111-8111-111111111111", Seq: uint64(seed + 1)}, Proposer: "11111111-1111-4111-8111-111111111111",
		Time: 1767323045000000000, Txn: &Txn{Then: []Op{Put(fmt.Sprintf("/keys/%d", seed), []byte(value))}}}
}

// secretAndRevision is a command as one makes a secret of 256 bytes: what is sealed is in it twice.
func secretAndRevision(seed int) Command {
	sealed := base64.StdEncoding.EncodeToString(noise(2200, uint64(seed)))
	spec := fmt.Sprintf(`"spec":{"group":"readers","namespace":"vault","data":%q}`, sealed)
	c := putting(40, seed)
	c.Txn = &Txn{Then: []Op{
		Put(fmt.Sprintf("/fleetsecrets/s-%04d", seed), fmt.Appendf(nil, `{"kind":"FleetSecret","apiVersion":"fleet.hanse.dev/v1alpha1","metadata":{"name":"s-%04d"},%s}`, seed, spec)),
		Put(fmt.Sprintf("/bundlerevisions/secret.s-%04d-1", seed), fmt.Appendf(nil, `{"kind":"BundleRevision","spec":{"manifests":[{"kind":"FleetSecret","metadata":{"name":"s-%04d"},%s}]}}`, seed, spec)),
	}}
	return c
}

func encoded(t testing.TB, commands ...Command) []byte {
	t.Helper()
	data, err := EncodeEntry(commands)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhatIsInAnEntryTwiceTakesItsRoomOnce(t *testing.T) {
	c := secretAndRevision(1)
	data := encoded(t, c)
	if size, err := c.Size(); err != nil || size < 6<<10 || len(data) > 2800 {
		t.Errorf("%d of %d bytes are left: %v", len(data), size, err)
	}
	got, err := DecodeEntry(data)
	if c.Version = 1; err != nil || !cmp.Equal([]Command{c}, got) {
		t.Errorf("%v, %s", err, cmp.Diff([]Command{c}, got))
	}
	clear(data)
	if !cmp.Equal([]Command{c}, got) {
		t.Error("the commands share memory with the entry")
	}
}

func TestWhatDoesNotGetSmallerStaysAsItIs(t *testing.T) {
	for name, c := range map[string]Command{"small": putting(100, 1), "noise": {Proposer: "m", Chunk: noise(MaxChunk, 1)}} {
		want, err := plain([]Command{c})
		if got := encoded(t, c); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d of %d bytes, %v", name, len(got), len(want), err)
		}
	}
}

// The limits count what is written, however well that compresses: so all members refuse the same.
func TestALargeEntryIsRefusedHoweverSmallItGets(t *testing.T) {
	zeros := func(size int) []Command {
		c := Command{Proposer: "m", Txn: &Txn{}}
		for i := range size / MaxInline {
			c.Txn.Then = append(c.Txn.Then, Put(fmt.Sprintf("/%d", i), make([]byte, MaxInline)))
		}
		return []Command{c}
	}
	if data, err := EncodeEntry(zeros(MaxEntry)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if data, err := EncodeEntry(zeros(MaxEntry - MaxInline)); err != nil || len(data) > 2048 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

// frame compresses, with or without the size of what is in it at its beginning.
func frame(t testing.TB, text []byte, sized bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if sized {
		return w.EncodeAll(text, nil)
	}
	for len(text) > 0 && err == nil {
		n := min(len(text), 64<<10)
		if _, err = w.Write(text[:n]); err == nil {
			err = w.Flush()
		}
		text = text[n:]
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packedOf is an entry that says that it has so many bytes.
func packedOf(says uint64, frame ...[]byte) []byte {
	return append(binary.AppendUvarint([]byte{entryMagic, entryPacked}, says), bytes.Join(frame, nil)...)
}

// Neither what an entry says that it has, nor what it comes to have, is more than an entry may be.
func TestABombIsRefusedBeforeItGoesOff(t *testing.T) {
	const most = MaxEntry - entryHead
	zeros := make([]byte, 64<<20)
	for name, data := range map[string][]byte{
		"it says how large it is":                        packedOf(uint64(len(zeros)), frame(t, zeros, true)),
		"it says less, its frame the truth":              packedOf(most, frame(t, zeros, true)),
		"it says less, and its frame nothing":            packedOf(most, frame(t, zeros, false)),
		"many frames, each as large as an entry may be":  packedOf(most, bytes.Repeat(frame(t, zeros[:most], true), 200)),
		"it says more than there are numbers":            append([]byte{entryMagic, entryPacked}, bytes.Repeat([]byte{0xff}, 20)...),
		"an entry of many commands that are all nothing": packedOf(most, frame(t, append([]byte{0x9a, 0, 1, 0, 0}, zeros[:60_000]...), true)),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			commands, err := DecodeEntry(data)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrMalformed) || commands != nil {
				t.Errorf("%d commands, %v", len(commands), err)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
				t.Errorf("it takes %d bytes to refuse %d", grown, len(data))
			}
		})
	}
}

// Whatever is wrong with a packed entry stops the store as any damage does.
func TestAPackedEntryThatIsDamaged(t *testing.T) {
	whole := encoded(t, secretAndRevision(1))
	if whole[1] != entryPacked {
		t.Fatal("it is not packed")
	}
	body, err := unpacked(whole[entryHead:])
	if err != nil {
		t.Fatal(err)
	}
	size := uint64(len(body))
	for name, data := range map[string][]byte{
		"nothing behind its head":     {entryMagic, entryPacked},
		"no frame":                    packedOf(size),
		"no frame, and nothing to be": packedOf(0),
		"a frame of nothing":          packedOf(0, frame(t, nil, true)),
		"something else":              packedOf(size, body),
		"one byte more than it says":  packedOf(size-1, frame(t, body, true)),
		"one byte less than it says":  packedOf(size+1, frame(t, body, true)),
		"another frame behind it":     packedOf(size, frame(t, body, true), frame(t, []byte{0}, true)),
		"something behind it":         append(bytes.Clone(whole), 0),
		"one in another":              packedOf(uint64(len(whole)), frame(t, whole, true)),
	} {
		if commands, err := DecodeEntry(data); !errors.Is(err, ErrMalformed) || commands != nil {
			t.Errorf("%s: %d commands, %v", name, len(commands), err)
		}
	}
	for end := range whole {
		if commands, err := DecodeEntry(whole[:end]); !errors.Is(err, ErrMalformed) || commands != nil {
			t.Fatalf("cut to %d bytes: %d commands, %v", end, len(commands), err)
		}
	}
	for bit := entryHead * 8; bit < len(whole)*8; bit++ { // a log on a disk has checksums besides
		data := bytes.Clone(whole)
		data[bit/8] ^= 1 << (bit % 8)
		if commands, err := DecodeEntry(data); err != nil && (!errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNewerVersion) || commands != nil) {
			t.Fatalf("bit %d turned: %d commands, %v", bit, len(commands), err)
		}
	}
}

// What this program packs may become other bytes; what was packed is read for ever.
func TestAPackedEntryOfBefore(t *testing.T) {
	c := secretAndRevision(1)
	c.Version = 1
	if *update {
		golden(t, "packed.bin", encoded(t, c))
	}
	data, err := os.ReadFile(filepath.Join("testdata", "packed.bin"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeEntry(data)
	if err != nil || !cmp.Equal([]Command{c}, got) {
		t.Errorf("%v, %s", err, cmp.Diff([]Command{c}, got))
	}
}

func FuzzUnpacked(f *testing.F) {
	for _, seed := range []int{1, 2} {
		data := encoded(f, secretAndRevision(seed))
		f.Add(data[entryHead:])
		f.Add(data[entryHead : len(data)/2])
	}
	f.Add(packedOf(3, frame(f, []byte("abc"), true))[entryHead:])
	f.Add(packedOf(300_000, frame(f, make([]byte, 300_000), false))[entryHead:])
	f.Add(packedOf(70_000, frame(f, []byte(strings.Repeat(manifest, 600)), false))[entryHead:])
	f.Add(packedOf(0)[entryHead:])
	f.Add([]byte{10, 0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff}) // a frame to be skipped
	f.Add([]byte{10, 0x28, 0xb5, 0x2f, 0xfd, 0xe7, 0, 0, 0, 0, 1})    // one with a dictionary
	f.Fuzz(func(t *testing.T, body []byte) {
		commands, err := unpacked(body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if len(commands) > MaxEntry-entryHead {
			t.Fatalf("%d bytes came of %d", len(commands), len(body))
		}
		entry := append([]byte{entryMagic, entryFormat}, commands...)
		again, err := packed(entry)
		if err != nil {
			t.Fatal(err)
		}
		if again[1] == entryPacked {
			again, err = unpacked(again[entryHead:])
		} else {
			again = again[entryHead:]
		}
		if err != nil || !bytes.Equal(again, commands) {
			t.Fatalf("what was packed again is something else: %v", err)
		}
	})
}
