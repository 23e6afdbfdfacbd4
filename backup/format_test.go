package backup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/consensus/store"
)

var update = flag.Bool("update", false, "write testdata anew")

// goldenKey reads the backups in testdata. It is a key for tests alone, and nobody's secret: the byte 0x42, 32 times.
const goldenKey = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"

func key(t testing.TB) *age.X25519Identity {
	t.Helper()
	k, err := age.ParseX25519Identity(goldenKey)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// state is a small fleet's.
func state(t testing.TB) *store.Snapshot {
	t.Helper()
	s := store.New(nil)
	m := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	entry, err := store.EncodeEntry([]store.Command{{Proposer: m.ID, Time: 1767323045000000000, Txn: &store.Txn{Then: []store.Op{
		store.PutMember(m), store.Put("/users/anna", []byte(`{"spec":{"role":"Admin"}}`)),
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(1, 1, entry); err != nil {
		t.Fatal(err)
	}
	return s.Snapshot()
}

var head = Header{Fleet: "acme", Member: "fra", Version: "v0.1.0", Made: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}

func write(t testing.TB, to ...age.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := Write(&b, to, head, state(t))
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("%d bytes, said to be %d: %v", b.Len(), n, err)
	}
	return b.Bytes()
}

func TestABackupBringsBackWhatWas(t *testing.T) {
	quantum, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]struct {
		to  age.Recipient
		key age.Identity
	}{
		"for a classic key":      {key(t).Recipient(), key(t)},
		"for a post-quantum key": {quantum.Recipient(), quantum},
	} {
		t.Run(name, func(t *testing.T) {
			h, v, err := Read(bytes.NewReader(write(t, k.to)), k.key)
			if err != nil {
				t.Fatal(err)
			}
			want := head
			want.Epoch, want.EpochID, want.Revision = 1, "11111111-1111-4111-8111-111111111111", 1
			if diff := cmp.Diff(want, h); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(state(t).View().List(""), v.List("")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Every version that was ever released must be read for ever: what is in testdata is never written anew.
func TestABackupOfVersion1IsRead(t *testing.T) {
	path := filepath.Join("testdata", "v1.hanse.age")
	if *update {
		if err := os.WriteFile(path, write(t, key(t).Recipient()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, v, err := Read(bytes.NewReader(data), key(t))
	if err != nil {
		t.Fatal(err)
	}
	if h.Fleet != "acme" || h.Revision != 1 || len(v.Members()) != 1 {
		t.Errorf("got %+v, members %v", h, v.Members())
	}
}

func TestWhatIsNoWholeBackupIsRefused(t *testing.T) {
	whole := write(t, key(t).Recipient())
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-40] ^= 1
	inHead := bytes.Clone(whole)
	inHead[bytes.Index(whole, []byte("\n--- "))+5] = other64(inHead[bytes.Index(whole, []byte("\n--- "))+5])
	for name, tt := range map[string]struct {
		data []byte
		key  age.Identity
		want error
	}{
		"for another key":         {whole, other, ErrWrongKey},
		"cut short":               {whole[:len(whole)-1], key(t), ErrDamaged},
		"cut to its head":         {whole[:60], key(t), ErrDamaged},
		"with a bit turned":       {flipped, key(t), ErrDamaged},
		"with a bit of its head":  {inHead, key(t), ErrDamaged},
		"with more behind":        {append(bytes.Clone(whole), 0), key(t), ErrDamaged},
		"nothing":                 {nil, key(t), ErrNotABackup},
		"a text":                  {[]byte("apiVersion: v1\n"), key(t), ErrNotABackup},
		"age, of something else":  {sealed(t, "a letter to someone"), key(t), ErrNotABackup},
		"age, of nothing":         {sealed(t, ""), key(t), ErrNotABackup},
		"armored":                 {[]byte("-----BEGIN AGE ENCRYPTED FILE-----\n"), key(t), ErrNotABackup},
		"of a newer format":       {sealed(t, "HANSEBK\x02\x00\x00\x00\x02{}"), key(t), ErrNewer},
		"of a newer store":        {sealed(t, begun("{}")+"HANSEST\x63"), key(t), ErrNewer},
		"without a state":         {sealed(t, begun("{}")), key(t), ErrDamaged},
		"with a header too large": {sealed(t, "HANSEBK\x01\xff\xff\xff\xff"), key(t), ErrDamaged},
		"with a header cut off":   {sealed(t, "HANSEBK\x01\x00\x00\x00\x09{}"), key(t), ErrDamaged},
		"with a garbled header":   {sealed(t, begun("[]")), key(t), ErrDamaged},
		"with another's header":   {sealed(t, begun(`{"revision":7}`)+plainState(t)), key(t), ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			_, v, err := Read(bytes.NewReader(tt.data), tt.key)
			if !errors.Is(err, tt.want) || v != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestABackupThatCannotBeWrittenSaysSo(t *testing.T) {
	if _, err := Write(full{}, []age.Recipient{key(t).Recipient()}, head, state(t)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// other64 is another letter of base64.
func other64(b byte) byte {
	if b == 'A' {
		return 'B'
	}
	return 'A'
}

// begun is the beginning of a backup's plaintext.
func begun(header string) string {
	return magic + "\x01" + string(binary.BigEndian.AppendUint32(nil, uint32(len(header)))) + header
}

func plainState(t testing.TB) string {
	var b strings.Builder
	if _, err := state(t).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sealed(t testing.TB, plain string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, key(t).Recipient())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, plain)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(begun("{}")))
	f.Add([]byte(begun(`{"epoch":1,"epochID":"11111111-1111-4111-8111-111111111111","revision":1}`) + plainState(f)))
	f.Fuzz(func(t *testing.T, plain []byte) {
		h, v, err := Read(bytes.NewReader(sealed(t, string(plain))), key(t))
		if err == nil && (v == nil || v.Revision() != h.Revision) {
			t.Errorf("%+v of %v", h, v)
		}
		if _, _, err := Read(bytes.NewReader(plain), key(t)); err == nil {
			t.Error("plaintext was taken for a backup")
		}
	})
}
