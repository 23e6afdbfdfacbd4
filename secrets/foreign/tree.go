package foreign

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// A tree is a document whose fields keep their order, which what SOPS signs depends on: a mapping, a []any of trees, or a scalar.
type mapping []field

type field struct {
	key   string
	value any
}

func (m mapping) get(key string) any {
	for _, f := range m {
		if f.key == key {
			return f.value
		}
	}
	return nil
}

func (m mapping) has(key string) bool {
	return slices.ContainsFunc(m, func(f field) bool { return f.key == key })
}

// fields is a mapping that is being read.
type fields struct {
	all  mapping
	seen map[string]bool
}

// add says false of a field that is there already.
func (f *fields) add(key string, value any) bool {
	if f.seen[key] {
		return false
	}
	f.seen[key], f.all = true, append(f.all, field{key, value})
	return true
}

const maxDepth = 64

// errTree does not say what is wrong where, as the libraries do: it might be a value.
var errTree = errors.New("it cannot be read as YAML or JSON without aliases, with each field once, no integer over 9223372036854775807, and nothing deeper than 64 levels")

// documents reads all documents of a text. What is not a mapping is left out.
func documents(text []byte) (all []mapping, err error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		if all, err := ofJSON(text); err == nil {
			return all, nil
		} // YAML may begin so too
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil || len(node.Content) != 1 {
			return nil, errTree
		}
		tree, err := ofYAML(node.Content[0], 0)
		if err != nil {
			return nil, err
		}
		if m, ok := tree.(mapping); ok {
			all = append(all, m)
		}
	}
}

func ofYAML(n *yaml.Node, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errTree
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := fields{mapping{}, map[string]bool{}}
		for i := 0; i+1 < len(n.Content); i += 2 {
			value, err := ofYAML(n.Content[i+1], depth+1)
			if err != nil || n.Content[i].Kind != yaml.ScalarNode || !m.add(n.Content[i].Value, value) {
				return nil, errTree
			}
		}
		return m.all, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			value, err := ofYAML(item, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.ScalarNode:
		var value any
		if n.Decode(&value) != nil || !scalar(value) {
			return nil, errTree
		}
		return value, nil
	}
	return nil, errTree
}

func scalar(value any) bool {
	switch value.(type) {
	case nil, string, int, float64, bool, time.Time:
		return true
	}
	return false
}

func ofJSON(text []byte) (all []mapping, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		tree, err := nextJSON(decoder, 0)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		m, ok := tree.(mapping)
		if err != nil || !ok {
			return nil, errTree
		}
		all = append(all, m)
	}
}

func nextJSON(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth { // the decoder itself goes down for ever
		return nil, errTree
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		m := fields{mapping{}, map[string]bool{}}
		for d.More() {
			key, err := d.Token()
			name, ok := key.(string)
			if err != nil || !ok {
				return nil, errTree
			}
			value, err := nextJSON(d, depth+1)
			if err != nil || !m.add(name, value) {
				return nil, errTree
			}
		}
		return m.all, closed(d)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			value, err := nextJSON(d, depth+1)
			if err != nil {
				return nil, errTree
			}
			list = append(list, value)
		}
		return list, closed(d)
	}
	return token, nil
}

func closed(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return errTree
	}
	return nil
}

// plain is a tree as JSON decodes it.
func plain(tree any) any {
	switch t := tree.(type) {
	case mapping:
		m := make(map[string]any, len(t))
		for _, f := range t {
			m[f.key] = plain(f.value)
		}
		return m
	case []any:
		list := make([]any, len(t))
		for i, item := range t {
			list[i] = plain(item)
		}
		return list
	case int:
		return int64(t)
	case float64:
		if math.IsNaN(t) || math.IsInf(t, 0) {
			return nil
		}
	case time.Time:
		return t.Format(time.RFC3339Nano)
	}
	return tree
}
