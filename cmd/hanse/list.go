package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
)

// listPrinter prints objects as one List, each as it comes: what is read of it is the same as if it had been made as a whole.
type listPrinter struct {
	out    io.Writer
	format string // json or yaml
	begun  bool
	err    error // that the output does not take any more
}

// print adds an object.
func (p *listPrinter) print(item map[string]any) error {
	data, err := json.Marshal(item)
	if err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	var b bytes.Buffer
	switch {
	case p.format == formatYAML:
		text, err := yaml.JSONToYAML(append(append([]byte{'['}, data...), ']'))
		if err != nil {
			return fmt.Errorf("print answer: %w", err)
		}
		b.WriteString(p.between("apiVersion: v1\nitems:\n", ""))
		b.Write(text)
	default:
		b.WriteString(p.between("{\n  \"apiVersion\": \"v1\",\n  \"items\": [\n    ", ",\n    "))
		if err := json.Indent(&b, data, "    ", "  "); err != nil {
			return fmt.Errorf("print answer: %w", err)
		}
	}
	return p.write(b.String())
}

// end prints what stands behind the last object.
func (p *listPrinter) end() error {
	switch {
	case p.format == formatYAML:
		return p.write(p.between("apiVersion: v1\nitems: []\n", "") + "kind: List\nmetadata: {}\n")
	case p.format == formatJSON:
		return p.write(p.between("{\n  \"apiVersion\": \"v1\",\n  \"items\": [", "\n  ") + "],\n  \"kind\": \"List\",\n  \"metadata\": {}\n}\n")
	}
	return nil
}

// between is what stands before the first object, or between two.
func (p *listPrinter) between(first, then string) string {
	if p.begun {
		return then
	}
	p.begun = true
	return first
}

func (p *listPrinter) write(text string) error {
	if p.err == nil {
		_, p.err = io.WriteString(p.out, text)
	}
	return p.err
}
