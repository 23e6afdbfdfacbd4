package canary

import (
	"bytes"
	"compress/gzip"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
	"sigs.k8s.io/yaml"
)

const value = "canary-4711-of-the-database"

var finder = New(map[string][]byte{"the value": []byte(value), "the key": {0, 0xff, 3, 0x80, 9, 0xc3, 0xa4, 0x7f, 17, 0xfe, 1, 2}})

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstandard(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

// noise does not get smaller.
func noise() string {
	b := make([]byte, 200_000)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

func wide(text string, high, low int) string {
	var b []byte
	for _, c := range utf16.Encode([]rune(text)) {
		both := [2]byte{byte(c >> 8), byte(c)}
		b = append(b, both[high], both[low])
	}
	return string(b)
}

func broken(text string) string {
	var lines []string
	for len(text) > 10 {
		lines, text = append(lines, text[:10]), text[10:]
	}
	return strings.Join(append(lines, text), "\n")
}

func TestAValueIsFoundInEachEncoding(t *testing.T) {
	std, inURLs := base64.StdEncoding, base64.URLEncoding
	whole := map[string]string{
		"as it is":             value,
		"upper case":           strings.ToUpper(value),
		"quoted":               fmt.Sprintf("%q", value),
		"JSON":                 asJSON(t, map[string]string{"password": value}),
		"JSON in JSON":         asJSON(t, asJSON(t, map[string]string{"password": value})),
		"a Secret's data":      asJSON(t, map[string][]byte{"password": []byte(value)}),
		"a URL's query":        url.Values{"a": {value}}.Encode(),
		"percent signs":        "%63%61%6E%61%72%79%2D%34%37%31%31%2D%6F%66%2D%74%68%65%2D%64%61%74%61%62%61%73%65",
		"hex":                  hex.EncodeToString([]byte(value)),
		"%X":                   fmt.Sprintf("%X", value),
		"a slice as Go prints": fmt.Sprint([]byte(value)),
		"a list of numbers":    strings.ReplaceAll(fmt.Sprint([]byte(value)), " ", ","),
		"a list with spaces":   strings.ReplaceAll(fmt.Sprint([]byte(value)), " ", ", "),
		"UTF-16LE":             wide(value, 1, 0),
		"UTF-16BE":             wide(value, 0, 1),
		"base64 in lines":      broken(std.EncodeToString([]byte(value))),
		"base64 in JSON lines": asJSON(t, broken(std.EncodeToString([]byte(value)))),
		"hex in lines":         broken(hex.EncodeToString([]byte(value))),
		"gzip":                 zipped(t, value),
		"gzip in gzip":         zipped(t, "x"+zipped(t, asJSON(t, []byte(value)))),
		"a part of gzip":       zipped(t, value+noise())[:100_000],
		"Zstandard":            "page" + zstandard(t, strings.Repeat("x", 100)+value+strings.Repeat("x", 100)) + "rest",
		"Zstandard in gzip":    zipped(t, "x"+zstandard(t, asJSON(t, []byte(value)))),
		"two of Zstandard":     zstandard(t, strings.Repeat("x", 100)) + "rest" + zstandard(t, value+strings.Repeat("x", 100)),
	}
	for before := range 3 {
		text := []byte(strings.Repeat("ä\xff?"[:before], 1) + value + "~~~")
		whole[fmt.Sprintf("base64, %d bytes in", before)] = std.EncodeToString(text)
		whole[fmt.Sprintf("base64 of URLs, %d bytes in", before)] = inURLs.EncodeToString(text)
		for second := range 3 {
			whole[fmt.Sprintf("base64 in base64, %d and %d bytes in", before, second)] = std.EncodeToString([]byte("xyz"[:second] + std.EncodeToString(text) + "~"))
		}
		whole[fmt.Sprintf("hex of base64, %d bytes in", before)] = hex.EncodeToString([]byte(std.EncodeToString(text)))
	}
	inYAML, err := yaml.Marshal(map[string]any{"a": map[string]string{"password": value}, "b": []byte(value)})
	if err != nil {
		t.Fatal(err)
	}
	whole["YAML"] = string(inYAML)
	for name, text := range whole {
		t.Run(name, func(t *testing.T) {
			for _, data := range []string{text, "\x00before " + text + " behind\xff", strings.Repeat("\xff", 1<<16) + text} {
				if found := finder.In([]byte(data)); len(found) == 0 || !strings.HasPrefix(found[0], "the value, ") {
					t.Errorf("it is found as %q", found)
				}
			}
		})
	}
}

func TestAKeyOfBytesIsFound(t *testing.T) {
	key := []byte{0, 0xff, 3, 0x80, 9, 0xc3, 0xa4, 0x7f, 17, 0xfe, 1, 2}
	for _, text := range []string{string(key), hex.EncodeToString(key), fmt.Sprint(key), base64.URLEncoding.EncodeToString(key), asJSON(t, key)} {
		if found := finder.In([]byte("a" + text)); len(found) == 0 || !strings.HasPrefix(found[0], "the key, ") {
			t.Errorf("%q: it is found as %q", text, found)
		}
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                "",
		"a byte":                 "c",
		"another value":          strings.Replace(value, "4711", "4712", 1),
		"a part":                 value[:len(value)-1],
		"what hides it":          base32.StdEncoding.EncodeToString([]byte(value)),
		"no gzip behind it":      "\x1f\x8b\x08rest",
		"no Zstandard behind it": "\x28\xb5\x2f\xfdrest",
	} {
		if found := finder.In([]byte(text)); len(found) > 0 {
			t.Errorf("%s: it is found as %q", name, found)
		}
	}
}

func TestFilesAreSearchedAndLeftOut(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"log/agent.log": "a " + value, "etcd/db": value, "hanse/log.db": "\x00\x01", value + ".yaml": "a"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := finder.Files(dir, filepath.Join(dir, "etcd"))
	if err != nil || len(found) != 2 || !strings.Contains(found[0], value+".yaml") || !strings.Contains(found[1], "agent.log: the value, as it is") {
		t.Errorf("it is found in %q: %v", found, err)
	}
	if _, err := finder.Files(filepath.Join(dir, "nothing")); err == nil {
		t.Error("a folder that cannot be read has nothing in it")
	}
}
