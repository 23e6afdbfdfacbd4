package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

func sealVerb() *cli.Command {
	return &cli.Command{
		Name:  "seal",
		Usage: "encrypt a Secret for a group of clusters, as a manifest that may lie in Git",
		UsageText: `hanse seal --group G --name db --namespace shop --from-file password=FILE
hanse seal --group G --name db --namespace shop --from-stdin password < FILE
kubectl get secret db -n shop -o yaml | hanse seal --group G -f -
hanse seal --group G -f db.enc.yaml --identity age.key     a file of SOPS, or a SealedSecret
hanse seal --group G --recipient age1pq1… …                without asking the fleet

Then: hanse apply -f FILE, or kubectl apply --server-side -f FILE.`,
		Flags: append(connectionFlags(defaultTimeout), outputFlag(formatYAML, formatJSON),
			&cli.StringFlag{Name: "group", Usage: "the recipient GROUP that can open it"},
			&cli.StringFlag{Name: "recipient", Usage: "the group's RECIPIENT, or a file that has it; without it the fleet is asked"},
			&cli.StringFlag{Name: "name", Usage: "NAME of the secret in the fleet"},
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "NAMESPACE of the Secret in the clusters"},
			&cli.StringFlag{Name: "secret-name", DefaultText: "NAME", Usage: "name of the SECRET in the clusters"},
			&cli.StringFlag{Name: "type", DefaultText: "Opaque", Usage: "TYPE of the Secret"},
			&cli.StringSliceFlag{Name: "also", Usage: "NAMESPACE/NAME, or NAMESPACE/NAME=KEY,KEY, of a further Secret that may have the values, or those of some keys; repeatable"},
			&cli.BoolFlag{Name: "immutable", Usage: "nobody may change the Secret in the clusters"},
			&cli.StringSliceFlag{Name: "from-file", Usage: "a FILE, or KEY=FILE, with one value; repeatable"},
			&cli.StringFlag{Name: "from-stdin", Usage: "the KEY whose value is stdin, to its last byte"},
			&cli.StringFlag{Name: "filename", Aliases: []string{"f"}, Usage: "FILE with manifests of Secrets, also as SOPS or Sealed Secrets encrypted them; - is stdin"},
			&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "FILE with the private keys that open what -f names: age keys, or those of the Sealed Secrets controller; - is stdin; repeatable"},
			&cli.StringFlag{Name: "adopt", Usage: "POLICY for a Secret that is in a cluster already: Never, IfEqual, Always", DefaultText: "IfEqual with -f, else Never"},
		),
		Action: sealAction,
	}
}

func sealAction(c *cli.Context) error {
	all, err := sealWanted(c)
	if err != nil {
		return during("seal", err)
	}
	defer func() {
		for _, s := range all {
			secrets.Clear(s.data)
		}
	}()
	doing := "seal"
	if len(all) == 1 {
		doing += " " + all[0].name
	}
	format, err := outputFormat(c, formatYAML, formatJSON)
	if err != nil {
		return during(doing, err)
	}
	to, err := all[0].recipientWanted(c)
	if err != nil {
		return during(doing, err)
	}
	manifests := make([]json.RawMessage, len(all))
	for i, s := range all {
		if manifests[i], err = s.sealed(to); err != nil {
			return during("seal "+s.name, usage(err.Error()))
		}
	}
	for _, s := range all {
		s.tell(c.App.ErrWriter)
	}
	return during(doing, printManifests(c.App.Writer, format, manifests))
}

// printManifests prints several as kubectl does: documents of YAML, or a List in JSON.
func printManifests(out io.Writer, format string, manifests []json.RawMessage) error {
	if format == formatYAML {
		for i, manifest := range manifests {
			if i > 0 {
				fmt.Fprintln(out, "---")
			}
			if err := printYAML(out, manifest); err != nil {
				return err
			}
		}
		return nil
	}
	if len(manifests) == 1 {
		return printJSON(out, manifests[0])
	}
	list, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": manifests})
	if err != nil {
		return fmt.Errorf("write manifests: %w", err)
	}
	return printJSON(out, list)
}

// sealing is what is to be sealed.
type sealing struct {
	name, group string
	spec        v1alpha1.FleetSecretSpec
	data        map[string][]byte
	also        []secrets.Bound
	// notes are what a person must know of it, none of it secret.
	notes []string
}

// tell prints the notes.
func (s sealing) tell(out io.Writer) {
	for _, note := range s.notes {
		fmt.Fprintln(out, "note: "+note)
	}
}

// sealWanted checks all that can be checked before anybody is asked.
func sealWanted(c *cli.Context) (all []sealing, err error) {
	if err := noNames(c); err != nil {
		return nil, err
	}
	if all, err = sealedFrom(c); err != nil {
		return nil, err
	}
	if err := oneEach(c, all); err != nil {
		return nil, err
	}
	for i := range all {
		if err := all[i].asSaid(c); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// oneEach says that each of several has a name of its own in the fleet, and that the flags that are for one alone are not there.
func oneEach(c *cli.Context, all []sealing) error {
	if len(all) < 2 {
		return nil
	}
	for _, flag := range []string{"name", "namespace", "secret-name", "type", "also"} {
		if c.IsSet(flag) {
			return usagef("%s has %d Secrets, and --%s is for one; give them one by one", c.String("filename"), len(all), flag)
		}
	}
	seen := map[string]sealing{}
	for _, s := range all {
		if other, twice := seen[s.name]; twice {
			return usagef("%s has the Secrets %s/%s and %s/%s, which would have one name in the fleet; give them one by one, with --name",
				c.String("filename"), other.spec.Namespace, s.name, s.spec.Namespace, s.name)
		}
		seen[s.name] = s
	}
	return nil
}

// asSaid is it with what the flags say.
func (s *sealing) asSaid(c *cli.Context) error {
	secret := cmp.Or(c.String("secret-name"), s.name) // a manifest says what the Secret is called, whatever it is called in the fleet
	s.name, s.group = cmp.Or(c.String("name"), s.name), c.String("group")
	if secret != s.name {
		s.spec.SecretName = secret
	}
	s.spec.Group, s.spec.Namespace = s.group, cmp.Or(c.String("namespace"), s.spec.Namespace)
	s.spec.Type, s.spec.Immutable = cmp.Or(c.String("type"), s.spec.Type), s.spec.Immutable || c.Bool("immutable")
	s.spec.Adopt = cmp.Or(v1alpha1.AdoptPolicy(c.String("adopt")), s.spec.Adopt)
	if err := s.alsoSaid(c.StringSlice("also")); err != nil {
		return err
	}
	example := hint{"for example", "seal --group db-readers --name db --namespace shop --from-file password=FILE"}
	for _, need := range []struct{ flag, value string }{{"group", s.group}, {"name", s.name}, {"namespace", s.spec.Namespace}} {
		if need.value == "" {
			return usage("--"+need.flag+" is missing", example)
		}
	}
	if len(s.data) == 0 {
		return usage("what is to be sealed? --from-file, --from-stdin or -f", example)
	}
	return nil
}

// alsoSaid adds the further Secrets.
func (s *sealing) alsoSaid(all []string) error {
	for _, said := range all {
		place, keys, some := strings.Cut(said, "=")
		namespace, name, ok := strings.Cut(place, "/")
		if !ok || some && keys == "" {
			return usagef("--also %s: it must be NAMESPACE/NAME, or NAMESPACE/NAME=KEY,KEY", said)
		}
		b := secrets.Bound{Target: secrets.Target{Namespace: namespace, Name: name}}
		if some {
			b.Keys = strings.Split(keys, ",")
		}
		s.also = append(s.also, b)
		s.spec.Also = append(s.spec.Also, v1alpha1.FurtherSecret{Namespace: namespace, Name: name})
	}
	return nil
}

// sealedFrom reads the values, from where the flags say.
func sealedFrom(c *cli.Context) ([]sealing, error) {
	values, manifest := c.String("from-stdin") != "" || len(c.StringSlice("from-file")) > 0, c.String("filename")
	switch {
	case manifest != "" && values:
		return nil, usage("-f has all values; leave --from-file and --from-stdin out")
	case manifest != "":
		return importWanted(c)
	case len(c.StringSlice("identity")) > 0:
		return nil, usage("--identity is for what -f names")
	}
	s, err := sealedValues(c)
	return []sealing{s}, err
}

// sealedValues reads values one by one.
func sealedValues(c *cli.Context) (s sealing, err error) {
	files, key := c.StringSlice("from-file"), c.String("from-stdin")
	s.data = map[string][]byte{}
	for _, said := range files {
		name, file, has := strings.Cut(said, "=")
		if !has {
			name, file = filepath.Base(said), said
		}
		value, err := valueIn(file)
		if err != nil {
			return s, usagef("--from-file %s: %s", said, innermost(err))
		}
		if _, twice := s.data[name]; twice {
			return s, usagef("--from-file: key %s is there twice", name)
		}
		s.data[name] = value
	}
	if key == "" {
		return s, nil
	}
	if _, twice := s.data[key]; twice {
		return s, usagef("--from-stdin: key %s has a file already", key)
	}
	value, err := valueFrom(c.App.Reader)
	if err != nil {
		return s, usagef("stdin: %s", innermost(err))
	}
	if len(value) == 0 {
		return s, usage("stdin is empty; a value is not left out by mistake")
	}
	if bytes.HasSuffix(value, []byte("\n")) {
		fmt.Fprintf(c.App.ErrWriter, "note: the value of %s ends with a line break, which is sealed with it; printf writes none\n", key)
	}
	s.data[key] = value
	return s, nil
}

// valueIn is what a file has, which is no more than a secret may hold.
func valueIn(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return valueFrom(file)
}

func valueFrom(from io.Reader) ([]byte, error) {
	value, err := io.ReadAll(io.LimitReader(from, secrets.MaxData+1))
	if err == nil && len(value) > secrets.MaxData {
		err = fmt.Errorf("it has more than %d bytes, and no Secret of Kubernetes holds more", secrets.MaxData)
	}
	return value, err
}

// recipientWanted is the group's recipient: as the flag has it, or as the fleet says.
func (s sealing) recipientWanted(c *cli.Context) (secrets.Recipient, error) {
	said := c.String("recipient")
	if said == "" {
		return s.askedRecipient(c)
	}
	if !strings.HasPrefix(said, "age1") && !strings.HasPrefix(said, "AGE-") {
		text, err := os.ReadFile(said)
		if err != nil {
			return secrets.Recipient{}, usagef("--recipient %s: no recipient (age1pq1…), and no file that can be read: %s", shortened(said), innermost(err))
		}
		said = strings.TrimSpace(string(text))
	}
	to, err := secrets.ParseRecipient(said)
	if err != nil {
		return to, usage("--recipient: "+err.Error(), hint{"see that of the group", "get recipientgroup " + s.group + " -o yaml"})
	}
	return to, nil
}

func shortened(s string) string {
	if len(s) > 20 {
		return s[:20] + "…"
	}
	return s
}

func (s sealing) askedRecipient(c *cli.Context) (to secrets.Recipient, err error) {
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return to, err
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	g, err := f.recipientGroup(ctx, s.group)
	if err != nil {
		return to, err
	}
	if to, err = secrets.ParseRecipient(g.Status.Recipient); err != nil {
		return to, fmt.Errorf("the recipient of group %s: %w", s.group, err)
	}
	if note := f.keyDue(ctx, &g); note != "" {
		fmt.Fprintln(c.App.ErrWriter, "note: "+note)
	}
	return to, nil
}

// keyDue says that a group is about to get another key; "" when it is not, or that cannot be found out.
func (f *fleet) keyDue(ctx context.Context, g *v1alpha1.RecipientGroup) string {
	var clusters v1alpha1.ClusterList
	var fleets v1alpha1.FleetList
	if _, err := f.read(ctx, request{path: mustKind("Cluster").path()}, &clusters); err != nil {
		return ""
	}
	if _, err := f.read(ctx, request{path: mustKind("Fleet").path()}, &fleets); err != nil {
		return ""
	}
	return keyDue(g, clusters.Items, fleets.Items, time.Now())
}

func keyDue(g *v1alpha1.RecipientGroup, clusters []v1alpha1.Cluster, fleets []v1alpha1.Fleet, now time.Time) string {
	var of plan.Candidates
	for i := range fleets {
		of.Fleet = fleets[i].Spec
	}
	for i := range clusters {
		of.Clusters = append(of.Clusters, &clusters[i])
	}
	why := plan.KeyDue(g, of, now)
	if why == "" {
		return ""
	}
	return fmt.Sprintf("group %s is about to get another key, as %s; this is sealed to the present one: seal it again once EPOCH is %d in hanse get recipientgroups", g.Name, why, g.Status.Epoch+1)
}

func (f *fleet) recipientGroup(ctx context.Context, name string) (g v1alpha1.RecipientGroup, err error) {
	_, err = f.read(ctx, request{path: mustKind("RecipientGroup").path(name)}, &g)
	if isReason(err, metav1.StatusReasonNotFound) {
		return g, &failure{code: exitError, why: "the fleet has no group " + name, hints: []hint{{"see which there are", "get recipientgroups"}}}
	}
	if err != nil {
		return g, err
	}
	if g.Status.Recipient == "" {
		why := fmt.Sprintf("group %s has no key yet: one of the clusters that its selector picks makes it, and none that does is there", name)
		return g, &failure{code: exitError, why: why, hints: []hint{{"see what the selector says", "get recipientgroup " + name + " -o yaml"}, {"see the clusters' labels", "get clusters -o yaml"}}}
	}
	return g, nil
}

// sealed is the manifest.
func (s sealing) sealed(to secrets.Recipient) ([]byte, error) {
	o := v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: metav1.ObjectMeta{Name: s.name}, Spec: s.spec}
	target := o.Target()
	var err error
	if o.Spec.Data, err = secrets.Seal(to, secrets.Target{Namespace: target.Namespace, Name: target.Name}, s.data, s.also...); err != nil {
		return nil, err
	}
	if errs := v1alpha1.ValidateFleetSecret(&o); len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	text, err := json.Marshal(struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        map[string]string        `json:"metadata"`
		Spec            v1alpha1.FleetSecretSpec `json:"spec"`
	}{o.TypeMeta, map[string]string{"name": o.Name}, o.Spec})
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	return text, nil
}
