package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func labelVerb() *cli.Command {
	return &cli.Command{
		Name:  "label",
		Usage: "set or take away labels: placements and rollouts choose clusters by them",
		UsageText: `hanse label cluster NAME… KEY=VALUE… KEY-…     KEY- takes the label away
hanse label cluster NAME KEY=VALUE --overwrite
hanse label clusters -l SELECTOR KEY=VALUE
hanse label cluster NAME --list

What runs in a cluster follows its labels, one fault domain at a time: hanse explain BUNDLE says what waits.`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.BoolFlag{Name: "overwrite", Usage: "change a label that has another value"},
			&cli.StringFlag{Name: "selector", Aliases: []string{"l"}, Usage: "all objects with these LABELS, instead of names"},
			&cli.BoolFlag{Name: "all", Usage: "all objects of the kind, instead of names"},
			&cli.BoolFlag{Name: "list", Usage: "print the labels that there are then"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would leave which clusters, and come to which, and change nothing"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask, also if only clusters that nobody hears could read a secret then"},
		),
		Action: labelAction,
	}
}

// labelling is what was typed: of which objects, which labels are to become what. A nil value takes the label away.
type labelling struct {
	kind   kind
	names  []string
	labels map[string]*string
	// then are the clusters as they would be.
	then wouldBe
}

func labelAction(c *cli.Context) error {
	l, err := labellingTyped(c)
	if err != nil {
		return during("label", err)
	}
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during("label", err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	if len(l.names) == 0 {
		if l.names, err = f.namesWith(ctx, l.kind, c.String("selector")); err != nil {
			return during("label "+l.kind.plural, err)
		}
		if len(l.names) == 0 {
			fmt.Fprintln(c.App.ErrWriter, "no", l.kind.plural)
		}
	}
	l.then = nothingYet()
	for _, name := range l.names {
		if err := l.of(ctx, c, f, name); err != nil {
			return during("label "+l.kind.singular()+" "+name, err)
		}
	}
	if !c.Bool("dry-run") || l.then.empty() {
		return nil
	}
	moves, err := f.moves(ctx, l.then)
	if err != nil {
		return during("label "+l.kind.plural, err)
	}
	printMoves(c.App.Writer, moves)
	return nil
}

// labellingTyped reads KIND NAME… KEY=VALUE… KEY-…, as kubectl label does.
func labellingTyped(c *cli.Context) (l labelling, err error) {
	args := c.Args().Slice()
	first := slices.IndexFunc(args, isLabelChange)
	if first < 0 {
		first = len(args)
	}
	if l.kind, l.names, err = objectsNamed(args[:first]); err != nil {
		return l, err
	}
	if l.labels, err = labelsTyped(args[first:]); err != nil {
		return l, err
	}
	many := c.Bool("all") || c.IsSet("selector")
	example := "label " + l.kind.singular() + " " + strings.Join(append(slices.Clone(l.names), "tier=prod"), " ")
	switch {
	case l.kind.example == nil:
		return l, usage(l.kind.plural + " carry no labels of people's: " + l.kind.why)
	case many && len(l.names) > 0:
		return l, usage("names, and --all or --selector: which of the two?")
	case c.Bool("all") && c.IsSet("selector"):
		return l, usage("--all and --selector: which of the two?")
	case !many && len(l.names) == 0:
		return l, usage("which "+l.kind.singular()+"?", hint{"see what there is", "get " + l.kind.plural})
	case len(l.labels) == 0 && !c.Bool("list"):
		return l, usage("which label? KEY=VALUE sets it, KEY- takes it away", hint{"for example", example}, hint{"see what there is", strings.TrimSuffix(example, "tier=prod") + "--list"})
	}
	return l, l.check()
}

// isLabelChange tells KEY=VALUE and KEY- from names, which never look so.
func isLabelChange(arg string) bool { return strings.Contains(arg, "=") || strings.HasSuffix(arg, "-") }

func labelsTyped(args []string) (map[string]*string, error) {
	said := map[string]*string{}
	for _, arg := range args {
		key, value, sets := strings.Cut(arg, "=")
		if !sets {
			key = strings.TrimSuffix(arg, "-")
		}
		if !isLabelChange(arg) {
			return nil, usagef("%s: names stand before labels; a label is KEY=VALUE, or KEY- to take it away", arg)
		}
		if wrong := validation.IsQualifiedName(key); len(wrong) > 0 {
			return nil, usagef("label %q: %s", key, wrong[0])
		}
		if wrong := validation.IsValidLabelValue(value); len(wrong) > 0 {
			return nil, usagef("label %s: value %q: %s", key, value, wrong[0])
		}
		if _, twice := said[key]; twice {
			return nil, usagef("label %s is said twice", key)
		}
		said[key] = nil
		if sets {
			said[key] = &value
		}
	}
	return said, nil
}

// check refuses what the fleet would set back at once.
func (l labelling) check() error {
	for label, field := range map[string]string{v1alpha1.LabelRegion: "region", v1alpha1.LabelZone: "zone"} {
		if _, said := l.labels[label]; said && l.kind.name == "Cluster" {
			return usage(label+" says what spec."+field+" of the cluster says, and nothing else", hint{words: fmt.Sprintf("change that: kubectl patch clusters.%s NAME --type merge -p '{\"spec\":{%q:\"…\"}}'", group, field)})
		}
	}
	return nil
}

// of labels one object. It is written as it was read, so that nobody's label is changed unseen.
func (l labelling) of(ctx context.Context, c *cli.Context, f *fleet, name string) error {
	for look := 1; ; look++ {
		var now metav1.PartialObjectMetadata
		if _, err := f.read(ctx, request{path: l.kind.path(name)}, &now); err != nil {
			return err
		}
		changed, err := l.changes(now.Labels, c.Bool("overwrite"))
		if err != nil {
			return err
		}
		if err := l.confirmed(ctx, c, f, name, changed); err != nil {
			return err
		}
		body, err := l.write(ctx, c, f, now, changed)
		if isReason(err, metav1.StatusReasonConflict) && look < ordersTries {
			continue // somebody wrote it meanwhile
		}
		if err != nil {
			return err
		}
		if err := l.foresee(body); err != nil {
			return err
		}
		return l.tell(c, now, changed, body)
	}
}

// confirmed lets a person say so when secrets would be left to clusters that nobody hears.
func (l labelling) confirmed(ctx context.Context, c *cli.Context, f *fleet, name string, changed map[string]*string) error {
	if l.kind.name != "Cluster" || len(changed) == 0 || c.Bool("dry-run") {
		return nil
	}
	lost, err := f.leftToSilence(ctx, relabelled(name, changed))
	if err != nil || lost == "" {
		return err
	}
	return typedName(c, lost, name)
}

// foresee keeps a cluster as it would be: what runs there follows its labels.
func (l labelling) foresee(body []byte) error {
	if l.kind.name != "Cluster" || body == nil {
		return nil
	}
	var u unstructured.Unstructured
	if err := u.UnmarshalJSON(body); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return l.then.take("Cluster", &u)
}

// changes are those of the labels that are not so yet.
func (l labelling) changes(now map[string]string, overwrite bool) (map[string]*string, error) {
	changed := map[string]*string{}
	for _, key := range slices.Sorted(maps.Keys(l.labels)) {
		want := l.labels[key]
		is, there := now[key]
		switch {
		case want == nil && !there, want != nil && there && is == *want:
		case want != nil && there && !overwrite:
			return nil, &failure{code: exitError, why: fmt.Sprintf("%s is %s, not %s", key, is, *want), hints: []hint{{words: "change it with --overwrite"}}}
		default:
			changed[key] = want
		}
	}
	return changed, nil
}

func (l labelling) write(ctx context.Context, c *cli.Context, f *fleet, now metav1.PartialObjectMetadata, changed map[string]*string) ([]byte, error) {
	if len(changed) == 0 {
		return nil, nil
	}
	r := request{path: l.kind.path(now.Name)}
	if c.Bool("dry-run") {
		r.query = url.Values{"dryRun": {"All"}}
	}
	return f.merge(ctx, r, map[string]any{"metadata": map[string]any{"resourceVersion": now.ResourceVersion, "labels": changed}})
}

// tell says what was done, and with --list what the labels are then.
func (l labelling) tell(c *cli.Context, now metav1.PartialObjectMetadata, changed map[string]*string, body []byte) error {
	said := "has these labels already"
	switch {
	case len(l.labels) == 0:
		said = ""
	case len(changed) > 0 && c.Bool("dry-run"):
		said = "would be labelled"
	case len(changed) > 0:
		said = "labelled" + atRevision(body)
	}
	if said != "" {
		fmt.Fprintln(c.App.Writer, l.kind.singular(), now.Name, said)
	}
	if !c.Bool("list") {
		return nil
	}
	if body != nil {
		now.Labels = nil // or those that are gone would stay
		if err := json.Unmarshal(body, &now); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
	}
	printLabels(c.App.Writer, l.kind.singular()+" "+now.Name, now.Labels)
	return nil
}

func printLabels(out io.Writer, of string, labels map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(out, "%s  %s=%s\n", of, key, labels[key])
	}
}

// namesWith are the objects of a kind that a selector matches; an empty one matches all.
func (f *fleet) namesWith(ctx context.Context, k kind, selector string) (names []string, err error) {
	var list metav1.PartialObjectMetadataList
	r := request{path: k.path()}
	if selector != "" {
		r.query = url.Values{"labelSelector": {selector}}
	}
	if _, err := f.read(ctx, r, &list); err != nil {
		return nil, err
	}
	for _, o := range list.Items {
		names = append(names, o.Name)
	}
	return names, nil
}
