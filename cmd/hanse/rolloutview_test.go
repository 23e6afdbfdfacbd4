package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// aLargeRollout is in its second wave, of a hundred clusters.
func aLargeRollout(waiting int) *v1alpha1.Rollout {
	r := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: "shop-2"}, Spec: v1alpha1.RolloutSpec{Bundle: "shop"}}
	now := metav1.NewTime(statusNow)
	for _, domain := range []string{"eu", "us"} {
		w := v1alpha1.Wave{Domain: domain}
		for i := range 100 {
			w.Clusters = append(w.Clusters, fmt.Sprintf("%s%03d", domain, i))
		}
		r.Spec.Waves = append(r.Spec.Waves, w)
	}
	r.Spec.Waves[1].Withdraw = []string{"us900"}
	second := v1alpha1.WaveStatus{Granted: &now, Waiting: slices.Clone(r.Spec.Waves[1].Clusters[:waiting])}
	if waiting == 0 {
		second.Settled = &now
	}
	r.Status = v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutRunning, Message: "wave 2 of 2", Waves: []v1alpha1.WaveStatus{{Granted: &now, Settled: &now}, second}}
	return r
}

func largeText(waiting int) []byte {
	r := aLargeRollout(waiting)
	return rolloutAll(r, []v1alpha1.Rollout{*r}, "brings "+r.Spec.Revision, "")
}

func TestAWaveOfAHundredClustersIsOneNarrowLine(t *testing.T) {
	text := string(largeText(12))
	for line := range strings.Lines(text) {
		if printed(strings.TrimSpace(line)) > 120 {
			t.Errorf("it is wide: %s", line)
		}
	}
	if want := "2      us       us000 us001 us002 and 98 more   granted   2030-01-01 12:00:00Z   12 of 101: us000 us001 us002 and 9 more"; !strings.Contains(text, want) {
		t.Errorf("%q is not in\n%s", want, text)
	}
	if got := waitCell([]string{"iad"}, 2); got != "iad" {
		t.Errorf("of two clusters it says %q", got)
	}
}

func TestAWatchedRolloutMoves(t *testing.T) {
	before, after := largeText(12), largeText(3)
	if got := frame(false, nil, before); !bytes.Equal(got, before) {
		t.Errorf("at first it is\n%s", got)
	}
	const moved = "2      us       us000 us001 us002 and 98 more   granted   2030-01-01 12:00:00Z   3 of 101: us000 us001 us002\n"
	if diff := cmp.Diff(moved, string(frame(false, before, after))); diff != "" {
		t.Errorf("a wave that moves is more, or less, than its line:\n%s", diff)
	}
	if got := frame(true, before, after); !bytes.Equal(got, append([]byte(clearScreen), after...)) {
		t.Errorf("on a terminal it is\n%q", got)
	}
	ended := string(frame(false, after, largeText(0)))
	if strings.Count(ended, "\n") != 1 || !strings.Contains(ended, "settled") {
		t.Errorf("a wave that has settled is told as\n%s", ended)
	}
}
