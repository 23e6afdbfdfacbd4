package atrest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/internal/agetest"
)

const canary = "canary-4711-of-the-data-directory"

func identity(t testing.TB) *age.HybridIdentity {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func key(t testing.TB) *Key {
	t.Helper()
	k, err := Make(t.TempDir(), identity(t))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPieces(t *testing.T) {
	k := key(t)
	for _, piece := range []string{"", "x", canary, strings.Repeat(canary, 1000)} {
		encrypted := k.Encrypt([]byte(piece), "here")
		if len(encrypted) != len(piece)+Overhead || bytes.Contains(encrypted, []byte(canary)) {
			t.Fatalf("%d bytes of %d, or in the clear", len(encrypted), len(piece))
		}
		if got, err := k.Decrypt(encrypted, "here"); err != nil || string(got) != piece {
			t.Errorf("%q, %v", got, err)
		}
		if bytes.Equal(encrypted, k.Encrypt([]byte(piece), "here")) {
			t.Error("twice the same: who compares two disks would see it")
		}
	}
	encrypted := k.Encrypt([]byte("x"), "here")
	for what, open := range map[string]func() ([]byte, error){
		"another place": func() ([]byte, error) { return k.Decrypt(encrypted, "there") },
		"another key":   func() ([]byte, error) { return key(t).Decrypt(encrypted, "here") },
		"nothing":       func() ([]byte, error) { return k.Decrypt(nil, "here") },
		"a nonce alone": func() ([]byte, error) { return k.Decrypt(encrypted[:Overhead-1], "here") },
		"a longer one":  func() ([]byte, error) { return k.Decrypt(append(slices.Clip(encrypted), 0), "here") },
	} {
		if got, err := open(); err == nil {
			t.Errorf("%s: opened: %q", what, got)
		}
	}
	for i := range encrypted {
		turned := bytes.Clone(encrypted)
		turned[i] ^= 1
		if _, err := k.Decrypt(turned, "here"); err == nil {
			t.Errorf("byte %d: opened", i)
		}
	}
	for _, format := range []string{"%v", "%+v", "%s"} {
		if got := fmt.Sprintf(format, k); got != "(a data key)" {
			t.Errorf("%s: %s", format, got)
		}
	}
}

// sealed is a stream as it lies on a disk.
func sealed(t testing.TB, k *Key, content []byte) []byte {
	t.Helper()
	var disk bytes.Buffer
	w, err := k.Writer(&disk)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return disk.Bytes()
}

func unsealed(k *Key, disk []byte) ([]byte, error) {
	r, length, err := k.Reader(iotest.HalfReader(bytes.NewReader(disk)), int64(len(disk)))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	if err == nil && int64(len(content)) != length {
		err = fmt.Errorf("%d bytes, and %d were said", len(content), length)
	}
	return content, err
}

func TestStreams(t *testing.T) {
	k := key(t)
	for _, length := range []int{0, 1, ageChunk - 1, ageChunk, ageChunk + 1, 2 * ageChunk, 3*ageChunk - 17, 3 * ageChunk} {
		content := bytes.Repeat([]byte(canary), length/len(canary)+1)[:length]
		disk := sealed(t, k, content)
		if bytes.Contains(disk, []byte(canary)) {
			t.Errorf("%d bytes: in the clear", length)
		}
		if got, err := unsealed(k, disk); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes became %d: %v", length, len(got), err)
		}
		for _, cut := range []int{1, 16, 17, len(disk) / 2, len(disk)} {
			if got, err := unsealed(k, disk[:max(0, len(disk)-cut)]); err == nil {
				t.Errorf("%d bytes without the last %d: opened as %d", length, cut, len(got))
			}
		}
	}
	disk := sealed(t, k, []byte("a snapshot"))
	for i := range disk {
		turned := bytes.Clone(disk)
		turned[i] ^= 1
		if got, err := unsealed(k, turned); err == nil {
			t.Errorf("byte %d: opened as %q", i, got)
		}
	}
	if _, err := unsealed(key(t), disk); err == nil {
		t.Error("another key opened it")
	}
}

func TestFiles(t *testing.T) {
	k, dir := key(t), t.TempDir()
	file, clear := filepath.Join(dir, "age.key"), filepath.Join(dir, "clear.key")
	if err := k.WriteFile(file, []byte(canary)); err != nil {
		t.Fatal(err)
	}
	if err := (*Key)(nil).WriteFile(clear, []byte(canary)); err != nil {
		t.Fatal(err)
	}
	disk, err := os.ReadFile(file)
	if err != nil || bytes.Contains(disk, []byte(canary)) {
		t.Errorf("in the clear: %v", err)
	}
	if disk, err := os.ReadFile(clear); err != nil || string(disk) != canary {
		t.Errorf("not as it was: %q, %v", disk, err)
	}
	for _, f := range []string{file, clear} {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, info.Mode(), err)
		}
	}
	if got, err := k.ReadFile(file); err != nil || string(got) != canary {
		t.Errorf("%q, %v", got, err)
	}
	for what, read := range map[string]struct {
		key  *Key
		path string
		says string
	}{
		"encrypted, without the key":        {nil, file, "is encrypted, and its directory is not"},
		"in the clear, with the key":        {k, clear, "is in the clear, in a directory that is encrypted; put this directory's own clear.key back"},
		"of another name":                   {k, copied(t, disk, "admin.pem"), "; put this directory's own admin.pem or data-key.age back"},
		"of another directory":              {key(t), file, "does not open with the key of its directory"},
		"shorter":                           {k, copied(t, disk[:len(disk)-1], "age.key"), "does not open"},
		"only its first line":               {k, copied(t, disk[:len(fileLine)], "age.key"), "does not open"},
		"with the first line of a newer us": {k, copied(t, append([]byte("hanse/v2"), disk[8:]...), "age.key"), "is in the clear"},
	} {
		got, err := read.key.ReadFile(read.path)
		if err == nil || !strings.Contains(err.Error(), read.says) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	if _, err := k.ReadFile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	draft := filepath.Join(dir, "admin.pem"+Draft)
	if err := errors.Join(k.WriteFile(draft, []byte(canary)), os.Rename(draft, filepath.Join(dir, "admin.pem"))); err != nil {
		t.Fatal(err)
	}
	if got, err := k.ReadFile(filepath.Join(dir, "admin.pem")); err != nil || string(got) != canary {
		t.Errorf("a draft that got its name: %q, %v", got, err)
	}
}

// copied puts a file of that name into another folder.
func copied(t *testing.T, content []byte, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestADirectoryOpensWithItsIdentityAlone(t *testing.T) {
	id, dir := identity(t), t.TempDir()
	made, err := Make(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Open(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := opened.Decrypt(made.Encrypt([]byte("x"), "here"), "here"); err != nil || string(got) != "x" {
		t.Errorf("it is another key: %v", err)
	}
	file := filepath.Join(dir, DataKeyFile)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if k, err := Open(t.TempDir(), nil); k != nil || err != nil {
		t.Errorf("a directory in the clear: %v, %v", k, err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	alone := t.TempDir() // its key is lost
	if err := made.WriteFile(filepath.Join(alone, "identity.key"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	for what, open := range map[string]struct {
		dir  string
		with *age.HybridIdentity
		says string
	}{
		"without an identity":     {dir, nil, "is encrypted; give the age key that opens it: --data-identity FILE"},
		"with another":            {dir, identity(t), "is encrypted to another identity than the one given"},
		"in the clear, with one":  {t.TempDir(), id, "is not encrypted; leave --data-identity"},
		"without its key":         {alone, nil, "data-key.age is gone from data directory"},
		"without its key, but id": {alone, id, "data-key.age is gone from data directory"},
		"cut":                     {filepath.Dir(copied(t, whole[:len(whole)-1], DataKeyFile)), id, "is damaged"},
		"empty":                   {filepath.Dir(copied(t, nil, DataKeyFile)), id, "is damaged"},
		"of something else":       {filepath.Dir(copied(t, forIdentity(t, id, "hanse/v1 shop/db\n"+strings.Repeat("x", 32)), DataKeyFile)), id, "is damaged"},
		"too long":                {filepath.Dir(copied(t, forIdentity(t, id, dataKeyLine+strings.Repeat("x", 33)), DataKeyFile)), id, "is damaged"},
		"too short":               {filepath.Dir(copied(t, forIdentity(t, id, dataKeyLine+strings.Repeat("x", 31)), DataKeyFile)), id, "is damaged"},
	} {
		before := listed(t, open.dir)
		k, err := Open(open.dir, open.with)
		if k != nil || err == nil || !strings.Contains(err.Error(), open.says) || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v, %v", what, k, err)
		}
		if after := listed(t, open.dir); !slices.Equal(before, after) {
			t.Errorf("%s: it changed %v to %v", what, before, after)
		}
	}
	if _, err := Open(t.TempDir(), id); !errors.Is(err, ErrClear) {
		t.Errorf("%v", err)
	}
}

func listed(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		names = append(names, f.Name())
	}
	return names
}

// forIdentity is an age file.
func forIdentity(t testing.TB, id *age.HybridIdentity, content string) []byte {
	t.Helper()
	var disk bytes.Buffer
	w, err := age.Encrypt(&disk, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return disk.Bytes()
}

// Another identity for a directory is what age makes of its key, as docs/recovery.md says.
func TestTheKeyOpensForAnotherIdentityWhenItIsEncryptedAnew(t *testing.T) {
	first, second, dir := identity(t), identity(t), t.TempDir()
	made, err := Make(dir, first)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, DataKeyFile)
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(old), first)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, forIdentity(t, second, string(content)), 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := Open(dir, second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Decrypt(made.Encrypt(nil, "here"), "here"); err != nil {
		t.Errorf("it is another key: %v", err)
	}
	if _, err := Open(dir, first); err == nil {
		t.Error("the first one opens it still")
	}
}

func TestIdentities(t *testing.T) {
	id, other := identity(t), identity(t)
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		text string
		good bool
	}{
		"as age-keygen writes it": {"# created: today\n# public key: " + id.Recipient().String() + "\n" + id.String() + "\n", true},
		"of a Windows editor":     {"# a\r\n" + id.String() + "\r\n", true},
		"alone":                   {id.String(), true},
		"nothing":                 {"", false},
		"a comment":               {"# a\n", false},
		"two":                     {id.String() + "\n" + other.String(), false},
		"a classic one":           {classic.String(), false},
		"cut":                     {id.String()[:60], false},
		"a recipient":             {id.Recipient().String(), false},
	} {
		with, err := ReadIdentity(copied(t, []byte(c.text), "id"))
		if c.good && (err != nil || with.String() != id.String()) {
			t.Errorf("%s: %v", what, err)
		}
		if !c.good && (err == nil || strings.Contains(err.Error(), "AGE-SECRET-KEY-PQ-1Q") || c.text != "" && strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ReadIdentity(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// unchanging is a data directory with its identity and its key, the same in every run, so that what was found in one breaks in the next.
func unchanging(f *testing.F) (dir string, id *age.HybridIdentity, k *Key) {
	f.Helper()
	id, err := age.ParseHybridIdentity(agetest.Key(1))
	if err != nil {
		f.Fatal(err)
	}
	dir = f.TempDir()
	made, err := os.ReadFile(filepath.Join("testdata", DataKeyFile))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, DataKeyFile), made, 0o600)
	}
	if err == nil {
		k, err = Open(dir, id)
	}
	if err != nil {
		f.Fatal(err)
	}
	return dir, id, k
}

// unchanged is what seal makes, with the same chance in every run.
func unchanged(seal func() []byte) []byte {
	chance := rand.Reader
	defer func() { rand.Reader = chance }()
	rand.Reader = mathrand.NewChaCha8([32]byte{})
	return seal()
}

// FuzzFile: whatever a file has, it is what was written, or an error that tells nothing of it.
func FuzzFile(f *testing.F) {
	dir, _, k := unchanging(f)
	path := filepath.Join(dir, "age.key")
	whole := unchanged(func() []byte {
		if err := k.WriteFile(path, []byte(canary)); err != nil {
			f.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		return text
	})
	for _, seed := range [][]byte{whole, whole[:len(whole)-1], nil, []byte(fileLine), []byte(canary)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := k.ReadFile(path)
		if (err == nil) != bytes.Equal(text, whole) || err == nil && string(got) != canary {
			t.Errorf("%q, %v", got, err)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("the error tells it: %v", err)
		}
	})
}

// FuzzDataKey: whatever data-key.age has, it is the key that was made, or an error; and nothing is opened with an identity that is none.
func FuzzDataKey(f *testing.F) {
	dir, id, _ := unchanging(f)
	path := filepath.Join(dir, DataKeyFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{whole, whole[:len(whole)-1], nil, []byte("age-encryption.org/v1\n"), append(bytes.Clone(whole), 0)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if k, err := Open(dir, id); (err == nil) != bytes.Equal(text, whole) || (k == nil) != (err != nil) {
			t.Errorf("%v, %v", k, err)
		}
	})
}

// FuzzStream: whatever a stream has, it gives out a beginning of what was written, and its end only when it is whole.
func FuzzStream(f *testing.F) {
	_, _, k := unchanging(f)
	content := bytes.Repeat([]byte(canary), 5000)
	whole := unchanged(func() []byte { return sealed(f, k, content) })
	for _, seed := range [][]byte{whole, whole[:len(whole)-1], whole[:ageChunk], nil, []byte("age-encryption.org/v1\n-> hanse-data-key\n")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, disk []byte) {
		got, err := unsealed(k, disk)
		if (err == nil) != bytes.Equal(disk, whole) || !bytes.HasPrefix(content, got) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}
