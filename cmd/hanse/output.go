package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"sigs.k8s.io/yaml"
)

// The output formats of -o.
const (
	formatTable = "table"
	formatWide  = "wide"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatName  = "name"
)

func outputFlag(formats ...string) cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "FORMAT: " + strings.Join(formats, ", ")}
}

// outputFormat reads -o; the first of formats is the default.
func outputFormat(c *cli.Context, formats ...string) (string, error) {
	format := c.String("output")
	if format == "" {
		return formats[0], nil
	}
	if !slices.Contains(formats, format) {
		return "", usage(fmt.Sprintf("-o %s: unknown format%s", format, didYouMean(format, formats)), hint{words: "formats: " + strings.Join(formats, ", ")})
	}
	return format, nil
}

// printJSON prints JSON, indented.
func printJSON(out io.Writer, data []byte) error {
	var indented bytes.Buffer
	if err := json.Indent(&indented, bytes.TrimSpace(data), "", "  "); err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	indented.WriteByte('\n')
	_, err := indented.WriteTo(out)
	return err
}

func printYAML(out io.Writer, data []byte) error {
	text, err := yaml.JSONToYAML(data)
	if err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	_, err = out.Write(text)
	return err
}

// printObject prints one object, or a list, in a format other than the tables.
func printObject(out io.Writer, format string, k kind, data []byte) error {
	if format == formatName {
		return printNames(out, k, data)
	}
	var value map[string]any
	if err := json.Unmarshal(data, &value); err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	hideManagers(value)
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	if format == formatYAML {
		return printYAML(out, data)
	}
	return printJSON(out, data)
}

// hideManagers drops who set which field: it is long, and for machines.
func hideManagers(value map[string]any) {
	if metadata, ok := value["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
	}
	items, _ := value["items"].([]any)
	for _, item := range items {
		if object, ok := item.(map[string]any); ok {
			hideManagers(object)
		}
	}
}

type header struct {
	Metadata struct {
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
}

func printNames(out io.Writer, k kind, data []byte) error {
	var list struct {
		header
		Items []header `json:"items"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	if list.Metadata.Name != "" {
		list.Items = append(list.Items, list.header)
	}
	for _, o := range list.Items {
		fmt.Fprintf(out, "%s/%s\n", k.singular(), o.Metadata.Name)
	}
	return nil
}
