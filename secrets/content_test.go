package secrets

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

// isUsedUp checks that nothing is left in what was to be cleared, though something was in it.
func isUsedUp(t *testing.T, what string, b []byte) {
	t.Helper()
	if len(b) == 0 || bytes.Count(b, []byte{0}) != len(b) {
		t.Errorf("%s still has %q", what, b)
	}
}

func TestWhatWasReadOfASecretIsCleared(t *testing.T) {
	for name, text := range map[string]string{
		"sound":            `{"stringData":{"a":"canary-4711","b":"x\"\\ncanary-4711"},"data":{"c":"Y2FuYXJ5LTQ3MTE="}}`,
		"further Secrets":  "hanse/v1 crm/api a\n" + `{"stringData":{"a":"canary-4711"}}`,
		"a bad line":       "hanse/v1 crm\ncanary-4711",
		"no JSON":          "canary-4711",
		"a field more":     `{"stringData":{"a":"canary-4711"},"x":"canary-4711"}`,
		"a bad value":      `{"stringData":{"a":"canary-4711","b":1}}`,
		"twice":            `{"stringData":{"a":"canary-4711"},"data":{"a":"Yg=="}}`,
		"a bad key":        `{"stringData":{"a b":"canary-4711"}}`,
		"something behind": `{"stringData":{"a":"canary-4711"}} canary-4711`,
	} {
		whole := []byte(text)
		data, _, err := readAll(whole)
		isUsedUp(t, name+": what was read", whole)
		if sound := name == "sound" || name == "further Secrets"; sound != (err == nil) || sound && string(data["a"]) != canary {
			t.Errorf("%s: %d values: %v", name, len(data), err)
		}
	}
}

// TestAnEscapedTextIsCleared: it is a copy of what is read, without its escapes.
func TestAnEscapedTextIsCleared(t *testing.T) {
	unescaped := []byte("x\n" + canary)
	var read text
	if err := read.UnmarshalText(unescaped); err != nil || string(read) != "x\n"+canary {
		t.Errorf("it is read as %q: %v", read, err)
	}
	isUsedUp(t, "the copy", unescaped)
}

func TestValuesThatAreRefusedAreCleared(t *testing.T) {
	c := content{Text: map[string]*text{"a": new(text), "null": nil}, Bytes: map[string][]byte{"b": []byte(canary)}}
	*c.Text["a"] = []byte(canary)
	c.clear()
	isUsedUp(t, "the text", *c.Text["a"])
	isUsedUp(t, "the bytes", c.Bytes["b"])
}

func TestWhatWasSealedIsCleared(t *testing.T) {
	content := []byte(canary)
	if _, err := encryptAll(newIdentity(t).Recipient(), "shop/db", content); err != nil {
		t.Fatal(err)
	}
	isUsedUp(t, "what was sealed", content)
	content = []byte(canary)
	if _, err := encryptAll(Recipient{}, "shop/db", content); err == nil {
		t.Fatal("it is sealed to nobody")
	}
	isUsedUp(t, "what was not sealed", content)
}

func TestTheTextOfAKeyIsCleared(t *testing.T) {
	key := newIdentity(t)
	for name, recipient := range map[string]string{"the key": key.Recipient().String(), "another one": "age1pq1"} {
		text := []byte(key.Reveal())
		if _, err := unwrapped(text, Key{Group: "readers"}, recipient); (err == nil) != (name == "the key") {
			t.Errorf("%s: %v", name, err)
		}
		isUsedUp(t, name, text)
	}
}

// TestWhatIsSealedIsWrittenInOnePlace: what grows leaves a copy behind where it was.
func TestWhatIsSealedIsWrittenInOnePlace(t *testing.T) {
	for name, data := range map[string]map[string][]byte{
		"text":   {"a": []byte(strings.Repeat(canary, 99))},
		"bytes":  {"a": bytes.Repeat([]byte{0xff, 1}, 999)},
		"escape": {"a": bytes.Repeat([]byte("\n"), 999), "b": nil},
		"both":   {"a": []byte(canary), "b": {0xff}, "c.d": []byte("x")},
	} {
		if out := encode("", data); cap(out)-len(out) > 30 {
			t.Errorf("%s: %d bytes, with room for %d", name, len(out), cap(out))
		}
	}
}

// FuzzEncode: whatever the values are, anybody's JSON reads them as they were, and so do we.
func FuzzEncode(f *testing.F) {
	for _, seed := range []string{"", "b", "<&>\u2028\x00\x1f\x7f", "\"\\\b\f\n\r\t", "\xff\xfe", "\xed\xa0\x80", "ü😀"} {
		f.Add([]byte(seed), []byte("x"))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		data := map[string][]byte{"a": a, "b.c": b}
		whole := encode("", data)
		var read struct {
			StringData map[string]string
			Data       map[string][]byte
		}
		if err := json.Unmarshal(whole, &read); err != nil {
			t.Fatalf("%q: %v", whole, err)
		}
		for key, value := range read.StringData {
			if !utf8.ValidString(value) {
				t.Errorf("%q is written as text", value)
			}
			read.Data = maps.Clone(read.Data)
			if read.Data == nil {
				read.Data = map[string][]byte{}
			}
			read.Data[key] = []byte(value)
		}
		if !maps.EqualFunc(read.Data, data, bytes.Equal) {
			t.Errorf("%q is read as %q", data, read.Data)
		}
		if len(a)+len(b) > MaxData {
			return
		}
		if ours, err := decode(whole); err != nil || !maps.EqualFunc(ours, data, bytes.Equal) {
			t.Errorf("%q is opened as %q: %v", data, ours, err)
		}
	})
}
