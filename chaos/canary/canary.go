// Package canary finds known values where they must not be, in each of the encodings in which programs write what they know.
package canary

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Finder knows some values. A value should be long, and of letters, digits and dashes alone: no quoting changes those, so it is found
// in JSON, YAML, URLs and quoted text, too.
type Finder struct {
	starts [1 << 16]bool
	forms  map[uint16][]form // by their first two bytes
}

// form is how a value looks in one encoding.
type form struct {
	name string
	text []byte
}

// shortest is how long a form must be: shorter ones are anywhere by chance.
const shortest = 8

// New makes a Finder of values, by what they are called.
func New(values map[string][]byte) *Finder {
	f := &Finder{forms: map[uint16][]form{}}
	for what, value := range values {
		for _, one := range encodings(value) {
			f.add(form{what + ", " + one.name, one.text})
			for _, twice := range slices.Concat(base64s(one.text), hexes(one.text)) { // as a Secret's data in an object that is in base64 itself
				f.add(form{what + ", " + one.name + ", " + twice.name, twice.text})
			}
		}
	}
	return f
}

func (f *Finder) add(one form) {
	if len(one.text) < shortest {
		panic("canary: " + one.name + " is too short to be told from chance")
	}
	at := pair(one.text)
	if !slices.ContainsFunc(f.forms[at], func(known form) bool { return bytes.Equal(known.text, one.text) }) {
		f.starts[at] = true
		f.forms[at] = append(f.forms[at], one)
	}
}

func pair(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }

// encodings of a value, each without what depends on its neighbours.
func encodings(value []byte) []form {
	all := []form{
		{"as it is", value},
		{"in capitals", bytes.ToUpper(value)},
		{"in small letters", bytes.ToLower(value)},
		{"as UTF-16, low byte first", each(value, "%c\x00")},
		{"as UTF-16, high byte first", each(value, "\x00%c")},
		{"with %XX", each(value, "%%%02X")},
		{"with %xx", each(value, "%%%02x")},
		{`with \x`, each(value, `\x%02x`)},
		{`with \u`, each(value, `\u%04x`)},
		{`with \U`, each(value, `\u%04X`)},
		{"as numbers", bytes.TrimSuffix(each(value, "%d "), []byte(" "))},
		{"as a list of numbers", bytes.TrimSuffix(each(value, "%d,"), []byte(","))},
	}
	return slices.Concat(all, base64s(value), hexes(value))
}

// each writes the bytes one by one. A format's %c writes a byte, and no letter of two.
func each(value []byte, format string) []byte {
	var b bytes.Buffer
	for _, c := range value {
		if before, after, raw := strings.Cut(format, "%c"); raw {
			b.WriteString(before)
			b.WriteByte(c)
			b.WriteString(after)
		} else {
			fmt.Fprintf(&b, format, c)
		}
	}
	return b.Bytes()
}

func hexes(value []byte) []form {
	text := hex.EncodeToString(value)
	return []form{{"in hex", []byte(text)}, {"in HEX", []byte(strings.ToUpper(text))}}
}

// base64s are the value in base64, at each of the three places that it can begin at in three bytes, in both alphabets.
func base64s(value []byte) (all []form) {
	for _, alphabet := range []struct {
		name string
		of   *base64.Encoding
	}{{"in base64", base64.RawStdEncoding}, {"in base64 of URLs", base64.RawURLEncoding}} {
		for before := range 3 {
			text := alphabet.of.EncodeToString(append(make([]byte, before), value...))
			first, end := (before*8+5)/6, (before+len(value))*8/6
			all = append(all, form{fmt.Sprintf("%s, %d bytes in", alphabet.name, before), []byte(text[first:end])})
		}
	}
	return all
}

// In says which values are in the data, and how they are written there. It sees into what is compressed by gzip or Zstandard, as entries of a
// log are, and does not mind line breaks.
func (f *Finder) In(data []byte) (found []string) {
	for _, text := range append(Inflated(data), data) {
		found = append(found, f.scan(text)...)
		found = append(found, f.scan(joined(text))...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (f *Finder) scan(data []byte) (found []string) {
	for i := range max(len(data)-1, 0) {
		if at := pair(data[i:]); f.starts[at] {
			for _, one := range f.forms[at] {
				if bytes.HasPrefix(data[i:], one.text) {
					found = append(found, one.name)
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// joined is a text without its white space, and without line breaks as they are quoted.
func joined(text []byte) []byte {
	kept := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		case c == '\\' && i+1 < len(text) && (text[i+1] == 'n' || text[i+1] == 'r'):
			i++
		default:
			kept = append(kept, c)
		}
	}
	return kept
}

// Bounds of looking into what is compressed.
const (
	largest = 256 << 20
	deepest = 3
)

// compressed are the formats that are looked into, by how a stream of each begins. text is what there is of one: all that comes behind it is not of it.
var compressed = []struct {
	begins []byte
	text   func(data []byte) []byte
}{{[]byte{0x1f, 0x8b, 8}, gunzipped}, {[]byte{0x28, 0xb5, 0x2f, 0xfd}, unzstd}}

func gunzipped(data []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	r.Multistream(false)
	text, _ := io.ReadAll(io.LimitReader(r, largest)) // what there is of it counts
	return text
}

func unzstd(data []byte) []byte {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(largest))
	if err != nil {
		panic(err) // the options are constants
	}
	defer r.Close()
	text, _ := r.DecodeAll(data, nil) // what there is of it counts
	return text
}

// Inflated is what is in a data's compressed streams, as far as they are whole, and in the streams in those.
func Inflated(data []byte) [][]byte { return inflate(data, deepest) }

func inflate(data []byte, deep int) (all [][]byte) {
	if deep == 0 {
		return nil
	}
	for _, c := range compressed {
		for rest := data; ; rest = rest[len(c.begins):] {
			at := bytes.Index(rest, c.begins)
			if at < 0 {
				break
			}
			rest = rest[at:]
			if text := c.text(rest); len(text) > 0 {
				all = append(append(all, text), inflate(text, deep-1)...)
			}
		}
	}
	return all
}

// Files says which files below a folder have values in them, and how. What is in the folders that are left out is not looked at.
func (f *Finder) Files(root string, leave ...string) (found []string, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != root:
			return nil // programs write and delete meanwhile
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(leave, path):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, what := range append(f.In(data), f.In([]byte(entry.Name()))...) {
			found = append(found, path+": "+what)
		}
		return nil
	})
	if err != nil {
		return found, fmt.Errorf("search %s: %w", root, err)
	}
	return found, nil
}
