package atrest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/hanse-fleet/hanse/internal/durable"
)

const (
	// DataKeyFile has the data key, encrypted to an identity. Where it is, nothing private is in the clear.
	DataKeyFile = "data-key.age"
	// dataKeyLine is the first of what it holds, so that no other file for the identity is taken for it.
	dataKeyLine = "hanse/v1 data key\n"
	// maxDataKey is more than it has for as many recipients as one may want.
	maxDataKey = 64 << 10
)

// ErrClear means that a directory is not encrypted, though an identity was given.
var ErrClear = errors.New("not encrypted")

// Open is the key of a data directory; nil for one in the clear, and no identity. It changes nothing, and each error says what to do.
func Open(dir string, with *age.HybridIdentity) (*Key, error) {
	sealed, err := readAtMost(filepath.Join(dir, DataKeyFile), maxDataKey)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, keyless(dir, with != nil)
	case err != nil:
		return nil, fmt.Errorf("read data key: %w", err)
	case with == nil:
		return nil, fmt.Errorf("data directory %s is encrypted; give the age key that opens it: --data-identity FILE, or HANSE_DATA_IDENTITY", dir)
	}
	data, err := openDataKey(sealed, with)
	defer clear(data)
	switch {
	case errors.As(err, new(*age.NoIdentityMatchError)):
		return nil, fmt.Errorf("data directory %s is encrypted to another identity than the one given, or its %s is damaged; give the one that it was made with: --data-identity FILE, or HANSE_DATA_IDENTITY", dir, DataKeyFile)
	case err != nil:
		return nil, fmt.Errorf("%s in data directory %s is damaged; put a copy of it back, or %s", DataKeyFile, dir, rejoin)
	}
	return newKey(data)
}

const rejoin = "let the cluster join again: hanse token create --cluster NAME --replace, then join with it and a fresh --data-dir"

// keyless is what is wrong with a directory that has no data key.
func keyless(dir string, identity bool) error {
	switch left := encryptedFile(dir); {
	case left != "":
		return fmt.Errorf("%s is gone from data directory %s, and %s is encrypted with it; put a copy of it back, or %s", DataKeyFile, dir, left, rejoin)
	case identity:
		return fmt.Errorf("data directory %s is %w; leave --data-identity and HANSE_DATA_IDENTITY out, or %s", dir, ErrClear, rejoin)
	}
	return nil
}

// encryptedFile is the name of a file in the directory that is encrypted; "" for none.
func encryptedFile(dir string) string {
	found, err := os.ReadDir(dir)
	if err != nil {
		return "" // then there is nothing to open either
	}
	for _, f := range found {
		if !f.Type().IsRegular() {
			continue
		}
		if begins, _ := readAtMost(filepath.Join(dir, f.Name()), len(fileLine)); string(begins) == fileLine {
			return f.Name()
		}
	}
	return ""
}

// Make makes the key of a new data directory. When it returns, the key survives a power cut.
func Make(dir string, to *age.HybridIdentity) (*Key, error) {
	data := make([]byte, chacha20poly1305.KeySize)
	defer clear(data)
	rand.Read(data) // never fails: see crypto/rand
	_, err := durable.WriteFile(filepath.Join(dir, DataKeyFile), func(w io.Writer) error {
		return writeDataKey(w, data, to.Recipient())
	})
	if err != nil {
		return nil, err
	}
	return newKey(data)
}

func writeDataKey(w io.Writer, data []byte, to age.Recipient) error {
	sealed, err := age.Encrypt(w, to)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{[]byte(dataKeyLine), data} {
		if _, err := sealed.Write(part); err != nil {
			return err
		}
	}
	return sealed.Close()
}

// openDataKey returns what a data key is made of. The caller clears it.
func openDataKey(sealed []byte, with age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), with)
	if err != nil {
		return nil, err
	}
	text := make([]byte, len(dataKeyLine)+chacha20poly1305.KeySize+1)
	n, err := io.ReadFull(r, text)
	if n != len(text)-1 || !errors.Is(err, io.ErrUnexpectedEOF) || string(text[:len(dataKeyLine)]) != dataKeyLine {
		clear(text)
		return nil, errors.New("it holds no data key")
	}
	return text[len(dataKeyLine):n], nil
}

// maxIdentity bounds the text that an identity is in.
const maxIdentity = 64 << 10

// ReadIdentity reads the one age key in a file. It must be post-quantum: who copies the disk today may have a quantum computer later. No error
// tells what is in the file.
func ReadIdentity(file string) (*age.HybridIdentity, error) {
	text, err := readAtMost(file, maxIdentity)
	defer clear(text)
	if err != nil {
		return nil, err
	}
	return parseIdentity(text)
}

func parseIdentity(text []byte) (with *age.HybridIdentity, err error) {
	wrong := errors.New("it does not hold one post-quantum age key (AGE-SECRET-KEY-PQ-1…); make one: age-keygen -pq -o FILE")
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if with != nil {
			return nil, wrong
		}
		if with, err = age.ParseHybridIdentity(line); err != nil {
			return nil, wrong
		}
	}
	if with == nil {
		return nil, wrong
	}
	return with, nil
}

// readAtMost reads no more than the beginning of a file.
func readAtMost(file string, most int) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(most)))
}
