package events

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func drifted(bundle string) Event {
	return Event{Regarding: corev1.ObjectReference{Kind: "Bundle", Name: bundle}, Reason: "DriftCorrected", Action: "Correct", Note: "put right"}
}

func TestWhatHappensAgainIsOneEventThatCounts(t *testing.T) {
	l, now := newLedger(), time.Unix(1000, 0)
	for range 100 {
		l.take(drifted("shop"), now)
	}
	s, _ := l.due(now)
	if s == nil || s.count != 100 || len(l.all) != 1 {
		t.Fatalf("due: %+v", s)
	}
	s.written, s.unsaid = now, false
	if again, wait := l.due(now); again != nil || wait != seriesEnd {
		t.Errorf("due again: %+v, %v", again, wait)
	}
	l.take(drifted("shop"), now.Add(time.Second))
	if again, wait := l.due(now.Add(time.Second)); again != nil || wait != seriesPause-time.Second {
		t.Errorf("written again at once: %+v, %v", again, wait)
	}
	if again, _ := l.due(now.Add(seriesPause)); again == nil || again.count != 101 {
		t.Errorf("not written after the pause: %+v", again)
	}
}

func TestASeriesEnds(t *testing.T) {
	l, now := newLedger(), time.Unix(1000, 0)
	l.take(drifted("shop"), now)
	s, _ := l.due(now)
	s.unsaid = false
	l.take(drifted("shop"), now.Add(seriesEnd))
	if s, _ := l.due(now.Add(seriesEnd)); s == nil || s.count != 1 || !s.first.Equal(now.Add(seriesEnd)) {
		t.Errorf("it goes on: %+v", s)
	}
}

func TestAStormIsBounded(t *testing.T) {
	l, now := newLedger(), time.Unix(1000, 0)
	for i := range 10 * maxSeries {
		if room := l.take(drifted(fmt.Sprint(i)), now); room != (i < maxSeries) {
			t.Fatalf("event %d is taken: %v", i, room)
		}
	}
	if len(l.all) != maxSeries || len(l.order) != maxSeries {
		t.Errorf("%d are kept", len(l.all))
	}
	for range maxSeries {
		s, _ := l.due(now)
		s.unsaid = false
	}
	if !l.take(drifted("later"), now.Add(seriesEnd)) || len(l.all) != 1 {
		t.Errorf("%d are kept when all is over", len(l.all))
	}
}

func TestANoteIsNotLongerThanKubernetesTakes(t *testing.T) {
	s := &series{Event: drifted("shop"), count: 1, first: time.Unix(1, 0), last: time.Unix(1, 0)}
	s.Note = strings.Repeat("ä", 2000)
	if o := s.object("fra"); len(o.Note) > 1024 || o.Series != nil || o.Namespace != "default" {
		t.Errorf("%d bytes, series %v, namespace %s", len(o.Note), o.Series, o.Namespace)
	}
}
