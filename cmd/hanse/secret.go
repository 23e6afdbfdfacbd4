package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func secretVerb() *cli.Command {
	return &cli.Command{
		Name: "secret", Usage: "read a sealed secret, say who can and who could, or give a group another key",
		Subcommands: []*cli.Command{secretGetVerb(), secretOpenVerb(), secretReadersVerb(), secretExposedVerb(), secretRotateVerb()},
	}
}

func secretGetVerb() *cli.Command {
	return &cli.Command{
		Name: "get", Usage: "print a sealed secret, opened; that you did is in the fleet's history",
		UsageText: `hanse secret get db                              as kubectl get secret -o yaml
hanse secret get db --key password > FILE        the bytes of one value, and nothing else

It is for admins, and asks a member of a cluster that can open it.`,
		Flags: append(connectionFlags(defaultTimeout), outputFlag(formatYAML, formatJSON),
			&cli.StringFlag{Name: "key", Usage: "print the value of this KEY alone"},
		),
		Action: secretGetAction,
	}
}

func secretGetAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return during("secret get", usage("which secret?", hint{"see which there are", "get fleetsecrets"}))
	}
	name := strings.TrimPrefix(c.Args().First(), "fleetsecret/")
	doing := "secret get " + name
	format, err := outputFormat(c, formatYAML, formatJSON)
	if err != nil {
		return during(doing, err)
	}
	if c.IsSet("key") && c.IsSet("output") {
		return during(doing, usage("--key prints the value as it is; leave -o out"))
	}
	answer, server, err := post(c, v1alpha1.PathSecret, v1alpha1.SecretRequest{Name: name})
	defer clear(answer)
	switch {
	case isReason(err, metav1.StatusReasonNotFound):
		err = &failure{code: exitError, why: err.Error(), hints: []hint{{"see which there are", "get fleetsecrets"}}}
	case isReason(err, metav1.StatusReasonConflict):
		err = &failure{code: exitError, why: err.Error(), hints: []hint{
			{words: "ask a member that holds the key: in its cluster, or with --context CLUSTER of what hanse kubeconfig prints"},
			{"see who can open it", "get recipientgroups"},
		}}
	}
	switch {
	case err != nil:
		return during(doing, err)
	case c.IsSet("key"):
		return during(doing, printValue(c, answer, server))
	case format == formatJSON:
		return during(doing, printJSON(c.App.Writer, answer))
	}
	return during(doing, printYAML(c.App.Writer, answer))
}

// printValue prints the bytes of one value.
func printValue(c *cli.Context, answer []byte, server string) error {
	var secret struct {
		Data map[string][]byte `json:"data"`
	}
	if json.Unmarshal(answer, &secret) != nil { // the error might tell the value
		return fmt.Errorf("%s answers what is no Secret", server)
	}
	value, there := secret.Data[c.String("key")]
	if !there {
		return usagef("it has no key %q, but %s", c.String("key"), strings.Join(slices.Sorted(maps.Keys(secret.Data)), ", "))
	}
	_, err := c.App.Writer.Write(value)
	return err
}
