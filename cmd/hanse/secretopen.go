package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/keep"
	"github.com/hanse-fleet/hanse/secrets"
)

func secretOpenVerb() *cli.Command {
	return &cli.Command{
		Name: "open", Usage: "print a sealed secret, opened here with a recovery key: when no cluster can open it",
		UsageText: `hanse secret open db --identity recovery.key                          a Secret that has the values as they are sealed
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
	tellWide(c.App.ErrWriter, c.String("identity"))
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
	if c.IsSet("key") {
		return printValue(c, answer, f.server)
	}
	tellLeftOut(c.App.ErrWriter, &s)
	if format == formatJSON {
		return printJSON(c.App.Writer, answer)
	}
	return printYAML(c.App.Writer, answer)
}

// tellWide says that others of the machine may read the key. On the day on which it is needed that is no reason not to take it: a stick may know no
// modes.
func tellWide(out io.Writer, file string) {
	if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(out, "note: others on this machine may read %s, and with it every value that is sealed: chmod 600 %[1]s\n", file)
	}
}

// tellLeftOut says what of a secret is not in the Secret that has its values, and is to be said again by who seals that.
func tellLeftOut(out io.Writer, s *v1alpha1.FleetSecret) {
	var fields []string
	if len(s.Spec.Template) > 0 {
		fields = append(fields, "spec.template")
	}
	if len(s.Spec.Also) > 0 {
		fields = append(fields, "spec.also (seal it with --also)")
	}
	if len(s.Spec.NotSecret) > 0 {
		fields = append(fields, "spec.notSecret")
	}
	if len(fields) > 0 {
		fmt.Fprintf(out, "note: not in this Secret, and lost when it is sealed again: %s; they are in hanse get fleetsecret %s -o yaml\n", strings.Join(fields, ", "), s.Name)
	}
}

// secretOf is a Secret of the first one's name that has the values as they are sealed.
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
	data, err = opened(own, g, secrets.Target{Namespace: target.Namespace, Name: target.Name}, s.Spec.Data, func() ([]*v1alpha1.Sealing, error) {
		return f.sealedAgain(ctx, &s)
	})
	return s, data, err
}

// sealedAgain is what was sealed again of a secret, nil for nothing: also when the member is of a version that does not tell it, or has the
// secret otherwise by now.
func (f *fleet) sealedAgain(ctx context.Context, s *v1alpha1.FleetSecret) ([]*v1alpha1.Sealing, error) {
	var all v1alpha1.SecretSealing
	_, err := f.read(ctx, request{path: v1alpha1.PathSealing, query: url.Values{"secret": {s.Name}}}, &all)
	switch {
	case isReason(err, metav1.StatusReasonForbidden), isReason(err, metav1.StatusReasonNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case all.BundleRevision != s.RevisionName():
		return nil, nil
	}
	return all.All(), nil
}

// opened opens what is sealed for a group, as its members do: with the first of the group's keys that fits, from the latest on; and when that key
// is gone, what was sealed again, which is asked for only then.
func opened(own secrets.Identity, g v1alpha1.RecipientGroup, target secrets.Target, sealed []byte, again func() ([]*v1alpha1.Sealing, error)) (map[string][]byte, error) {
	keys, lost := recovered(own, g)
	if len(keys) == 0 {
		return nil, lost
	}
	for _, epoch := range slices.Backward(slices.Sorted(maps.Keys(keys))) {
		if data, err := secrets.Open(keys[epoch], target, sealed); !errors.Is(err, secrets.ErrWrongKey) {
			return data, err
		}
	}
	later, err := again()
	if err != nil {
		return nil, err
	}
	believed := v1alpha1.BelievedBy("", later...)
	for _, one := range believed.Agreed {
		if key, there := keys[one.Epoch]; there {
			if data, err := secrets.Open(key, target, one.Data); err == nil {
				return data, nil
			}
		}
	}
	data, err := openedWord(keys, target, believed)
	if data == nil && err == nil {
		err = cmp.Or(lost, secrets.ErrWrongKey)
	}
	return data, err
}

// openedWord opens what single clusters sealed again, if all that opens of it is the same, and none says that no key did; nil: nothing does.
func openedWord(keys map[int64]secrets.Identity, target secrets.Target, believed v1alpha1.Believed) (map[string][]byte, error) {
	differ := keep.Differing(target, believed.Word, func(epoch int64) (secrets.Identity, bool) {
		key, there := keys[epoch]
		return key, there
	})
	switch {
	case len(differ) == 0:
		return nil, nil
	case len(believed.None) > 0:
		return nil, fmt.Errorf("cluster %s sealed it again, which nobody confirmed, and for %s no key opened it: one of them may be bad; open it with age (docs/secrets.md), and see whether it is the value",
			strings.Join(v1alpha1.Parties(differ...), " and "), strings.Join(believed.None, " and "))
	case len(differ) > 1:
		return nil, fmt.Errorf("clusters %s sealed it again, each something else, none of them confirmed by another, and one of them may be bad: open what each has sealed with age (docs/secrets.md), and compare",
			strings.Join(v1alpha1.Parties(differ...), " and "))
	}
	return secrets.Open(keys[differ[0].Epoch], target, differ[0].Data)
}

// recovered are the keys of a group that a recovery key gets at, by epoch: those that are wrapped for it, and each that is read with the one that
// came after it. The error says which could not be read; there may be others.
func recovered(own secrets.Identity, g v1alpha1.RecipientGroup) (keys map[int64]secrets.Identity, lost error) {
	mine := v1alpha1.KeyID(own.Recipient().String())
	recipients := map[int64]string{g.Status.Epoch: g.Status.Recipient}
	for _, former := range g.Status.Former {
		recipients[former.Epoch] = former.Recipient
	}
	keys = map[int64]secrets.Identity{}
	add := func(with secrets.Identity, epoch int64, forms ...[]byte) {
		var why error
		for _, wrap := range forms {
			key, err := secrets.Recover(with, secrets.Key{Group: g.Name, Epoch: epoch}, recipients[epoch], wrap)
			if err == nil {
				keys[epoch] = key
				return
			}
			why = fmt.Errorf("the key %d of group %s: %w", epoch, g.Name, err)
		}
		lost = why
	}
	for _, w := range g.Status.Wraps {
		if w.Cluster == "" && w.Key == mine {
			add(own, w.Epoch, w.Forms()...)
		}
	}
	after := g.Status.Epoch
	for _, former := range slices.Backward(g.Status.Former) {
		_, wrapped := keys[former.Epoch]
		if with, there := keys[after]; there && !wrapped {
			add(with, former.Epoch, former.Key)
		}
		after = former.Epoch
	}
	if len(keys) == 0 && lost == nil {
		lost = &failure{code: exitError, why: "the key of group " + g.Name + " is not wrapped for this recovery key", hints: []hint{
			{"see the group's wraps; those for recovery keys name no cluster", "get recipientgroup " + g.Name + " -o yaml"},
		}}
	}
	return keys, lost
}
