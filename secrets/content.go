package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// content is what stands behind the lines of names: JSON, like a Secret's, so that people can write it by hand. It is read and written without strings
// and without buffers that grow, as neither could be cleared.
type content struct {
	Text  map[string]*text  `json:"stringData"`
	Bytes map[string][]byte `json:"data"`
}

// text is a value that is written as text.
type text []byte

// UnmarshalText implements encoding.TextUnmarshaler, and clears what it is given: a piece of what is read, or a copy without its escapes.
func (t *text) UnmarshalText(b []byte) error {
	*t = bytes.Clone(b)
	clear(b)
	return nil
}

// clear overwrites all values.
func (c *content) clear() {
	Clear(c.Bytes)
	for _, value := range c.Text {
		if value != nil {
			clear(*value)
		}
	}
}

// unread is a field whose name alone is looked at.
type unread struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (unread) UnmarshalJSON([]byte) error { return nil }

// decode reads the values that are sealed, and uses up what it reads. No error has any of it.
func decode(body []byte) (map[string][]byte, error) {
	var fields map[string]unread
	var c content
	others := func(name string) bool {
		return !strings.EqualFold(name, "stringData") && !strings.EqualFold(name, "data")
	}
	if json.Unmarshal(body, &fields) != nil || slices.ContainsFunc(slices.Collect(maps.Keys(fields)), others) || json.Unmarshal(body, &c) != nil {
		c.clear()
		return nil, errors.New(`behind its first line there must be {"stringData": {KEY: TEXT}} and nothing else`)
	}
	data := maps.Clone(c.Bytes)
	if data == nil {
		data = map[string][]byte{}
	}
	for key, value := range c.Text {
		if _, twice := data[key]; twice {
			c.clear()
			return nil, errors.New("one of its keys is there twice")
		}
		data[key] = nil
		if value != nil {
			data[key] = *value
		}
	}
	if err := checkData(data); err != nil {
		c.clear()
		return nil, err
	}
	return data, nil
}

// encode is values as they are sealed, behind the lines of names: those that are text as text, if that is not longer. Their keys are those of a
// Secret, which need no escapes.
func encode(lines string, data map[string][]byte) []byte {
	room := len(lines) + len("{\"stringData\":{},\"data\":{}}\n")
	asText, asBytes := map[string][]byte{}, map[string][]byte{}
	for key, value := range data {
		length := base64.StdEncoding.EncodedLen(len(value))
		if utf8.Valid(value) && escapedLen(value) <= length {
			asText[key], length = value, escapedLen(value)
		} else {
			asBytes[key] = value
		}
		room += len(key) + length + len(`"":"",`)
	}
	out := append(append(make([]byte, 0, room), lines...), '{')
	out = appendValues(out, "stringData", asText, appendEscaped)
	if len(asText) > 0 && len(asBytes) > 0 {
		out = append(out, ',')
	}
	out = appendValues(out, "data", asBytes, base64.StdEncoding.AppendEncode)
	return append(out, "}\n"...)
}

// appendValues adds a field with values, if there are any, sorted by their keys.
func appendValues(out []byte, field string, values map[string][]byte, add func(to, value []byte) []byte) []byte {
	for i, key := range slices.Sorted(maps.Keys(values)) {
		if i == 0 {
			out = append(out, '"')
			out = append(append(out, field...), `":{`...)
		} else {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), key...), `":"`...)
		out = append(add(out, values[key]), '"')
	}
	if len(values) > 0 {
		out = append(out, '}')
	}
	return out
}

// escapes are how JSON has the bytes that it does not have as they are.
var escapes = func() (all [256]string) {
	const hex = "0123456789abcdef"
	for b := range byte(' ') {
		all[b] = `\u00` + hex[b>>4:b>>4+1] + hex[b&15:b&15+1]
	}
	all['"'], all['\\'], all['\n'], all['\r'], all['\t'] = `\"`, `\\`, `\n`, `\r`, `\t`
	return all
}()

func escapedLen(value []byte) (n int) {
	for _, b := range value {
		n += max(1, len(escapes[b]))
	}
	return n
}

func appendEscaped(to, value []byte) []byte {
	for _, b := range value {
		if as := escapes[b]; as != "" {
			to = append(to, as...)
		} else {
			to = append(to, b)
		}
	}
	return to
}
