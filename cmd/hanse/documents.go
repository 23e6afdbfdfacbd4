package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"
	sigsyaml "sigs.k8s.io/yaml"
)

// maxInput bounds what is read: manifests as YAML, with comments, are larger than the bundle made of them.
const maxInput = 64 << 20

// document is one object as it was given, and where.
type document struct {
	source string // file, or stdin
	line   int    // of the text's first line
	text   []byte
	isJSON bool
	path   []string // to the object in the text, when it is an item of a List
	object map[string]any
}

// at is where a field of the object stands: shop.yaml: line 12.
func (d document) at(path ...string) string {
	return fmt.Sprintf("%s: line %d", d.source, d.lineOf(append(slices.Clone(d.path), path...)))
}

// lineOf finds the field, or what of its path there is. The text is parsed again for that: only errors need it.
func (d document) lineOf(path []string) int {
	var root yaml.Node
	if yaml.Unmarshal(d.text, &root) != nil || len(root.Content) == 0 {
		return d.line
	}
	node, line := root.Content[0], root.Content[0].Line
	for _, step := range path {
		var key *yaml.Node
		if key, node = child(node, step); node == nil {
			break
		}
		line = key.Line
	}
	return d.line + line - 1
}

func child(node *yaml.Node, step string) (key, value *yaml.Node) {
	switch node.Kind {
	case yaml.AliasNode:
		return child(node.Alias, step)
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i], node.Content[i+1]
			}
		}
	}
	return nil, nil
}

// readDocuments reads every object of files, folders and "-", which is stdin.
func readDocuments(names []string, recursive bool, stdin io.Reader) ([]document, error) {
	var all []document
	for _, name := range names {
		more, err := readSource(name, recursive, stdin)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

func readSource(name string, recursive bool, stdin io.Reader) ([]document, error) {
	if name == "-" {
		return readAll("stdin", stdin)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, usagef("%s: %s", name, innermost(err))
	}
	if !info.IsDir() {
		return readFile(name)
	}
	var all []document
	err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return usagef("%s: %s", path, innermost(err))
		case entry.IsDir() && path != name && !recursive:
			return filepath.SkipDir
		case entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
			return nil
		}
		more, err := readFile(path)
		all = append(all, more...)
		return err
	})
	return all, err
}

func readFile(name string) ([]document, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, usagef("%s: %s", name, innermost(err))
	}
	defer f.Close()
	return readAll(name, f)
}

func readAll(source string, r io.Reader) ([]document, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, usagef("%s: %s", source, innermost(err))
	}
	if len(text) > maxInput {
		return nil, usagef("%s: larger than %d MiB", source, maxInput>>20)
	}
	return parse(source, text)
}

// parse reads YAML or JSON, of any number of objects; Lists are taken apart.
func parse(source string, text []byte) ([]document, error) {
	wholes, err := decoded(source, text)
	if err != nil {
		return nil, err
	}
	return flattened(wholes)
}

// decoded are the documents of a text as they stand, lists among them.
func decoded(source string, text []byte) (all []document, err error) {
	texts, ok := splitJSON(source, text)
	if !ok {
		texts = splitYAML(source, text)
	}
	for _, d := range texts {
		if d.object, err = decode(d); err != nil {
			return nil, err
		}
		if d.object != nil {
			all = append(all, d)
		}
	}
	return all, nil
}

// flattened are documents, and in the place of a list what is in it.
func flattened(wholes []document) (all []document, err error) {
	for _, d := range wholes {
		items, err := flatten(d)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
	}
	return all, nil
}

// splitJSON takes apart JSON objects that follow each other; not ok when the text is not that.
func splitJSON(source string, text []byte) (all []document, ok bool) {
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		start := int(decoder.InputOffset())
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return all, errors.Is(err, io.EOF)
		}
		start += bytes.IndexByte(text[start:], '{')
		all = append(all, document{source: source, line: 1 + bytes.Count(text[:start], []byte("\n")), text: raw, isJSON: true})
	}
}

// splitYAML cuts at lines that begin with three dashes.
func splitYAML(source string, text []byte) []document {
	var all []document
	d := document{source: source, line: 1}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if bytes.HasPrefix(line, []byte("---")) && (len(line) == 3 || bytes.IndexByte([]byte(" \t\r\n"), line[3]) >= 0) {
			all = append(all, d)
			d = document{source: source, line: number}
			line = append([]byte("   "), line[3:]...) // a document may begin right behind its dashes
		}
		d.text = append(d.text, line...)
	}
	return append(all, d)
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// decode reads one document; nil when it holds nothing but space, comments and directives.
func decode(d document) (map[string]any, error) {
	data := d.text
	if !d.isJSON {
		var err error
		if data, err = sigsyaml.YAMLToJSONStrict(d.text); err != nil && blank(d.text) {
			return nil, nil
		} else if err != nil {
			return nil, notYAML(d, err)
		}
	}
	var value any
	twice, err := kjson.UnmarshalStrict(data, &value, kjson.DisallowDuplicateFields)
	if err = errors.Join(append(twice, err)...); err != nil {
		return nil, notYAML(d, err)
	}
	switch v := value.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return v, nil
	}
	return nil, usagef("%s: not an object: it has no apiVersion, kind and metadata", d.at())
}

func blank(text []byte) bool {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && line[0] != '%' {
			return false
		}
	}
	return true
}

func notYAML(d document, err error) error {
	why, line := strings.TrimSpace(err.Error()), d.line
	for _, noise := range []string{"error converting YAML to JSON: ", "yaml: ", "unmarshal errors:\n  "} {
		why = strings.TrimPrefix(why, noise)
	}
	if found := yamlLine.FindStringSubmatchIndex(why); found != nil {
		n, _ := strconv.Atoi(why[found[2]:found[3]])
		line, why = d.line+n-1, why[:found[0]]+why[found[1]:]
	}
	why, _, _ = strings.Cut(why, "\n")
	language := "YAML"
	if d.isJSON {
		language = "good JSON"
	}
	return usagef("%s: line %d: not %s: %s", d.source, line, language, why)
}

// flatten takes a List apart, and checks that every object says what it is.
func flatten(d document) ([]document, error) {
	kind, _ := d.object["kind"].(string)
	items, ok := d.object["items"].([]any)
	if !ok || !strings.HasSuffix(kind, "List") {
		return []document{d}, d.check()
	}
	var all []document
	for i, item := range items {
		one := d
		one.path = append(slices.Clone(d.path), "items", strconv.Itoa(i))
		if one.object, ok = item.(map[string]any); !ok {
			return nil, usagef("%s: not an object", one.at())
		}
		more, err := flatten(one)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

func (d document) check() error {
	for _, field := range []string{"apiVersion", "kind"} {
		if word, _ := d.object[field].(string); word == "" {
			return usagef("%s: it has no %s", d.at(), field)
		}
	}
	metadata, _ := d.object["metadata"].(map[string]any)
	if name, _ := metadata["name"].(string); name == "" {
		return usagef("%s: %s has no metadata.name", d.at("metadata"), d.object["kind"])
	}
	return nil
}

func (d document) unstructured() unstructured.Unstructured {
	return unstructured.Unstructured{Object: d.object}
}

func (d document) kind() string { return d.object["kind"].(string) }

// ours says whether the object is of the fleet's own group, in whatever version.
func (d document) ours() bool {
	version := d.object["apiVersion"].(string)
	return version == group || strings.HasPrefix(version, group+"/")
}
