package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
		"a failure is not tried again at once":         {daily, v1alpha1.BackupRecord{Failed: failed("iad", time.Minute)}, three, nil},
		"but soon, and by another":                     {daily, v1alpha1.BackupRecord{Failed: failed("iad", 11*time.Minute)}, three, order("sin", 0)},
		"or when it is due again":                      {&v1alpha1.BackupSpec{Every: metav1.Duration{Duration: time.Minute}}, v1alpha1.BackupRecord{Failed: failed("iad", 61*time.Second)}, three, order("sin", 0)},
		"a leader is better than one that just failed": {daily, v1alpha1.BackupRecord{Failed: failed("iad", time.Hour)}, []string{"fra", "iad"}, order("fra", 0)},
	} {
		t.Run(name, func(t *testing.T) {
			got := Backups{Now: now, Spec: tt.spec, Record: tt.record, Able: tt.able, Leader: "fra"}.Order()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
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
		"all but the young":             {&v1alpha1.BackupRetention{For: days(4)}, "ab"},
		"what either rule keeps stays":  {&v1alpha1.BackupRetention{Keep: 1, For: days(4)}, "ab"},
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
		"none before the first":           {daily, v1alpha1.BackupRecord{}, ""},
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
