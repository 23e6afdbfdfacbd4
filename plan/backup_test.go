package plan

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestBackupOrder(t *testing.T) {
	now := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	daily := &v1alpha1.BackupSpec{Every: metav1.Duration{Duration: 24 * time.Hour}, At: "03:00"}
	made := func(d time.Duration) []v1alpha1.BackupMade { return []v1alpha1.BackupMade{{At: ago(d), By: "fra"}} }
	order := func(cluster string, d time.Duration) *v1alpha1.BackupOrder {
		return &v1alpha1.BackupOrder{Cluster: cluster, At: ago(d)}
	}
	failed := func(by string, d time.Duration) *v1alpha1.BackupFailed {
		return &v1alpha1.BackupFailed{At: ago(d), By: by}
	}
	three := []string{"sin", "fra", "iad"}
	for name, tt := range map[string]struct {
		spec   *v1alpha1.BackupSpec
		record v1alpha1.BackupRecord
		able   []string
		want   *v1alpha1.BackupOrder
	}{
		"without a schedule there is none":             {nil, v1alpha1.BackupRecord{Order: order("fra", 0)}, three, nil},
		"the first is due at once":                     {daily, v1alpha1.BackupRecord{}, three, order("iad", 0)},
		"one made since it was due is enough":          {daily, v1alpha1.BackupRecord{Made: made(9 * time.Hour)}, three, nil},
		"one made before it was due is not":            {daily, v1alpha1.BackupRecord{Made: made(10 * time.Hour)}, three, order("iad", 0)},
		"the leader makes it when nobody else can":     {daily, v1alpha1.BackupRecord{}, []string{"fra"}, order("fra", 0)},
		"nobody makes it when nobody can":              {daily, v1alpha1.BackupRecord{}, nil, nil},
		"an order stands":                              {daily, v1alpha1.BackupRecord{Order: order("sin", time.Minute)}, three, order("sin", time.Minute)},
		"one who went away is replaced":                {daily, v1alpha1.BackupRecord{Order: order("iad", time.Minute)}, []string{"fra", "sin"}, order("sin", 0)},
		"one who takes too long is replaced":           {daily, v1alpha1.BackupRecord{Order: order("iad", 2*time.Hour)}, three, order("sin", 0)},
		"unless nobody else is there":                  {daily, v1alpha1.BackupRecord{Order: order("iad", 2*time.Hour)}, nil, nil},
		"an order by a clock that is ahead stands":     {daily, v1alpha1.BackupRecord{Order: order("iad", -time.Hour)}, three, order("iad", -time.Hour)},
		"an order by a clock that was wrong does not":  {daily, v1alpha1.BackupRecord{Order: order("iad", -9999*time.Hour)}, three, order("sin", 0)},
		"one by a clock that is ahead counts":          {daily, v1alpha1.BackupRecord{Made: made(-time.Hour)}, three, nil},
		"one by a clock that was wrong does not":       {daily, v1alpha1.BackupRecord{Made: made(-9999 * time.Hour)}, three, order("iad", 0)},
		"a failure is not tried again at once":         {daily, v1alpha1.BackupRecord{Failed: failed("iad", time.Minute)}, three, nil},
		"but soon, and by another":                     {daily, v1alpha1.BackupRecord{Failed: failed("iad", 11*time.Minute)}, three, order("sin", 0)},
		"or when it is due again":                      {&v1alpha1.BackupSpec{Every: metav1.Duration{Duration: time.Minute}}, v1alpha1.BackupRecord{Failed: failed("iad", 61*time.Second)}, three, order("sin", 0)},
		"a leader is better than one that just failed": {daily, v1alpha1.BackupRecord{Failed: failed("iad", time.Hour)}, []string{"fra", "iad"}, order("fra", 0)},
	} {
		t.Run(name, func(t *testing.T) {
			got := Backups{Now: now, Spec: tt.spec, Record: tt.record, Able: tt.able, Leader: "fra"}.Next().Order
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAFleetThatOnlyLooksOrdersNoBackup(t *testing.T) {
	b := Backups{Observes: true, Spec: &v1alpha1.BackupSpec{}, Able: []string{"fra"}, Now: time.Unix(1e9, 0)}
	if b.Record.Order = b.Next().Order; b.Record.Order != nil {
		t.Errorf("ordered %v", b.Record.Order)
	}
	b.Record.Order = &v1alpha1.BackupOrder{Cluster: "fra", At: b.Now}
	if o := b.Next().Order; o != nil {
		t.Errorf("an order stands: %v", o)
	}
}

func TestAMemberThatTakesTooLongHasFailed(t *testing.T) {
	now := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	late := v1alpha1.BackupOrder{Cluster: "iad", At: now.Add(-BackupPatience)}
	b := Backups{Now: now, Spec: &v1alpha1.BackupSpec{Every: metav1.Duration{Duration: time.Hour}}, Record: v1alpha1.BackupRecord{Order: &late}, Able: []string{"iad", "sin"}}
	next := b.Next()
	if f := next.Failed; f == nil || f.By != "iad" || !f.At.Equal(late.At) || next.Order == nil || next.Order.Cluster != "sin" {
		t.Errorf("got %+v, %+v", next.Failed, next.Order)
	}
	if _, ok := BackupMade(next, late, v1alpha1.BackupMade{}); ok {
		t.Error("it counts, though another was asked meanwhile")
	}
}

func TestWhatBecameOfAnOrder(t *testing.T) {
	o := v1alpha1.BackupOrder{Cluster: "iad", At: time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)}
	var r v1alpha1.BackupRecord
	for i := range v1alpha1.MaxBackups + 1 {
		r.Order = &o
		r, _ = BackupMade(r, o, v1alpha1.BackupMade{Name: strconv.Itoa(i), At: o.At.Add(-time.Minute)})
	}
	if n := len(r.Made); n != v1alpha1.MaxBackups || r.Made[0].Name != "1" || !r.Made[n-1].At.Equal(o.At) {
		t.Errorf("%d are remembered, from %s, the latest of %s", n, r.Made[0].Name, r.Made[n-1].At)
	}
	r.Order = &o
	r, ok := BackupFailed(r, o, strings.Repeat("ü", v1alpha1.MaxBackupError))
	if f := r.Failed; !ok || r.Order != nil || len(r.Made) != v1alpha1.MaxBackups || f.By != "iad" || len(f.Error) > v1alpha1.MaxBackupError || !utf8.ValidString(f.Error) {
		t.Errorf("got %+v", r.Failed)
	}
}

// Leaders follow each other, makers too, and no two clocks agree.
func TestClocksThatDifferMakeNoBackupTooManyAndDeleteNoneTooEarly(t *testing.T) {
	const skew = time.Hour
	rapid.Check(t, func(t *rapid.T) {
		clock := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(-int64(skew), int64(skew)).Draw(t, "ns"))
		})
		begun := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
		spec := &v1alpha1.BackupSpec{
			Every:     metav1.Duration{Duration: time.Duration(rapid.IntRange(1, 300).Draw(t, "minutes")) * time.Minute},
			Retention: &v1alpha1.BackupRetention{Keep: int32(rapid.IntRange(0, 5).Draw(t, "keep")), For: metav1.Duration{Duration: time.Duration(rapid.IntRange(1, 20).Draw(t, "hours")) * time.Hour}},
		}
		var r v1alpha1.BackupRecord
		born, made := map[string]time.Time{}, 0
		now, leader := begun, clock.Draw(t, "leader")
		for range 200 {
			now = now.Add(time.Duration(rapid.IntRange(0, 1800).Draw(t, "seconds")) * time.Second)
			if rapid.IntRange(0, 9).Draw(t, "change") == 0 {
				leader = clock.Draw(t, "leader")
			}
			r = Backups{Now: now.Add(leader), Spec: spec, Record: r, Able: []string{"fra", "iad"}}.Next()
			if r.Order == nil || rapid.Bool().Draw(t, "slow") {
				continue
			}
			maker := clock.Draw(t, "maker")
			last, any := Backups{Record: r}.last()
			made++
			next, _ := BackupMade(r, *r.Order, v1alpha1.BackupMade{Name: strconv.Itoa(made), At: now.Add(maker)})
			born[strconv.Itoa(made)] = now
			if at := next.Made[len(next.Made)-1].At; any && !last.At.Before(spec.Due(at)) {
				t.Fatalf("one at %s, though one at %s was enough", at, last.At)
			}
			r = next
			for _, m := range ExpiredBackups(spec.Retention, r.Made, now.Add(maker)) {
				i := slices.Index(r.Made, m)
				if age := now.Sub(born[m.Name]); len(r.Made)-i <= int(spec.Retention.Keep) || age < spec.Retention.For.Duration-2*skew-BackupPatience {
					t.Fatalf("%s deleted after %s, with %d newer ones", m.Name, age, len(r.Made)-i-1)
				}
				r.Made = slices.Delete(r.Made, i, i+1)
			}
		}
		if most := int((now.Sub(begun)+2*skew)/spec.Every.Duration) + 2; made > most {
			t.Fatalf("%d in %s, one every %s", made, now.Sub(begun), spec.Every.Duration)
		}
	})
}

func TestExpiredBackups(t *testing.T) {
	now := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	var made []v1alpha1.BackupMade // a, b, c, d, e: five, a day apart, the latest a day old
	for i := range 5 {
		made = append(made, v1alpha1.BackupMade{Name: string(rune('a' + i)), At: now.Add(time.Duration(i-5) * 24 * time.Hour)})
	}
	days := func(n int) metav1.Duration { return metav1.Duration{Duration: time.Duration(n) * 24 * time.Hour} }
	for name, tt := range map[string]struct {
		r    *v1alpha1.BackupRetention
		want string
	}{
		"without a rule none":           {nil, ""},
		"all but so many of the latest": {&v1alpha1.BackupRetention{Keep: 2}, "abc"},
		"all but the young":             {&v1alpha1.BackupRetention{For: days(3)}, "ab"},
		"what either rule keeps stays":  {&v1alpha1.BackupRetention{Keep: 1, For: days(3)}, "ab"},
		"never the latest":              {&v1alpha1.BackupRetention{For: days(0), Keep: 1}, "abcd"},
		"never the latest, however old": {&v1alpha1.BackupRetention{For: metav1.Duration{Duration: time.Second}}, "abcd"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, m := range ExpiredBackups(tt.r, made, now) {
				got += m.Name
			}
			if got != tt.want {
				t.Errorf("got %s", got)
			}
			if wrong := ExpiredBackups(tt.r, made, now.Add(9999*time.Hour)); len(wrong) != len(tt.want) {
				t.Errorf("by a clock that is ahead: %v", wrong)
			}
		})
	}
}

func TestBackupWarning(t *testing.T) {
	now := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	daily := &v1alpha1.BackupSpec{Every: metav1.Duration{Duration: 24 * time.Hour}}
	made := func(d time.Duration) v1alpha1.BackupRecord {
		return v1alpha1.BackupRecord{Made: []v1alpha1.BackupMade{{At: now.Add(-d)}}}
	}
	broken := made(time.Hour)
	broken.Failed = &v1alpha1.BackupFailed{By: "iad", Error: "no such bucket"}
	for name, tt := range map[string]struct {
		spec   *v1alpha1.BackupSpec
		record v1alpha1.BackupRecord
		want   string
	}{
		"none without a schedule":         {nil, made(9999 * time.Hour), ""},
		"none while all is well":          {daily, made(47 * time.Hour), ""},
		"none while the first is made":    {daily, v1alpha1.BackupRecord{Order: &v1alpha1.BackupOrder{At: now.Add(-time.Minute)}}, ""},
		"while nobody makes the first":    {daily, v1alpha1.BackupRecord{}, "backup is missing: there is none yet, and one is due every 24h0m0s"},
		"when the first takes too long":   {daily, v1alpha1.BackupRecord{Order: &v1alpha1.BackupOrder{At: now.Add(-BackupPatience)}}, "backup is missing"},
		"after twice the interval":        {daily, made(49 * time.Hour), "backup is overdue: the latest is of 2026-03-03 11:00 UTC"},
		"after a failure":                 {daily, broken, "backup failed on iad: no such bucket; the latest is of 2026-03-05 11:00 UTC"},
		"after a failure of the very one": {daily, v1alpha1.BackupRecord{Failed: broken.Failed}, "there is none yet"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := BackupWarning(tt.spec, tt.record, now); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("got %q", got)
			}
		})
	}
}
