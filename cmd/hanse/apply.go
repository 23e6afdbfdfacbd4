package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// defaultWait bounds verbs that wait for clusters.
const defaultWait = 5 * time.Minute

func applyVerb() *cli.Command {
	return &cli.Command{
		Name:  "apply",
		Usage: "make objects of the fleet, or manifests as a bundle, so",
		UsageText: `hanse apply -f FILE|FOLDER|-                              objects of the fleet
hanse apply --bundle shop --to all -f FILE|FOLDER|-       manifests of any kind, as one bundle
kustomize build . | hanse apply --bundle shop --to tier=prod -f -

A bundle that is there keeps its placement unless --to or --clusters say otherwise. With both, it goes to the
clusters named and to those that the selector picks.`,
		Flags: append(append(connectionFlags(defaultTimeout), changeFlags()...),
			&cli.IntFlag{Name: "allow-delete", Usage: "so MANY objects may leave the bundle"},
			&cli.BoolFlag{Name: "dry-run", Usage: "let the member check it, and change nothing"},
			&cli.BoolFlag{Name: "wait", Usage: "wait until every cluster runs it; --timeout is then 5m by default"},
			outputFlag(formatJSON, formatYAML, formatName),
		),
		Action: applyAction,
	}
}

// changeFlags say what is to be changed.
func changeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "filename", Aliases: []string{"f"}, Usage: "FILE, folder or - for stdin; repeatable"},
		&cli.BoolFlag{Name: "recursive", Aliases: []string{"R"}, Usage: "folders in folders too"},
		&cli.StringFlag{Name: "bundle", Usage: "make one bundle of this NAME of the manifests"},
		&cli.StringFlag{Name: "to", Usage: "where the bundle goes: all, or a label SELECTOR"},
		&cli.StringFlag{Name: "clusters", Usage: "where the bundle goes: NAMES of clusters, with commas"},
		&cli.BoolFlag{Name: "plain-secrets", Usage: "keep Secrets readable in the log of every member"},
		&cli.BoolFlag{Name: "force-conflicts", Usage: "take over fields that somebody else has set"},
	}
}

func applyAction(c *cli.Context) error {
	todo, err := readChanges(c)
	if err != nil {
		return during("apply", err)
	}
	a := applier{c: c, dryRun: c.Bool("dry-run"), allow: plan.Allowance{Delete: c.Int("allow-delete"), PlainSecrets: c.Bool("plain-secrets")}}
	if a.format, err = outputFormat(c, formatTable, formatJSON, formatYAML, formatName); err != nil {
		return during("apply", err)
	}
	if a.fleet, err = connect(c, c.App.ErrWriter); err != nil {
		return during("apply", err)
	}
	ctx, cancel := a.bounded()
	defer cancel()
	if c.Bool("wait") && !a.dryRun {
		return a.applyAndWait(ctx, todo)
	}
	for _, change := range todo {
		if _, err := a.apply(ctx, change); err != nil {
			return during(c.Command.Name+" "+change.name, err)
		}
	}
	return nil
}

// readChanges reads and checks everything that can be checked without the fleet.
func readChanges(c *cli.Context) ([]change, error) {
	files := c.StringSlice("filename")
	if len(files) == 0 || c.NArg() > 0 {
		return nil, usage("say what to apply with -f", hint{words: "-f FILE, -f FOLDER, or -f - for stdin"})
	}
	documents, err := readDocuments(files, c.Bool("recursive"), c.App.Reader)
	if err != nil {
		return nil, err
	}
	if len(documents) == 0 {
		return nil, usage(fileNames(files)+": there is nothing in it", emptyHint(files))
	}
	g := given{bundle: c.String("bundle"), to: c.String("to")}
	for name := range strings.SplitSeq(c.String("clusters"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			g.clusters = append(g.clusters, name)
		}
	}
	todo, err := changes(documents, g)
	if err != nil {
		return nil, err
	}
	for _, change := range todo {
		if err := checkInput(change, c); err != nil {
			return nil, during(c.Command.Name+" "+change.name, err)
		}
	}
	return todo, nil
}

// fileNames are the files of -f as people call them.
func fileNames(files []string) string {
	names := slices.Clone(files)
	for i, name := range names {
		if name == "-" {
			names[i] = "stdin"
		}
	}
	return strings.Join(names, ", ")
}

func emptyHint(files []string) hint {
	if len(files) == 1 && files[0] == "-" {
		return hint{words: "did the command before the pipe fail?"}
	}
	if info, err := os.Stat(files[0]); err == nil && info.IsDir() {
		return hint{words: "of a folder, files that end in .yaml, .yml or .json are read; folders in it with -R"}
	}
	return hint{"to remove a bundle from the fleet", "delete bundle NAME"}
}

// checkInput asks the guards that need not know the fleet.
func checkInput(ch change, c *cli.Context) error {
	if ch.kind.name != "Bundle" {
		return nil
	}
	return ch.guard(nil, plan.Allowance{PlainSecrets: c.Bool("plain-secrets")})
}

// applier is one run of apply.
type applier struct {
	c     *cli.Context
	fleet *fleet
	// dryRun lets the member check a change, and say what it would come to.
	dryRun bool
	allow  plan.Allowance
	format string
}

func (a *applier) bounded() (context.Context, context.CancelFunc) {
	if a.c.Bool("wait") && !a.c.IsSet("timeout") {
		return context.WithTimeout(a.c.Context, defaultWait)
	}
	return withTimeout(a.c)
}

// Somebody else may change a bundle between the guard's look at it and the write. So often it is looked at again.
const looks = 5

// apply makes one change, and prints it.
func (a *applier) apply(ctx context.Context, ch change) (*unstructured.Unstructured, error) {
	w, err := a.write(ctx, ch)
	if err != nil {
		return nil, err
	}
	if err := a.print(ch, w); err != nil || a.dryRun || !ch.drops(w.before) {
		return w.after, err
	}
	said := v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: ch.name, UID: w.after.GetUID(), Generation: w.after.GetGeneration()}}
	return w.after, a.fleet.deleteAsSaid(ctx, &said, a.allow.Delete)
}

// written is what a change came to.
type written struct {
	before, after *unstructured.Unstructured // before is nil when it was not there
	answer        []byte                     // after, as it came
}

// write makes one change. A bundle is written only as the guard saw it.
func (a *applier) write(ctx context.Context, ch change) (written, error) {
	for look := 1; ; look++ {
		w, err := a.writeOnce(ctx, ch)
		if isReason(err, metav1.StatusReasonConflict) && look < looks {
			continue
		}
		return w, err
	}
}

func (a *applier) writeOnce(ctx context.Context, ch change) (w written, err error) {
	if w.before, err = a.current(ctx, ch); err != nil {
		return w, err
	}
	object := (&unstructured.Unstructured{Object: ch.object}).DeepCopy()
	ch.object = object.Object
	if err := ch.complete(w.before); err != nil {
		return w, err
	}
	if ch.kind.name == "Bundle" {
		if err := ch.guard(w.before, a.allow); err != nil {
			return w, err
		}
		if a.allow.PlainSecrets {
			ch.allowPlainSecrets()
		}
		if w.before != nil {
			object.SetResourceVersion(w.before.GetResourceVersion())
			object.SetUID(w.before.GetUID())
		}
	}
	body, err := object.MarshalJSON()
	if err != nil {
		return w, fmt.Errorf("encode: %w", err)
	}
	if w.answer, err = a.fleet.write(ctx, a.patch(ch, body)); err != nil {
		return w, err
	}
	w.after = &unstructured.Unstructured{}
	if err := w.after.UnmarshalJSON(w.answer); err != nil { // keeps whole numbers whole, the generation among them
		return w, fmt.Errorf("read answer: %w", err)
	}
	return w, nil
}

// current is the object as the fleet has it; nil when it does not. When that is not known the write finds out.
func (a *applier) current(ctx context.Context, ch change) (*unstructured.Unstructured, error) {
	body, err := a.fleet.read(ctx, request{path: ch.kind.path(ch.name)}, nil)
	if isReason(err, metav1.StatusReasonNotFound) || isReason(err, reasonNotKnown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	current := &unstructured.Unstructured{}
	if err := current.UnmarshalJSON(body); err != nil {
		return nil, fmt.Errorf("read %s: %w", ch.name, err)
	}
	return current, nil
}

func (a *applier) patch(ch change, body []byte) request {
	query := url.Values{"fieldManager": {"hanse"}, "fieldValidation": {"Strict"}}
	if a.c.Bool("force-conflicts") {
		query.Set("force", "true")
	}
	if a.dryRun {
		query.Set("dryRun", metav1.DryRunAll)
	}
	return request{verb: "PATCH", path: ch.kind.path(ch.name), query: query, body: body, bodyType: typeApply}
}

func (a *applier) print(ch change, w written) error {
	if a.format != formatTable {
		return printObject(a.c.App.Writer, a.format, ch.kind, w.answer)
	}
	what := "applied at revision " + w.after.GetResourceVersion()
	switch {
	case a.dryRun:
		what = "would be applied"
	case w.before != nil && unchanged(w.before, w.after):
		what = "unchanged at revision " + w.after.GetResourceVersion()
	}
	_, err := fmt.Fprintln(a.c.App.Writer, ch.title(), what)
	return err
}

// unchanged says whether two states of an object are the same to people: the leader writes statuses in between.
func unchanged(before, after *unstructured.Unstructured) bool {
	return before.GetGeneration() == after.GetGeneration() && maps.Equal(before.GetLabels(), after.GetLabels()) &&
		maps.Equal(before.GetAnnotations(), after.GetAnnotations())
}
