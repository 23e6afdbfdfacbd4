package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Report is a whole run.
type Report struct {
	When time.Time `json:"when"`
	// Commit is what the programs were built from.
	Commit  string  `json:"commit"`
	Command string  `json:"command"`
	Peer    string  `json:"peer"`
	Machine Machine `json:"machine"`
	Rows    []Row   `json:"rows"`
}

// Row is one line of the table. Ours and Peer are medians of the runs.
type Row struct {
	Name string  `json:"row"`
	Unit string  `json:"unit"`
	Ours float64 `json:"ours"`
	Peer float64 `json:"peer,omitempty"`
	// Ratio is how many times better ours is; below 1 it is worse. 0: there is no peer.
	Ratio  float64 `json:"ratio,omitempty"`
	Target string  `json:"target,omitempty"`
	Met    *bool   `json:"met,omitempty"`
	// Each run's figures, in order.
	OursRuns []float64 `json:"oursRuns,omitempty"`
	PeerRuns []float64 `json:"peerRuns,omitempty"`
}

// unit says what a figure counts, and whether more of it is better.
type unit struct {
	name string
	more bool
}

var (
	inMilliseconds = unit{name: "ms"}
	aSecond        = unit{name: "/s", more: true}
	eventsASecond  = unit{name: "events/s", more: true}
	failures       = unit{name: "failed"}
	inMilliCPU     = unit{name: "mCPU"}
	inMiB          = unit{name: "MiB"}
)

// target is what a row must reach.
type target struct {
	text string
	met  func(ours, peer, ratio float64) bool
}

// atLeast is a target for the ratio.
func atLeast(ratio float64) *target {
	return &target{fmt.Sprintf("≥ %g×", ratio), func(_, _, r float64) bool { return r >= ratio }}
}

// atMost is a target for our own figure.
func atMost(limit float64, u unit) *target {
	return &target{fmt.Sprintf("≤ %g %s", limit, u.name), func(ours, _, _ float64) bool { return ours <= limit }}
}

// newRow takes the medians and compares.
func newRow(name string, u unit, ours, peer []float64, goal *target) Row {
	r := Row{Name: name, Unit: u.name, Ours: median(ours), Peer: median(peer), OursRuns: ours, PeerRuns: peer}
	switch {
	case len(peer) == 0:
	case u.more && r.Peer > 0:
		r.Ratio = r.Ours / r.Peer
	case !u.more && r.Ours > 0:
		r.Ratio = r.Peer / r.Ours
	}
	if goal != nil {
		met := goal.met(r.Ours, r.Peer, r.Ratio)
		r.Target, r.Met = goal.text, &met
	}
	return r
}

func median(runs []float64) float64 {
	if len(runs) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(runs))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// heading names the columns of Row.String.
const heading = "row                                                          ours        peer   ratio   target"

func (r Row) String() string {
	peer, ratio, goal := "-", "-", ""
	if len(r.PeerRuns) > 0 {
		peer = figure(r.Peer, r.Unit)
	}
	if r.Ratio > 0 {
		ratio = fmt.Sprintf("%.2f×", r.Ratio)
	}
	if r.Met != nil {
		goal = r.Target + " missed"
		if *r.Met {
			goal = r.Target + " met"
		}
	}
	return fmt.Sprintf("%-52s %12s %11s %7s   %s", r.Name, figure(r.Ours, r.Unit), peer, ratio, goal)
}

func figure(v float64, unit string) string {
	switch {
	case unit == "failed", v >= 100:
		return fmt.Sprintf("%.0f %s", v, unit)
	case v >= 10:
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.2f %s", v, unit)
}

// Save writes the report as JSON; the folder is made when it is not there.
func (r Report) Save(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	return nil
}
