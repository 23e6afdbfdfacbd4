package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func rolloutStatusAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return during("rollout status", usage("of which bundle?", hint{"see what there is", "get rollouts"}))
	}
	doing := "rollout status " + c.Args().First()
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	if c.Bool("watch") {
		return during(doing, f.watchRollout(c))
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	r, all, err := f.rolloutOf(ctx, c.Args().First())
	if err != nil {
		return during(doing, err)
	}
	if _, err := c.App.Writer.Write(rolloutAll(r, all, f.brings(ctx, r), f.noKey(ctx, r))); err != nil {
		return err
	}
	if r.Status.Phase == v1alpha1.RolloutFailed {
		return &failure{code: exitDiffers} // the answer says it
	}
	return nil
}

// rolloutAll is all there is to say of a rollout.
func rolloutAll(r *v1alpha1.Rollout, all []v1alpha1.Rollout, brings, noKey string) []byte {
	var text bytes.Buffer
	rolloutText(&text, r, all, brings)
	fmt.Fprint(&text, noKey, besideText(r, all))
	return text.Bytes()
}

// watchRollout shows a rollout whenever it reads differently, until it goes no further by itself. It fails when that is because it stopped, was
// aborted or was taken back, and when --timeout is over before.
func (f *fleet) watchRollout(c *cli.Context) error {
	ctx, cancel := whileWatched(c)
	defer cancel()
	var shown []byte
	said := map[string]string{} // what each brings stays the same
	for {
		ask, stop := context.WithTimeout(ctx, defaultTimeout)
		r, all, err := f.rolloutOf(ask, c.Args().First())
		over := err == nil && f.goesNoFurther(ask, r, all)
		var text []byte
		if err == nil {
			if said[r.Name] == "" {
				said[r.Name] = f.brings(ask, r)
			}
			text = rolloutAll(r, all, said[r.Name], f.noKey(ask, r))
		}
		stop()
		switch {
		case c.Context.Err() != nil:
			return nil
		case err != nil && ctx.Err() == nil:
			return err
		case err == nil && !bytes.Equal(text, shown):
			if _, err := c.App.Writer.Write(frame(isTerminal(c.App.Writer), shown, text)); err != nil {
				return err
			}
			shown = text
		}
		switch {
		case over && (stands(*r) || r.Spec.Undoes != ""):
			return &failure{code: exitDiffers} // the answer says it
		case over:
			return nil
		case !wait(ctx, watchEvery) && c.Context.Err() == nil:
			return &failure{code: exitDiffers, why: fmt.Sprintf("it has not ended after %s", span(c.Duration("timeout")))}
		}
	}
}

// frame is what is written of a text that took the place of another: on a terminal all of it, in that one's place; elsewhere its lines that the other
// had not, however far apart their columns are.
func frame(terminal bool, before, after []byte) []byte {
	switch {
	case terminal:
		return append([]byte(clearScreen), after...)
	case before == nil:
		return after
	}
	words := func(line string) string { return strings.Join(strings.Fields(line), " ") }
	had := map[string]bool{"": true}
	for line := range strings.Lines(string(before)) {
		had[words(line)] = true
	}
	var changed bytes.Buffer
	for line := range strings.Lines(string(after)) {
		if !had[words(line)] {
			changed.WriteString(line)
		}
	}
	return changed.Bytes()
}

// goesNoFurther says that a rollout has ended, or stands until a person says how to go on, and that its bundle says nothing newer whose rollout
// has yet to begin.
func (f *fleet) goesNoFurther(ctx context.Context, r *v1alpha1.Rollout, all []v1alpha1.Rollout) bool {
	if !r.Status.Phase.Ended() && !stands(*r) {
		return false
	}
	b, err := f.rolledOut(ctx, r.Spec.Bundle)
	if err != nil {
		return isReason(err, metav1.StatusReasonNotFound) // or else it is asked for again
	}
	begun := func(r v1alpha1.Rollout) bool {
		return r.Spec.BundleUID == string(b.UID) && r.Spec.Generation >= b.Generation
	}
	nowhere := b.Status.ObservedGeneration == b.Generation && b.Status.Clusters == 0
	return nowhere || newestOf(all).Name != r.Name || slices.ContainsFunc(all, begun)
}

// rolloutText is a rollout, a line a wave.
func rolloutText(out *bytes.Buffer, r *v1alpha1.Rollout, all []v1alpha1.Rollout, brings string) {
	message := r.Status.Message
	switch { // what stands in the way is told below
	case r.Status.Deletions != nil && r.Status.Reason != v1alpha1.RolloutWaitsForWaves:
		message = "nothing is granted"
	case rolloutWaits(r) != "":
		message = "no further wave is granted"
	}
	fmt.Fprintf(out, "%s   %s%s   soak %s   %s\n%s\n\n", r.Name, inWords(string(r.Status.Phase)), rolloutSince(r), r.Spec.Soak.Duration, message, brings)
	(&tablePrinter{out: out}).lines(waveLines(r))
	if len(r.Status.Owed) > 0 {
		fmt.Fprintf(out, "\nowed to %s\n", few(r.Status.Owed))
	}
	if holds := rolloutHolds(r); holds != "" {
		fmt.Fprintf(out, "\n%s\n", holds)
	}
	if despite := rolloutDespite(r); despite != "" {
		fmt.Fprintf(out, "\n%s\n", despite)
	}
	for _, g := range r.Status.Gates {
		if slices.Contains(r.Spec.Orders.DespiteGates, g.Name) {
			continue
		}
		fmt.Fprintf(out, "\ngate %s %s: %s   asked %s\n", g.Name, map[bool]string{true: "passes", false: "does not pass"}[g.Passes], g.Message, moment(g.Asked))
	}
	if waits := rolloutWaits(r); waits != "" {
		fmt.Fprintf(out, "\n%s\n", waits)
	}
	if d := r.Status.Deletions; d != nil {
		fmt.Fprintf(out, "\n%s\n", strings.Join(deletionsText(d), "\n  "))
	}
	if next := rolloutNext(r, all); next != "" {
		fmt.Fprintf(out, "\nnext: %s\n", next)
	}
}

// besideText says of a rollout that is not of what its bundle says what became of that, and what to do; empty for others.
func besideText(r *v1alpha1.Rollout, all []v1alpha1.Rollout) string {
	return undoneText(r, all) + abortedText(r, all)
}

// abortedText says of a rollout that is for who joined since a change was aborted which change, and what to do; empty for others.
func abortedText(r *v1alpha1.Rollout, all []v1alpha1.Rollout) string {
	aborted := abortedSince(all, r)
	if aborted == nil {
		return ""
	}
	return fmt.Sprintf("\n%s is aborted: %s; who joins gets %s, and %s still says what it said\nnext: %s; or hanse rollout resume %s, to take the abort back\n",
		aborted.Name, aborted.Status.Message, r.Spec.Revision, v1alpha1.RolledOutOf(r.Spec.Bundle).Title(), wayBack(r, all), aborted.Name)
}

// undoneText says of a rollout that takes a change back which one, why it failed, and what to do; empty for others.
func undoneText(r *v1alpha1.Rollout, all []v1alpha1.Rollout) string {
	for _, failed := range all {
		if r.Spec.Undoes == failed.Name {
			return fmt.Sprintf("\n%s failed: %s; it is taken back, and %s still says what it said\nnext: apply what is better; or hanse rollout rollback %s, so that it says what runs; or hanse rollout resume %s, to try again\n",
				failed.Name, failed.Status.Stopped, v1alpha1.RolledOutOf(r.Spec.Bundle).Title(), r.Spec.Bundle, failed.Name)
		}
	}
	return ""
}

// rolloutSince says since when a rollout goes no further; empty when it goes on, or says that elsewhere.
func rolloutSince(r *v1alpha1.Rollout) string {
	if r.Status.Since == nil || r.Status.Reason == v1alpha1.RolloutWaitsForWaves || rolloutWaits(r) != "" {
		return ""
	}
	return " since " + moment(*r.Status.Since)
}

// waveLines are the table of a rollout's waves; it tells their stages, where there are any.
func waveLines(r *v1alpha1.Rollout) [][]string {
	stages := 0
	if len(r.Spec.Stages) > 0 {
		stages = 1
	}
	lines := [][]string{slices.Concat([]string{"WAVE"}, []string{"STAGE"}[:stages], []string{"DOMAIN", "CLUSTERS", "STATE", "SINCE", "WAITS FOR"})}
	for i, w := range r.Spec.Waves {
		var s v1alpha1.WaveStatus
		if i < len(r.Status.Waves) {
			s = r.Status.Waves[i]
		}
		clusters := slices.Clone(w.Clusters)
		for _, name := range w.Withdraw {
			clusters = append(clusters, "−"+name)
		}
		lines = append(lines, slices.Concat([]string{fmt.Sprint(i + 1)}, []string{w.Stage}[:stages],
			[]string{dash(w.Domain), fewCells(clusters), waveState(s), waveSince(s), waitCell(s.Waiting, len(clusters))}))
	}
	return lines
}

// mostCells is how many names a cell has, and fewOfMany how many where it has not all.
const (
	mostCells = 5
	fewOfMany = 3
)

// fewCells are the names in a cell: fra iad sin, or c000 c001 c002 and 97 more.
func fewCells(names []string) string {
	if len(names) <= mostCells {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:fewOfMany], " "), len(names)-fewOfMany)
}

// waitCell is who a wave waits for: iad, or 12 of 100: c000 c001 c002 and 9 more.
func waitCell(names []string, of int) string {
	if of <= mostCells || len(names) == 0 {
		return fewCells(names)
	}
	return fmt.Sprintf("%d of %d: %s", len(names), of, fewCells(names))
}

// rolloutDespite says which gates a person goes on despite; empty when there are none.
func rolloutDespite(r *v1alpha1.Rollout) string {
	gates := r.Spec.Orders.DespiteGates
	if len(gates) == 0 {
		return ""
	}
	return "whatever they say, a person goes on despite these gates: " + few(gates)
}

// rolloutWaits says what a stage waits for, and since when; empty when none does.
func rolloutWaits(r *v1alpha1.Rollout) string {
	w := r.Status.Wait
	if w == nil {
		return ""
	}
	who := "it"
	switch {
	case w.Stage != "":
		who = "stage " + w.Stage
	case w.Domain != "":
		who = w.Domain
	}
	switch {
	case w.For == v1alpha1.WaitForApproval:
		return fmt.Sprintf("%s waits for a person since %s", who, moment(w.Since))
	case w.Until == nil:
		return fmt.Sprintf("%s waits for a window since %s, and none opens", who, moment(w.Since))
	}
	return fmt.Sprintf("%s waits for its window since %s; it opens %s", who, moment(w.Since), moment(*w.Until))
}

// moment is when something was, the same whenever it is shown: who watches is shown what changes.
func moment(t metav1.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// rolloutHolds says what a rollout that does not go on by itself keeps from others.
func rolloutHolds(r *v1alpha1.Rollout) string {
	stands := r.Status.Phase == v1alpha1.RolloutFailed || r.Status.Phase == v1alpha1.RolloutPaused
	if !stands || len(r.Status.InChange) == 0 {
		return ""
	}
	var domains []string
	for _, d := range r.Status.InChange {
		domains = append(domains, dash(d))
	}
	return fmt.Sprintf("%s stays in change until a person decides: others may be changed there, and elsewhere only as maxDomains allows", few(domains))
}

func waveState(s v1alpha1.WaveStatus) string {
	switch {
	case s.Settled != nil:
		return "settled"
	case s.Released != nil:
		return "given up"
	case s.Granted == nil:
		return "to come"
	case s.Failing != nil:
		return "failing"
	case s.Healthy != nil:
		return "soaking"
	case s.Ran != nil:
		return "at gate"
	}
	return "granted"
}

// waveSince is when a wave came to be as waveState says.
func waveSince(s v1alpha1.WaveStatus) string {
	if at := cmp.Or(s.Settled, s.Released, s.Failing, s.Healthy, s.Ran, s.Granted); at != nil {
		return moment(*at)
	}
	return ""
}

// rolloutNext is what a person may do.
func rolloutNext(r *v1alpha1.Rollout, all []v1alpha1.Rollout) string {
	name, rolled := r.Name, v1alpha1.RolledOutOf(r.Spec.Bundle) // a newer one that comes before the command is typed is not meant
	switch phase, why := r.Status.Phase, r.Status.Reason; {
	case newestOf(all).Name != r.Name: // what is newer is to be ordered about
		return ""
	case phase == v1alpha1.RolloutFailed && gateInTheWay(r) != "":
		return fmt.Sprintf("%s; or hanse rollout resume %s; or hanse rollout resume %[2]s --despite-gate %s, if it is the gate that is wrong; or hanse rollout abort %[2]s", wayBack(r, all), name, gateInTheWay(r))
	case phase == v1alpha1.RolloutFailed:
		return fmt.Sprintf("%s; or hanse rollout resume %s; or hanse rollout abort %[2]s", wayBack(r, all), name)
	case why == v1alpha1.RolloutSuspended:
		return "hanse unsuspend " + rolled.Arg()
	case r.Status.Deletions != nil:
		return fmt.Sprintf("hanse rollout approve %s --deletions; or put right what was a mistake, and nothing goes", name)
	case phase == v1alpha1.RolloutPaused && approvable(r):
		return fmt.Sprintf("hanse rollout approve %s %s", name, cmp.Or(r.Status.Wait.Stage, r.Status.Wait.Domain))
	case why == v1alpha1.RolloutFrozen:
		return "hanse unfreeze"
	case why == v1alpha1.RolloutClusterLost:
		return fmt.Sprintf("hanse rollout resume %s --despite %s, to go on whatever becomes of it; or hanse rollout abort %[1]s", name, r.Status.Blocked)
	case phase == v1alpha1.RolloutPaused:
		return "hanse rollout resume " + name
	case phase == v1alpha1.RolloutAborted:
		return fmt.Sprintf("%s; or hanse rollout resume %s, to take the abort back", wayBack(r, all), name)
	}
	return ""
}

// wayBack is how to get what ran before: by hand, where no revision went through.
func wayBack(r *v1alpha1.Rollout, all []v1alpha1.Rollout) string {
	rolled := v1alpha1.RolledOutOf(r.Spec.Bundle)
	switch good := lastGood(all, r) != ""; {
	case !good && rolled.IsSecret():
		return "seal the value that " + rolled.Title() + " is to have, and apply it"
	case !good:
		return "apply what is better"
	}
	return "hanse rollout rollback " + r.Spec.Bundle
}

// gateInTheWay is a gate that did not pass when it was asked last; empty when there is none.
func gateInTheWay(r *v1alpha1.Rollout) string {
	for _, g := range r.Status.Gates {
		if !g.Passes && !slices.Contains(r.Spec.Orders.DespiteGates, g.Name) {
			return g.Name
		}
	}
	return ""
}

// approvable says that a stage waits for a person, and nothing else is in its way.
func approvable(r *v1alpha1.Rollout) bool {
	return r.Status.Wait != nil && r.Status.Wait.For == v1alpha1.WaitForApproval && !r.Spec.Orders.Paused
}
