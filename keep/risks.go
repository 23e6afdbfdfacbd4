package keep

import (
	"maps"
	"slices"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// Unrecovered are the names of groups that no recovery recipient can read.
func Unrecovered(kinds decoded.Kinds, v *store.View) (names []string) {
	groups, of := kinds.KeyGroups(v)
	for _, g := range groups {
		if len(g.Value.Spec.Recovery(&of.Fleet)) == 0 {
			names = append(names, g.Value.Name)
		}
	}
	return names
}

// Unread are a line each for groups and secrets that cannot be read.
func Unread(kinds decoded.Kinds, v *store.View) (lines []string) {
	_, groups := kinds.Groups.Readable(v)
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		lines = append(lines, law.Thing(key)+" cannot be read: what is sealed for it is neither rolled out nor sealed again, and stays where it is; no version of ours wrote that; "+restoreHint)
	}
	_, secrets := kinds.Bundles.Secrets.Readable(v)
	for _, key := range slices.Sorted(maps.Keys(secrets)) {
		lines = append(lines, law.Thing(key)+" cannot be read: it is not rolled out, and stays where it is; no version of ours wrote that; "+restoreHint)
	}
	return lines
}

const restoreHint = "restore a backup from before it was written: docs/recovery.md"

// AtRisk are a line each for groups that nobody may be able to open for, now or soon.
func AtRisk(kinds decoded.Kinds, v *store.View, there func(cluster string) bool) (lines []string) {
	groups, of := kinds.KeyGroups(v)
	for _, g := range groups {
		if said := plan.GroupAtRisk(g.Value, of, v.Time(), there); said != "" {
			lines = append(lines, said)
		}
	}
	return lines
}
