package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxTemplate is how many bytes the texts of one Secret's template may have together.
const MaxTemplate = 32 << 10

// A text of a template has ${KEY} where the value of KEY is to be, and ${FUNC(KEY "text" KEY)} for that of several, one behind the other and made
// fit for where it stands. $${ is ${ as it stands. Nothing else can be said, so what a text comes to costs as much as it is long, and no error of
// somebody else's library tells a value.
var functions = map[string]func([]byte) ([]byte, error){
	"base64": func(v []byte) ([]byte, error) { return base64.StdEncoding.AppendEncode(nil, v), nil },
	"json":   asJSONText,
	"url": func(v []byte) ([]byte, error) {
		return []byte(strings.ReplaceAll(url.QueryEscape(string(v)), "+", "%20")), nil
	},
}

// asJSONText is a value as it stands between the quotes of a text of JSON.
func asJSONText(v []byte) ([]byte, error) {
	if !utf8.Valid(v) {
		return nil, errors.New("a value that is no text cannot be one of JSON; take base64(…)")
	}
	quoted, err := json.Marshal(string(v))
	if err != nil {
		return nil, errors.New("a value cannot be one of JSON")
	}
	return quoted[1 : len(quoted)-1], nil
}

// piece of a text: a text as it stands, or parts that a function is applied to.
type piece struct {
	text     string
	function string
	parts    []part
}

// part is the value of a key, or a text.
type part struct{ key, text string }

var (
	keyOnly  = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)
	called   = regexp.MustCompile(`^([a-zA-Z0-9]+)\((.*)\)$`)
	nextPart = regexp.MustCompile(`^\s*(?:([-._a-zA-Z0-9]+)|"([^"]*)")(?:\s+|$)`)
)

// parsed are the pieces of a text. It has no values, so the error may have all of it.
func parsed(text string) (all []piece, err error) {
	for {
		before, behind, found := strings.Cut(text, "${")
		if literal, escaped := strings.CutSuffix(before, "$"); found && escaped {
			all, text = append(all, piece{text: literal + "${"}), behind
			continue
		}
		all = append(all, piece{text: before})
		if !found {
			return all, nil
		}
		inside, rest, closed := cutBrace(behind)
		if !closed {
			return nil, errors.New("a ${ has no }; $${ is ${ as it stands")
		}
		p, err := parsedPiece(strings.TrimSpace(inside))
		if err != nil {
			return nil, err
		}
		all, text = append(all, p), rest
	}
}

// cutBrace cuts at the brace that is not in quotes.
func cutBrace(text string) (inside, rest string, found bool) {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '}' && !quoted:
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

func parsedPiece(inside string) (p piece, err error) {
	if keyOnly.MatchString(inside) {
		return piece{parts: []part{{key: inside}}}, nil
	}
	call := called.FindStringSubmatch(inside)
	if call == nil {
		return p, fmt.Errorf("${%s}: it must be the name of a value, or one of %s with names and \"texts\" in it; $${ is ${ as it stands", inside, known())
	}
	if p.function = call[1]; functions[p.function] == nil {
		return p, fmt.Errorf("${%s}: there is no %s; there is %s", inside, p.function, known())
	}
	for rest := call[2]; strings.TrimSpace(rest) != ""; {
		next := nextPart.FindStringSubmatch(rest)
		if next == nil {
			return p, fmt.Errorf("${%s}: in the brackets there must be names of values and \"texts\", with spaces between", inside)
		}
		p.parts, rest = append(p.parts, part{next[1], next[2]}), rest[len(next[0]):]
	}
	if len(p.parts) == 0 {
		return p, fmt.Errorf("${%s}: there is nothing in the brackets", inside)
	}
	return p, nil
}

// known are the functions, in words.
func known() string {
	return strings.Join(slices.Sorted(maps.Keys(functions)), "(…), ") + "(…)"
}

// CheckTemplate says what is wrong with a text of a template, whatever the values are.
func CheckTemplate(text string) error {
	_, err := parsed(text)
	return err
}

// Compose makes the data of a Secret of values, by a template; without one they are all of it. The caller clears what it returns. The error names
// keys, and has no value.
func Compose(template map[string]string, values map[string][]byte) (map[string][]byte, error) {
	data := make(map[string][]byte, max(len(template), len(values)))
	if len(template) == 0 {
		for key, value := range values {
			data[key] = bytes.Clone(value)
		}
		return data, checkData(data)
	}
	room, length := MaxData, 0
	for _, key := range slices.Sorted(maps.Keys(template)) {
		if length += len(key) + len(template[key]); length > MaxTemplate {
			Clear(data)
			return nil, fmt.Errorf("the template is longer than %d KiB", MaxTemplate>>10)
		}
		value, err := composed(template[key], values, room)
		if err != nil {
			Clear(data)
			return nil, fmt.Errorf("template of key %s: %w", key, err)
		}
		data[key] = value
		room -= len(value)
	}
	if err := checkData(data); err != nil {
		Clear(data)
		return nil, err
	}
	return data, nil
}

// composed is what a text comes to, in so much room.
func composed(text string, values map[string][]byte, room int) ([]byte, error) {
	pieces, err := parsed(text)
	if err != nil {
		return nil, err
	}
	var whole []byte
	for _, p := range pieces {
		value, err := p.value(values, room)
		if err == nil && len(whole)+len(value) > room {
			err = errTooLong
		}
		if err != nil {
			clear(whole)
			return nil, err
		}
		whole = grow(whole, value)
		clear(value)
	}
	return whole, nil
}

// grow appends a value, and clears what it leaves when it moves.
func grow(to, value []byte) []byte {
	grown := append(to, value...)
	if len(to) > 0 && &grown[0] != &to[0] {
		clear(to)
	}
	return grown
}

var errTooLong = fmt.Errorf("it comes to more than the %d KiB that a Secret may have", MaxData>>10)

// value is what a piece comes to. The caller clears it.
func (p piece) value(values map[string][]byte, room int) ([]byte, error) {
	together := []byte(p.text)
	for _, part := range p.parts {
		value := []byte(part.text)
		if part.key != "" {
			there := false
			if value, there = values[part.key]; !there {
				return nil, fmt.Errorf("there is no value %q that may be used here", part.key)
			}
		}
		if len(together)+len(value) > room {
			return nil, errTooLong
		}
		together = grow(together, value)
	}
	if p.function == "" {
		return together, nil
	}
	defer clear(together)
	return functions[p.function](together)
}
