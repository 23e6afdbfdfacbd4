package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/secrets"
)

func secretOpenVerb() *cli.Command {
	return &cli.Command{
		Name: "open", Usage: "print a sealed secret, opened here with a recovery key: when no cluster can open it",
		UsageText: `hanse secret open db --identity recovery.key                          as kubectl get secret -o yaml
hanse secret open db --identity recovery.key | hanse seal --group G -f -        seal it for another group

The fleet is asked for what is sealed alone: the key stays here, and no history tells that it was used.`,
		Flags: append(connectionFlags(defaultTimeout), outputFlag(formatYAML, formatJSON),
			&cli.StringFlag{Name: "identity", Aliases: []string{"i"}, Usage: "FILE with the recovery key"},
			&cli.StringFlag{Name: "key", Usage: "print the value of this KEY alone"},
		),
		Action: secretOpenAction,
	}
}

func secretOpenAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return during("secret open", usage("which secret?", hint{"see which there are", "get fleetsecrets"}))
	}
	name := strings.TrimPrefix(c.Args().First(), "fleetsecret/")
	return during("secret open "+name, openSecret(c, name))
}

func openSecret(c *cli.Context, name string) error {
	format, err := outputFormat(c, formatYAML, formatJSON)
	if err != nil {
		return err
	}
	if c.IsSet("key") && c.IsSet("output") {
		return usage("--key prints the value as it is; leave -o out")
	}
	if c.String("identity") == "" {
		return usage("--identity is missing", hint{words: "the file with the recovery key; a member that can open it needs none: hanse secret get " + name})
	}
	own, err := readRecoveryKey(c.String("identity"))
	if err != nil {
		return usagef("identity %s: it does not hold one post-quantum age key (AGE-SECRET-KEY-PQ-1…), or cannot be read", c.String("identity"))
	}
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return err
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	s, data, err := f.openSealed(ctx, name, own)
	if err != nil {
		return err
	}
	defer secrets.Clear(data)
	answer, err := json.Marshal(secretOf(s, data))
	if err != nil {
		return errors.New("the Secret cannot be written")
	}
	defer clear(answer)
	switch {
	case c.IsSet("key"):
		return printValue(c, answer, f.server)
	case format == formatJSON:
		return printJSON(c.App.Writer, answer)
	}
	return printYAML(c.App.Writer, answer)
}

// secretOf is the Secret that it becomes in a cluster.
func secretOf(s v1alpha1.FleetSecret, data map[string][]byte) any {
	target := s.Target()
	return struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        map[string]string `json:"metadata"`
		Type            string            `json:"type,omitempty"`
		Immutable       bool              `json:"immutable,omitempty"`
		Data            map[string][]byte `json:"data"`
	}{metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, map[string]string{"namespace": target.Namespace, "name": target.Name}, s.Spec.Type, s.Spec.Immutable, data}
}

// openSealed opens a secret with a recovery key.
func (f *fleet) openSealed(ctx context.Context, name string, own secrets.Identity) (s v1alpha1.FleetSecret, data map[string][]byte, err error) {
	if _, err = f.read(ctx, request{path: mustKind("FleetSecret").path(name)}, &s); err != nil {
		return s, nil, err
	}
	g, err := f.recipientGroup(ctx, s.Spec.Group)
	if err != nil {
		return s, nil, err
	}
	target := s.Target()
	data, err = opened(own, g, secrets.Target{Namespace: target.Namespace, Name: target.Name}, s.Spec.Data)
	return s, data, err
}

// opened opens what is sealed for a group, with the first of the group's keys that fits: the one that is wrapped for the recovery key, then each
// that was before it.
func opened(own secrets.Identity, g v1alpha1.RecipientGroup, target secrets.Target, sealed []byte) (map[string][]byte, error) {
	of := secrets.Key{Group: g.Name}
	key, epoch, err := recovered(own, of, g)
	if err != nil {
		return nil, err
	}
	data, err := secrets.Open(key, target, sealed)
	for _, former := range slices.Backward(g.Status.Former) {
		if !errors.Is(err, secrets.ErrWrongKey) {
			break
		}
		if former.Epoch >= epoch {
			continue
		}
		of.Epoch = former.Epoch
		if key, err = secrets.Recover(key, of, former.Recipient, former.Key); err != nil {
			return nil, fmt.Errorf("the key %d of group %s: %w", former.Epoch, g.Name, err)
		}
		data, err = secrets.Open(key, target, sealed)
	}
	return data, err
}

// recovered is the latest key of a group that is wrapped for a recovery key, and its epoch.
func recovered(own secrets.Identity, of secrets.Key, g v1alpha1.RecipientGroup) (key secrets.Identity, epoch int64, err error) {
	mine := own.Recipient().String()
	recipients := map[int64]string{g.Status.Epoch: g.Status.Recipient}
	for _, former := range g.Status.Former {
		recipients[former.Epoch] = former.Recipient
	}
	err = &failure{code: exitError, why: "the key of group " + g.Name + " is not wrapped for this recovery key", hints: []hint{
		{"see the group's wraps; those for recovery keys name no cluster", "get recipientgroup " + g.Name + " -o yaml"},
	}}
	for _, w := range g.Status.Wraps {
		if w.Cluster != "" || w.Key != v1alpha1.KeyID(mine) || w.Epoch <= epoch {
			continue
		}
		of.Epoch = w.Epoch
		one, why := secrets.Recover(own, of, recipients[w.Epoch], w.Wrap)
		if why != nil {
			err = fmt.Errorf("the key of group %s: %w", g.Name, why)
			continue
		}
		key, epoch = one, w.Epoch
	}
	if epoch > 0 {
		err = nil
	}
	return key, epoch, err
}
