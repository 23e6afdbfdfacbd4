package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// historyShown is how many changes history shows unless it is told otherwise.
const historyShown = 50

func historyVerb() *cli.Command {
	return &cli.Command{
		Name:  "history",
		Usage: "show who changed what, and what was different",
		UsageText: `hanse history                              of all that people change, the newest first
hanse history KIND/NAME                    of one object
hanse history KIND/NAME --diff 811..815    what is different at 815 from 811
hanse history KIND/NAME --diff 811         what is different now
hanse history KIND/NAME --forget 811..815  strike off how it was then, for good; that it was changed stays`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.StringFlag{Name: "diff", Usage: "REVISIONS to compare, A..B; without B, with what is there now"},
			&cli.StringFlag{Name: "forget", Usage: "REVISIONS A..B, or one, at which how it was is forgotten for good"},
			&cli.IntFlag{Name: "limit", Value: historyShown, Usage: "show so MANY at most, 0 for all"},
			outputFlag(formatTable, formatWide, formatJSON, formatYAML),
		),
		Action: historyAction,
	}
}

func historyAction(c *cli.Context) error {
	k, name, err := oneOrAll(c.Args().Slice())
	if err != nil {
		return during("history", err)
	}
	doing := strings.TrimRight("history "+k.singular()+" "+name, " ")
	format, err := outputFormat(c, formatTable, formatWide, formatJSON, formatYAML)
	var from, to uint64
	if err == nil {
		from, to, err = historyRange(c, name)
	}
	if err != nil {
		return during(doing, err)
	}
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	past, err := f.past(ctx, k, name)
	switch {
	case err != nil:
	case c.IsSet("diff"):
		err = past.printDiff(ctx, c, from, to)
	case c.IsSet("forget"):
		err = past.forget(ctx, c, from, to)
	default:
		err = past.print(c, format)
	}
	return during(doing, err)
}

// historyRange are the revisions of --diff or --forget.
func historyRange(c *cli.Context, name string) (from, to uint64, err error) {
	for flag, read := range map[string]func(string) (uint64, uint64, error){"diff": revisions, "forget": toForget} {
		if c.IsSet(flag) && name == "" {
			return 0, 0, usage("--"+flag+" of which object?", hint{"for example", "history bundle/shop --" + flag + " 811..815"})
		}
		if c.IsSet(flag) {
			from, to, err = read(c.String(flag))
		}
	}
	if c.IsSet("diff") && c.IsSet("forget") {
		err = usage("--diff or --forget: one at a time")
	}
	return from, to, err
}

// oneOrAll reads KIND/NAME, KIND NAME, KIND, or nothing.
func oneOrAll(args []string) (k kind, name string, err error) {
	if len(args) == 0 {
		return kind{}, "", nil
	}
	k, names, err := objectsNamed(args)
	switch {
	case err != nil:
		return k, "", err
	case len(names) > 1:
		return k, "", usage("one object at a time: KIND/NAME")
	case k.example == nil:
		return k, "", usagef("people do not change %s: %s", k.plural, k.why)
	case len(names) == 0:
		return k, "", nil
	}
	return k, names[0], nil
}

// revisions reads A..B, A.. and A; 0 is now.
func revisions(text string) (from, to uint64, err error) {
	a, b, _ := strings.Cut(text, "..")
	if from, err = revision(a); err == nil && b != "" {
		to, err = revision(b)
	}
	return from, to, err
}

func revision(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 {
		return 0, usage(fmt.Sprintf("revision %q: must be a number, or two as in 811..815", text), hint{"see which there are", "history KIND/NAME"})
	}
	return n, nil
}

// print shows the changes, the newest first.
func (p *past) print(c *cli.Context, format string) error {
	shown := slices.SortedFunc(slices.Values(slices.Concat(p.changes, p.strikes, p.reveals)), func(a, b v1alpha1.Change) int { return byRevision(b, a) })
	limit := c.Int("limit")
	if limit <= 0 {
		limit = len(shown)
	}
	left := max(0, len(shown)-limit)
	shown = shown[:len(shown)-left]
	if format == formatJSON || format == formatYAML {
		list := v1alpha1.ChangeList{TypeMeta: v1alpha1.TypeOf("ChangeList"), Items: shown}
		list.ResourceVersion = strconv.FormatUint(p.at, 10)
		data, err := json.Marshal(list)
		if err != nil {
			return fmt.Errorf("print answer: %w", err)
		}
		return printObject(c.App.Writer, format, p.kind, data)
	}
	if len(shown) == 0 {
		fmt.Fprintln(c.App.ErrWriter, "no changes by people are remembered")
		return nil
	}
	(&tablePrinter{out: c.App.Writer}).lines(p.lines(shown, left, format == formatWide))
	if left > 0 {
		fmt.Fprintf(c.App.ErrWriter, "and %d older: --limit 0 shows all\n", left)
	}
	return nil
}

// lines are the table. Below the oldest change of one object stands how that was before, if it was there.
func (p *past) lines(shown []v1alpha1.Change, left int, wide bool) [][]string {
	head := []string{"REVISION", "WHEN", "WHO", "THROUGH", "VERB"}
	if p.name == "" {
		head = append(head, "OBJECT")
	}
	head = append(head, "CHANGED")
	if wide {
		head = append(head, "FROM", "WITH", "GROUPS")
	}
	lines, persons := [][]string{head}, namesakesOf(shown)
	for _, c := range shown {
		verb, object, what := p.told(c)
		line := []string{c.ResourceVersion, when(c.CreationTimestamp.Time, wide), persons.called(c.Spec), c.Spec.Through, verb}
		if p.name == "" {
			line = append(line, object)
		}
		line = append(line, what)
		if wide {
			line = append(line, dash(c.Spec.SourceIP), dash(c.Spec.UserAgent), dash(strings.Join(c.Spec.Groups, ",")))
		}
		lines = append(lines, line)
	}
	if p.name != "" && left == 0 && len(p.changes) > 0 && p.changes[0].Spec.Since > 0 {
		lines = append(lines, []string{strconv.FormatInt(p.changes[0].Spec.Since, 10), "–", "–", "–", "–", "as it was before"})
	}
	return lines
}

// different is what a change made different. Of a token, a few letters find its own change.
func different(c v1alpha1.ChangeSpec) string {
	if c.Token != "" {
		return fmt.Sprintf("joined with token %.8s", c.Token)
	}
	return strings.Join(c.Fields, ", ")
}

// namesakes are the uids that a name had.
type namesakes map[string][]string

func namesakesOf(changes []v1alpha1.Change) namesakes {
	n := namesakes{}
	for _, c := range changes {
		if !slices.Contains(n[c.Spec.By], c.Spec.ByUID) {
			n[c.Spec.By] = append(n[c.Spec.By], c.Spec.ByUID)
		}
	}
	return n
}

// called is who it was, with the beginning of the uid when somebody else had the name before or after.
func (n namesakes) called(c v1alpha1.ChangeSpec) string {
	if len(n[c.By]) < 2 || c.By == "" {
		return who(c)
	}
	return fmt.Sprintf("%s (%.8s)", c.By, dash(c.ByUID))
}

// when is a time for people: how long ago within a day, exactly otherwise.
func when(t time.Time, exact bool) string {
	if past := time.Since(t); !exact && past < 24*time.Hour {
		return howLongAgo(past.Round(time.Second))
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// printDiff compares two revisions; to 0 is now.
func (p *past) printDiff(ctx context.Context, c *cli.Context, from, to uint64) error {
	before, err := p.formAt(ctx, from)
	if err != nil {
		return err
	}
	last, after := "now", form(nil)
	if to == 0 {
		after, err = p.present(ctx)
	} else {
		last = fmt.Sprintf("at %d", to)
		after, err = p.formAt(ctx, to)
	}
	if err != nil {
		return err
	}
	if before == nil && after == nil {
		return &failure{code: exitError, why: fmt.Sprintf("it was not there at %d, and not %s", from, last), hints: []hint{p.seeWhatIs()}}
	}
	text, err := unified(fmt.Sprintf("%s at %d", p.title(), from), before, p.title()+" "+last, after)
	if err != nil {
		return err
	}
	if len(text) == 0 {
		fmt.Fprintln(c.App.ErrWriter, "nothing that people write is different")
	}
	_, err = c.App.Writer.Write(text)
	return err
}
