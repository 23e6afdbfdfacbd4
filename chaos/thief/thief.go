// Package thief is one who has a member's data directory, and tries what can be opened of it with which keys.
package thief

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/chaos/canary"
)

// begins is how each age file does.
const begins = "age-encryption.org/v1\n"

// Loot is age files that were found, each once.
type Loot struct {
	files [][]byte
	known map[[sha256.Size]byte]bool
}

// Search finds all age files below some folders: as they are, and in base64, as the log has them; also in what is compressed.
func Search(roots ...string) (*Loot, error) {
	l := &Loot{known: map[[sha256.Size]byte]bool{}}
	for _, root := range roots {
		if err := l.search(root); err != nil {
			return nil, fmt.Errorf("search %s: %w", root, err)
		}
	}
	return l, nil
}

func (l *Loot) search(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, text := range append(canary.Inflated(data), data) {
			l.take(text)
		}
		return nil
	})
}

// Len is how many were found.
func (l *Loot) Len() int { return len(l.files) }

// Has says whether an age file was found.
func (l *Loot) Has(file []byte) bool { return l.known[sha256.Sum256(file)] }

// inBase64 is how an age file begins in base64: as far as that does not depend on what follows.
var inBase64 = []byte(base64.StdEncoding.EncodeToString([]byte(begins[:len(begins)/3*3])))

func (l *Loot) take(text []byte) {
	each(text, []byte(begins), l.add) // where it ends nobody can tell who cannot open it
	each(text, inBase64, func(rest []byte) {
		end := bytes.IndexFunc(rest, func(r rune) bool { return !ofBase64(r) })
		if end < 0 {
			end = len(rest)
		}
		file := make([]byte, base64.RawStdEncoding.DecodedLen(end))
		n, _ := base64.RawStdEncoding.Decode(file, rest[:end]) // what there is of it counts
		l.add(file[:n])
	})
}

func each(text, start []byte, use func(rest []byte)) {
	for {
		at := bytes.Index(text, start)
		if at < 0 {
			return
		}
		use(text[at:])
		text = text[at+len(start):]
	}
}

func ofBase64(r rune) bool {
	return 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '+' || r == '/'
}

func (l *Loot) add(file []byte) {
	if sum := sha256.Sum256(file); !l.known[sum] {
		l.known[sum] = true
		l.files = append(l.files, bytes.Clone(file))
	}
}

// Open is what the keys open, as far as it is whole, and what the keys do that lie in that.
func (l *Loot) Open(keys ...age.Identity) (opened [][]byte) {
	shut := l.files
	for len(keys) > 0 {
		var found []age.Identity
		var left [][]byte
		for _, file := range shut {
			content, is := open(file, keys)
			if !is {
				left = append(left, file)
				continue
			}
			opened = append(opened, content)
			found = append(found, keysIn(content)...)
		}
		keys, shut = found, left
	}
	return opened
}

// open says whether one of the keys opens it, which its header alone shows.
func open(file []byte, keys []age.Identity) (content []byte, is bool) {
	r, err := age.Decrypt(bytes.NewReader(file), keys...)
	if err != nil {
		return nil, false
	}
	content, _ = io.ReadAll(r) // what there is of it counts
	return content, true
}

// keysIn are the keys in a text, each in a line of its own.
func keysIn(text []byte) (keys []age.Identity) {
	for line := range bytes.Lines(text) {
		if found, err := age.ParseIdentities(bytes.NewReader(line)); err == nil {
			keys = append(keys, found...)
		}
	}
	return keys
}
