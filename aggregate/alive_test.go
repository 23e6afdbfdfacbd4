package aggregate

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func TestALifeIsRenewedLongBeforeItEnds(t *testing.T) {
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := life{job: metav1.OwnerReference{Name: "hanse-alive-a", UID: "1"}, since: begun}
	there := func(uid types.UID) *unstructured.Unstructured {
		job := new(unstructured.Unstructured)
		job.SetUID(uid)
		return job
	}
	going := there("1")
	going.SetDeletionTimestamp(&metav1.Time{Time: begun})
	for name, c := range map[string]struct {
		age  time.Duration
		job  *unstructured.Unstructured
		want bool
	}{
		"just begun":                    {0, there("1"), false},
		"almost a third of it is over":  {99 * time.Second, there("1"), false},
		"a third of it is over":         {100 * time.Second, there("1"), true},
		"its job was deleted":           {0, nil, true},
		"its job is being deleted":      {0, going, true},
		"another job is of that name":   {0, there("2"), true},
		"it should have ended long ago": {time.Hour, there("1"), true},
	} {
		if got := l.due(begun.Add(c.age), c.job, 5*time.Minute); got != c.want {
			t.Errorf("%s: due %v", name, got)
		}
	}
	if !(life{}).due(begun, nil, time.Minute) {
		t.Error("the first is not due")
	}
}

func TestAMemberThatIsStoppedLeavesAShortLife(t *testing.T) {
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		age, span time.Duration
		want      int64
	}{
		"at once":                     {0, DefaultLife, 30},
		"after a while":               {90*time.Second + time.Millisecond, DefaultLife, 121},
		"when it would end as soon":   {0, LastWords, 0},
		"when it would end sooner":    {0, time.Second, 0},
		"when it ought to have ended": {time.Hour, DefaultLife, 0},
	} {
		if got := (life{since: begun}).last(begun.Add(c.age), c.span); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestALifeHasNoPodsAndEndsByItself(t *testing.T) {
	for span, want := range map[time.Duration]int64{DefaultLife: 300, 1500 * time.Millisecond: 2, time.Millisecond: 1} {
		job := lifetime("acme/fra", span).wanted
		for _, c := range []struct {
			field string
			want  int64
		}{{"parallelism", 0}, {"ttlSecondsAfterFinished", 0}, {"activeDeadlineSeconds", want}} {
			if got, found, err := unstructured.NestedInt64(job.Object, "spec", c.field); got != c.want || !found || err != nil {
				t.Errorf("a life of %s: %s is %d (%v, %v)", span, c.field, got, found, err)
			}
		}
		if err := foreign(job, "acme/fra"); err != nil {
			t.Error(err)
		}
	}
}

func TestAJobThatNeverBeginsIsNotReliedOn(t *testing.T) {
	const begun = "2026-01-01T00:00:00Z"
	for name, c := range map[string]struct {
		suspend bool
		start   string
		age     time.Duration
		doubted bool
		sleeps  bool
	}{
		"it runs":                                  {false, begun, time.Second, false, false},
		"it was made a moment ago":                 {false, "", time.Second, false, false},
		"nobody has taken it up":                   {false, "", 100 * time.Second, false, true},
		"it is suspended":                          {true, "", 0, false, true},
		"it is suspended after a time":             {true, begun, 90 * time.Second, false, true},
		"nor the one before it":                    {false, "", time.Second, true, true},
		"the one before it never did, and it does": {false, begun, time.Second, true, false},
	} {
		job := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"suspend": c.suspend}, "status": map[string]any{"startTime": c.start}}}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		err := life{since: now.Add(-c.age), doubted: c.doubted}.asleep(now, job, DefaultLife)
		if (err != nil) != c.sleeps {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && passes(err) {
			t.Errorf("%s: the APIService keeps an owner that does not end", name)
		}
	}
}
