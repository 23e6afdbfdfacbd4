package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Target is the Secret that what is sealed becomes. It can be opened as no other.
type Target struct{ Namespace, Name string }

// String is the target as the first line has it.
func (t Target) String() string { return t.Namespace + "/" + t.Name }

// Validate checks that it can be the place of a Secret.
func (t Target) Validate() error {
	if problems := validation.IsDNS1123Label(t.Namespace); len(problems) > 0 {
		return fmt.Errorf("namespace %q: %s", t.Namespace, problems[0])
	}
	if problems := validation.IsDNS1123Subdomain(t.Name); len(problems) > 0 {
		return fmt.Errorf("name %q: %s", t.Name, problems[0])
	}
	return nil
}

// content is what stands behind the first line: JSON, like a Secret's, so that people can write it by hand.
type content struct {
	Text  map[string]string `json:"stringData,omitempty"`
	Bytes map[string][]byte `json:"data,omitempty"`
}

// Seal encrypts the data of a Secret for a group. It may become further Secrets, too.
func Seal(to Recipient, t Target, data map[string][]byte, also ...Bound) ([]byte, error) {
	if err := errors.Join(t.Validate(), checkData(data), checkBounds(t, also, data)); err != nil {
		return nil, err
	}
	c := content{Text: map[string]string{}, Bytes: map[string][]byte{}}
	for key, value := range data {
		if readable(value) {
			c.Text[key] = string(value)
		} else {
			c.Bytes[key] = value
		}
	}
	body, err := encode(c)
	if err != nil {
		return nil, errors.New("the data cannot be written as JSON")
	}
	defer clear(body)
	var lines strings.Builder
	for _, b := range also {
		lines.WriteString(b.line())
	}
	whole := append([]byte(lines.String()), body...)
	defer clear(whole)
	sealed, err := encrypt(to, t.String(), whole)
	if err == nil && len(sealed) > MaxSealed {
		return nil, fmt.Errorf("sealed it has %d bytes, more than the limit of %d; take fewer values", len(sealed), MaxSealed)
	}
	return sealed, err
}

// readable says that a value is text, and as such not longer than in base64.
func readable(value []byte) bool {
	if !utf8.Valid(value) {
		return false
	}
	text, err := encode(string(value))
	defer clear(text)
	return err == nil && len(text) <= base64.StdEncoding.EncodedLen(len(value))+len("\"\"\n")
}

func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return b.Bytes(), err
}

// Open decrypts the data of a Secret that was sealed for this target. No error has any of it.
func Open(with Identity, t Target, sealed []byte) (map[string][]byte, error) {
	data, _, err := OpenBound(with, t, sealed)
	return data, err
}

// OpenBound is Open, with the further Secrets that it may become.
func OpenBound(with Identity, t Target, sealed []byte) (map[string][]byte, []Bound, error) {
	whole, err := decrypt(with, t.String(), sealed)
	if err != nil {
		return nil, nil, err
	}
	defer clear(whole)
	also, body, err := cutBounds(whole)
	if err != nil {
		return nil, nil, err
	}
	data, err := decode(body)
	return data, also, err
}

// decode reads what encode wrote of content.
func decode(body []byte) (map[string][]byte, error) {
	var c content
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil || dec.More() {
		return nil, errors.New(`behind its first line there must be {"stringData": {KEY: TEXT}} and nothing else`)
	}
	data := c.Bytes
	if data == nil {
		data = map[string][]byte{}
	}
	for key, text := range c.Text {
		if _, twice := data[key]; twice {
			return nil, errors.New("one of its keys is there twice")
		}
		data[key] = []byte(text)
	}
	if err := checkData(data); err != nil {
		Clear(data)
		return nil, err
	}
	return data, nil
}

// Clear overwrites values that are needed no more.
func Clear(data map[string][]byte) {
	for _, value := range data {
		clear(value)
	}
}

func checkData(data map[string][]byte) error {
	if len(data) == 0 {
		return errors.New("it has no values; name one at least")
	}
	size := 0
	for key, value := range data {
		if problems := validation.IsConfigMapKey(key); len(problems) > 0 {
			return fmt.Errorf("a key of it cannot be one of a Secret: %s", strings.Join(problems, "; "))
		}
		size += len(key) + len(value)
	}
	if size > MaxData {
		return fmt.Errorf("its values have %d bytes, more than the limit of %d: no Secret of Kubernetes holds more; take several", size, MaxData)
	}
	return nil
}
