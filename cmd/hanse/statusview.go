package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// statusView renders a fleet's status for people: one line of the whole, a line a region, then what needs attention.
type statusView struct {
	s     v1alpha1.FleetStatus
	now   time.Time
	wide  bool
	paint paint
}

// regionView is the clusters of one region, and the bundles there, each once.
type regionView struct {
	name     string
	clusters []v1alpha1.ClusterFleetStatus
	gone     int
	bundles  v1alpha1.BundleCounts
}

func (v statusView) print(out io.Writer) {
	regions := v.regions()
	fmt.Fprintln(out, escaped(v.headline(len(regions))))
	fmt.Fprintln(out)
	table := tablePrinter{out: out}
	if v.wide {
		table.lines(v.clusterLines())
	} else {
		table.lines(v.regionLines(regions))
	}
	if change := v.voterChange(); change != "" {
		fmt.Fprintln(out)
		(&tablePrinter{out: out}).lines([][]string{{"voters", change}})
	}
	if notes := v.notes(); len(notes) > 0 {
		fmt.Fprintln(out)
		(&tablePrinter{out: out}).lines(notes)
	}
}

// headline: fleet acme   revision 812   quorum 5 of 5   leader fra   can lose: any one of eu, us, ap.
func (v statusView) headline(regions int) string {
	quorum := fmt.Sprintf("quorum %d of %d", v.s.Quorum.Reached, v.s.Quorum.Voters)
	if !v.s.Quorum.Have {
		quorum = v.paint.red("no " + quorum)
	}
	leader := "leader " + v.s.Leader
	if v.s.Leader == "" {
		leader = v.paint.red("no leader")
	}
	lose := "can lose: " + canLose(v.s, regions)
	if len(v.s.RegionsYouCanLose) == 0 && regions > 2 {
		lose = v.paint.yellow(lose)
	}
	return strings.Join([]string{"fleet " + v.s.Fleet, v.revision(), quorum, leader, lose}, "   ")
}

// revision: revision 812; and the epoch, unless it is the first.
func (v statusView) revision() string {
	words := fmt.Sprintf("revision %d", v.s.Revision)
	if v.s.Epoch > 1 {
		words += fmt.Sprintf("   epoch %d", v.s.Epoch)
	}
	return words
}

// regions groups the clusters, the worst first: where clusters are gone, then where bundles failed, then where they drifted.
func (v statusView) regions() []regionView {
	var all []regionView
	for _, c := range v.s.Clusters {
		i := slices.IndexFunc(all, func(r regionView) bool { return r.name == c.Region })
		if i < 0 {
			i = len(all)
			all = append(all, regionView{name: c.Region})
		}
		all[i].clusters = append(all[i].clusters, c)
		if !c.Reachable {
			all[i].gone++
		}
	}
	for _, r := range v.s.Regions {
		if i := slices.IndexFunc(all, func(a regionView) bool { return a.name == r.Name }); i >= 0 {
			all[i].bundles = r.Bundles
		}
	}
	if len(v.s.Regions) == 0 { // a member of an older version counts by cluster alone
		for i := range all {
			all[i].bundles = inEach(all[i].clusters)
		}
	}
	slices.SortStableFunc(all, func(a, b regionView) int {
		return cmp.Or(
			cmp.Compare(b.gone, a.gone),
			cmp.Compare(b.bundles.Failed, a.bundles.Failed),
			cmp.Compare(b.bundles.Drifted, a.bundles.Drifted),
			cmp.Compare(b.inChange(), a.inChange()),
		)
	})
	return all
}

// inEach counts a bundle in each of the clusters.
func inEach(clusters []v1alpha1.ClusterFleetStatus) (n v1alpha1.BundleCounts) {
	for _, c := range clusters {
		n.Total += c.Bundles.Total
		n.Ready += c.Bundles.Ready
		n.Drifted += c.Bundles.Drifted
		n.Failed += c.Bundles.Failed
		n.Suspended += c.Bundles.Suspended
	}
	return n
}

// inChange are the bundles of a region of which nothing else is known.
func (r regionView) inChange() int {
	n := r.bundles
	return n.Total - n.Ready - n.Failed - n.Suspended
}

func (v statusView) regionLines(regions []regionView) [][]string {
	lines := [][]string{{"REGION", "CLUSTERS", "VOTERS", "BEHIND", "BUNDLES", "RTT", ""}}
	shown := regions
	if len(regions) > mostRegions {
		shown = regions[:mostRegions-1]
	}
	for _, r := range shown {
		goneBy := ""
		if len(regions) <= mostRegions { // else -o json says it
			goneBy = v.seenGoneBy(r)
		}
		lines = append(lines, []string{r.name, v.presence(r), v.voters(r), behind(r), v.bundles(r), roundTrip(r), goneBy})
	}
	if rest := regions[len(shown):]; len(rest) > 0 {
		lines = append(lines, v.folded(rest))
	}
	return lines
}

// mostRegions is how many lines the regions have. The last one is of all that are left.
const mostRegions = 8

// folded is one line of several regions: 23 more   190 ready   –   3   well   2 ms.
func (v statusView) folded(regions []regionView) []string {
	var one regionView
	failed, drifted, changing := 0, 0, 0
	for _, r := range regions {
		one.clusters = append(one.clusters, r.clusters...)
		one.gone += r.gone
		failed += min(r.bundles.Failed, 1)
		drifted += min(r.bundles.Drifted, 1)
		changing += min(r.inChange(), 1)
	}
	var words []string
	for _, in := range []struct {
		regions int
		what    string
		colour  func(string) string
	}{{failed, "failed in %d", v.paint.red}, {drifted, "drifted in %d", v.paint.red}, {changing, "in change in %d", v.paint.yellow}} {
		if in.regions > 0 {
			words = append(words, in.colour(fmt.Sprintf(in.what, in.regions)))
		}
	}
	if len(words) == 0 {
		words = []string{"none failed"}
	}
	voters := 0
	for _, c := range one.clusters {
		if c.Voter {
			voters++
		}
	}
	voting := "–"
	if voters > 0 {
		voting = fmt.Sprintf("%d vote", voters)
	}
	return []string{fmt.Sprintf("%d more", len(regions)), v.presence(one), voting, behind(one), strings.Join(words, ", "), roundTrip(one), ""}
}

// presence: 2 ready; or 1 gone for 34 s, 1 ready.
func (v statusView) presence(r regionView) string {
	var words []string
	if r.gone > 0 {
		gone := fmt.Sprintf("%d gone", r.gone)
		if since := goneSince(r.clusters); !since.IsZero() {
			gone += " for " + span(v.now.Sub(since))
		}
		words = append(words, v.paint.red(gone))
	}
	if here := len(r.clusters) - r.gone; here > 0 {
		words = append(words, fmt.Sprintf("%d ready", here))
	}
	return strings.Join(words, ", ")
}

// seenGoneBy: seen gone by iad, pdx, sin.
func (v statusView) seenGoneBy(r regionView) string {
	var by []string
	for _, c := range r.clusters {
		for _, name := range c.SeenGoneBy {
			if !slices.Contains(by, name) {
				by = append(by, name)
			}
		}
	}
	if len(by) == 0 {
		return ""
	}
	slices.Sort(by)
	return v.paint.dim("seen gone by " + few(by))
}

// few lists the first names, and counts the others.
func few(names []string) string { return v1alpha1.Few(names, 5) }

// voterChange: replacing fra, ams by pdx; then can lose: ap.
func (v statusView) voterChange() string {
	ch := v.s.VoterChange
	if ch == nil {
		return ""
	}
	var words []string
	switch {
	case len(ch.Joining) > 0 && len(ch.Leaving) > 0:
		words = append(words, "replacing "+few(ch.Leaving)+" by "+few(ch.Joining))
	case len(ch.Joining) > 0:
		words = append(words, few(ch.Joining)+" will vote")
	default:
		words = append(words, few(ch.Leaving)+" will not vote any more")
	}
	then := v.s
	then.RegionsYouCanLose = ch.ThenYouCanLose
	words = append(words, "then can lose: "+canLose(then, len(v.regions())))
	return v.paint.yellow(strings.Join(words, "; "))
}

// goneSince is when the first of the clusters that are gone was last seen.
func goneSince(clusters []v1alpha1.ClusterFleetStatus) (since time.Time) {
	for _, c := range clusters {
		if !c.Reachable && c.LastSeen != nil && (since.IsZero() || c.LastSeen.Time.Before(since)) {
			since = c.LastSeen.Time
		}
	}
	return since
}

func (v statusView) voters(r regionView) string {
	var names []string
	for _, c := range r.clusters {
		if !c.Voter {
			continue
		}
		name := c.Name
		if c.Name == v.s.Leader {
			name += "*"
		}
		names = append(names, name)
	}
	return dash(strings.Join(names, " "))
}

func behind(r regionView) string {
	var most uint64
	for _, c := range r.clusters {
		most = max(most, c.Lag)
	}
	if most == 0 {
		return "–"
	}
	return fmt.Sprint(most)
}

// bundles counts, the worst first: 1 failed, 2 drifted, 13 ready.
func (v statusView) bundles(r regionView) string {
	n := r.bundles
	if r.gone == len(r.clusters) && n.Total > 0 {
		if n.Ready < n.Total {
			return v.paint.dim(fmt.Sprintf("%d of %d last seen ready", n.Ready, n.Total))
		}
		return v.paint.dim(fmt.Sprintf("%d last seen ready", n.Ready))
	}
	return v.counts(n)
}

func (v statusView) counts(n v1alpha1.BundleCounts) string {
	var words []string
	if n.Failed > 0 {
		words = append(words, v.paint.red(fmt.Sprintf("%d failed", n.Failed)))
	}
	if n.Drifted > 0 {
		words = append(words, v.paint.red(fmt.Sprintf("%d drifted", n.Drifted)))
	}
	if n.Suspended > 0 {
		words = append(words, v.paint.yellow(fmt.Sprintf("%d suspended", n.Suspended)))
	}
	if rolling := n.Total - n.Ready - n.Failed - n.Suspended; rolling > 0 {
		words = append(words, v.paint.yellow(fmt.Sprintf("%d in change", rolling)))
	}
	if n.Ready > 0 {
		words = append(words, fmt.Sprintf("%d ready", n.Ready))
	}
	return dash(strings.Join(words, ", "))
}

// roundTrip is the shortest to a region; the member's own region is known to be near.
func roundTrip(r regionView) string {
	least := 0.0
	for _, c := range r.clusters {
		if c.Reachable && c.RTTMillis > 0 && (least == 0 || c.RTTMillis < least) {
			least = c.RTTMillis
		}
	}
	return milliseconds(least)
}

func milliseconds(ms float64) string {
	switch {
	case ms == 0:
		return "–"
	case ms < 1:
		return "<1 ms"
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// clusterLines are for -o wide: a line a cluster, with exact times.
func (v statusView) clusterLines() [][]string {
	lines := [][]string{{"CLUSTER", "REGION", "ZONE", "MEMBER", "LAST SEEN", "REVISION", "BEHIND", "BUNDLES", "RTT"}}
	clusters := slices.Clone(v.s.Clusters)
	gone := func(c v1alpha1.ClusterFleetStatus) int {
		if c.Reachable {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(clusters, func(a, b v1alpha1.ClusterFleetStatus) int { return gone(b) - gone(a) })
	for _, c := range clusters {
		one := regionView{clusters: []v1alpha1.ClusterFleetStatus{c}, gone: gone(c), bundles: c.Bundles}
		seen := "–"
		if c.LastSeen != nil {
			seen = c.LastSeen.UTC().Format(time.RFC3339)
		}
		lines = append(lines, []string{
			c.Name, c.Region, dash(c.Zone), v.member(c), seen, fmt.Sprint(c.Revision), behind(one), v.bundles(one), milliseconds(c.RTTMillis),
		})
	}
	return lines
}

func (v statusView) member(c v1alpha1.ClusterFleetStatus) string {
	words := "follows"
	switch {
	case c.Name == v.s.Leader:
		words = "leads"
	case c.Voter:
		words = "votes"
	case c.Standby:
		words = "stands by"
	}
	if !c.Reachable {
		words = v.paint.red("gone") + ", " + words
	}
	return words
}

// recentDrift is for how long drift that was put right is worth a line.
const recentDrift = time.Hour

// notes are the lines below the table: warnings, changes on their way, and what was put right lately.
func (v statusView) notes() [][]string {
	var notes [][]string
	if f := v.s.Frozen; f != nil {
		notes = append(notes, []string{v.paint.yellow("frozen"), cmp.Or(f.Reason, "no reason was given") + "; hanse unfreeze lets changes go on"})
	}
	notes = append(notes, v.goneClusters()...)
	notes = append(notes, v.unwell()...)
	notes = append(notes, v.rollouts()...)
	for i, w := range v.s.Warnings {
		if i == mostWarnings && len(v.s.Warnings) > mostWarnings+1 && !v.wide {
			notes = append(notes, []string{"", fmt.Sprintf("and %d more: hanse status -o wide", len(v.s.Warnings)-i)})
			break
		}
		notes = append(notes, []string{v.paint.red("warning"), w})
	}
	if e := v.s.Exposed; e != nil {
		notes = append(notes, []string{v.paint.red("exposed"), exposedWords(*e)})
	}
	if lacking := v.unplaced(); lacking != "" {
		notes = append(notes, []string{v.paint.yellow("placed"), lacking})
	}
	if only := v.onlyAdmins(); only != "" {
		notes = append(notes, []string{v.paint.yellow("warning"), only})
	}
	if lacking := v.notAggregated(); lacking != "" {
		notes = append(notes, []string{v.paint.yellow("warning"), lacking})
	}
	if lacking := withoutRecovery(v.s); lacking != "" {
		notes = append(notes, []string{v.paint.yellow("recovery"), lacking})
	}
	if b := v.s.Backup; b != nil {
		notes = append(notes, []string{"backup", fmt.Sprintf("%s: revision %d by %s, to %s", howLongAgo(v.now.Sub(b.At)), b.Revision, b.By, b.To)})
	}
	var recent []v1alpha1.ClusterFleetStatus
	for _, c := range v.s.Clusters {
		if c.LastDrift != nil && v.now.Sub(c.LastDrift.At.Time) < recentDrift {
			recent = append(recent, c)
		}
	}
	slices.SortStableFunc(recent, func(a, b v1alpha1.ClusterFleetStatus) int {
		return b.LastDrift.At.Compare(a.LastDrift.At.Time)
	})
	if len(recent) > 0 {
		notes = append(notes, []string{"drift", v.drift(recent)})
	}
	return notes
}

// mostWarnings is how many warnings are told; and those named that are gone, and the bundles that are not well.
const (
	mostWarnings = 5
	mostNamed    = 3
)

// goneClusters: gone   c017 in eu for 2 h, c044 in us for 3 min; where a whole region is gone, its line has said so.
func (v statusView) goneClusters() [][]string {
	var gone []v1alpha1.ClusterFleetStatus
	regions := v.regions()
	for _, r := range regions {
		for _, c := range r.clusters {
			if !c.Reachable && (r.gone < len(r.clusters) || len(regions) > mostRegions) {
				gone = append(gone, c)
			}
		}
	}
	if len(gone) == 0 || v.wide {
		return nil
	}
	slices.SortStableFunc(gone, func(a, b v1alpha1.ClusterFleetStatus) int { return seen(a).Compare(seen(b)) })
	var words []string
	named := len(gone)
	if named > mostNamed {
		named = mostNamed - 1 // there is to be room for where the others are told
	}
	for _, c := range gone[:named] {
		said := c.Name + " in " + c.Region
		if c.LastSeen != nil {
			said += " for " + span(v.now.Sub(c.LastSeen.Time))
		}
		words = append(words, said)
	}
	said := strings.Join(words, ", ")
	if more := len(gone) - len(words); more > 0 {
		said += fmt.Sprintf(" and %d more: hanse status -o wide", more)
	}
	return [][]string{{v.paint.red("gone"), said}}
}

// seen is when a cluster was last seen; zero when it never was.
func seen(c v1alpha1.ClusterFleetStatus) time.Time {
	if c.LastSeen == nil {
		return time.Time{}
	}
	return c.LastSeen.Time
}

// unwell: failed   shop in iad, pdx and 37 more   hanse explain shop --cluster iad.
func (v statusView) unwell() (notes [][]string) {
	for i, b := range v.s.Unwell {
		if i == mostNamed && !v.wide {
			return append(notes, []string{"", fmt.Sprintf("and %s not well somewhere: hanse status -o wide", v1alpha1.Counted(len(v.s.Unwell)-i, "one bundle more is", "%d bundles more are"))})
		}
		word, n := "failed", b.Failed
		if n == 0 {
			word, n = "drifted", b.Drifted
		}
		clusters := b.Clusters[:min(n, len(b.Clusters), mostNamed)]
		said := b.Name + " in " + strings.Join(clusters, ", ")
		if more := n - len(clusters); more > 0 {
			said += fmt.Sprintf(" and %d more", more)
		}
		next := "hanse drift " + b.Name
		if word == "failed" {
			next = "hanse explain " + b.Name
			if len(clusters) > 0 {
				next += " --cluster " + clusters[0]
			}
		}
		notes = append(notes, []string{v.paint.red(word), said + "   " + v.paint.dim(next)})
	}
	return notes
}

// mostUnplaced is how many bundles are named whose placement does not get what it asks for.
const mostUnplaced = 2

// unplaced: shop in 1 of 3 clusters, cart in 2 of 3 and 37 more   hanse explain shop. A placement may ask for more than there is yet, so
// the exit code does not tell.
func (v statusView) unplaced() string {
	all := v.s.Unplaced
	if len(all) == 0 {
		return ""
	}
	var words []string
	for i, u := range all[:min(mostUnplaced, len(all))] {
		said := u.Name + " not spread as asked"
		switch {
		case u.Lacks() > 0 && i == 0:
			said = fmt.Sprintf("%s in %d of %s", u.Name, u.Clusters, clusterCount(int(u.Wanted)))
		case u.Lacks() > 0:
			said = fmt.Sprintf("%s in %d of %d", u.Name, u.Clusters, u.Wanted)
		}
		words = append(words, said)
	}
	said := strings.Join(words, ", ")
	if more := len(all) - len(words); more > 0 {
		said += fmt.Sprintf(" and %d more", more)
	}
	return said + "   " + v.paint.dim("hanse explain "+all[0].Name)
}

// mostRollouts is how many rollouts have a line of their own.
const mostRollouts = 5

// rollouts: rolling  shop: wave 2 of 3, us: waits for iad   hanse rollout status shop.
func (v statusView) rollouts() (notes [][]string) {
	for i, r := range v.s.Rollouts {
		if i == mostRollouts && !v.wide {
			return append(notes, []string{"", moreRollouts(v.s.Rollouts[i:])})
		}
		word := v.paint.yellow("rolling")
		switch r.Phase {
		case v1alpha1.RolloutFailed:
			word = v.paint.red("stopped")
		case v1alpha1.RolloutPaused:
			word = v.paint.yellow("paused")
		case v1alpha1.RolloutRolledBack:
			word = v.paint.red("went back")
		case v1alpha1.RolloutAborted:
			word = v.paint.yellow("aborted")
		}
		message := r.Message
		if r.Asks != nil && !v.wide {
			word, message = v.paint.red("approve"), askedWords(r)
		}
		notes = append(notes, []string{word, r.Bundle + ": " + message + "   " + v.paint.dim("hanse rollout status "+r.Bundle)})
	}
	return notes
}

// moreRollouts: and 17 more, of which 2 need a person: hanse status -o wide.
func moreRollouts(all []v1alpha1.RolloutFleetStatus) string {
	said, needy := fmt.Sprintf("and %d more", len(all)), 0
	for _, r := range all {
		if r.Asks != nil || r.Phase == v1alpha1.RolloutFailed || r.Phase == v1alpha1.RolloutRolledBack {
			needy++
		}
	}
	if needy > 0 {
		said += ", of which " + v1alpha1.Counted(needy, "1 needs a person", "%d need a person")
	}
	return said + ": hanse status -o wide"
}

// askedWords are what a person is to approve, in short.
func askedWords(r v1alpha1.RolloutFleetStatus) string {
	a := r.Asks
	switch {
	case a.Objects > 0:
		return fmt.Sprintf("it would delete %d of %d objects in %s", a.Objects, a.Of, v1alpha1.Counted(a.Clusters, "1 cluster", "%d clusters"))
	case a.Stage != "":
		return "stage " + a.Stage + " waits for a person"
	}
	said, _, _ := strings.Cut(r.Message, ": hanse ") // which fault domain it is; the command is in its status
	return cmp.Or(said, "it waits for a person")
}

// onlyAdmins says that the fleet can be changed through one region of several. That is somebody's choice, not an
// illness: the exit code does not tell.
func (v statusView) onlyAdmins() string {
	if len(v.s.AdminRegions) != 1 || len(v.regions()) < 2 {
		return ""
	}
	return fmt.Sprintf("all clusters with the right Admin are in %s: without it nobody could change the fleet", v.s.AdminRegions[0])
}

// notAggregated: the fleet's API is not in the cluster iad: Forbidden; nor in sin. It is in the others, and hanse needs
// none: the exit code does not tell.
func (v statusView) notAggregated() string {
	var why string
	var names []string
	for _, c := range v.s.Clusters {
		if c.NotAggregated != "" {
			names = append(names, c.Name)
			why = cmp.Or(why, c.NotAggregated)
		}
	}
	if len(names) == 0 {
		return ""
	}
	words := fmt.Sprintf("the fleet's API is not in the cluster %s: %s", names[0], why)
	if len(names) > 1 {
		words += "; nor in " + few(names[1:])
	}
	return words
}

// withoutRecovery: no recovery recipient reads group db-readers. That may be somebody's choice: the exit code does not tell.
func withoutRecovery(s v1alpha1.FleetStatus) string {
	if len(s.GroupsWithoutRecovery) == 0 {
		return ""
	}
	return "what is sealed for " + few(s.GroupsWithoutRecovery) + " is lost with the keys of its clusters: no recovery recipient reads it; name one: kubectl edit fleets." + v1alpha1.GroupName + " " + s.Fleet
}

// exposedWords: 3 secrets have values that cdg could read, which left: hanse secret exposed.
func exposedWords(e v1alpha1.ExposedFleetStatus) string {
	who := "who left could read"
	if len(e.Clusters) > 0 {
		who = few(e.Clusters) + " could read"
	}
	if e.Secrets == 1 {
		return "1 secret has values that " + who + ", and may not any more; list it with: hanse secret exposed"
	}
	return fmt.Sprintf("%d secrets have values that %s, and may not any more; list them with: hanse secret exposed", e.Secrets, who)
}

// drift: last 41 s ago: iad configmap shop/settings, edited by kubectl-patch; 2 clusters in the last hour.
func (v statusView) drift(recent []v1alpha1.ClusterFleetStatus) string {
	c := recent[0]
	words := fmt.Sprintf("%s: %s %s", howLongAgo(v.now.Sub(c.LastDrift.At.Time)), c.Name, plan.Name(c.LastDrift.ObjectRef))
	if c.LastDrift.Manager != "" {
		words += ", edited by " + c.LastDrift.Manager
	}
	if len(recent) > 1 {
		words += fmt.Sprintf("; %d clusters in the last hour", len(recent))
	}
	return words
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
