package agent

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/facts"
	"github.com/hanse-fleet/hanse/report"
)

func TestARoundTripIsShownAtBothEnds(t *testing.T) {
	at := facts.Reading{At: time.Unix(1_000_000, 0)}
	names := map[string]string{"m1": "fra", "m2": "iad", "m3": "sin"}
	known := map[string]facts.Facts{
		"fra": {Trips: []facts.Trip{{Reading: at, Peer: "m2", Least: 80, P99: 90}, {Reading: at, Peer: "m3", Least: 160, P99: 170}, {Reading: at, Peer: "gone", Least: 1}, {Reading: at, Peer: "m1", Least: 1}}},
		"iad": {Trips: []facts.Trip{{Reading: at, Peer: "m1", Least: 81, P99: 91}}},
	}
	got := map[string][]string{}
	for cluster, all := range roundTripsOf(known, names) {
		for _, r := range all {
			got[cluster] = append(got[cluster], r.Peer+" "+r.Least.Duration.String()+" by "+r.Observer)
		}
	}
	want := map[string][]string{
		"fra": {"iad 80ms by fra", "sin 160ms by fra"},
		"iad": {"fra 81ms by iad"},
		"sin": {"fra 160ms by fra"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadingsSayWhoTookThemAndWhen(t *testing.T) {
	at := time.Unix(1_000_000, 500)
	s := readings("fra", facts.Facts{
		Capacity:  &facts.Capacity{Reading: facts.Reading{At: at}, Nodes: 3, ReadyNodes: 2, Pods: 40, Has: facts.Amount{CPU: 24000, Memory: 96 << 30}, Asked: facts.Amount{CPU: 7300, Memory: 21 << 30}},
		Processor: &facts.Processor{Reading: facts.Reading{At: at}, Model: "EPYC", Cores: 16, Speed: 125},
		Disk:      &facts.Disk{Reading: facts.Reading{At: at}, FsyncP999: 3.58},
	})
	for _, r := range []string{s.Capacity.Observer, s.Processor.Observer, s.Disk.Observer} {
		if r != "fra" {
			t.Errorf("observed by %q", r)
		}
	}
	if !s.Capacity.At.Equal(&s.Disk.At) || s.Capacity.At.Unix() != at.Unix() {
		t.Errorf("taken at %s and %s", s.Capacity.At, s.Disk.At)
	}
	if c := s.Capacity; c.Allocatable.CPU.String() != "24" || c.Requested.CPU.String() != "7300m" || c.Allocatable.Memory.String() != "96Gi" {
		t.Errorf("capacity is %+v", c)
	}
	if s.Processor.SpeedClass != 11 || s.Disk.FsyncP999.Duration != 3580*time.Microsecond {
		t.Errorf("%+v, %+v", s.Processor, s.Disk)
	}
	if s.Kubernetes != nil || s.Storage != nil {
		t.Error("what was never taken is there")
	}
}

func TestWhatAMemberSaysOfItsClusterIsWhatTheLeaderDecidesBy(t *testing.T) {
	here, dead := facts.Condition{Status: "True", Reason: "Registered"}, facts.Condition{Status: "False", Reason: facts.ReasonNoAnswer, Message: "dead"}
	got := planned(report.Sighting{}, facts.Facts{Aggregated: &here, ControlPlane: &dead}, time.Now())
	if got.Aggregated.Reason != "Registered" || got.ControlPlane.Status != "False" || got.ControlPlane.Reason != "NoAnswer" || got.ControlPlane.Message != "dead" {
		t.Errorf("%+v", got)
	}
	if none := planned(report.Sighting{}, facts.Facts{}, time.Now()); none.Aggregated.Status+none.ControlPlane.Status != "" {
		t.Errorf("%+v", none)
	}
}
